"""Checkpoints: what a ledger signs about itself, the files in which a sink keeps them, and how one follows another.

The text of a checkpoint is that of C2SP: origin, number of facts and root of the tree, then lines of our own. A file
of a sink holds three parts, an empty line between: the proof that it continues the checkpoint before, the marks of all
records since, and the signed note. A mark is the HMAC-SHA256 of a record's hash under the ledger's salt key: who has
the ledger finds the first record that was changed by it, and nobody else can guess what a record holds.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from ledger.audit.check_proof import InvalidProof, parse_checkpoint
from ledger.audit.merkle import EMPTY, consistent
from ledger.audit.notes import check_key, opened
from ledger.codes import Code, Refused
from ledger.journal.records import GENESIS

MAX_NUMBER: Final = 10**18
LINES: Final = {
    "chain": re.compile(r"([0-9]{1,18}) ([0-9a-f]{64})"),
    "records": re.compile(r"([0-9a-f]{64})"),
    "state": re.compile(r"([0-9a-f]{64})"),
    "at_ns": re.compile(r"([0-9]{1,19})"),
    "next-key": re.compile(r"(\S+)"),
}
"""Our own lines of a checkpoint: a word and what stands behind it. A reader passes over words that it does not know."""


def origin(ledger_id: str) -> str:
    """The name of a ledger in checkpoints and keys."""
    return f"shuiquan/{ledger_id}"


class Checkpoint(NamedTuple):
    """What is sealed: all facts up to a position of the journal."""

    origin: str
    size: int  # facts
    root: bytes  # of the tree over them
    position: int  # records
    head: bytes  # hash of the last of them
    records: bytes  # SHA-256 over the marks of the records since the checkpoint before
    at_ns: int  # when it was made
    state_hash: str = ""
    next_key: str = ""  # verifier key of all later checkpoints, where it changes

    @property
    def text(self) -> str:
        """The text to sign."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode()]
        lines += [f"chain {self.position} {self.head.hex()}", f"records {self.records.hex()}"]
        lines += [f"state {self.state_hash}"] if self.state_hash else []
        lines += [f"at_ns {self.at_ns}"]
        lines += [f"next-key {self.next_key}"] if self.next_key else []
        return "".join(f"{line}\n" for line in lines)


class Sealed(NamedTuple):
    """A file of a sink. `old` and `path` prove that it continues a checkpoint of `old` facts."""

    old: int
    path: Sequence[bytes]
    first_position: int
    marks: Sequence[bytes]  # of the records from there on
    note: str

    @property
    def text(self) -> str:
        """The file."""
        return (
            hash_lines("old", self.old, self.path) + hash_lines("records", self.first_position, self.marks) + self.note
        )


class Sink(Protocol):
    """A place for checkpoints outside the ledger, where its writer cannot change what he once put there."""

    def files(self) -> Iterator[str]:
        """All files in the order in which they came."""

    def append(self, number: int, text: str) -> None:
        """Add file `number`, from 1 on. Raises Refused (SINK_FAILED) where it cannot, or has one of that number."""


class Followed(NamedTuple):
    """A checkpoint that continues all before it, with its file and the key that the next one must be signed by."""

    checkpoint: Checkpoint
    sealed: Sealed
    key: str


START: Final = Checkpoint("", 0, EMPTY, 0, GENESIS, b"", 0)
"""What the first checkpoint of a sink continues."""


def open_checkpoint(note: str, key: str) -> Checkpoint:
    """The checkpoint in a signed note, or in a file of a sink; one with a next key must be signed by that, too.

    Raises Refused: SIGNATURE_INVALID, KEY_INVALID, NOTE_MALFORMED.
    """
    text = opened(note, key)
    try:
        name, size, root = parse_checkpoint(text)
    except InvalidProof as problem:
        raise malformed(text, problem.rule) from None
    found: dict[str, tuple[str, ...]] = {}
    for line in text.split("\n")[3:-1]:
        word, _, rest = line.partition(" ")
        match = LINES[word].fullmatch(rest) if word in LINES else None
        if word in found or (word in LINES and not match):
            raise malformed(line, "each of our lines once, in its form")
        if match:
            found[word] = match.groups()
    if name != key.strip().split("+")[0] or not {"chain", "records", "at_ns"} <= set(found):
        raise malformed(text, "the origin is the name of the key; lines chain, records and at_ns")
    (position, head), (records,), (at_ns,) = found["chain"], found["records"], found["at_ns"]
    (state_hash,), (next_key,) = found.get("state", ("",)), found.get("next-key", ("",))
    if next_key:
        opened(note, check_key(next_key))
    return Checkpoint(
        name, size, root, int(position), bytes.fromhex(head), bytes.fromhex(records), int(at_ns), state_hash, next_key
    )


