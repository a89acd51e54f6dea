"""Headroom that is set anew: what trades then, with whom and at which price."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching import UNLIMITED, OrderBook, Reason, ReferenceBook, SelfTrade
from tests.matching.books import BookType, Lots, Step, accept, buy, reduce, replace, sell, zoned_book
from tests.matching.test_uncross import FEW, LOTS, ORDERS, given_orders, leaves

BOOKS = (OrderBook, ReferenceBook)
"""The books under test."""

ALLOW, TAKER, MAKER, BOTH, DECREMENT = SelfTrade
OWN = Reason.SELF_TRADE
FREE = UNLIMITED
APART: Lots = ((FREE, 0), (0, FREE))
OPEN: Lots = ((FREE, FREE), (FREE, FREE))


@pytest.fixture(params=BOOKS, ids=[kind.__name__ for kind in BOOKS])
def book_type(request: pytest.FixtureRequest) -> BookType:
    kind: BookType = request.param
    return kind


class Met(NamedTuple):
    """All that new headroom does."""

    trades: tuple[tuple[int, int, int, int], ...] = ()  # maker, taker, price, quantity
    left: Lots = OPEN
    removals: tuple[tuple[int, int, int], ...] = ()  # order, quantity, leaves


Row = tuple[str, Lots, tuple[Step, ...], Lots, Met]
"""A case: its name, the headroom before, the orders, the new headroom, the effect."""


def to_one(lots: int) -> Lots:
    """Let zone 0 sell so many lots to zone 1."""
    return ((FREE, lots), (0, FREE))


PRIORITY: tuple[Row, ...] = (
    (
        "the price of the older ask",
        APART,
        (sell(1, 50, 5), buy(2, 52, 5, zone=1)),
        OPEN,
        Met(((1, 2, 50, 5),)),
    ),
    (
        "the price of the older bid",
        APART,
        (buy(1, 52, 5, zone=1), sell(2, 50, 5)),
        OPEN,
        Met(((1, 2, 52, 5),)),
    ),
    ("orders that do not cross", APART, (sell(1, 50, 5), buy(2, 49, 5, zone=1)), OPEN, Met()),
    ("nobody", APART, (), OPEN, Met()),
    (
        "bids by price, then age; asks by price, then age",
        APART,
        (
            buy(1, 51, 2, zone=1),
            buy(2, 52, 2, zone=1),
            buy(3, 52, 2, zone=1),
            sell(4, 50, 3),
            sell(5, 49, 2),
            sell(6, 49, 1),
        ),
        OPEN,
        Met(((2, 5, 52, 2), (3, 6, 52, 1), (3, 4, 52, 1), (1, 4, 51, 2))),
    ),
    (
        "a bid that cannot trade holds up no other",
        ((FREE, 0, 0), (0, FREE, 0), (0, 0, FREE)),
        (buy(1, 60, 5, zone=2), buy(2, 52, 5, zone=1), sell(3, 50, 5)),
        ((FREE, 6, 0), (0, FREE, 0), (0, 0, FREE)),
        Met(((2, 3, 52, 5),), ((FREE, 1, 0), (0, FREE, 0), (0, 0, FREE))),
    ),
    (
        "an order that lost its place is the younger",
        APART,
        (sell(1, 50, 5), buy(2, 52, 5, zone=1), replace(1, 50, 6)),
        OPEN,
        Met(((2, 1, 52, 5),)),
    ),
    (
        "an order that kept its place is not",
        APART,
        (sell(1, 50, 5), buy(2, 52, 5, zone=1), replace(1, 50, 4), reduce(1, 1)),
        OPEN,
        Met(((1, 2, 50, 3),)),
    ),
    (
        "what is left of a taker is as old as its rest",
        ((FREE, 0), (0, FREE)),
        (sell(1, 50, 2), buy(2, 51, 5), sell(3, 51, 3, zone=1), buy(4, 49, 1)),
        ((FREE, 0), (FREE, FREE)),
        Met(((2, 3, 51, 3),), ((FREE, 0), (FREE, FREE))),
    ),
    (
        "a post-only order may be the taker",
        APART,
        (buy(1, 52, 5, zone=1), sell(2, 50, 5, post_only=1)),
        OPEN,
        Met(((1, 2, 52, 5),)),
    ),
)
HEADROOM: tuple[Row, ...] = (
    ("as far as it goes", APART, (sell(1, 50, 5), buy(2, 52, 5, zone=1)), to_one(4), Met(((1, 2, 50, 4),), to_one(0))),
    ("less is left", APART, (sell(1, 50, 5), buy(2, 52, 5, zone=1)), to_one(7), Met(((1, 2, 50, 5),), to_one(2))),
    (
        "the best bid uses it",
        APART,
        (buy(1, 51, 5, zone=1), buy(2, 52, 3, zone=1), sell(3, 50, 9)),
        to_one(5),
        Met(((2, 3, 52, 3), (1, 3, 51, 2)), to_one(0)),
    ),
    (
        "several pairs of zones",
        ((FREE, 0, 0), (0, FREE, 0), (0, 0, FREE)),
        (buy(1, 52, 4, zone=1), buy(2, 51, 4, zone=2), sell(3, 50, 4)),
        ((FREE, 2, 3), (0, FREE, 0), (0, 0, FREE)),
        Met(((1, 3, 52, 2), (2, 3, 51, 2)), ((FREE, 0, 1), (0, FREE, 0), (0, 0, FREE))),
    ),
    (
        "a bid passes over the asks of a zone that is closed",
        ((FREE, 0, 0), (0, FREE, 0), (0, 0, FREE)),
        (sell(1, 50, 4, zone=1), sell(2, 51, 4, zone=2), buy(3, 52, 5)),
        ((FREE, 0, 0), (0, FREE, 0), (3, 0, FREE)),
        Met(((2, 3, 51, 3),), ((FREE, 0, 0), (0, FREE, 0), (0, 0, FREE))),
    ),
    (
        "both ways at once",
        ((0, 0), (0, 0)),
        (sell(1, 50, 4), buy(2, 52, 4, zone=1), sell(3, 51, 4, zone=1), buy(4, 53, 4)),
        ((0, 3), (2, 0)),
        Met(((3, 4, 51, 2), (1, 2, 50, 3)), ((0, 0), (0, 0))),
    ),
    ("fewer lots than before", OPEN, (sell(1, 50, 5),), to_one(1), Met((), to_one(1))),
    (
        "a zone itself is opened",
        ((0, 0), (0, 0)),
        (sell(1, 50, 5), buy(2, 52, 5)),
        ((4, 0), (0, 0)),
        Met(((1, 2, 50, 4),), ((0, 0), (0, 0))),
    ),
)


def younger_bid(mode: SelfTrade) -> tuple[Step, ...]:
    """A bid that meets its owner's ask, and then another one."""
    asks = (sell(1, 50, 3, 7, self_trade=BOTH), sell(2, 51, 5))
    return (*asks, buy(3, 52, 6, 7, zone=1, self_trade=mode))


