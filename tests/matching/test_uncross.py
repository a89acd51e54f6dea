"""How a call auction ends: who trades with whom, what is lost, and what holds whatever was collected."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching import COMMAND, UNLIMITED, Action, OrderBook, Reason, ReferenceBook, SelfTrade, Side
from tests.matching.books import HEADROOM, Book, BookType, Lots, Step, accept, buy, collect, replace, sell

BOOKS = (OrderBook, ReferenceBook)
"""The books under test."""

ALLOW, TAKER, MAKER, BOTH, DECREMENT = SelfTrade
NOTHING = (None, 0, 0)
TWO_WAYS: Lots = ((UNLIMITED, 3), (5, UNLIMITED))


@pytest.fixture(params=BOOKS, ids=[kind.__name__ for kind in BOOKS])
def book_type(request: pytest.FixtureRequest) -> BookType:
    kind: BookType = request.param
    return kind


class Ends(NamedTuple):
    """All that an uncross does."""

    price: int | None
    volume: int = 0
    imbalance: int = 0
    lost: int = 0
    trades: tuple[tuple[int, int, int], ...] = ()  # maker, taker, quantity
    removals: tuple[tuple[int, int, int], ...] = ()  # order, quantity, leaves
    bids: tuple[tuple[int, int, int], ...] = ()
    asks: tuple[tuple[int, int, int], ...] = ()
    headroom: Lots = HEADROOM


USED_UP: Lots = ((UNLIMITED, 0, 0), (0, UNLIMITED, 0), (0, 0, UNLIMITED))
ORDERLY: tuple[tuple[str, tuple[Step, ...], Ends], ...] = (
    ("nothing collected", (), Ends(None)),
    ("nothing crosses", (buy(1, 50, 5), sell(2, 51, 5)), Ends(None, bids=((50, 5, 1),), asks=((51, 5, 1),))),
    (
        "bids by price, asks by age, all at one price",
        (buy(1, 60, 5), buy(2, 61, 3), sell(3, 50, 4), sell(4, 50, 4)),
        Ends(55, 8, trades=((2, 3, 3), (1, 3, 1), (1, 4, 4))),
    ),
    (
        "asks by price, bids by age",
        (sell(1, 51, 4), sell(2, 50, 4), buy(3, 60, 3), buy(4, 60, 5)),
        Ends(55, 8, trades=((2, 3, 3), (2, 4, 1), (1, 4, 4))),
    ),
    (
        "the rest rests",
        (buy(1, 60, 5), buy(2, 48, 1), sell(3, 50, 4), sell(4, 61, 2)),
        Ends(60, 4, 1, trades=((1, 3, 4),), bids=((60, 1, 1), (48, 1, 1)), asks=((61, 2, 1),)),
    ),
    (
        "the last comer has the least",
        (buy(1, 50, 3), buy(2, 50, 3), sell(3, 50, 4)),
        Ends(50, 4, 2, trades=((1, 3, 3), (2, 3, 1)), bids=((50, 2, 1),)),
    ),
    ("an older ask is the maker", (sell(1, 50, 5), buy(2, 50, 5)), Ends(50, 5, trades=((1, 2, 5),))),
    (
        "an order that lost its place is the younger",
        (buy(1, 60, 5), sell(2, 50, 5), replace(1, 60, 6)),
        Ends(60, 5, 1, trades=((2, 1, 5),), bids=((60, 1, 1),)),
    ),
    (
        "an order that kept its place is not",
        (buy(1, 60, 6), sell(2, 50, 5), replace(1, 60, 5)),
        Ends(55, 5, trades=((1, 2, 5),)),
    ),
)
BETWEEN_ZONES: tuple[tuple[str, tuple[Step, ...], Ends], ...] = (
    (
        "as far as the headroom goes",
        (sell(1, 50, 8, zone=1), buy(2, 50, 8)),
        Ends(50, 5, 0, 3, ((1, 2, 5),), bids=((50, 3, 1),), asks=((50, 3, 1),), headroom=USED_UP),
    ),
    (
        "the other way is not permitted",
        (sell(1, 50, 8), buy(2, 50, 8, zone=1)),
        Ends(50, 0, 0, 8, bids=((50, 8, 1),), asks=((50, 8, 1),)),
    ),
    (
        "an ask is passed over",
        (buy(1, 52, 4), sell(2, 50, 4, zone=2), sell(3, 50, 4)),
        Ends(50, 4, -4, trades=((1, 3, 4),), asks=((50, 4, 1),)),
    ),
    (
        "a bid is passed over",
        (buy(1, 51, 4, zone=2), buy(2, 51, 4), sell(3, 50, 4)),
        Ends(51, 4, 4, trades=((2, 3, 4),), bids=((51, 4, 1),)),
    ),
    (
        "a bid goes on in another zone",
        (buy(1, 50, 9), sell(2, 50, 9, zone=1), sell(3, 50, 9)),
        Ends(50, 9, -9, trades=((1, 2, 5), (1, 3, 4)), asks=((50, 9, 2),), headroom=USED_UP),
    ),
    (
        "the better bid uses the headroom",
        (buy(1, 50, 4), buy(2, 51, 3), sell(3, 50, 7, zone=1)),
        Ends(50, 5, 0, 2, ((2, 3, 3), (1, 3, 2)), bids=((50, 2, 1),), asks=((50, 2, 1),), headroom=USED_UP),
    ),
    (
        "no order trades at another price",
        (buy(1, 52, 4), sell(2, 50, 4, zone=2), sell(3, 51, 4)),
        Ends(50, 0, 0, 4, bids=((52, 4, 1),), asks=((50, 4, 1), (51, 4, 1))),
    ),
)


def younger_ask(mode: SelfTrade) -> tuple[Step, ...]:
    """An ask that meets its owner's bid, and then another one."""
    return (buy(1, 50, 5, 7, self_trade=BOTH), buy(2, 50, 5), sell(3, 50, 5, 7, self_trade=mode))


