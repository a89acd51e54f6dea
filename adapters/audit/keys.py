"""The two secrets of a ledger's audit, each in a file beside it that only its owner can read.

The signing key makes checkpoints and receipts. The salt key makes the salts of the tree: without it no root can be
made again, and no fact be proved, so it is to be backed up with the ledger.
"""

import os
import re
import secrets
from pathlib import Path

from adapters.audit.files import NEXT_SIGNING, SALT, SIGNING, beside, write_whole
from ledger.audit.notes import SigningKey
from ledger.codes import Code, Refused

KEY_BYTES = 32


class Keys:
    """The keys of a ledger, made on first use."""

    def __init__(self, ledger: Path) -> None:
        """The keys beside a ledger's file."""
        self._salt, self._signing = beside(ledger, SALT), beside(ledger, SIGNING)
        self._next = beside(ledger, NEXT_SIGNING)

    @property
    def known_salt(self) -> bytes:
        """The salt key, empty where none was made yet, or where its file is for somebody else's eyes."""
        return self.salt() if os.access(self._salt, os.R_OK) else b""

    def salt(self) -> bytes:
        """The salt key. Raises Refused (KEY_INVALID)."""
        found = kept(self._salt, secrets.token_bytes(KEY_BYTES).hex())
        if not re.fullmatch(f"[0-9a-f]{{{2 * KEY_BYTES}}}", found):
            raise Refused(Code.KEY_INVALID, "file", str(self._salt), f"{KEY_BYTES} bytes in hexadecimal")
        return bytes.fromhex(found)

    def signing(self, name: str) -> SigningKey:
        """The signing key, made under a name. Raises Refused (KEY_INVALID)."""
        return SigningKey.parse(kept(self._signing, new_key(name).text))

    def next_signing(self, name: str) -> SigningKey:
        """The key that is to follow, made under a name."""
        return SigningKey.parse(kept(self._next, new_key(name).text))

    def change(self, name: str, verifier: str) -> SigningKey:
        """Let the next key take the place of the signing key, once a checkpoint introduced it.

        Raises Refused (KEY_INVALID) where the introduced key is not here.
        """
        current = self.signing(name)
        if current.verifier == verifier:
            return current
        if not self._next.exists() or self.next_signing(name).verifier != verifier:
            raise Refused(Code.KEY_INVALID, "signing", current.verifier, f"the key in force: {verifier}")
        self._next.replace(self._signing)
        return self.signing(name)


def new_key(name: str) -> SigningKey:
    """A signing key by chance."""
    return SigningKey(name, secrets.token_bytes(KEY_BYTES))


def kept(path: Path, made: str) -> str:
    """The line in a secret file, which is made with this one where there is none."""
    if not path.exists():
        try:
            write_whole(path, f"{made}\n".encode(), mode=0o600, replace=False)
        except FileExistsError:  # another process was faster
            pass
        except OSError as problem:
            raise Refused(Code.KEY_INVALID, "file", str(path), str(problem)) from None
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise Refused(Code.KEY_INVALID, "file", str(path), str(problem)) from None
