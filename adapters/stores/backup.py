"""Backup and restore of a ledger in one SQLite file, while somebody writes it.

A backup is a ledger of its own: the whole journal as it was at one moment, in a single file that can be read and
audited where it lies. It is marked as a copy: whoever puts it in the place of the ledger, by `restore` or by hand, can
read it and cannot write on without a fork (`ledger.forks`).

Personal data lies in a second file (`FILE.persons`), still encrypted, and the key to it is copied only where somebody
names a third place for it: a backup with its key would be plain personal data, and destroying the key is how the
personal data of all backups is erased at once (contract K12).
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from adapters.stores.lockfile import take_lock
from adapters.stores.snapshots import sync_folder
from adapters.stores.sqlite import MARKS_TABLE, SQLiteStore, prepare
from ledger.codes import Code, Refused
from ledger.replay import Progress, verify_chain

STEP_PAGES: Final = 512  # 8 MB a step
Copied = Callable[[int, int], None]
"""Called with the pages of the file that are copied, and how many there are."""


class Checkpoint(NamedTuple):
    """A record that a ledger must hold: position and hash, as `audit verify` prints them."""

    position: int
    head: bytes


class Copy(NamedTuple):
    """A backup, or what was restored from one."""

    path: str
    position: int
    head: str  # hash of the record at this position, hexadecimal
    facts: int
    persons: bool  # whether personal data came along


def parse_checkpoint(text: str) -> Checkpoint:
    """A checkpoint from POSITION:HASH. Raises Refused (WRONG_TYPE) for another text."""
    position, _, head = text.partition(":")
    try:
        checkpoint = Checkpoint(int(position), bytes.fromhex(head))
    except ValueError:
        checkpoint = Checkpoint(0, b"")
    if checkpoint.position < 1 or len(checkpoint.head) != 32:  # noqa: PLR2004 - SHA-256
        raise Refused(Code.WRONG_TYPE, "head", text, "POSITION:HASH, such as 3290: and 64 hexadecimal digits")
    return checkpoint


def back_up(
    ledger: Path, target: Path, at_ns: int, *, checkpoint: Checkpoint | None = None, key: Path | None = None,
    copied: Copied | None = None, verified: Progress | None = None,
) -> Copy:  # fmt: skip
    """Copy a ledger as it is now to a new file, and verify the copy. Writers go on meanwhile.

    Raises Refused: LEDGER_MISSING, STORE_NOT_OURS, WOULD_OVERWRITE, HEAD_DIFFERS when the copy does not hold the record
    of `checkpoint`, RECORD_DAMAGED or SEQUENCE_GAP for a journal that is damaged.
    """
    prepare(ledger, writable=False)
    refuse_taken(Path(f"{target}.persons"))
    return copy_ledger(ledger, target, at_ns, checkpoint, (Path(f"{ledger}.key"), key), copied, verified)


def restore(
    backup: Path, ledger: Path, at_ns: int, *, checkpoint: Checkpoint | None = None, key: Path | None = None,
    copied: Copied | None = None, verified: Progress | None = None,
) -> Copy:  # fmt: skip
    """Put a backup where no ledger is, verified. Personal data that is still there is kept: it is the newer.

    `key` is the file of the key to the personal data of the backup. The ledger can be read, and goes on with a fork.
    Raises Refused as `back_up` does, and LEDGER_LOCKED.
    """
    prepare(backup, writable=False)
    with take_lock(ledger):
        places = (key, Path(f"{ledger}.key")) if key else (Path(f"{backup}.key"), None)
        return copy_ledger(backup, ledger, at_ns, checkpoint, places, copied, verified)


def copy_ledger(
    source: Path, target: Path, at_ns: int, checkpoint: Checkpoint | None, key: tuple[Path, Path | None],
    copied: Copied | None, verified: Progress | None,
) -> Copy:  # fmt: skip
    """Copy journal, personal data and, where a place is named for it, its key: all of them or none."""
    persons, target_persons = Path(f"{source}.persons"), Path(f"{target}.persons")
    key_source, key_target = key
    for place in (target, Path(f"{target}-wal"), *([key_target] if key_target else [])):
        refuse_taken(place)
    if key_target and not key_source.exists():
        raise Refused(Code.FILE_UNREADABLE, "key", str(key_source), "a ledger with personal data has a key")
    with made_whole(target) as partial:
        copy_database(source, partial, copied)
        mark(partial, at_ns)
        found = verify_copy(partial, checkpoint, verified)
        takes_persons = persons.exists() and not target_persons.exists()
        if takes_persons:
            with made_whole(target_persons) as partial_persons:
                copy_database(persons, partial_persons, None)
        if key_target:
            with made_whole(key_target) as partial_key:
                partial_key.touch(0o600)
                shutil.copyfile(key_source, partial_key)
    return Copy(str(target), found.position, found.head.hex(), found.facts, takes_persons)


def refuse_taken(path: Path) -> None:
    """Raise Refused (WOULD_OVERWRITE) for a name that is taken."""
    if path.exists():
        raise Refused(Code.WOULD_OVERWRITE, "file", str(path), "a name that is free")


@contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """A file to write that takes the name `path` when the block ends well, durably, and is gone when it does not."""
    partial = path.with_name(f"{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.unlink(missing_ok=True)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        refuse_taken(path)
        partial.replace(path)
        sync_folder(path.parent)
    except (OSError, sqlite3.Error) as problem:
        raise Refused(Code.COPY_FAILED, "file", str(path), str(problem)) from problem
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{partial}{suffix}").unlink(missing_ok=True)


def copy_database(source: Path, target: Path, copied: Copied | None) -> None:
    """Copy a database as one moment shows it, whoever writes it meanwhile."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as reader,
        closing(sqlite3.connect(target, isolation_level=None)) as writer,
    ):
        reader.execute("BEGIN")  # one moment: otherwise each commit would start the copy anew
        reader.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        reader.backup(
            writer,
            pages=STEP_PAGES,
            progress=lambda _, remaining, total: copied(total - remaining, total) if copied else None,
        )
        reader.execute("ROLLBACK")
        writer.execute("PRAGMA journal_mode=DELETE")  # a single file, readable where nothing can be written


def mark(path: Path, at_ns: int) -> None:
    """Note in a copy behind which record it was made."""
    with closing(SQLiteStore(path, writable=False)) as store:
        head = store.head()
        position, digest = (head.position, store.digest(head.position)) if head else (0, b"")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(MARKS_TABLE)
        connection.execute("INSERT OR IGNORE INTO backup_marks VALUES (?,?,?)", (position, digest, at_ns))


class Verified(NamedTuple):
    """What a copy was found to hold."""

    position: int
    head: bytes
    facts: int


def verify_copy(path: Path, checkpoint: Checkpoint | None, progress: Progress | None) -> Verified:
    """Check the chain of a copy, and that it holds a record that is known. Raises Refused."""
    with closing(SQLiteStore(path, writable=False)) as store:
        chain = verify_chain(store, progress)
        if checkpoint and store.digest(checkpoint.position) != checkpoint.head:
            found = store.digest(checkpoint.position).hex() or f"the journal ends at {chain.records}"
            raise Refused(Code.HEAD_DIFFERS, "head", f"{checkpoint.position}:{checkpoint.head.hex()}", found)
    return Verified(chain.records, chain.head, chain.facts)