def parse_sealed(text: str) -> Sealed:
    """A file of a sink. Raises Refused (NOTE_MALFORMED)."""
    parts = text.split("\n\n")
    if len(parts) != 4:  # noqa: PLR2004 - the note has two
        raise malformed(text, "a proof, marks and a note, an empty line between")
    return Sealed(*parse_hash_lines("old", parts[0]), *parse_hash_lines("records", parts[1]), "\n\n".join(parts[2:]))


def mark(salt_key: bytes, digest: bytes) -> bytes:
    """What stands for a record outside the ledger, by the hash of its bytes."""
    return hmac.digest(salt_key, digest, "sha256")


def hash_lines(word: str, number: int, hashes: Iterable[bytes]) -> str:
    """A part of a file: a word and a number, then a line for each hash."""
    lines = [f"{word} {number}", *(base64.b64encode(one).decode() for one in hashes)]
    return "".join(f"{line}\n" for line in lines) + "\n"


def parse_hash_lines(word: str, part: str) -> tuple[int, list[bytes]]:
    """Number and hashes of such a part. Raises Refused (NOTE_MALFORMED)."""
    first, *rest = part.split("\n")
    number = re.fullmatch(rf"{word} ([0-9]{{1,18}})", first)
    try:
        hashes = [base64.b64decode(line.encode(), validate=True) for line in rest]
    except ValueError:
        hashes = [b""]
    if not number or any(len(one) != len(GENESIS) for one in hashes):
        raise malformed(part, f"{word}, a number, and hashes in base 64, a line each")
    return int(number[1]), hashes


def follow(files: Iterable[str], key: str, last: Checkpoint = START) -> Iterator[Followed]:
    """The checkpoints in files of a sink, each signed by the key in force and continuing the one before.

    Raises Refused: SIGNATURE_INVALID, KEY_INVALID, NOTE_MALFORMED, JOURNAL_SHORTER, CHECKPOINT_FORKED, NOT_CONSISTENT.
    """
    for text in files:
        sealed = parse_sealed(text)
        checkpoint = open_checkpoint(sealed.note, key)
        check_continues(last, checkpoint, sealed)
        last, key = checkpoint, checkpoint.next_key or key
        yield Followed(checkpoint, sealed, key)


def check_continues(last: Checkpoint, checkpoint: Checkpoint, sealed: Sealed) -> None:
    """Raise Refused unless a checkpoint continues the last one: not shorter, not forked, with proof of it."""
    if checkpoint.size < last.size or checkpoint.position < last.position:
        raise Refused(Code.JOURNAL_SHORTER, "size", checkpoint.size, f"at least {last.size}, of the last checkpoint")
    if checkpoint.size == last.size and checkpoint.root != last.root:
        raise Refused(
            Code.CHECKPOINT_FORKED, "size", checkpoint.size, f"root {last.root.hex()}, not {checkpoint.root.hex()}"
        )
    if sealed.old != last.size or not consistent(last.size, last.root, checkpoint.size, checkpoint.root, sealed.path):
        raise Refused(Code.NOT_CONSISTENT, "size", checkpoint.size, f"a valid proof from size {last.size}")
    marks = (sealed.first_position, len(sealed.marks), hashlib.sha256(b"".join(sealed.marks)).digest())
    if marks != (last.position + 1, checkpoint.position - last.position, checkpoint.records):
        raise Refused(Code.NOT_CONSISTENT, "position", checkpoint.position, f"the marks from {last.position + 1} on")


def malformed(text: str, rule: str) -> Refused:
    """The refusal of what is not in its form."""
    return Refused(Code.NOTE_MALFORMED, "note", text, rule)
