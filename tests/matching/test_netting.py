"""Netting: what flows between two zones may flow back."""

import numpy as np
import pytest

from matching import UNLIMITED, OrderBook, ReferenceBook, SelfTrade
from tests.matching.books import BookType, Lots, Step, accept, buy, replace, sell, zoned_book

BOOKS = (OrderBook, ReferenceBook)
"""The books under test."""

DECREMENT = SelfTrade.DECREMENT
FREE = UNLIMITED


@pytest.fixture(params=BOOKS, ids=[kind.__name__ for kind in BOOKS])
def book_type(request: pytest.FixtureRequest) -> BookType:
    kind: BookType = request.param
    return kind


def flow(seller: int, buyer: int, quantity: int, first_id: int = 1) -> tuple[Step, ...]:
    """Have one zone sell to another."""
    return (sell(first_id, 50, quantity, zone=seller), buy(first_id + 1, 50, quantity, zone=buyer))


BACK: tuple[tuple[str, Lots, tuple[Step, ...], Lots], ...] = (
    # headroom before, what trades, headroom after
    ("a seller's fill opens the way back", ((FREE, 2), (5, FREE)), flow(1, 0, 3), ((FREE, 5), (2, FREE))),
    (
        "a taker that sells does, too",
        ((FREE, 2), (5, FREE)),
        (buy(1, 50, 3), sell(2, 50, 3, zone=1)),
        ((FREE, 5), (2, FREE)),
    ),
    ("the other way", ((FREE, 2), (5, FREE)), flow(0, 1, 2), ((FREE, 0), (7, FREE))),
    ("only what was filled", ((FREE, 2), (5, FREE)), flow(1, 0, 9), ((FREE, 7), (0, FREE))),
    ("not where it is not permitted", ((FREE, 0), (5, FREE)), flow(1, 0, 3), ((FREE, 0), (2, FREE))),
    (
        "what is used up is permitted still",
        ((FREE, 1), (5, FREE)),
        (*flow(0, 1, 1), *flow(1, 0, 3, 3)),
        ((FREE, 3), (3, FREE)),
    ),
    ("no limit stays no limit", ((FREE, FREE), (5, FREE)), flow(1, 0, 3), ((FREE, FREE), (2, FREE))),
    ("from no limit to a limit", ((FREE, 2), (FREE, FREE)), flow(1, 0, 3), ((FREE, 5), (FREE, FREE))),
    ("a limit stays a limit", ((FREE, FREE - 2), (5, FREE)), flow(1, 0, 3), ((FREE, FREE - 1), (2, FREE))),
    ("within a zone nothing flows back", ((9, 2), (5, 9)), (*flow(0, 0, 3), *flow(1, 1, 4, 3)), ((6, 2), (5, 5))),
    (
        "each pair of zones for itself",
        ((FREE, 1, 1), (4, FREE, 1), (4, 1, FREE)),
        (sell(1, 50, 2, zone=1), sell(2, 50, 9, zone=2), buy(3, 50, 5)),
        ((FREE, 1 + 2, 1 + 3), (2, FREE, 1), (1, 1, FREE)),
    ),
    (
        "self-trade prevention moves nothing",
        ((FREE, 2), (5, FREE)),
        (sell(1, 50, 3, 7, zone=1), buy(2, 50, 3, 7, self_trade=DECREMENT)),
        ((FREE, 2), (5, FREE)),
    ),
    (
        "a replace that trades",
        ((FREE, 2), (5, FREE)),
        (sell(1, 50, 3, zone=1), buy(2, 49, 3), replace(2, 50)),
        ((FREE, 5), (2, FREE)),
    ),
)


@pytest.mark.parametrize(("before", "orders", "after"), [row[1:] for row in BACK], ids=[row[0] for row in BACK])
def test_netting(book_type: BookType, before: Lots, orders: tuple[Step, ...], after: Lots) -> None:
    book, headroom = zoned_book(book_type, before, orders, netting=True)
    assert headroom.tolist() == [list(row) for row in after]
    book.check()


