"""The head file: how far a ledger got, in a line beside it, so that an older copy put in its place is noticed.

It is written after every commit and never synced: it may be behind the journal, never ahead of it. The line names the
hash of the first record, which says of which ledger, the last position, the hash of the record before that, and a
checksum: a line of which the last write came through in part is no line, or it would seem to know another history.
"""

import hashlib
import os
import re
import zlib
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ledger.journal.records import FORMAT, Header
from ledger.journal.store import OLDER, OTHER, ForkDue, Store

UNKNOWN: Final = bytes(32)
BEFORE, HASH = slice(4, 8), slice(8, 40)
"""Where a record holds the hash of the one before, and what stands before that; every commit reads it."""

BEFORE_HASH: Final = msgspec.msgpack.encode(Header(FORMAT, UNKNOWN, "", 0, 0, 0, 0, 0, ()))[:4]
LINE: Final = re.compile(rb"(shuiquan-head 2 ([0-9a-f]{64}) ([0-9]{20}) ([0-9a-f]{64})) ([0-9a-f]{8})\n")


class Known(NamedTuple):
    """What is known of a ledger."""

    first: bytes  # hash of record 1
    position: int
    previous: bytes  # hash of the record before that position, as the record there says


class HeadFile:
    """The file beside a ledger."""

    def __init__(self, path: Path) -> None:
        """A file that is made with the first commit."""
        self._path = path
        self._file: FileIO | None = None

    def read(self) -> Known | None:
        """What is known, None where there is no such file or nobody could have written it."""
        try:
            found = LINE.fullmatch(self._path.read_bytes())
        except OSError:
            return None
        if not found or int(found[5], 16) != zlib.crc32(found[1]):
            return None
        return Known(bytes.fromhex(found[2].decode()), int(found[3]), bytes.fromhex(found[4].decode()))

    def write(self, first: bytes, position: int, record: bytes) -> None:
        """Note the last record. A failure costs a warning later, never the commit, which is durable already."""
        line = f"shuiquan-head 2 {first.hex()} {position:020} {previous_of(record).hex()}".encode()
        with suppress(OSError):
            self._file = self._file or FileIO(self._path, "r+" if self._path.exists() else "w+")
            os.pwrite(self._file.fileno(), b"%b %08x\n" % (line, zlib.crc32(line)), 0)

    def fork_due(self, store: Store) -> ForkDue | None:
        """The fork that a journal needs which lacks records of which this file knows, or has others."""
        head, known = store.head(), self.read()
        if head is None or known is None or known.first != store.digest(1):
            return None
        position, digest = head.position, hashlib.sha256(head.state).digest()
        if known.position > position:
            return ForkDue(OLDER, position, digest, known.position)
        if known.previous != UNKNOWN and store.digest(known.position - 1) != known.previous:
            return ForkDue(OTHER, position, digest, known.position)
        return None

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None


def previous_of(record: bytes) -> bytes:
    """The hash of the record before one, as that says; UNKNOWN from one that is no record of a ledger."""
    return record[HASH] if record[BEFORE] == BEFORE_HASH else UNKNOWN
