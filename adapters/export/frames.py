"""Facts of a topic as a Polars frame, straight from the journal."""

from collections.abc import Iterable

from adapters.export.columns import Gathered
from adapters.export.packages import pl
from ledger.journal.records import Decoded


def frame_of(topic: str, groups: Iterable[Decoded]) -> pl.DataFrame:
    """The facts of one topic in these groups, one row a fact in order of `seq`. Raises Refused (TOPIC_UNKNOWN)."""
    gathered = Gathered(topic)
    for group in groups:
        gathered.add(group)
    return pl.DataFrame(gathered.take())
