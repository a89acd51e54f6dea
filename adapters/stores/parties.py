"""The side register: personal data of holders, encrypted a person, erasable (contract K12).

A fact carries only a salted commitment. Each person's fields are encrypted with a key of their own, which is kept
encrypted under the register's master key; erasing deletes both, and the journal stays as it is.
"""

import hashlib
import os
import secrets
import sqlite3
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet

from ledger.commands import Person

SCHEMA = "CREATE TABLE IF NOT EXISTS persons (party TEXT PRIMARY KEY, commitment BLOB, wrapped_key BLOB, sealed BLOB)"


class PartyRegister:
    """A file beside the ledger, and the file of its master key."""

    def __init__(self, path: Path, key_path: Path) -> None:
        """Open the register; both files are made when the first person is sealed."""
        self._path, self._key_path = path, key_path

    def seal(self, party: str, person: Person) -> bytes:
        """Keep a person's data and return its commitment; the same data again gives the same commitment."""
        known = self._row(party) if self.reveal(party) == person else None
        if known:
            return known[0]
        packed = secrets.token_bytes(32) + msgspec.msgpack.encode(person)
        commitment = hashlib.sha256(packed).digest()
        key = Fernet.generate_key()
        row = (party, commitment, self._master(create=True).encrypt(key), Fernet(key).encrypt(packed))
        with self._connect() as connection:
            connection.execute("INSERT OR REPLACE INTO persons VALUES (?,?,?,?)", row)
        return commitment

    def reveal(self, party: str) -> Person | None:
        """A person's data, or None where there is none (any more)."""
        if not self._path.exists():
            return None
        found = self._row(party)
        if not found:
            return None
        _, wrapped_key, sealed = found
        packed = Fernet(self._master().decrypt(wrapped_key)).decrypt(sealed)
        return msgspec.msgpack.decode(packed[32:], type=Person)

    def erase(self, party: str) -> bool:
        """Delete a person's data and key for good. Returns whether there was any."""
        if not self._path.exists():
            return False
        with self._connect() as connection:
            return connection.execute("DELETE FROM persons WHERE party = ?", (party,)).rowcount > 0

    def _row(self, party: str) -> tuple[bytes, bytes, bytes] | None:
        with self._connect() as connection:
            found = connection.execute("SELECT commitment, wrapped_key, sealed FROM persons WHERE party = ?", (party,))
            row: tuple[bytes, bytes, bytes] | None = found.fetchone()
            return row

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path)
        connection.execute("PRAGMA secure_delete=ON")  # what is erased is overwritten
        connection.execute(SCHEMA)
        return connection

    def _master(self, *, create: bool = False) -> Fernet:
        if create and not self._key_path.exists():
            handle = os.open(self._key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(Fernet.generate_key())
        return Fernet(self._key_path.read_bytes())