def younger_ask(mode: SelfTrade) -> tuple[Step, ...]:
    """An ask that meets its owner's bid, and then another one."""
    bids = (buy(1, 52, 5, 7, zone=1, self_trade=BOTH), buy(2, 51, 5, zone=1))
    return (*bids, sell(3, 50, 3, 7, self_trade=mode))


OWN_ORDERS: tuple[Row, ...] = (
    ("younger bid, allow", APART, younger_bid(ALLOW), OPEN, Met(((1, 3, 50, 3), (2, 3, 51, 3)))),
    ("younger bid, cancel taker", APART, younger_bid(TAKER), OPEN, Met((), OPEN, ((3, 6, 0),))),
    ("younger bid, cancel maker", APART, younger_bid(MAKER), OPEN, Met(((2, 3, 51, 5),), OPEN, ((1, 3, 0),))),
    ("younger bid, cancel both", APART, younger_bid(BOTH), OPEN, Met((), OPEN, ((1, 3, 0), (3, 6, 0)))),
    (
        "younger bid, decrement",
        APART,
        younger_bid(DECREMENT),
        OPEN,
        Met(((2, 3, 51, 3),), OPEN, ((1, 3, 0), (3, 3, 3))),
    ),
    ("younger ask, allow", APART, younger_ask(ALLOW), OPEN, Met(((1, 3, 52, 3),))),
    ("younger ask, cancel taker", APART, younger_ask(TAKER), OPEN, Met((), OPEN, ((3, 3, 0),))),
    ("younger ask, cancel maker", APART, younger_ask(MAKER), OPEN, Met(((2, 3, 51, 3),), OPEN, ((1, 5, 0),))),
    ("younger ask, cancel both", APART, younger_ask(BOTH), OPEN, Met((), OPEN, ((1, 5, 0), (3, 3, 0)))),
    ("younger ask, decrement", APART, younger_ask(DECREMENT), OPEN, Met((), OPEN, ((1, 3, 2), (3, 3, 0)))),
    (
        "nobody is no owner",
        APART,
        (sell(1, 50, 3, self_trade=BOTH), buy(2, 50, 3, zone=1, self_trade=BOTH)),
        OPEN,
        Met(((1, 2, 50, 3),)),
    ),
    (
        "a lost place takes the mode of the replace",
        APART,
        (sell(1, 50, 3, 7), buy(2, 49, 3, 7, zone=1, self_trade=BOTH), replace(2, 50, owner=7)),
        OPEN,
        Met(((1, 2, 50, 3),)),
    ),
    (
        "a lost place brings a mode, too",
        APART,
        (sell(1, 50, 3, 7), buy(2, 50, 3, 7, zone=1), replace(2, 0, 4, 7, self_trade=TAKER)),
        OPEN,
        Met((), OPEN, ((2, 4, 0),)),
    ),
    (
        "a kept place keeps its mode",
        APART,
        (sell(1, 50, 3, 7), buy(2, 50, 4, 7, zone=1, self_trade=TAKER), replace(2, 50, 2, 7, self_trade=MAKER)),
        OPEN,
        Met((), OPEN, ((2, 2, 0),)),
    ),
    (
        "prevention uses no headroom",
        APART,
        (sell(1, 50, 3, 7), sell(2, 50, 3), buy(3, 50, 6, 7, zone=1, self_trade=MAKER)),
        to_one(3),
        Met(((2, 3, 50, 3),), to_one(0), ((1, 3, 0),)),
    ),
    (
        "what the headroom does not reach is not prevented",
        APART,
        (sell(1, 50, 3), sell(2, 50, 3, 7), buy(3, 50, 6, 7, zone=1, self_trade=BOTH)),
        to_one(3),
        Met(((1, 3, 50, 3),), to_one(0)),
    ),
)
ROWS = PRIORITY + HEADROOM + OWN_ORDERS


