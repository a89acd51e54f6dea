"""Check that a fact is in a ledger, with nothing but Python: `python check_proof.py FILE CHECKPOINT KEY`.

FILE is what `shuiquan audit prove` wrote, CHECKPOINT a signed checkpoint, KEY the verifier key of the ledger. This
module stands alone, so that who checks need not trust the program that made the proof. It holds the whole check: the
signature of the checkpoint (Ed25519, RFC 8032), the path from the fact to its root (RFC 6962), and what the bytes of
the fact say (docs/journal-format.md).
"""

import base64
import hashlib
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

Point = tuple[int, int, int, int]


class InvalidProof(ValueError):  # noqa: N818 - named after what it says
    """Something does not prove what it should. Names `field`, `value` and `rule`."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        """`value` in `field` breaks `rule`."""
        self.field, self.value, self.rule = field, value, rule
        super().__init__(f"{field}: {str(value)[:80]!r}: {rule}")


# Ed25519: x and y modulo P on -x^2 + y^2 = 1 + D x^2 y^2, in extended coordinates (X, Y, Z, XY/Z); order L

P: Final = 2**255 - 19
L: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1: Final = pow(2, (P - 1) // 4, P)
NEUTRAL: Final = (0, 1, 1, 0)


def add(one: Point, two: Point) -> Point:
    """The sum of two points."""
    a, b = (one[1] - one[0]) * (two[1] - two[0]) % P, (one[1] + one[0]) * (two[1] + two[0]) % P
    c, d = 2 * one[3] * two[3] * D % P, 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(factor: int, point: Point) -> Point:
    """A multiple of a point. It takes a time that depends on the factor, so only for what is public."""
    total = NEUTRAL
    while factor:
        if factor & 1:
            total = add(total, point)
        point, factor = add(point, point), factor >> 1
    return total


def point_of(raw: bytes) -> Point:
    """The point behind 32 bytes. Raises InvalidProof for bytes that are not the one encoding of a point."""
    number = int.from_bytes(raw, "little")
    y, sign = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * ROOT_OF_MINUS_1 % P
    if len(raw) != 32 or y >= P or x * x % P != square or (sign and not x):
        raise InvalidProof("key", raw.hex(), "the encoding of a point of the curve")
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


def bytes_of(point: Point) -> bytes:
    """The encoding of a point."""
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE: Final = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def check_public(public: bytes) -> Point:
    """The point of a public key. Raises InvalidProof for one that fits signatures nobody made (small order)."""
    point = point_of(public)
    if bytes_of(multiply(8, point)) == bytes_of(NEUTRAL):
        raise InvalidProof("key", public.hex(), "a key of large order")
    return point


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature holds; only its one valid form does (S below the order of the curve)."""
    key = check_public(public)
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus_key = (P - key[0], key[1], key[2], P - key[3])
    return bytes_of(add(multiply(s, BASE), multiply(h, minus_key))) == signature[:32]


# signed notes (C2SP): text, an empty line, and lines of — NAME BASE64(key id, signature)


def parse_key(text: str) -> tuple[str, bytes]:
    """Name and public key of a verifier key NAME+ID+BASE64. Raises InvalidProof."""
    name, _, rest = text.strip().partition("+")
    identity, _, packed_text = rest.partition("+")
    try:
        packed = decode_base64("key", packed_text)
    except InvalidProof:
        packed = b""
    if not name or packed[:1] != b"\x01" or len(packed) != 33 or identity != key_id(name, packed[1:]).hex():
        raise InvalidProof("key", text, "NAME+ID+BASE64 of an Ed25519 verifier key")
    check_public(packed[1:])
    return name, packed[1:]


