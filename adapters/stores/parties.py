"""The side register: personal data of holders, encrypted a person, erasable (contract K12).

A fact carries only a salted commitment, and the register keeps a person's fields under it, encrypted with a key of
their own, which is kept encrypted under the register's master key. Erasing deletes both; the journal stays as it is.
"""

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
from cryptography.fernet import Fernet

from ledger.codes import Code, Refused
from ledger.commands import Person, RegisterParty
from ledger.submissions import Content

SCHEMA = "CREATE TABLE IF NOT EXISTS persons (commitment BLOB PRIMARY KEY, party TEXT, wrapped_key BLOB, sealed BLOB)"
SALT_BYTES = 32
DIGEST_BYTES = 32


class PartyRegister:
    """A file beside the ledger, and the file of its master key; both are made when the first person is sealed."""

    def __init__(self, path: Path, key_path: Path) -> None:
        """A register in these files."""
        self._path, self._key_path = path, key_path
        self.unsettled = False
        """Whether something was sealed that may never have been recorded."""

    def seal_all(self, content: Content) -> Content:
        """The content of a submission with personal data moved to this register and their commitments in place."""
        return sealed(content, self.seal)

    def seal(self, party: str, person: Person) -> bytes:
        """Keep a person's data and return its commitment; the same data of the same holder keeps its commitment."""
        for (commitment,) in self._select("SELECT commitment FROM persons WHERE party = ?", party):
            if self.reveal(commitment) == person:
                return bytes(commitment)
        packed = secrets.token_bytes(SALT_BYTES) + msgspec.msgpack.encode(person)
        commitment = hashlib.sha256(packed).digest()
        key = Fernet.generate_key()
        row = (commitment, party, self._master(create=True).encrypt(key), Fernet(key).encrypt(packed))
        self.unsettled = True
        with closing(self._connect()) as connection, connection:
            connection.execute("INSERT INTO persons VALUES (?,?,?,?)", row)
        return commitment

    def reveal(self, commitment: bytes) -> Person | None:
        """The data behind a commitment, or None where there is none (any more). Raises Refused without the key."""
        found = self._select("SELECT wrapped_key, sealed FROM persons WHERE commitment = ?", commitment)
        if not found:
            return None
        wrapped_key, sealed = found[0]
        packed = Fernet(self._master().decrypt(wrapped_key)).decrypt(sealed)
        return msgspec.msgpack.decode(packed[SALT_BYTES:], type=Person)

    def erase(self, commitment: bytes) -> bool:
        """Delete the data and key behind a commitment for good. Returns whether there was any."""
        if not self._path.exists():
            return False
        with closing(self._connect()) as connection, connection:
            return connection.execute("DELETE FROM persons WHERE commitment = ?", (commitment,)).rowcount > 0

    def keep_only(self, commitments: Collection[bytes]) -> None:
        """Delete what no fact refers to: the data of registrations that were refused or never recorded."""
        for (commitment,) in self._select("SELECT commitment FROM persons"):
            if bytes(commitment) not in commitments:
                self.erase(commitment)
        self.unsettled = False

    def _select(self, statement: str, *parameters: object) -> list[tuple[bytes, ...]]:
        if not self._path.exists():
            return []
        with closing(self._connect()) as connection:
            return connection.execute(statement, parameters).fetchall()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path)
        connection.execute("PRAGMA secure_delete=ON")  # what is erased is overwritten
        connection.execute(SCHEMA)
        return connection

    def _master(self, *, create: bool = False) -> Fernet:
        if not self._key_path.exists():
            if not create or self._select("SELECT 1 FROM persons LIMIT 1"):
                rule = "the key to the personal data of this ledger: put it back"
                raise Refused(Code.FILE_UNREADABLE, "key", str(self._key_path), rule)
            handle = os.open(self._key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(Fernet.generate_key())
        return Fernet(self._key_path.read_bytes())


def unkept(_party: str, _person: Person) -> bytes:
    """In the place of a commitment where nothing is to be kept."""
    return bytes(DIGEST_BYTES)


def sealed(content: Content, seal: Callable[[str, Person], bytes] = unkept) -> Content:
    """The content of a submission with a commitment, given by `seal`, in the place of each person's data."""
    if isinstance(content, np.ndarray):
        return content
    return [
        msgspec.structs.replace(command, person=None, commitment=seal(command.code, command.person))
        if isinstance(command, RegisterParty) and command.person
        else command
        for command in content
    ]