@pytest.mark.parametrize(("before", "orders", "after", "met"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_new_headroom(book_type: BookType, before: Lots, orders: tuple[Step, ...], after: Lots, met: Met) -> None:
    book, headroom = zoned_book(book_type, before, orders)
    assert len(book.set_headroom(headroom).trades) == 0, "nothing has changed yet"
    trades, outcomes, removals = book.set_headroom(np.array(after, dtype=np.int64))
    assert trades[["maker_order_id", "taker_order_id", "price", "quantity"]].tolist() == list(met.trades)
    assert removals[["order_id", "quantity", "leaves"]].tolist() == list(met.removals)
    assert set(removals["code"].tolist()) <= {OWN}
    assert {*trades["command"].tolist(), *removals["command"].tolist()} <= {-1}
    assert len(outcomes) == 0
    assert headroom.tolist() == [list(row) for row in met.left]
    book.check()


def test_owners_of_a_trade_are_those_of_maker_and_taker(book_type: BookType) -> None:
    book, _ = zoned_book(book_type, APART, (buy(1, 50, 5, 7), sell(2, 50, 5, 8, zone=1)))
    assert book.set_headroom(np.array(OPEN)).trades.tolist() == [(1, 2, 7, 8, 50, 5, -1)]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 1), np.int64),
        np.zeros(2, np.int64),
        np.zeros((2, 3), np.int64),
        np.zeros((2, 2, 1), np.int64),
        np.array([[1, 1], [1, -1]]),
        np.array([[1, UNLIMITED + 1], [1, 1]]),
    ],
    ids=["too small", "flat", "oblong", "deep", "negative", "beyond unlimited"],
)
def test_headroom_that_is_none(book_type: BookType, wrong: np.ndarray) -> None:
    book, headroom = zoned_book(book_type, to_one(3), (sell(1, 50, 5), buy(2, 52, 2, zone=1)))
    with pytest.raises(ValueError, match="headroom"):
        book.set_headroom(wrong)
    assert headroom.tolist() == [[FREE, 1], [0, FREE]]
    assert book.submit(**buy(3, 50, 1, zone=1)).outcomes["filled"].tolist() == [1]
    book.check()


def test_the_figures_are_copied_into_the_array_that_is_shared(book_type: BookType) -> None:
    book, headroom = zoned_book(book_type, APART, (sell(1, 50, 5),))
    given = np.array(to_one(3))
    book.set_headroom(given)
    given[0, 1] = 0
    assert book.submit(**buy(2, 50, 4, zone=1)).outcomes["filled"].tolist() == [3]
    assert headroom.tolist() == [[FREE, 0], [0, FREE]]


def test_a_figure_that_the_caller_changed_matches_once_it_is_set(book_type: BookType) -> None:
    book, headroom = zoned_book(book_type, APART, (sell(1, 50, 5), buy(2, 50, 5, zone=1)))
    headroom[0, 1] = 4
    assert book.depth() == ([(50, 5, 1)], [(50, 5, 1)])
    assert book.set_headroom(headroom).trades["quantity"].tolist() == [4]
    assert headroom[0, 1] == 0


@settings(max_examples=300)
@given(ORDERS, LOTS, st.booleans())
def test_after_new_headroom_nobody_is_left_who_could_trade(
    orders: list[tuple[int, ...]], lots: list[int], netting: bool
) -> None:
    for kind in BOOKS:
        headroom = np.zeros((2, 2), dtype=np.int64)
        book = kind(*FEW, 32, zones=2, headroom=headroom, netting=netting)
        accept(book, given_orders(orders))
        before = leaves(book)
        trades, _, removals = book.set_headroom(np.array(lots, dtype=np.int64).reshape(2, 2))
        assert before == leaves(book) + 2 * trades["quantity"].sum() + removals["quantity"].sum()
        assert (trades["maker_order_id"] < trades["taker_order_id"]).all()
        assert trades["price"].tolist() == [orders[maker - 1][1] for maker in trades["maker_order_id"].tolist()]
        for seller, buyer in np.argwhere(headroom > 0).tolist():
            asks, bids = book.depth(zone=seller).asks, book.depth(zone=buyer).bids
            assert not (asks and bids and asks[0][0] <= bids[0][0])
        book.check()
