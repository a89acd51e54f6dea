"""A machine that uses a book in every way there is, against the reference: the same answers and views at each step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from matching import UNLIMITED, OrderBook, ReferenceBook
from tests.matching.test_differential import (
    CAPACITIES,
    DRAWS,
    HIGH,
    LARGEST,
    LOW,
    OWNERS,
    PARTIES,
    ZONES,
    Draw,
    Feed,
)

FAST: Any = OrderBook
"""The class of book under test."""

REFERENCE: Any = ReferenceBook

BATCHES = st.lists(DRAWS, min_size=2, max_size=20)
PRICES = st.sampled_from([None, LOW - 3, *range(LOW, HIGH + 1), HIGH + 3])
LOTS = st.lists(st.sampled_from([0, 0, 3, 9, 60, UNLIMITED]), min_size=ZONES**2, max_size=ZONES**2)


class Books(RuleBasedStateMachine):
    """Two books that are given the same."""

    @initialize(capacity=st.sampled_from(CAPACITIES), lots=LOTS, netting=st.booleans())
    def open(self, capacity: int, lots: list[int], netting: bool) -> None:
        """Open both, each with headroom of its own that starts the same."""
        self.capacity, self.netting = capacity, netting
        self.headroom = [np.array(lots, dtype=np.int64).reshape(ZONES, ZONES) for _ in range(2)]
        self.fast = self.opened(FAST, self.headroom[0])
        self.reference = self.opened(REFERENCE, self.headroom[1])
        self.feed = Feed()

    def opened(self, kind: Any, headroom: np.ndarray) -> Any:
        """Open an empty book."""
        return kind(LOW, HIGH, self.capacity, ZONES, headroom, netting=self.netting)

    def both(self, act: Callable[[Any], Any]) -> Any:
        """Have both books do the same, and compare what they answer."""
        answers = [act(book) for book in (self.fast, self.reference)]
        assert plain(answers[0]) == plain(answers[1])
        return answers[1]

    @rule(draws=BATCHES)
    def command(self, draws: list[Draw]) -> None:
        """Send a batch of commands of all kinds. The other rules do so first, or else most would find little."""
        live = [order_id for owner in PARTIES for order_id in self.reference.orders(owner)]
        batch = self.feed.batch(draws, sorted(live))
        note(batch)
        self.both(lambda book: book.process(batch))

    @rule(draws=BATCHES, owner=st.sampled_from(PARTIES))
    def cancel_all(self, draws: list[Draw], owner: int) -> None:
        self.command(draws)
        self.both(lambda book: book.cancel_all(owner))

    @rule(draws=BATCHES, at_ns=st.sampled_from([0, 20, 30, LARGEST]))
    def expire(self, draws: list[Draw], at_ns: int) -> None:
        self.command(draws)
        self.both(lambda book: book.expire(at_ns))

    @rule(draws=BATCHES)
    def end_day(self, draws: list[Draw]) -> None:
        self.command(draws)
        self.both(lambda book: book.end_day())

    @rule(draws=BATCHES, lots=LOTS)
    def set_headroom(self, draws: list[Draw], lots: list[int]) -> None:
        self.command(draws)
        self.both(lambda book: book.set_headroom(np.array(lots, dtype=np.int64).reshape(ZONES, ZONES)))

    @rule(draws=BATCHES)
    def set_headroom_as_it_is(self, draws: list[Draw]) -> None:
        self.command(draws)
        self.both(lambda book: book.set_headroom(self.headroom[book is self.reference]))

    @rule(draws=BATCHES)
    @precondition(lambda self: not self.reference.auction)
    def open_auction(self, draws: list[Draw]) -> None:
        self.both(lambda book: book.open_auction())
        self.command(draws)

    @rule(draws=BATCHES, reference=PRICES)
    @precondition(lambda self: self.reference.auction)
    def uncross(self, draws: list[Draw], reference: int | None) -> None:
        self.command(draws)
        before = self.quantity()
        ended = self.both(lambda book: book.uncross(reference))
        assert before == self.quantity() + 2 * ended.volume + ended.report.removals["quantity"].sum()

    @rule()
    @precondition(lambda _: hasattr(FAST, "snapshot"))
    def restore(self) -> None:
        """Go on with another book, restored from what the fast one wrote down."""
        data = self.fast.snapshot()
        self.headroom[0] = self.headroom[0].copy()
        self.fast = self.opened(FAST, self.headroom[0])
        self.fast.restore(data)

    @invariant()
    def books_are_the_same(self) -> None:
        """Demand equal views of two sound books."""
        self.both(lambda book: (len(book), book.last_order_id, book.best, book.auction))
        self.both(lambda book: [book.indicative(reference) for reference in (None, LOW, HIGH)])
        self.both(lambda book: [book.orders(owner) for owner in range(OWNERS + 1)])
        self.both(lambda book: [book.depth(levels=HIGH, zone=zone) for zone in (None, *range(ZONES))])
        assert self.headroom[0].tolist() == self.headroom[1].tolist()
        for book in (self.fast, self.reference):
            if hasattr(book, "check"):
                book.check()

    def quantity(self) -> int:
        """Sum up what all orders have left."""
        return sum(quantity for side in self.reference.depth(levels=HIGH) for _, quantity, _ in side)


def plain(answer: Any) -> Any:
    """Make rows comparable."""
    if isinstance(answer, np.ndarray):
        return answer.tolist()
    return [plain(part) for part in answer] if isinstance(answer, tuple | list) else answer


def test_books_agree() -> None:
    run(examples=60, steps=30)


@pytest.mark.campaign
def test_books_agree_at_length() -> None:
    run(examples=3_000, steps=100)


def run(examples: int, steps: int) -> None:
    """Let the machine run."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        phases=(Phase.reuse, Phase.generate, Phase.shrink),  # to explain takes long, and says little here
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(Books, settings=chosen)
