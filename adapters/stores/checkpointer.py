"""SQLite's checkpoints beside the commits: what the write-ahead log holds goes into the database file.

Left to itself SQLite does this within the commit that finds the log long: 64 MB are read, written once more and synced
while nothing else is recorded. Here a thread with a connection of its own moves a little at a time while commits go
on. When the log has become long it moves the last of it between two commits, so that the next one begins the log anew.
A commit still does all of it where this thread was left so far behind that the log is four times as long.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Final

from eventsourcing.sqlite import SQLiteCursor

from adapters.stores.connections import LONG_LOG, JournalDatastore, connect

OFTEN: Final = LONG_LOG // 4  # pages that are moved at once: enough that pages changed again and again are moved once
FEW: Final = 200  # pages that are moved in a moment
TIMES: Final = 4  # that what came meanwhile is moved, less each time
MOVE: Final = "PRAGMA wal_checkpoint(PASSIVE)"  # waits for nobody, and nobody waits for it


class Checkpointer:
    """Moves pages of a journal from its log into its file. It starts with the first that there is to do."""

    def __init__(self, datastore: JournalDatastore) -> None:
        """For the log that this datastore writes."""
        self._datastore = datastore
        self._thread = ThreadPoolExecutor(1, "checkpointer")
        self._moving: Future[None] | None = None
        self._pages = 0  # at most, since they were last moved

    def expect(self, pages: int) -> None:
        """Before a commit of at most so many pages: start to move those of former ones if they are enough.

        Raises sqlite3.Error when moving has failed. All of it is still in the log, but a disk that fails is written on
        no more (SQLite itself would go on in silence).
        """
        if self._moving and self._moving.done():
            moved, self._moving = self._moving, None
            moved.result()
        if self._pages >= OFTEN and not self._moving:
            self._pages, self._moving = 0, self._thread.submit(self._move)
        self._pages += pages

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _move(self) -> None:
        """Move what the log holds, and so that it can begin anew where it is long."""
        with closing(connect(self._datastore.pool.db_name)) as connection:
            cursor = connection.cursor()
            length = moved(cursor)
            if length < LONG_LOG:
                return
            for _ in range(TIMES):
                before, length = length, moved(cursor)
                if length - before < FEW:
                    break
            with self._datastore.writing:
                moved(cursor)


def moved(cursor: SQLiteCursor) -> int:
    """Move what there is in the log, as far as no reader needs it there; gives the pages of the log."""
    cursor.execute(MOVE)
    _, length, _ = cursor.fetchone()
    return int(length)
