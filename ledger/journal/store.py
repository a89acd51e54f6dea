"""What the ledger asks of a store. Nothing above this line knows whether it is SQLite or another."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

Name = tuple[str, str]
"""Actor and command id, under which a submission may be repeated (contract K1)."""


class Key(NamedTuple):
    """Where a submission was recorded, by its name: the number of its own fact, which says all else."""

    actor: str
    command_id: str
    first_seq: int


class Begin(NamedTuple):
    """Where a group of records begins, for look-up: its first sequence number, and the position of its first record."""

    first_seq: int
    position: int


class Entry(NamedTuple):
    """One stored record: its position from 1 on, its topic and its bytes."""

    position: int
    topic: str
    state: bytes


class ForkDue(NamedTuple):
    """Why a journal may not be written on as it is, and where it stands: see `ledger.forks`."""

    cause: str  # RESTORED, OLDER or OTHER
    position: int
    head: bytes  # hash of the record at this position
    known_position: int  # the highest that anything knows of


RESTORED, OLDER, OTHER = "restored", "older", "other"


class Source(Protocol):
    """Whatever records can be read from in order."""

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Records behind a position, in order."""


class Store(Protocol):
    """A place for records in order, with the keys of submissions in the same transaction."""

    def append(
        self,
        after: int,
        entries: Sequence[tuple[str, bytes]],
        begins: Sequence[Begin],
        keys: Sequence[tuple[str, str, int]],
    ) -> None:
        """Add records (topic, bytes) behind position `after`, all or none, durably, with the fields of new `Key`s.

        Raises Refused (COMMIT_FAILED) when the store refuses or cannot say.
        """

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Records behind a position, in order."""

    def digest(self, position: int) -> bytes:
        """Hash of the record at a position, empty where there is none."""

    def head(self) -> Entry | None:
        """The last record."""

    def keys(self, names: Sequence[Name]) -> dict[Name, int]:
        """Those of many submissions that were recorded: the first sequence number of each."""

    def all_keys(self) -> AbstractContextManager[Iterator[Key]]:
        """Every key there is now, in order of `first_seq`, whatever a writer adds within the block."""

    def begin_before(self, seq: int) -> int:
        """Position of a record that begins a group, whose first sequence number is not above this one: the last kept.

        1 where none is kept.
        """

    def begins(self) -> Iterator[Begin]:
        """Every place that is kept where a group begins, in order of `first_seq`."""

    def fork_due(self) -> ForkDue | None:
        """Whether this is a restored copy, or one that lacks records that were known: then it needs a fork first."""

    def close(self) -> None:
        """Give back what the store holds."""
