"""A new ledger's file under another name until it is finished, so that a half one is never taken for a whole."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from adapters.stores.lockfile import take_lock
from adapters.stores.sqlite import SQLiteStore
from ledger.codes import Code, Refused

BESIDE = ("", "-wal", "-shm", ".lock", ".head")


@contextmanager
def new_ledger_file(path: Path) -> Iterator[SQLiteStore]:
    """An empty journal that becomes the ledger at `path` when what is done with it succeeds; otherwise it is gone.

    Raises Refused: LEDGER_EXISTS, LEDGER_LOCKED when another process writes or makes a ledger there.
    """
    draft = Path(f"{path}.part")
    with take_lock(path):
        try:
            if path.exists():
                raise Refused(Code.LEDGER_EXISTS, "ledger", str(path), "a place where there is none")
            discard(draft)  # of a process that was killed
            with closing(SQLiteStore(draft)) as store:
                yield store
            finish(draft)
            draft.rename(path)
            sync(path.parent)
        finally:
            discard(draft)


def finish(draft: Path) -> None:
    """Bring all of a journal into its one file, durably."""
    with closing(sqlite3.connect(draft)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sync(draft)


def sync(path: Path) -> None:
    """Make a file or a folder durable."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def discard(draft: Path) -> None:
    """Delete a journal and what lies beside it."""
    for beside in BESIDE:
        Path(f"{draft}{beside}").unlink(missing_ok=True)