def key_id(name: str, public: bytes) -> bytes:
    """The 4 bytes by which a signature names its key."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def parted(note: str) -> tuple[str, str]:
    """Text and signatures of a note; what stands before it is left aside."""
    body, _, signatures = note.rpartition("\n\n")
    return body.rpartition("\n\n")[2] + "\n", signatures


def open_note(note: str, key: str, signed: Callable[[bytes, bytes, bytes], bool] = signed_by) -> str:
    """The text of a note once a signature by `key` holds. Raises InvalidProof."""
    name, public = parse_key(key)
    text, signatures = parted(note)
    for line in signatures.split("\n"):
        if line.startswith(f"— {name} "):
            packed = decode_base64("signature", line.removeprefix(f"— {name} "))
            if packed[:4] == key_id(name, public):
                if signed(public, text.encode(), packed[4:]):
                    return text
                break  # a note with a bad signature by a known key is refused as a whole
    raise InvalidProof("signature", key, "the note is signed by this key")


def decode_base64(field: str, text: str) -> bytes:
    """Bytes in base 64. Raises InvalidProof for any other text."""
    try:
        raw = base64.b64decode(text.encode(), validate=True)
    except ValueError:
        raw = b""
    if not raw or base64.b64encode(raw).decode() != text:
        raise InvalidProof(field, text, "base 64")
    return raw


# the tree (RFC 6962)


def root_of(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root of a tree of `size` leaves whose leaf at `index` has this path. Raises InvalidProof."""
    if not 0 <= index < size:
        raise InvalidProof("seq", index + 1, f"1 to {size}")
    first, last, root = index, size - 1, leaf
    for sibling in path:
        if not last:
            raise InvalidProof("path", len(path), "not longer than the way to the root")
        if first & 1 or first == last:
            root = hashlib.sha256(b"\x01" + sibling + root).digest()
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            root = hashlib.sha256(b"\x01" + root + sibling).digest()
        first, last = first >> 1, last >> 1
    if last:
        raise InvalidProof("path", len(path), "not shorter than the way to the root")
    return root


# facts

COLUMNS: Final = {
    "submission/1": "seq:q at_ns:q facts:i commands:i actor_number:i role:b content:32s actor:t approver:t"
    " command_id:t",
    "order/1": "seq:q at_ns:q order_id:q client_order_id:q price:q quantity:q max_amount_fen:q expires_at_ns:q filled:q"
    " leaves:q escrowed:q fee_ppm:i actor:i instrument:i right:i code:h year:h action:b side:b order_type:b"
    " time_in_force:b post_only:b self_trade:b status:b zone:b",
    "trade/1": "seq:q at_ns:q maker_order_id:q taker_order_id:q price:q quantity:q volume_l:q amount_fen:q"
    " buyer_fee_fen:q seller_fee_fen:q released_fen:q covered_l:q instrument:i buyer_right:i seller_right:i year:h"
    " taker_side:b buyer_zone:b seller_zone:b",
    "removal/1": "seq:q at_ns:q order_id:q cause:q quantity:q leaves:q released:q instrument:i right:i code:h year:h"
    " side:b",
    "reading/1": "seq:q at_ns:q measured_at_ns:q received_at_ns:q value_l:q flow_l_per_h:q volume_l:q sequence:i"
    " meter:i alarm:i actor:i code:h source:b quality:b",
    "use/1": "seq:q at_ns:q cause:q from_ns:q to_ns:q volume_l:q over_l:q right:i year:h",
}
"""Columns of frequent facts with their types: of `struct`, little-endian, and `t` for a text behind its length."""

FIELDS: Final = {
    "ledger.opened/1": "ledger_id algorithm format district",
    "ledger.forked/1": "after_position head cause known_position document",
    "policy.adopted/1": "version document content digest",
    "index.set/1": "source year volume_l document",
    "cap.published/1": "cap source year basin township industry network scheme volume_l document",
    "cell.allocated/1": "source year basin township industry network scheme volume_l document",
    "instrument.defined/1": "instrument code source year lot_l tick_fen max_price low_price high_price buyer_fee_ppm"
    " seller_fee_ppm session continuous agreement",
    "headroom.set/1": "zones lots",
    "party.registered/1": "party code kind name commitment",
    "right.registered/1": "right code party kind source basin township industry network scheme licensed_l verified_l"
    " valid_from_ns valid_to_ns document",
    "right.issued/1": "right year volume_l floor_l over_allocated_l covered_l document",
    "right.ended/1": "right left",
    "intake.registered/1": "intake code name kind source township licensed_l area_mu",
    "meter.installed/1": "meter code intake station online sign modulus_l max_l_per_hour first_l installed_at_ns"
    " verified_until_ns shares",
    "meter.lapsed/1": "meter",
    "saving.verified/1": "right year volume_l measure document",
    "money.deposited/1": "party amount_fen reference",
    "party.suspended/1": "party reason document",
    "party.reinstated/1": "party document",
    "market.opened/1": "instrument",
    "market.closed/1": "instrument",
    "agreement.settled/1": "instrument year seller_right buyer_right volume_l amount_fen buyer_fee_fen seller_fee_fen"
    " covered_l headroom_lots document",
    "command.refused/1": "command index code field value rule",
}
"""Fields of rare facts, which are one MessagePack array."""

