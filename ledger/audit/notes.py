"""Signed notes in the form of C2SP: a text, an empty line, and signatures by Ed25519 keys that have a name."""

import base64
import re
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.audit.check_proof import InvalidProof, key_id, open_note, parse_key
from ledger.codes import Code, Refused

ED25519 = b"\x01"
SECRET = "PRIVATE+KEY+"  # noqa: S105 - how the text of such a key begins


class SigningKey:
    """A key that signs notes under a name."""

    def __init__(self, name: str, seed: bytes) -> None:
        """A key from 32 secret bytes. Raises Refused (KEY_INVALID) for a name that a signature cannot carry."""
        if not re.fullmatch(r"[^\s+]+", name) or not name.isprintable():
            raise Refused(Code.KEY_INVALID, "name", name, "no spaces and no +; choose another ledger id")
        self.name, self._seed = name, seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._key.public_key().public_bytes_raw()

    @classmethod
    def parse(cls, text: str) -> Self:
        """A key from its secret text. Raises Refused (KEY_INVALID)."""
        name, *rest = text.removeprefix(SECRET).strip().split("+", 2)
        try:
            packed = base64.b64decode(rest[-1].encode(), validate=True) if rest else b""
            key = cls(name, packed[1:])
        except ValueError:
            key = None
        if key is None or key.text != text.strip():
            raise Refused(Code.KEY_INVALID, "signing", "(secret)", f"{SECRET}NAME+ID+BASE64")
        return key

    @property
    def text(self) -> str:
        """The secret text by which the key is kept."""
        return SECRET + self._encoded(self._seed)

    @property
    def verifier(self) -> str:
        """The public text by which its signatures are verified: NAME+ID+BASE64."""
        return self._encoded(self._public)

    def _encoded(self, key: bytes) -> str:
        return f"{self.name}+{key_id(self.name, self._public).hex()}+{base64.b64encode(ED25519 + key).decode()}"

    def signature_line(self, text: str) -> str:
        """The line that signs a text."""
        packed = key_id(self.name, self._public) + self._key.sign(text.encode())
        return f"— {self.name} {base64.b64encode(packed).decode()}\n"


def sign(text: str, *keys: SigningKey) -> str:
    """A note: the text, which ends in a new line and has no empty one, signed by each key."""
    return text + "\n" + "".join(key.signature_line(text) for key in keys)


def opened(note: str, key: str) -> str:
    """The text of a note that is signed by the verifier key. Raises Refused: SIGNATURE_INVALID, KEY_INVALID."""
    try:
        return open_note(note, key, signed_by)
    except InvalidProof as problem:
        code = Code.KEY_INVALID if problem.field == "key" else Code.SIGNATURE_INVALID
        raise Refused(code, problem.field, problem.value, problem.rule) from None


def check_key(key: str) -> str:
    """A verifier key and nothing else. Raises Refused (KEY_INVALID)."""
    try:
        parse_key(key)
    except InvalidProof as problem:
        raise Refused(Code.KEY_INVALID, "key", key, problem.rule) from None
    return key


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature holds, in compiled code: a sink has many."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True
