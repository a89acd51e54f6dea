"""What other engines' published test suites expect of a continuous book, on both of ours."""

import json
from pathlib import Path
from typing import Any

import pytest

from matching import Action, OrderType, Reason, Report, SelfTrade, Side, Status, TimeInForce
from tests.matching.books import Book, BookType

DATA = Path(__file__).parents[1] / "data" / "matching-scenarios.jsonl"
SCENARIOS: dict[str, dict[str, Any]] = {
    row["name"]: row for row in map(json.loads, DATA.read_text(encoding="utf-8").splitlines())
}

UNFIT = {
    "ec_fokb_bid_budget_one_short": "fill-or-kill on a total amount of money: the book knows no money",
    "ec_fokb_ask_one_above": "fill-or-kill on a total amount of money: the book knows no money",
    "lb_resting_market_bid_matches": "a market order rests: ours never does (MARKET_MUST_BE_IMMEDIATE)",
    "lb_resting_market_bids_fifo": "a market order rests: ours never does (MARKET_MUST_BE_IMMEDIATE)",
    "ct_aon_full_match_two_levels": "all-or-none orders rest: the book has no such time in force",
}
"""Scenarios that ask for something our rules do not have, and why."""

GENERATED = {"f1_deep_recursive_sweep_5000"}
"""Scenarios given as a recipe; each has a test of its own."""

AUCTIONS = {name for name, scenario in SCENARIOS.items() if scenario["kind"] == "auction"}
"""Scenarios of the call auction, which has tests of its own."""

RUN = sorted(SCENARIOS.keys() - UNFIT.keys() - GENERATED - AUCTIONS)
FITTING_REQUIREMENTS = {"post_only", "stp"}
NEVER_ISSUED = 2**40  # stands for an id that the scenario names without having added it
RESULTS = {
    "resting": {Status.RESTING, Status.REPLACED, Status.REDUCED},
    "filled": {Status.FILLED},
    "cancelled": {Status.CANCELLED, Status.PARTLY_FILLED_CANCELLED},
    "rejected": {Status.REJECTED},
}


class Player:
    """Plays a scenario's steps on a book: its ids become rising ones and its owners numbers."""

    def __init__(self, book: Book) -> None:
        """Take a book that is empty."""
        self.book = book
        self.ids: dict[int, int] = {}
        self.last_id = 0
        self.owners: dict[Any, int] = {None: 0}

    def play(self, step: dict[str, Any]) -> Report:
        """Submit one step."""
        common: dict[str, Any] = {"owner": self.owners.setdefault(step.get("owner"), len(self.owners))}
        if step["op"] == "add":
            self.last_id += 1
            self.ids[step["id"]] = self.last_id
            return self.book.submit(order_id=self.last_id, **common, **self._new(step))
        order_id = self.ids.get(step["id"], NEVER_ISSUED)
        if "new_id" in step:  # a replaced order keeps its id here
            self.ids[step["new_id"]] = order_id
        figures = {
            "cancel": {"action": Action.CANCEL},
            "reduce": {"action": Action.REDUCE, "quantity": step.get("by", 0)},
            "replace": {"action": Action.REPLACE, "price": step.get("price", 0), "quantity": step.get("qty", 0)},
        }
        return self.book.submit(order_id=order_id, **common, **figures[step["op"]])

    @staticmethod
    def _new(step: dict[str, Any]) -> dict[str, Any]:
        return {
            "side": Side.BUY if step["side"] == "B" else Side.SELL,
            "order_type": OrderType[step["type"].upper()],
            "price": step["price"] or 0,
            "quantity": step["qty"],
            "time_in_force": TimeInForce[step["tif"]],
            "post_only": step.get("post_only", False),
            "self_trade": SelfTrade[step.get("stp", "allow").upper()],
        }

    def expected_trades(self, step: dict[str, Any]) -> list[tuple[int, ...]]:
        """Translate the fills that the source expects of a step to our ids."""
        return [
            (self.ids[fill["maker"]], self.ids[fill["taker"]], fill["price"], fill["qty"]) for fill in step["expect"]
        ]


@pytest.mark.parametrize("name", RUN)
def test_scenario(book_type: BookType, name: str) -> None:
    scenario = SCENARIOS[name]
    book = book_type(max_price=262_143, capacity=64)
    player = Player(book)
    for number, step in enumerate(scenario["steps"]):
        report = player.play(step)
        trades = report.trades[["maker_order_id", "taker_order_id", "price", "quantity"]].tolist()
        assert trades == player.expected_trades(step), f"step {number}: {step}"
        assert report.outcomes["status"][0] in RESULTS[step["result"]], f"step {number}: {step}"
        own = report.removals[report.removals["code"] == Reason.SELF_TRADE]["order_id"].tolist()
        makers = [order_id for order_id in own if order_id != player.ids.get(step["id"])]
        assert makers == [player.ids[maker] for maker in step.get("stp_cancelled", [])], f"step {number}: {step}"
        book.check()
    bids, asks = book.depth(levels=64)
    assert bids == [tuple(level) for level in scenario["final_book"]["bids"]]
    assert asks == [tuple(level) for level in scenario["final_book"]["asks"]]


def test_sweep_of_five_thousand_orders(book_type: BookType) -> None:
    """The generated scenario: one order takes 5,000 makers of one lot each."""
    book = book_type(max_price=100, capacity=5_000)
    for order_id in range(1, 5_001):
        book.submit(order_id=order_id, side=Side.SELL, price=100, quantity=1)
    report = book.submit(order_id=5_001, price=100, quantity=5_000, time_in_force=TimeInForce.IOC)
    assert report.trades["maker_order_id"].tolist() == list(range(1, 5_001))
    assert set(report.trades["quantity"].tolist()) == {1}
    assert report.outcomes.tolist() == [(5_000, 0, Reason.NONE, Status.FILLED)]
    assert len(book) == 0
    book.check()


def test_every_scenario_is_run_or_listed_with_its_reason() -> None:
    assert UNFIT.keys() | GENERATED | AUCTIONS | set(RUN) == SCENARIOS.keys()
    assert not UNFIT.keys() & (GENERATED | AUCTIONS)
    for name, scenario in SCENARIOS.items():
        foreign = set(scenario["requires"]) - FITTING_REQUIREMENTS
        assert bool(foreign) == (name in UNFIT.keys() | AUCTIONS), name
        assert (scenario["kind"] == "generated") == (name in GENERATED), name
        assert name not in RUN or scenario["kind"] == "continuous", name
