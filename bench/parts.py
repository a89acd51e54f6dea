"""Parts of the plain write path, each done once more alone, on the data of a turn that the ledger has recorded.

Matching: `OrderBook` on the orders that were accepted. Encoding: pages of the facts again. Chain: SHA-256 over the
records again. Commit: `append` of a store that holds the same records, with the keys of the turn.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adapters.stores.sqlite import SQLiteStore
from bench.baselines import Stored
from bench.figures import timed
from ledger.answers import Answer
from ledger.journal.records import draft_pages, parse
from ledger.journal.store import Begin, Key
from ledger.state import State
from ledger.submissions import Submission
from matching import COMMAND, OrderBook, Status


class Turn(NamedTuple):
    """What one turn of the plain ledger did."""

    seconds: float
    submissions: list[Submission]
    answers: list[Answer]
    positions: list[int]  # before the first commit, then behind each


class Parts(NamedTuple):
    """Seconds of each part of a turn."""

    matching: float
    encoding: float
    chain: float
    commit: float


class Books:
    """Books of the matching room alone, one an instrument, that get what the ledger accepted."""

    def __init__(self, state: State, capacity: int) -> None:
        """Empty books with the ledger's zones."""
        headroom = state.books.headroom
        self._books = [
            OrderBook(max_price=fact.max_price, zones=len(headroom), headroom=headroom.copy(), capacity=capacity)
            for fact in state.instruments
        ]

    def match(self, answers: Sequence[Answer]) -> float:
        """Seconds that the books take for the accepted orders of some batches; they make the ledger's trades."""
        matched = [self._batch(answer.orders) for answer in answers]
        assert [trades for _, trades in matched] == [len(answer.trades) for answer in answers]
        return sum(spent for spent, _ in matched)

    def _batch(self, orders: Any) -> tuple[float, int]:
        """Seconds of one batch, and the trades made."""
        accepted = orders[orders["status"] != Status.REJECTED]
        parts = []
        for number, book in enumerate(self._books):
            theirs = accepted[accepted["instrument"] == number]
            commands = np.zeros(len(theirs), COMMAND)
            for field in set(COMMAND.names or ()) & set(theirs.dtype.names):
                commands[field] = theirs[field]
            commands["owner"] = theirs["right"] + 1
            parts.append((book, commands))
        reports: list[Any] = []
        spent = timed(lambda: reports.extend(book.process(commands) for book, commands in parts))
        return spent, sum(len(report.trades) for report in reports)


def encoding(rows: Sequence[Stored]) -> float:
    """Seconds to make pages of the facts again."""
    records = [parse(position, state) for _, position, _, state in rows]
    pages = [(record.header.topic, record.rows) for record in records if record.header.columns]
    return timed(lambda: [list(draft_pages(topic, page)) for topic, page in pages])


def hashing(rows: Sequence[Stored]) -> float:
    """Seconds to hash the records again, as the chain does."""
    return timed(lambda: [hashlib.sha256(state).digest() for _, _, _, state in rows])


def copied_store(path: Path, rows: Sequence[Stored]) -> SQLiteStore:
    """A store that holds some records already."""
    store = SQLiteStore(path)
    store.append(0, [(topic, state) for _, _, topic, state in rows], [], [])
    return store


def appending(store: SQLiteStore, turn: Turn, commits: Sequence[Sequence[Stored]]) -> float:
    """Seconds of the store alone for the commits of a turn, keys included."""
    made = []
    for rows, position, submission, answer in zip(
        commits, turn.positions, turn.submissions, turn.answers, strict=False
    ):
        key = Key(submission.actor, submission.command_id, answer.first_seq)
        begin = Begin(answer.first_seq, position + 1)
        made.append((position, [(topic, state) for _, _, topic, state in rows], [begin], [key]))

    def append() -> None:
        for commit in made:
            store.append(*commit)

    return timed(append)
