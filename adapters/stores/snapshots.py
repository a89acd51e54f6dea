"""Snapshots in a folder beside the ledger: the newest that is sound opens it, the last two are kept.

They are a matter of time alone. Whatever is wrong with one (damaged, cut off, of another ledger, of another version of
this program) is said in the log `shuiquan`, and the ledger opens from an older one or from its first record.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from ledger.codes import Code, Refused
from ledger.journal.seeking import last_seq
from ledger.journal.store import Store
from ledger.snapshot import LENGTH, MAGIC, MAX_HEADER, Header, Snapshot, pack, read_header, unpack, unusable

KEPT: Final = 2
BEGINNING: Final = len(MAGIC) + LENGTH.size + MAX_HEADER
LOG: Final = logging.getLogger("shuiquan")


class Snapshots:
    """The snapshots of one ledger."""

    def __init__(self, ledger: Path) -> None:
        """Those in the folder beside a ledger's file; the folder is made with the first of them."""
        self.folder = Path(f"{ledger}.snapshots")
        self.facts = 0
        """Facts behind which the newest sound one stands."""

    def newest(self, store: Store) -> Snapshot | None:
        """The state of the newest sound snapshot of this journal, None where there is none."""
        for path in self._paths():
            try:
                header = check_place(read_header(beginning(path)), store)
                snapshot = unpack(contents(path))
            except (Refused, OSError) as problem:
                LOG.warning("snapshot %s is left out: %s", path, problem)
                continue
            self.facts = header.next_seq - 1
            return snapshot
        return None

    def write(self, snapshot: Snapshot, store: Store) -> Path:
        """Write a snapshot whole or not at all, durably, and delete all but the last two of this journal.

        Raises Refused (SNAPSHOT_NOT_WRITTEN) when the file system refuses, a full disk for one.
        """
        path = self.folder / f"{snapshot.position:020}.snapshot"
        partial = self.folder / f"{path.name}.{os.getpid()}.partial"
        pieces, facts = pack(*snapshot), snapshot.state.next_seq - 1
        try:
            self.folder.mkdir(exist_ok=True)
            with partial.open("wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            sync_folder(self.folder)
        except OSError as problem:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise Refused(Code.SNAPSHOT_NOT_WRITTEN, "snapshot", str(path), str(problem)) from problem
        self.facts = facts
        self._clean(store)
        return path

    def _paths(self) -> Iterator[Path]:
        """The files of snapshots, the newest position first."""
        return iter(sorted(self.folder.glob("*.snapshot"), reverse=True))

    def _clean(self, store: Store) -> None:
        """Delete what is not of this journal, such as of a history that a fork gave up, and all but the last two."""
        kept = 0
        for path in self._paths():
            with suppress(Refused, OSError):
                check_place(read_header(beginning(path)), store)
                kept += 1
                if kept <= KEPT:
                    continue
            with suppress(OSError):
                path.unlink()
        for path in self.folder.glob("*.partial"):  # of a process that was killed; a living one writes it again
            with suppress(OSError):
                path.unlink()


def beginning(path: Path) -> bytes:
    """Enough of a file to hold its header."""
    with path.open("rb") as file:
        return file.read(BEGINNING)


def contents(path: Path) -> bytearray:
    """A whole file, which may be changed in memory."""
    with path.open("rb") as file:
        data = bytearray(os.fstat(file.fileno()).st_size)
        del data[file.readinto(data) :]
    return data


def check_place(header: Header, store: Store) -> Header:
    """The header of a snapshot behind a record of this journal. Raises Refused (SNAPSHOT_UNUSABLE) for another."""
    if store.digest(header.position).hex() != header.digest:
        raise unusable("position", header.position, "the journal holds another record there, or none")
    if last_seq(store, header.position) != header.next_seq - 1:
        raise unusable("next_seq", header.next_seq, "the number after the last one of its position")
    return header


def sync_folder(folder: Path) -> None:
    """Make renamed files durable, where folders can be synced."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