def younger_bid(mode: SelfTrade) -> tuple[Step, ...]:
    """A bid that meets its owner's ask, and then another one."""
    return (sell(1, 50, 3, 7, self_trade=BOTH), sell(2, 50, 5), buy(3, 50, 6, 7, self_trade=mode))


OWN_ORDERS: tuple[tuple[str, tuple[Step, ...], Ends], ...] = (
    ("younger ask, allow", younger_ask(ALLOW), Ends(50, 5, 5, 0, ((1, 3, 5),), bids=((50, 5, 1),))),
    ("younger ask, cancel taker", younger_ask(TAKER), Ends(50, 0, 5, 5, (), ((3, 5, 0),), ((50, 10, 2),))),
    ("younger ask, cancel maker", younger_ask(MAKER), Ends(50, 5, 5, 0, ((2, 3, 5),), ((1, 5, 0),))),
    ("younger ask, cancel both", younger_ask(BOTH), Ends(50, 0, 5, 5, (), ((1, 5, 0), (3, 5, 0)), ((50, 5, 1),))),
    ("younger ask, decrement", younger_ask(DECREMENT), Ends(50, 0, 5, 5, (), ((1, 5, 0), (3, 5, 0)), ((50, 5, 1),))),
    ("younger bid, allow", younger_bid(ALLOW), Ends(50, 6, -2, 0, ((1, 3, 3), (2, 3, 3)), asks=((50, 2, 1),))),
    ("younger bid, cancel taker", younger_bid(TAKER), Ends(50, 0, -2, 6, (), ((3, 6, 0),), asks=((50, 8, 2),))),
    ("younger bid, cancel maker", younger_bid(MAKER), Ends(50, 5, -2, 1, ((2, 3, 5),), ((1, 3, 0),), ((50, 1, 1),))),
    (
        "younger bid, cancel both",
        younger_bid(BOTH),
        Ends(50, 0, -2, 6, (), ((1, 3, 0), (3, 6, 0)), asks=((50, 5, 1),)),
    ),
    (
        "younger bid, decrement",
        younger_bid(DECREMENT),
        Ends(50, 3, -2, 3, ((2, 3, 3),), ((1, 3, 0), (3, 3, 3)), asks=((50, 2, 1),)),
    ),
    (
        "a cancelled bid gives way to the next",
        (sell(1, 50, 4, 7), buy(2, 50, 4, 7, self_trade=TAKER), buy(3, 50, 4)),
        Ends(50, 4, 4, 0, ((1, 3, 4),), ((2, 4, 0),)),
    ),
    (
        "nobody is no owner",
        (buy(1, 50, 3, self_trade=TAKER), sell(2, 50, 3, self_trade=TAKER)),
        Ends(50, 3, trades=((1, 2, 3),)),
    ),
    (
        "zones come first",
        (sell(1, 50, 3, 7, zone=2), buy(2, 50, 3, 7, self_trade=BOTH)),
        Ends(50, 0, 0, 3, bids=((50, 3, 1),), asks=((50, 3, 1),)),
    ),
    (
        "a lost place takes the mode of the replace",
        (buy(1, 49, 3, 7, self_trade=BOTH), sell(2, 50, 3, 7, self_trade=BOTH), replace(1, 50, owner=7)),
        Ends(50, 3, trades=((2, 1, 3),)),
    ),
    (
        "a kept place keeps its mode",
        (sell(1, 50, 3, 7), buy(2, 50, 4, 7, self_trade=TAKER), replace(2, 50, 3, 7)),
        Ends(50, 0, 0, 3, (), ((2, 3, 0),), asks=((50, 3, 1),)),
    ),
)
ENDS = ORDERLY + BETWEEN_ZONES + OWN_ORDERS


