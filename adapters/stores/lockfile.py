"""The writer's lock of a ledger in a file: an operating-system lock on `NAME.lock`, dropped with its process.

Whoever removes or replaces the file lets a second writer lock another one. So the writer looks at each commit whether
the file that it locked still bears the name; behind that, the primary key of the records lets one writer have a
position.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ledger.codes import Code, Refused


class LockFile:
    """The lock beside a ledger."""

    def __init__(self, ledger: Path) -> None:
        """Take it at once. Raises Refused (LEDGER_LOCKED)."""
        self._ledger, self._path = ledger, Path(f"{ledger}.lock")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self._path, thread_local=False)  # any thread may close
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise self._taken("one writer at a time; readers open it read-only") from None
        self._file = self._named()

    def check(self) -> None:
        """Raise Refused (LEDGER_LOCKED) when the file was removed or replaced: somebody else may write by now."""
        if self._file is None or self._named() != self._file:
            raise self._taken(f"{self._path.name} was removed or replaced: open the ledger again")

    def release(self) -> None:
        """Let the next writer in."""
        self._lock.release()

    def _named(self) -> tuple[int, int] | None:
        """Which file bears the name now; as long as the lock is held no other can be that one."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _taken(self, rule: str) -> Refused:
        return Refused(Code.LEDGER_LOCKED, "ledger", str(self._ledger), rule)


@contextmanager
def take_lock(path: Path) -> Iterator[None]:
    """Hold the writer's lock of a ledger, there or not, for the time of a block. Raises Refused (LEDGER_LOCKED)."""
    lock = LockFile(path)
    try:
        yield
    finally:
        lock.release()
