"""The compiled book against the reference: the same random commands, the same answers, row by row.

A draw is a tuple of small choices; `Feed` makes it a command that knows the ids and owners of the orders so far, so
that most commands mean something. Prices are few, so that much crosses; headroom is scarce; some values are bad.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from matching import (
    COMMAND,
    UNLIMITED,
    Action,
    OrderBook,
    OrderType,
    ReferenceBook,
    Report,
    SelfTrade,
    Side,
    TimeInForce,
)
from matching.types import MAX_QUANTITY

if TYPE_CHECKING:
    from tests.matching.books import Book

LOW, HIGH, ZONES, OWNERS = 20, 27, 3, 5
LARGEST, SMALLEST = 2**63 - 1, -(2**63)

# what each field is chosen from, the usual as often as it stands here; a failing example shrinks towards the first
ACTIONS = [Action.NEW] * 8 + [Action.REPLACE] * 4 + [Action.CANCEL, Action.REDUCE]
SIDES = list(Side)
PRICES = [*range(LOW, HIGH + 1)] * 12 + [0, -1, LOW - 1, HIGH + 1, LARGEST, SMALLEST]
QUANTITIES = [*range(1, 10)] * 10 + [14, 30, 60] * 2 + [0, -1, MAX_QUANTITY, MAX_QUANTITY + 1, LARGEST, SMALLEST]
PARTIES = [*range(OWNERS)]
DETAILS = [*range(360)]  # which order a command names, and what a replace leaves as it is: see Feed
TIMES = [TimeInForce.GTC] * 8 + [TimeInForce.DAY, TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.FOK]
MODES = [SelfTrade.ALLOW, *SelfTrade]
TRADING_ZONES = [*range(ZONES)]
ODDITIES: list[tuple[str, int]] = [
    *[("action", 0)] * 90,  # which is no oddity, see Feed
    *[("post_only", 1)] * 12,
    *[("order_type", OrderType.MARKET)] * 9,
    *[("owner", OWNERS), ("expires_at_ns", 7), ("expires_at_ns", -7), ("order_id", 0)],
    *[("side", 2), ("order_type", -1), ("time_in_force", 5), ("self_trade", 5), ("zone", ZONES), ("zone", -1)],
    *[("action", 5), ("action", -1), ("post_only", -1)],
]
CHOICES: dict[str, list[Any]] = {
    "action": ACTIONS,
    "side": SIDES,
    "price": PRICES,
    "quantity": QUANTITIES,
    "owner": PARTIES,
    "detail": DETAILS,
    "time_in_force": TIMES,
    "self_trade": MODES,
    "zone": TRADING_ZONES,
    "oddity": ODDITIES,
}
FIELDS = tuple(CHOICES)
LOTS = [UNLIMITED, UNLIMITED, 0, 9, 60, 300]  # headroom of a pair
CAPACITIES = [24, 200, 60, 200, 3]
INTERLUDES: list[tuple[str, int]] = [
    *[("none", 0)] * 24,
    *[("cancel_all", owner) for owner in PARTIES],
    *[("expire", at_ns) for at_ns in (0, 20, 30, LARGEST)],
    *[("end_day", 0)] * 2,
    *[("raise", pair) for pair in range(ZONES * ZONES)] * 2,
]
Draw = tuple[Any, ...]
Interlude = tuple[str, int]
Scene = tuple[list[Draw], Interlude]  # a batch, and what happens after it
Batch = npt.NDArray[np.void]
Step = Batch | Interlude


@dataclass
class Feed:
    """Makes commands of draws, and remembers which id went to whom."""

    last_id: int = 0
    owner_of: dict[int, int] = field(default_factory=dict)
    named: list[int] = field(default_factory=list)  # ids that commands choose from

    def batch(self, draws: list[Draw], live: list[int]) -> Batch:
        """Build the commands of a batch for books with these orders."""
        self.named = live
        batch = np.zeros(len(draws), dtype=COMMAND)
        for row, draw in zip(batch, draws, strict=True):
            for name, value in self._command(dict(zip(FIELDS, draw, strict=True))).items():
                row[name] = value
        return batch

    def _command(self, draw: dict[str, Any]) -> dict[str, int]:
        name, value = draw.pop("oddity")
        which, keeps_price, keeps_quantity = np.unravel_index(draw.pop("detail"), (30, 3, 4))
        if draw["action"] == Action.NEW:
            self.last_id += 1 + int(which) % 2
            self.named.append(self.last_id)
            draw["order_id"] = self.last_id
            self.owner_of[self.last_id] = draw["owner"]
        else:
            draw["order_id"] = ([self.last_id + 1, *self.named])[-1 - int(which) % (len(self.named) + 1)]
            draw["owner"] = self.owner_of.get(draw["order_id"], 0)
            draw["price"] = 0 if keeps_price else draw["price"]
            draw["quantity"] = 0 if keeps_quantity == 1 else draw["quantity"]
        if draw["time_in_force"] == TimeInForce.GTD:
            draw["expires_at_ns"] = 10 * (1 + int(which) % 4)
        if value == OrderType.MARKET and name == "order_type" and which:
            draw["time_in_force"] = TimeInForce.IOC if which % 2 else TimeInForce.FOK
        return draw if (name, value) == ODDITIES[0] else {**draw, name: value}


class Pair:
    """The two books, each with headroom of its own that starts the same."""

    def __init__(self, capacity: int, headroom: npt.NDArray[np.int64]) -> None:
        """Open both books, empty."""
        self.headroom = (headroom.copy(), headroom.copy())
        sizes = (LOW, HIGH, capacity, ZONES)
        self.books: tuple[Book, Book] = (OrderBook(*sizes, self.headroom[0]), ReferenceBook(*sizes, self.headroom[1]))
        self.feed = Feed()
        self.script: list[Step] = []
        self.raised = False

    def play(self, draws: list[Draw], interlude: Interlude) -> None:
        """Make a batch of draws; give both books that, and what comes after it."""
        live = [order_id for owner in PARTIES for order_id in self.books[1].orders(owner)]
        for step in (self.feed.batch(draws, sorted(live)), interlude):
            self.script.append(step)
            self.take(step)
            self.same_books()

    def take(self, step: Step) -> None:
        """Give both books the same, and compare what they make of it."""
        if isinstance(step, np.ndarray):
            fast, slow = (book.process(step) for book in self.books)
            self.compare(fast, slow, step)
            self.conserves(step, slow)
        elif step[0] == "raise":
            for headroom in self.headroom:
                headroom.flat[step[1]] += 0 if headroom.flat[step[1]] == UNLIMITED else 25
            self.raised = True
        elif step[0] != "none":
            arguments = () if step[0] == "end_day" else step[1:]
            fast, slow = (getattr(book, step[0])(*arguments) for book in self.books)
            self.compare(fast, slow, np.zeros(0, dtype=COMMAND))

    def compare(self, fast: Report, slow: Report, batch: Batch) -> None:
        """Demand equal reports."""
        for index, command in enumerate(batch):
            answers = [report.outcomes[index].item() for report in (fast, slow)]
            assert answers[0] == answers[1], dict(zip(COMMAND.names or (), command.item(), strict=True))
        assert len(fast.outcomes) == len(slow.outcomes) == len(batch)
        assert fast.trades.tolist() == slow.trades.tolist()
        assert fast.removals.tolist() == slow.removals.tolist()
        assert self.headroom[0].tolist() == self.headroom[1].tolist()

    def same_books(self) -> None:
        """Demand equal views of two sound books."""
        views = [
            (len(book), book.last_order_id, book.best, [book.orders(owner) for owner in range(OWNERS)])
            for book in self.books
        ]
        assert views[0] == views[1]
        for zone in (None, *range(ZONES)):
            depths = [book.depth(levels=HIGH, zone=zone) for book in self.books]
            assert depths[0] == depths[1]
        for book in self.books:
            book.check()
        assert self.raised or not self.tradable()

    def tradable(self) -> bool:
        """Say whether orders that meet, and may, stand untraded: only headroom raised from outside makes it so."""
        depths = [self.books[1].depth(levels=1, zone=zone) for zone in range(ZONES)]
        for seller, buyer in np.argwhere(self.headroom[1] > 0).tolist():
            asks, bids = depths[seller].asks, depths[buyer].bids
            if asks and bids and asks[0][0] <= bids[0][0]:
                return True
        return False

    @staticmethod
    def conserves(batch: Batch, report: Report) -> None:
        """Demand that each accepted new order is wholly filled, removed or left."""
        for index in np.flatnonzero((batch["action"] == Action.NEW) & (report.outcomes["status"] > 0)).tolist():
            mine = (report.removals["command"] == index) & (report.removals["order_id"] == batch["order_id"][index])
            filled = report.trades["quantity"][report.trades["command"] == index].sum()
            outcome = report.outcomes[index]
            assert filled == outcome["filled"]
            assert filled + outcome["leaves"] + report.removals["quantity"][mine].sum() == batch["quantity"][index]


DRAWS = st.tuples(*(st.sampled_from(choices) for choices in CHOICES.values()))
BATCHES = st.lists(DRAWS, min_size=1, max_size=40)
SCENES = st.lists(st.tuples(BATCHES, st.sampled_from(INTERLUDES)), min_size=1, max_size=20)
HEADROOMS = st.lists(st.sampled_from(LOTS), min_size=ZONES**2, max_size=ZONES**2)
QUICK = settings(
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # fewest_steps shrinks, and far better
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def run(capacity: int, lots: list[int], scenes: Iterable[Scene]) -> None:
    """Play scenes on both books; if they differ, find the fewest steps that show it."""
    headroom = np.array(lots, dtype=np.int64).reshape(ZONES, ZONES)
    pair = Pair(capacity, headroom)
    try:
        for scene in scenes:
            pair.play(*scene)
    except AssertionError as found:
        steps, difference = fewest_steps(capacity, headroom, pair.script)
        lines = [str(step[0].item() if isinstance(step, np.ndarray) else step) for step in steps]
        message = "\n".join([f"Pair({capacity}, {headroom.tolist()})", f"{COMMAND.names}", *lines, difference])
        raise AssertionError(message) from found


def fewest_steps(capacity: int, headroom: npt.NDArray[np.int64], script: list[Step]) -> tuple[list[Step], str]:
    """Drop steps, single commands now, as long as the books differ; also say how they differ in the end."""

    def differ(steps: list[Step]) -> str:
        pair = Pair(capacity, headroom)
        try:
            for step in steps:
                pair.take(step)
            pair.same_books()
        except AssertionError as difference:
            return str(difference) or "an assertion without words"
        return ""

    steps: list[Step] = []
    for step in script:
        steps += [step[at : at + 1] for at in range(len(step))] if isinstance(step, np.ndarray) else [step]
    assert differ(steps), "the books differ only while the commands are in their batches"
    size, before = len(steps), len(steps) + 1
    while size > 1 or len(steps) < before:
        size, before = max(1, size // 2), len(steps)
        for at in range(len(steps) - size, -1, -size):
            fewer = steps[:at] + steps[at + size :]
            steps = fewer if differ(fewer) else steps
    return steps, differ(steps)


def walk(seed: int, batches: int) -> None:
    """Play a long walk: books in a state that no short example reaches."""
    random = np.random.default_rng(seed)

    def pick(choices: list[Any]) -> Any:
        return choices[random.integers(len(choices))]

    def scenes() -> Iterator[Scene]:
        for _ in range(batches):
            yield [tuple(map(pick, CHOICES.values())) for _ in range(random.integers(1, 41))], pick(INTERLUDES)

    run(pick(CAPACITIES), [pick(LOTS) for _ in range(ZONES**2)], scenes())


@settings(QUICK, max_examples=300)
@given(st.sampled_from(CAPACITIES), HEADROOMS, SCENES)
def test_same_answers(capacity: int, lots: list[int], scenes: list[Scene]) -> None:
    run(capacity, lots, scenes)


@pytest.mark.parametrize("seed", range(32))
def test_same_answers_on_a_long_walk(seed: int) -> None:
    walk(seed, batches=60)


@pytest.mark.campaign
@settings(QUICK, max_examples=20_000)
@given(st.sampled_from(CAPACITIES), HEADROOMS, SCENES)
def test_same_answers_at_length(capacity: int, lots: list[int], scenes: list[Scene]) -> None:
    run(capacity, lots, scenes)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(1_000, 1_400))
def test_same_answers_on_a_longer_walk(seed: int) -> None:
    walk(seed, batches=400)