@pytest.mark.parametrize(("orders", "ends"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_uncross(book_type: BookType, orders: tuple[Step, ...], ends: Ends) -> None:
    book, headroom = collect(book_type, orders)
    assert book.indicative() == (ends.price, ends.volume + ends.lost, ends.imbalance)
    price, volume, imbalance, lost, (trades, outcomes, removals) = book.uncross()
    assert (price, volume, imbalance, lost) == ends[:4]
    assert trades[["maker_order_id", "taker_order_id", "quantity"]].tolist() == list(ends.trades)
    assert removals[["order_id", "quantity", "leaves"]].tolist() == list(ends.removals)
    assert set(trades["price"].tolist()) <= {price}
    assert set(removals["code"].tolist()) <= {Reason.SELF_TRADE}
    assert {*trades["command"].tolist(), *removals["command"].tolist()} <= {-1}
    assert len(outcomes) == 0
    assert book.depth() == (list(ends.bids), list(ends.asks))
    assert headroom.tolist() == [list(row) for row in ends.headroom]
    assert not book.auction
    book.check()


def test_owners_of_a_trade_are_those_of_maker_and_taker(book_type: BookType) -> None:
    book, _ = collect(book_type, (sell(1, 50, 5, 7), buy(2, 50, 5, 8)))
    assert book.uncross().report.trades.tolist() == [(1, 2, 7, 8, 50, 5, -1)]
    book.open_auction()
    accept(book, (buy(3, 50, 5, 8), sell(4, 50, 5, 7)))
    assert book.uncross().report.trades.tolist() == [(3, 4, 8, 7, 50, 5, -1)]


@pytest.mark.parametrize("netting", [False, True])
def test_netting_follows_the_uncross(book_type: BookType, netting: bool) -> None:
    orders = (sell(1, 50, 8, zone=1), buy(2, 50, 8), sell(3, 50, 5), buy(4, 50, 5, zone=1))
    book, headroom = collect(book_type, orders, TWO_WAYS, netting=netting)
    ended = book.uncross()
    trades = ended.report.trades[["maker_order_id", "taker_order_id", "quantity"]].tolist()
    assert trades == [(1, 2, 5), (2, 3, 3), (1, 4, 3), (3, 4, 2)]
    assert ended[:4] == (50, 13, 0, 0)
    used = [[UNLIMITED, 3 - 2], [5 - 5, UNLIMITED]]
    assert headroom.tolist() == ([[UNLIMITED, 1 + 5], [0 + 2, UNLIMITED]] if netting else used)


def test_netting_comes_too_late_for_the_uncross_itself(book_type: BookType) -> None:
    orders = (sell(1, 50, 5), buy(2, 52, 5, zone=1), sell(3, 50, 5, zone=1), buy(4, 51, 5))
    book, headroom = collect(book_type, orders, ((0, 3), (2, 0)), netting=True)
    ended = book.uncross()
    assert ended[:4] == (50, 5, 0, 5)
    assert headroom.tolist() == [[0, 2], [3, 0]]
    assert book.depth() == ([(52, 2, 1), (51, 3, 1)], [(50, 5, 2)])
    rest = book.set_headroom(headroom).trades[["maker_order_id", "taker_order_id", "price", "quantity"]].tolist()
    assert rest == [(1, 2, 50, 2), (3, 4, 50, 3)]


FEW = (20, 27)
TICKS = st.integers(*FEW)
ORDERS = st.lists(
    st.tuples(
        st.sampled_from(Side),
        TICKS,
        st.integers(1, 9),
        st.integers(0, 2),  # owner
        st.integers(0, 1),  # zone
        st.sampled_from(SelfTrade),
    ),
    max_size=24,
)
REFERENCES = st.none() | st.integers(FEW[0] - 2, FEW[1] + 2)
LOTS = st.lists(st.sampled_from([UNLIMITED, 0, 3, 20]), min_size=4, max_size=4)


def given_orders(orders: list[tuple[int, ...]]) -> tuple[Step, ...]:
    """Make steps of drawn orders."""
    return tuple(
        {**buy(order_id, price, quantity, owner, zone=zone, self_trade=mode), "side": side}
        for order_id, (side, price, quantity, owner, zone, mode) in enumerate(orders, 1)
    )


def collected(orders: list[tuple[int, ...]], lots: list[int]) -> Iterator[tuple[Book, npt.NDArray[np.int64]]]:
    """Give each book under test, with an auction that has collected these orders."""
    for kind in BOOKS:
        headroom = np.array(lots, dtype=np.int64).reshape(2, 2)
        book = kind(*FEW, 32, zones=2, headroom=headroom)
        book.open_auction()
        accept(book, given_orders(orders))
        yield book, headroom


def by_every_tick(orders: list[tuple[int, ...]], reference: int | None) -> tuple[int | None, int, int]:
    """Find the price by looking at every tick of the book, one rule after the other."""
    ticks = np.arange(FEW[0], FEW[1] + 1)
    bought, sold = np.zeros(len(ticks), dtype=int), np.zeros(len(ticks), dtype=int)
    for side, price, quantity, *_ in orders:
        if side == Side.BUY:
            bought += quantity * (ticks <= price)
        else:
            sold += quantity * (ticks >= price)
    volume, imbalance = np.minimum(bought, sold), bought - sold
    if volume.max() == 0:
        return NOTHING
    left = np.flatnonzero(volume == volume.max())
    left = left[np.abs(imbalance[left]) == np.abs(imbalance[left]).min()]
    assert (np.diff(left) == 1).all(), "the prices left over are neighbours"
    low, high = int(left[0]), int(left[-1])
    if imbalance[left].min() > 0:
        at = high
    elif imbalance[left].max() < 0:
        at = low
    else:
        at = (2 * FEW[0] + low + high) // 2 - FEW[0] if reference is None else reference - FEW[0]
        at = min(max(at, low), high)
    return (int(ticks[at]), int(volume[at]), int(imbalance[at]))


@settings(max_examples=300)
@given(ORDERS, REFERENCES)
def test_the_price_is_that_of_every_tick_looked_at(orders: list[tuple[int, ...]], reference: int | None) -> None:
    for book, _ in collected(orders, [UNLIMITED] * 4):
        assert book.indicative(reference) == by_every_tick(orders, reference)


def leaves(book: Book) -> int:
    """Sum up what all orders have left."""
    return sum(quantity for side in book.depth(levels=99) for _, quantity, _ in side)


@settings(max_examples=300)
@given(ORDERS, REFERENCES, LOTS)
def test_an_uncross_conserves_quantity(orders: list[tuple[int, ...]], reference: int | None, lots: list[int]) -> None:
    for book, headroom in collected(orders, lots):
        before, free, expected = leaves(book), headroom.copy(), book.indicative(reference)
        price, volume, imbalance, lost, (trades, _, removals) = book.uncross(reference)
        assert before == leaves(book) + 2 * volume + removals["quantity"].sum()
        assert (price, volume + lost, imbalance) == expected
        assert volume == trades["quantity"].sum()
        assert lost >= 0
        assert (headroom >= 0).all()
        limited = free != UNLIMITED
        assert (headroom[~limited] == UNLIMITED).all()
        assert (free[limited] - headroom[limited]).sum() <= volume
        book.check()


@settings(max_examples=300)
@given(ORDERS, REFERENCES, LOTS)
def test_after_an_uncross_nobody_is_left_who_could_have_traded(
    orders: list[tuple[int, ...]], reference: int | None, lots: list[int]
) -> None:
    for book, headroom in collected(orders, lots):
        price = book.uncross(reference).price
        for seller, buyer in np.argwhere(headroom > 0).tolist():
            asks, bids = book.depth(zone=seller).asks, book.depth(zone=buyer).bids
            assert price is None or not (asks and bids and asks[0][0] <= price <= bids[0][0])


@pytest.mark.parametrize("spread", [40, 80, 160], ids=["most trade", "half trade", "few trade"])
def test_a_large_uncross_is_that_of_the_reference_and_the_book_goes_on(spread: int) -> None:
    rng, count = np.random.Generator(np.random.PCG64(spread)), 4_000
    batch = np.zeros(2 * count, COMMAND)
    batch["action"], batch["order_id"] = Action.NEW, np.arange(1, 2 * count + 1)
    batch["owner"] = rng.integers(0, 40, 2 * count)
    batch["side"], batch["quantity"] = rng.integers(0, 2, 2 * count), rng.integers(1, 9, 2 * count)
    away = rng.integers(0, spread + 1, 2 * count)
    batch["price"] = 5_000 + np.where(batch["side"] == Side.BUY, 20 - away, away - 20)
    batch["self_trade"] = rng.choice(list(SelfTrade), 2 * count)
    told = []
    for kind in BOOKS:
        book = kind(capacity=count)
        book.open_auction()
        book.process(batch[:count])
        uncrossed = book.uncross()
        book.check()
        later = book.process(batch[count:])  # takes every slot that is free
        book.check()
        report = uncrossed.report
        assert min(map(len, (report.trades, report.removals, later.trades))) > 1
        told.append([uncrossed[:4], *(part.tolist() for part in (*report, *later)), book.depth(99), len(book)])
    assert told[0] == told[1]
