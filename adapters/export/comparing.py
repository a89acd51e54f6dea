"""Comparing the tables of facts of exports with the records that lie beside them, row group by row group."""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adapters.export.columns import ALL_TOPICS, Gathered
from adapters.export.manifest import Manifest, file_name
from adapters.export.packages import ipc, pa, pq
from adapters.export.writing import ROWS_AT_ONCE
from ledger.codes import Code, Refused
from ledger.rebuild import Group


def batches(path: Path, file_format: str) -> Iterator[Any]:
    """The row groups of a file, one after the other. Raises Refused (EXPORT_DAMAGED) for a file that is no table."""
    try:
        with path.open("rb") as file:
            if file_format == "parquet":
                stored = pq.ParquetFile(file)
                groups = (stored.read_row_group(at) for at in range(stored.num_row_groups))
                yield from (batch for group in groups for batch in group.to_batches())
            else:
                stored = ipc.open_file(file)
                yield from (stored.get_batch(at) for at in range(stored.num_record_batches))
    except (pa.ArrowException, OSError) as problem:
        raise Refused(Code.EXPORT_DAMAGED, path.name, str(problem)[:200], f"a table in {file_format}") from None


class Rows:
    """The rows of a file, taken from its beginning a few at a time."""

    def __init__(self, path: Path, file_format: str) -> None:
        """Nothing taken."""
        self.name, self.taken = path.name, 0
        self._batches = batches(path, file_format)
        self._waiting: Any = None

    def take(self, count: int) -> Any:
        """The next rows as a table: as many as asked for, or what is left; None for a file without rows."""
        for batch in self._batches:
            more = pa.Table.from_batches([batch])
            self._waiting = more if self._waiting is None else pa.concat_tables([self._waiting, more])
            if len(self._waiting) > count:
                break
        if self._waiting is None:
            return None
        found, self._waiting = self._waiting.slice(0, count), self._waiting.slice(count)
        self.taken += len(found)
        return found


class Comparison:
    """The tables of exports, in the order of their journal, while the journal is read."""

    def __init__(self, exports: Sequence[tuple[Path, Manifest]]) -> None:
        """Begin with the first export."""
        self._left = deque(exports)
        self._begin()

    def _begin(self) -> None:
        folder, manifest = self._left.popleft()
        self._end = manifest.to_position
        paths = [folder / file_name(topic, manifest.file_format) for topic in ALL_TOPICS]
        files = [Rows(path, manifest.file_format) for path in paths]
        self._tables = [(Gathered(topic), rows) for topic, rows in zip(ALL_TOPICS, files, strict=True)]

    def add(self, group: Group) -> None:
        """The next group of the journal. Raises Refused (EXPORT_DAMAGED) naming file and rows that say otherwise."""
        if group.decoded.position > self._end and self._left:
            self.finish()
            self._begin()
        for gathered, rows in self._tables:
            gathered.add(group.decoded)
            if gathered.rows >= ROWS_AT_ONCE:
                compare(gathered, rows)

    def finish(self) -> None:
        """The tables of an export must end where its records do."""
        for gathered, rows in self._tables:
            compare(gathered, rows)
            if rows.take(1):
                raise Refused(Code.EXPORT_DAMAGED, rows.name, f"row {rows.taken}", "facts of its records and no others")


def compare(gathered: Gathered, rows: Rows) -> None:
    """Raise Refused (EXPORT_DAMAGED) when the next rows of a file are not the facts that were gathered."""
    first, expected = rows.taken + 1, gathered.take()
    found = rows.take(len(expected)) if len(expected) else expected
    if found is None or not found.equals(expected):
        place = f"rows {first} to {first + len(expected) - 1}"
        raise Refused(Code.EXPORT_DAMAGED, rows.name, place, "the facts of its records")