def test_without_netting_nothing_flows_back(book_type: BookType) -> None:
    _, headroom = zoned_book(book_type, ((FREE, 2), (5, FREE)), flow(1, 0, 3))
    assert headroom.tolist() == [[FREE, 2], [2, FREE]]


def test_the_next_command_of_a_batch_finds_the_way_back_open(book_type: BookType) -> None:
    book, headroom = zoned_book(book_type, ((FREE, 1), (5, FREE)), netting=True)
    accept(book, (*flow(1, 0, 3), sell(3, 50, 9)))
    assert book.submit(**buy(4, 50, 9, zone=1)).outcomes["filled"].tolist() == [4]
    assert headroom.tolist() == [[FREE, 0], [6, FREE]]


@pytest.mark.parametrize("way", ["next command", "next taker", "set_headroom"])
def test_a_raise_matches_nothing_by_itself(book_type: BookType, way: str) -> None:
    book, headroom = zoned_book(book_type, ((0, 1), (5, 0)), flow(0, 1, 1), netting=True)
    accept(book, (sell(3, 60, 2), buy(4, 65, 2, zone=1), *flow(1, 0, 3, 5)))
    assert headroom.tolist() == [[0, 3], [3, 0]]
    assert book.best == (65, 60)
    if way == "next command":
        assert len(book.submit(**buy(7, 50, 1)).trades) == 0
        return
    report = book.submit(**replace(4, 65, 3)) if way == "next taker" else book.set_headroom(headroom)
    assert report.trades[["maker_order_id", "taker_order_id", "price", "quantity"]].tolist() == [(3, 4, 60, 2)]
    assert headroom.tolist() == [[0, 1], [5, 0]]
    book.check()


def test_what_set_headroom_closes_does_not_open_again(book_type: BookType) -> None:
    book, headroom = zoned_book(book_type, ((FREE, 2), (5, FREE)), netting=True)
    book.set_headroom(np.array(((FREE, 0), (5, FREE))))
    accept(book, flow(1, 0, 3))
    assert headroom.tolist() == [[FREE, 0], [2, FREE]]
    book.set_headroom(np.array(((FREE, 1), (5, FREE))))
    accept(book, flow(1, 0, 3, 3))
    assert headroom.tolist() == [[FREE, 4], [2, FREE]]


@pytest.mark.parametrize("netting", [False, True])
def test_netting_between_the_trades_of_new_headroom(book_type: BookType, netting: bool) -> None:
    orders = (buy(1, 55, 2), sell(2, 50, 2, zone=1), buy(3, 54, 3, zone=1), sell(4, 52, 3))
    book, headroom = zoned_book(book_type, ((0, 0), (0, 0)), orders, netting=netting)
    trades = book.set_headroom(np.array(((0, 1), (2, 0)))).trades
    both = [(1, 2, 55, 2), (3, 4, 54, 3 if netting else 1)]
    assert trades[["maker_order_id", "taker_order_id", "price", "quantity"]].tolist() == both
    assert headroom.tolist() == ([[0, 0], [3, 0]] if netting else [[0, 0], [0, 0]])
    book.check()


def test_netting_within_new_headroom_lets_the_first_pair_go_on(book_type: BookType) -> None:
    """The best bid has used up its headroom; a later pair opens it again, and the best bid is the next to trade."""
    orders = (buy(1, 55, 5), sell(2, 50, 5, zone=1), buy(3, 54, 3, zone=1), sell(4, 52, 3))
    book, headroom = zoned_book(book_type, ((0, 0), (0, 0)), orders, netting=True)
    trades = book.set_headroom(np.array(((0, 1), (2, 0)))).trades
    assert trades[["maker_order_id", "taker_order_id", "price", "quantity"]].tolist() == [
        (1, 2, 55, 2),
        (3, 4, 54, 3),
        (1, 2, 55, 3),
    ]
    assert headroom.tolist() == [[0, 3], [0, 0]]
