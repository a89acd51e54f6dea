"""Both books, and short ways to write commands for them."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from matching import UNLIMITED, Action, OrderBook, Reason, ReferenceBook, Side, Status

Book = OrderBook | ReferenceBook
BookType = type[OrderBook] | type[ReferenceBook]
Step = dict[str, Any]
"""Arguments of `submit`."""

Lots = tuple[tuple[int, ...], ...]
"""Headroom from each seller's zone to each buyer's."""

LOW, HIGH, CAPACITY = 10, 99, 4
"""Price range and capacity of the book of the table tests."""

HEADROOM = ((UNLIMITED, 0, 0), (5, UNLIMITED, 0), (0, 0, UNLIMITED))
"""Its headroom: zone 1 may sell five lots to zone 0; otherwise each zone trades within itself."""


def buy(order_id: int, price: int, quantity: int, owner: int = 0, **more: int) -> Step:
    """Buy with a new order."""
    return {"order_id": order_id, "side": Side.BUY, "price": price, "quantity": quantity, "owner": owner, **more}


def sell(order_id: int, price: int, quantity: int, owner: int = 0, **more: int) -> Step:
    """Sell with a new order."""
    return {**buy(order_id, price, quantity, owner, **more), "side": Side.SELL}


def cancel(order_id: int, owner: int = 0) -> Step:
    """Cancel an order."""
    return {"action": Action.CANCEL, "order_id": order_id, "owner": owner}


def reduce(order_id: int, quantity: int, owner: int = 0) -> Step:
    """Take a quantity off an order."""
    return {"action": Action.REDUCE, "order_id": order_id, "quantity": quantity, "owner": owner}


def replace(order_id: int, price: int = 0, quantity: int = 0, owner: int = 0, **more: int) -> Step:
    """Give an order another price or other leaves."""
    figures = {"price": price, "quantity": quantity, "owner": owner}
    return {"action": Action.REPLACE, "order_id": order_id, **figures, **more}


def open_book(book_type: BookType, given: tuple[Step, ...] = ()) -> tuple[Book, npt.NDArray[np.int64]]:
    """Open the book of the table tests, with its headroom, and take the `given` steps, all of which it accepts."""
    headroom = np.array(HEADROOM, dtype=np.int64)
    book = book_type(LOW, HIGH, CAPACITY, zones=len(HEADROOM), headroom=headroom)
    accept(book, given)
    return book, headroom


def zoned_book(
    book_type: BookType, lots: Lots, given: tuple[Step, ...] = (), *, netting: bool = False
) -> tuple[Book, npt.NDArray[np.int64]]:
    """Open a book of sixteen orders with this headroom, and take the `given` steps, all of which it accepts."""
    headroom = np.array(lots, dtype=np.int64)
    book = book_type(LOW, HIGH, 16, zones=len(lots), headroom=headroom, netting=netting)
    accept(book, given)
    return book, headroom


def collect(
    book_type: BookType, orders: tuple[Step, ...], lots: Lots = HEADROOM, *, netting: bool = False
) -> tuple[Book, npt.NDArray[np.int64]]:
    """Open a book with an auction that has collected `orders`."""
    book, headroom = zoned_book(book_type, lots, netting=netting)
    book.open_auction()
    accept(book, orders)
    return book, headroom


def accept(book: Book, given: tuple[Step, ...]) -> None:
    """Have a book take steps, all of which it accepts."""
    for step in given:
        assert book.submit(**step).outcomes["status"][0] != Status.REJECTED, step


class Does(NamedTuple):
    """All that an act does."""

    status: Status | None = None  # None where no command was answered
    filled: int = 0
    leaves: int = 0
    code: Reason = Reason.NONE
    trades: tuple[tuple[int, int, int], ...] = ()  # maker, price, quantity
    removals: tuple[tuple[int, int, int, Reason], ...] = ()  # order, quantity, leaves, code
    headroom: int = 5  # left from zone 1 to zone 0


Row = tuple[str, tuple[Step, ...], Step | tuple[Any, ...], Does]
"""A case: its name, the steps before, the act (a command, or a method of the book and its arguments), the effect."""


def covers(rows: tuple[Row, ...]) -> set[Reason]:
    """Name the reasons of the removals in a table."""
    return {code for *_, does in rows for *_, code in does.removals}


def play(book_type: BookType, row: Row) -> None:
    """Carry out a row, and compare all that it did with what it should."""
    _, given, act, does = row
    book, headroom = open_book(book_type, given)
    trades, outcomes, removals = getattr(book, act[0])(*act[1:]) if isinstance(act, tuple) else book.submit(**act)
    assert trades[["maker_order_id", "price", "quantity"]].tolist() == list(does.trades)
    assert removals[["order_id", "quantity", "leaves", "code"]].tolist() == list(does.removals)
    if isinstance(act, dict):
        assert set(trades["taker_order_id"].tolist()) <= {act["order_id"]}
        assert outcomes.tolist() == [(does.filled, does.leaves, does.code, does.status)]
    assert set(removals["command"].tolist()) <= {0 if isinstance(act, dict) else -1}
    assert headroom[1, 0] == does.headroom
    book.check()
