"""What SQLite says when a file fails, told by the codes of this program."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from eventsourcing.persistence import PersistenceError

from ledger.codes import Code, Refused

PRIMARY: Final = 0xFF  # an error code of SQLite has its details above this byte


def refusal(problem: Exception, path: Path | str) -> Refused:
    """A failure of SQLite, or of the library around it, as STORE_DAMAGED or STORE_FAILED."""
    cause = problem if isinstance(problem, sqlite3.Error) else problem.__cause__
    code = getattr(cause, "sqlite_errorcode", 0) & PRIMARY
    damaged = code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return Refused(Code.STORE_DAMAGED if damaged else Code.STORE_FAILED, "file", str(path), str(problem))


@contextmanager
def coded(path: Path | str) -> Iterator[None]:
    """Raise Refused (STORE_DAMAGED, STORE_FAILED) where SQLite fails within the block."""
    try:
        yield
    except (PersistenceError, sqlite3.Error) as problem:
        raise refusal(problem, path) from problem