SIZES: Final = {0xC4: "B", 0xC5: "H", 0xC6: "I", 0xD9: "B", 0xDA: "H", 0xDB: "I", 0xDC: "H", 0xDD: "I"}
NUMBERS: Final = {0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q", 0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q"}


class Bytes:
    """Bytes that are taken from the front. Raises InvalidProof where they end too early."""

    def __init__(self, raw: bytes) -> None:
        """All of them are left."""
        self.left = raw

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > len(self.left):
            raise InvalidProof("fact", self.left.hex(), f"{count} more bytes")
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def number(self, kind: str) -> Any:
        """The next value of a type of `struct`."""
        return struct.unpack(kind, self.take(struct.calcsize(kind)))[0]

    def text(self, count: int) -> str:
        """The next bytes as UTF-8."""
        raw = self.take(count)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise InvalidProof("fact", raw.hex(), "UTF-8") from None

    def column(self, kind: str) -> Any:
        """The next column of a frequent fact."""
        if kind == "t":
            return self.text(self.number("<H"))
        value = self.number(f"<{kind}")
        return value.hex() if isinstance(value, bytes) else value

    def message(self, depth: int = 4) -> Any:
        """The next value of MessagePack, of the types that facts have."""
        mark = self.number("B")
        if mark <= 0x7F or mark >= 0xE0:
            return mark if mark <= 0x7F else mark - 256
        if mark in {0xC2, 0xC3}:
            return mark == 0xC3
        if mark in NUMBERS:
            return self.number(f">{NUMBERS[mark]}")
        if mark in SIZES:
            count = self.number(f">{SIZES[mark]}")
        elif 0x90 <= mark < 0xC0:
            count = mark & (0x0F if mark < 0xA0 else 0x1F)
        else:
            raise InvalidProof("fact", hex(mark), "a type of MessagePack that facts have")
        if mark in {0xC4, 0xC5, 0xC6}:
            return self.take(count).hex()
        if mark in {0xDC, 0xDD} or mark < 0xA0:
            if not depth or count > len(self.left):
                raise InvalidProof("fact", count, "an array that ends")
            return [self.message(depth - 1) for _ in range(count)]
        return self.text(count)


def decode_fact(canonical: bytes) -> tuple[str, int, dict[str, Any]]:
    """Topic, sequence number and fields in the canonical bytes of a fact; bytes as hexadecimal. Raises InvalidProof."""
    rest = Bytes(canonical)
    topic, seq = rest.text(rest.number("B")), rest.number("<q")
    if topic in COLUMNS:
        columns = [column.split(":") for column in COLUMNS[topic].split()]
        fields = {name: rest.column(kind) for name, kind in columns}
    elif topic in FIELDS:
        names = FIELDS[topic].split()
        at_ns, values = rest.number("<q"), rest.message()
        if not isinstance(values, list) or len(values) != len(names):
            raise InvalidProof("fact", values, f"the {len(names)} fields of {topic}")
        fields = {"seq": seq, "at_ns": at_ns, **dict(zip(names, values, strict=True))}
    else:
        raise InvalidProof("topic", topic, "a topic of docs/journal-format.md")
    if rest.left or fields["seq"] != seq:
        raise InvalidProof("fact", canonical.hex(), f"the bytes of one fact of {topic}")
    return topic, seq, fields


# the check


