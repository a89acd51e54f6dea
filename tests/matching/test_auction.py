"""The call auction: its price, what it collects and refuses, how it ends, and what follows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matching import OrderBook, OrderType, Reason, ReferenceBook, SelfTrade, Status, TimeInForce
from tests.matching.books import (
    HEADROOM,
    HIGH,
    LOW,
    BookType,
    Step,
    accept,
    buy,
    cancel,
    collect,
    reduce,
    replace,
    sell,
    zoned_book,
)

BOOKS = (OrderBook, ReferenceBook)
"""The books under test."""

DATA = Path(__file__).parents[1] / "data" / "matching-scenarios.jsonl"
SCENARIOS: dict[str, dict[str, Any]] = {
    row["name"]: row
    for row in map(json.loads, DATA.read_text(encoding="utf-8").splitlines())
    if row["requires"] == ["auction"]
}
UNFIT = {
    "xetra7_market_vs_market_ask_surplus": "market orders in the auction: ours takes limit orders alone",
    "bnb5_2_sell_pressure_highest": "the surplus is weighed against a reference less 5 %: ours takes the lowest price",
    "bnb5_4_sell_pressure_reference_minus_5pct": "the same: the price is that reference less 5 %",
}
"""Scenarios whose rules are not ours, and why."""

DAY, GTD, IOC, FOK = TimeInForce.DAY, TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK
BOTH, DECREMENT = SelfTrade.CANCEL_BOTH, SelfTrade.DECREMENT
NOTHING = (None, 0, 0)

Levels = tuple[tuple[int, int], ...]  # price, quantity


@pytest.fixture(params=BOOKS, ids=[kind.__name__ for kind in BOOKS])
def book_type(request: pytest.FixtureRequest) -> BookType:
    kind: BookType = request.param
    return kind


def steps(bids: Levels, asks: Levels) -> tuple[Step, ...]:
    """Make orders of levels."""
    sides = [(buy, level) for level in bids] + [(sell, level) for level in asks]
    return tuple(make(number, *level) for number, (make, level) in enumerate(sides, 1))


# the price


MIXED: tuple[Levels, Levels] = (((60, 25), (57, 25)), ((58, 25), (55, 25)))
PRICES: tuple[tuple[str, Levels, Levels, int | None, tuple[int | None, int, int]], ...] = (
    ("nobody", (), (), None, NOTHING),
    ("buyers alone", ((50, 5),), (), 50, NOTHING),
    ("sellers alone", (), ((50, 5),), 50, NOTHING),
    ("no orders cross", ((49, 5),), ((50, 5),), 50, NOTHING),
    ("one tick", ((50, 4),), ((50, 6),), None, (50, 4, -2)),
    ("one tick, whatever the reference", ((50, 6),), ((50, 4),), 60, (50, 4, 2)),
    ("most volume", ((60, 5), (50, 5)), ((40, 5), (50, 5)), 60, (50, 10, 0)),
    ("then the least surplus of sellers", ((52, 10),), ((50, 10), (51, 5)), 52, (50, 10, 0)),
    ("then the least surplus of buyers", ((52, 4), (51, 3)), ((50, 4),), 50, (52, 4, 0)),
    ("the least surplus need not be none", ((53, 9), (51, 3)), ((50, 4), (53, 2)), None, (53, 6, 3)),
    ("buyers are left: highest", ((55, 9),), ((50, 4),), None, (55, 4, 5)),
    ("buyers are left, whatever the reference", ((55, 9),), ((50, 4),), 50, (55, 4, 5)),
    ("sellers are left: lowest", ((55, 4),), ((50, 9),), None, (50, 4, -5)),
    ("sellers are left, whatever the reference", ((55, 4),), ((50, 9),), 55, (50, 4, -5)),
    ("nobody is left: midpoint", ((54, 4),), ((50, 4),), None, (52, 4, 0)),
    ("nobody is left: the lower midpoint", ((55, 4),), ((50, 4),), None, (52, 4, 0)),
    ("the reference within", ((55, 4),), ((50, 4),), 54, (54, 4, 0)),
    ("the reference above", ((55, 4),), ((50, 4),), 56, (55, 4, 0)),
    ("the reference below", ((55, 4),), ((50, 4),), 49, (50, 4, 0)),
    ("the reference outside the book, above", ((55, 4),), ((50, 4),), 10**9, (55, 4, 0)),
    ("the reference outside the book, below", ((55, 4),), ((50, 4),), -(10**9), (50, 4, 0)),
    ("the midpoint is that of the prices left over", ((60, 4),), ((50, 4), (54, 9)), None, (51, 4, 0)),
    ("mixed: midpoint", *MIXED, None, (57, 25, 25)),
    ("mixed: reference among the buyers'", *MIXED, 56, (56, 25, 25)),
    ("mixed: reference among the sellers'", *MIXED, 59, (59, 25, -25)),
    ("mixed: reference below", *MIXED, 20, (55, 25, 25)),
    ("mixed: reference above", *MIXED, 90, (60, 25, -25)),
    ("mixed, side by side", ((51, 5), (50, 5)), ((50, 5), (51, 5)), None, (50, 5, 5)),
    ("from the lowest price to the highest", ((HIGH, 5),), ((LOW, 5),), None, (54, 5, 0)),
    ("orders of one price together", ((50, 2), (50, 3)), ((50, 1), (50, 1)), None, (50, 2, 3)),
)


@pytest.mark.parametrize(
    ("bids", "asks", "reference", "expected"), [row[1:] for row in PRICES], ids=[r[0] for r in PRICES]
)
def test_price(
    book_type: BookType, bids: Levels, asks: Levels, reference: int | None, expected: tuple[int | None, int, int]
) -> None:
    book, _ = collect(book_type, steps(bids, asks))
    assert book.indicative(reference) == expected
    ended = book.uncross(reference)
    price, volume, imbalance = expected
    assert ended[:4] == (price, volume, imbalance, 0)
    assert set(ended.report.trades["price"].tolist()) == ({price} if volume else set())
    assert ended.report.trades["quantity"].sum() == volume
    book.check()


def test_price_outside_an_auction(book_type: BookType) -> None:
    book, _ = zoned_book(book_type, HEADROOM, (sell(1, 50, 5, zone=2), buy(2, 54, 3)))
    assert book.indicative() == (50, 3, -2)
    assert book.indicative().price == 50
    assert not book.auction


def test_asking_for_the_price_changes_nothing(book_type: BookType) -> None:
    book, headroom = collect(book_type, steps(((60, 5),), ((50, 5),)))
    before = book.depth()
    assert book.indicative() == book.indicative(None) == (55, 5, 0)
    assert (book.depth(), headroom.tolist(), book.auction) == (before, [list(row) for row in HEADROOM], True)


@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - UNFIT.keys()))
def test_scenario(book_type: BookType, name: str) -> None:
    scenario = SCENARIOS[name]
    book = book_type(max_price=2_000, capacity=16)
    book.open_auction()
    for order in scenario["orders"]:
        make = buy if order["side"] == "B" else sell
        accept(book, (make(order["id"], order["price"], order["qty"]),))
    expected = tuple(scenario["expect"][figure] for figure in ("price", "volume", "imbalance"))
    assert book.indicative(scenario["reference_price"]) == expected
    assert book.uncross(scenario["reference_price"])[:4] == (*expected, 0)
    book.check()


def test_every_scenario_is_run_or_listed_with_its_reason() -> None:
    assert len(SCENARIOS) == 10
    assert UNFIT.keys() < SCENARIOS.keys()


# while it collects


def test_orders_collect_without_matching(book_type: BookType) -> None:
    book, _ = zoned_book(book_type, HEADROOM, (sell(1, 50, 5),))
    book.open_auction()
    assert book.auction
    for step in (
        buy(2, 60, 5),
        buy(3, 60, 5, time_in_force=DAY),
        sell(4, 40, 5, time_in_force=GTD, expires_at_ns=9),
        buy(5, 60, 5, 7, self_trade=BOTH),
    ):
        trades, outcomes, removals = book.submit(**step)
        assert (len(trades), len(removals)) == (0, 0)
        assert outcomes.tolist() == [(0, 5, Reason.NONE, Status.RESTING)]
    assert book.best == (60, 40)
    assert book.depth() == ([(60, 15, 3)], [(40, 5, 1), (50, 5, 1)])
    assert (len(book), book.last_order_id) == (5, 5)
    book.check()


FULL = tuple(buy(number, 50, 1) for number in range(1, 17))
REFUSALS: tuple[tuple[str, tuple[Step, ...], Step, Reason], ...] = (
    ("market", (), buy(1, 0, 5, order_type=OrderType.MARKET, time_in_force=IOC), Reason.NOT_IN_AUCTION),
    ("market FOK", (), sell(1, 0, 5, order_type=OrderType.MARKET, time_in_force=FOK), Reason.NOT_IN_AUCTION),
    ("IOC", (), buy(1, 50, 5, time_in_force=IOC), Reason.NOT_IN_AUCTION),
    ("FOK", (), buy(1, 50, 5, time_in_force=FOK), Reason.NOT_IN_AUCTION),
    ("post-only", (), buy(1, 50, 5, post_only=1), Reason.NOT_IN_AUCTION),
    ("post-only and dated", (), sell(1, 50, 5, post_only=1, time_in_force=DAY), Reason.NOT_IN_AUCTION),
    ("FOK that would fill", (sell(1, 50, 5),), buy(2, 50, 5, time_in_force=FOK), Reason.NOT_IN_AUCTION),
    ("post-only that would trade", (sell(1, 50, 5),), buy(2, 50, 5, post_only=1), Reason.NOT_IN_AUCTION),
    ("a full book", FULL, buy(17, 50, 5), Reason.BOOK_FULL),
    ("a full book says so last", FULL, buy(17, 50, 5, post_only=1), Reason.NOT_IN_AUCTION),
    ("form first: market", (), buy(1, 0, 5, order_type=OrderType.MARKET), Reason.MARKET_MUST_BE_IMMEDIATE),
    ("form first: price", (), buy(1, HIGH + 1, 5, time_in_force=IOC), Reason.PRICE_OUTSIDE_BOOK),
    ("form first: post-only", (), buy(1, 50, 5, post_only=1, time_in_force=IOC), Reason.POST_ONLY_MUST_REST),
    ("form first: FOK", (), buy(1, 50, 5, time_in_force=FOK, self_trade=DECREMENT), Reason.FOK_WITH_DECREMENT),
    ("form first: id", (buy(1, 50, 5),), buy(1, 50, 5, time_in_force=IOC), Reason.ORDER_ID_NOT_RISING),
)


@pytest.mark.parametrize(("given", "refused", "reason"), [row[1:] for row in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_refused_while_it_collects(book_type: BookType, given: tuple[Step, ...], refused: Step, reason: Reason) -> None:
    book, _ = collect(book_type, given)
    before = (book.depth(), len(book), book.last_order_id)
    trades, outcomes, removals = book.submit(**refused)
    assert outcomes.tolist() == [(0, 0, reason, Status.REJECTED)]
    assert (len(trades), len(removals)) == (0, 0)
    assert (book.depth(), len(book), book.last_order_id) == before
    book.check()


def test_every_refusal_of_the_auction_has_a_row() -> None:
    assert Reason.NOT_IN_AUCTION in {row[-1] for row in REFUSALS}


CHANGES: tuple[tuple[str, Step, tuple[int, ...]], ...] = (
    # outcome: leaves, code, status; the book has a bid of 5 at 49 (post-only) and an ask of 5 at 50
    ("cancel", cancel(1), (0, Reason.NONE, Status.CANCELLED)),
    ("reduce", reduce(1, 2), (3, Reason.NONE, Status.REDUCED)),
    ("reduce all", reduce(1, 9), (0, Reason.NONE, Status.CANCELLED)),
    ("replace across, although post-only", replace(1, 60), (5, Reason.NONE, Status.REPLACED)),
    ("replace by more", replace(2, 40, 9), (9, Reason.NONE, Status.REPLACED)),
    ("replace in place", replace(2, 50, 2), (2, Reason.NONE, Status.REPLACED)),
    ("replace outside", replace(2, HIGH + 1), (5, Reason.PRICE_OUTSIDE_BOOK, Status.REJECTED)),
    ("foreign", cancel(2, 7), (0, Reason.FOREIGN_ORDER, Status.REJECTED)),
    ("unknown", replace(3, 50), (0, Reason.UNKNOWN_ORDER, Status.REJECTED)),
)


@pytest.mark.parametrize(("step", "outcome"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_changes_while_it_collects(book_type: BookType, step: Step, outcome: tuple[int, ...]) -> None:
    book, _ = zoned_book(book_type, HEADROOM, (buy(1, 49, 5, post_only=1), sell(2, 50, 5)))
    book.open_auction()
    report = book.submit(**step)
    assert report.outcomes.tolist() == [(0, *outcome)]
    assert len(report.trades) == 0
    book.check()


def test_sweeps_while_it_collects(book_type: BookType) -> None:
    dated = {"time_in_force": GTD, "expires_at_ns": 9}
    book, _ = collect(book_type, (buy(1, 60, 5, time_in_force=DAY), sell(2, 50, 5, **dated), buy(3, 60, 5, 7)))
    swept = [book.expire(9), book.end_day(), book.cancel_all(7)]
    assert [report.removals["order_id"].tolist() for report in swept] == [[2], [1], [3]]
    assert (len(book), book.auction) == (0, True)


def test_an_auction_is_opened_once_and_ended_once(book_type: BookType) -> None:
    book = book_type()
    assert not book.auction
    with pytest.raises(RuntimeError, match="no auction is open"):
        book.uncross()
    book.open_auction()
    with pytest.raises(RuntimeError, match="open already"):
        book.open_auction()
    assert book.auction
    assert book.uncross()[:4] == (None, 0, 0, 0)
    assert not book.auction
    with pytest.raises(RuntimeError, match="no auction is open"):
        book.uncross()


def test_new_headroom_matches_nothing_while_it_collects(book_type: BookType) -> None:
    book, headroom = collect(book_type, (sell(1, 50, 5), buy(2, 50, 5, zone=1)))
    assert [len(part) for part in book.set_headroom(np.full((3, 3), 4, dtype=np.int64))] == [0, 0, 0]
    assert headroom.tolist() == [[4] * 3] * 3
    assert book.uncross()[:4] == (50, 4, 0, 1)


# before and after


def test_orders_from_before_take_part_by_their_age(book_type: BookType) -> None:
    book, _ = zoned_book(book_type, HEADROOM, (buy(1, 50, 5, post_only=1), sell(2, 55, 5)))
    book.open_auction()
    accept(book, (buy(3, 50, 5), sell(4, 50, 7)))
    ended = book.uncross()
    assert ended.report.trades[["maker_order_id", "taker_order_id", "quantity"]].tolist() == [(1, 4, 5), (3, 4, 2)]
    assert book.depth() == ([(50, 3, 1)], [(55, 5, 1)])


def test_continuous_trading_follows(book_type: BookType) -> None:
    book, _ = collect(book_type, (buy(1, 60, 5), sell(2, 50, 3)))
    assert book.uncross()[:4] == (60, 3, 2, 0)
    taken = book.submit(**sell(3, 55, 5, time_in_force=IOC))
    assert taken.trades[["maker_order_id", "price", "quantity", "command"]].tolist() == [(1, 60, 2, 0)]
    assert taken.outcomes.tolist() == [(2, 0, Reason.IMMEDIATE_REMAINDER, Status.PARTLY_FILLED_CANCELLED)]
    accept(book, (sell(4, 55, 5, post_only=1),))
    refused = book.submit(**buy(5, 55, 5, post_only=1)).outcomes
    assert refused["code"][0] == Reason.POST_ONLY_WOULD_TRADE
    assert book.submit(**buy(5, 57, 5)).trades["price"].tolist() == [55]
    book.check()


def test_what_still_crosses_meets_the_next_taker_or_the_headroom(book_type: BookType) -> None:
    orders = (buy(1, 52, 4), sell(2, 50, 4, zone=2), sell(3, 51, 4))
    for by_headroom in (False, True):
        book, headroom = collect(book_type, orders)
        assert book.uncross()[:4] == (50, 0, 0, 4)
        assert book.best == (52, 50)
        report = book.set_headroom(headroom) if by_headroom else book.submit(**replace(3, 51, 5))
        assert report.trades[["maker_order_id", "taker_order_id", "price", "quantity"]].tolist() == [(1, 3, 52, 4)]
        book.check()


def test_another_auction(book_type: BookType) -> None:
    book, _ = collect(book_type, (buy(1, 60, 5), sell(2, 50, 3)))
    assert book.uncross()[:4] == (60, 3, 2, 0)
    book.open_auction()
    accept(book, (sell(3, 58, 4),))
    assert book.uncross(10)[:4] == (58, 2, -2, 0)
    assert book.depth() == ([], [(58, 2, 1)])