def parse_checkpoint(text: str) -> tuple[str, int, bytes]:
    """Origin, size and root in the text of a checkpoint. Raises InvalidProof."""
    lines = text.split("\n")
    if len(lines) < 4 or not lines[0] or not (lines[1].isascii() and lines[1].isdigit() and lines[1][0] != "0"):
        raise InvalidProof("checkpoint", text, "origin, size and root, a line each")
    root = decode_base64("root", lines[2])
    if len(root) != 32 or len(lines[1]) > 18:
        raise InvalidProof("checkpoint", text, "a root of 32 bytes, a size below 10^18")
    return lines[0], int(lines[1]), root


def taken(proof: Any, name: str, kind: type) -> Any:
    """A field of a proof. Raises InvalidProof where it is missing or of another type."""
    value = proof.get(name) if isinstance(proof, dict) else None
    if type(value) is not kind:
        raise InvalidProof(name, value, f"a field of the proof, {kind.__name__}")
    return value


def unhex(name: str, text: Any, length: int | None = None) -> bytes:
    """Bytes from hexadecimal, of a length where one is given. Raises InvalidProof."""
    try:
        raw = bytes.fromhex(text)
    except (TypeError, ValueError):
        raise InvalidProof(name, text, "hexadecimal") from None
    if length is not None and len(raw) != length:
        raise InvalidProof(name, text, f"{length} bytes")
    return raw


def check(proof: Any, checkpoint: str, key: str) -> dict[str, Any]:
    """What a proof shows: ledger, size, topic, seq and fields of the fact. Raises InvalidProof where it shows nothing.

    `proof` is the content of the file as JSON gives it, `checkpoint` a signed note, `key` the verifier key.
    """
    return check_under(proof, *sealed_by(checkpoint, key))


def sealed_by(checkpoint: str, key: str) -> tuple[str, int, bytes]:
    """Origin, size and root of a checkpoint that the key signed. Raises InvalidProof."""
    origin, size, root = parse_checkpoint(open_note(checkpoint, key))
    if origin != parse_key(key)[0]:
        raise InvalidProof("origin", origin, "the name of the key")
    return origin, size, root


def check_under(proof: Any, origin: str, size: int, root: bytes) -> dict[str, Any]:
    """What a proof shows under the root of a checkpoint that was verified. Raises InvalidProof."""
    if taken(proof, "origin", str) != origin or taken(proof, "size", int) != size:
        raise InvalidProof("size", f"{proof['origin']} {proof['size']}", f"of this checkpoint: {origin} {size}")
    canonical, salt = unhex("fact", taken(proof, "fact", str)), unhex("salt", taken(proof, "salt", str), 32)
    path = [unhex("path", node, 32) for node in taken(proof, "path", list)]
    topic, seq, fields = decode_fact(canonical)
    if (taken(proof, "topic", str), taken(proof, "seq", int)) != (topic, seq) or taken(proof, "fields", dict) != fields:
        raise InvalidProof("fields", proof["fields"], "what the bytes of the fact say")
    if root_of(seq - 1, size, hashlib.sha256(b"\x00" + salt + canonical).digest(), path) != root:
        raise InvalidProof("path", f"seq {seq}", "it leads to the root of the checkpoint")
    return {"origin": origin, "size": size, "topic": topic, "seq": seq, "fields": fields}


def read_proof(raw: bytes) -> Any:
    """The content of a proof's file. Raises InvalidProof."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidProof("file", f"{len(raw)} bytes", "JSON") from None


def main(arguments: list[str]) -> int:
    """Check the files given and say what was found. Returns the exit status."""
    try:
        proof_file, checkpoint_file, key = arguments
        checkpoint = Path(checkpoint_file).read_bytes().decode()
        shown = check(read_proof(Path(proof_file).read_bytes()), checkpoint, key)
    except (OSError, ValueError) as problem:
        told = "usage: check_proof.py FILE CHECKPOINT KEY" if len(arguments) != 3 else str(problem)
        sys.stderr.write(f"✗ {told}\n")
        return 1
    sys.stdout.write(f"✓ {shown['origin']} {shown['topic']} seq {shown['seq']} of {shown['size']}\n")
    sys.stdout.write("".join(f"  {name} {value}\n" for name, value in shown["fields"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
