"""Batches, reports and views: what surrounds the rules, on both books."""

import numpy as np
import numpy.typing as npt
import pytest

from matching import (
    COMMAND,
    OUTCOME,
    REMOVAL,
    TRADE,
    UNLIMITED,
    Action,
    OrderBook,
    Reason,
    SelfTrade,
    Side,
    Status,
    TimeInForce,
)
from tests.matching.books import HEADROOM, BookType, buy, cancel, open_book, reduce, replace, sell

MANY = 3_000


def rows(*steps: dict[str, int]) -> npt.NDArray[np.void]:
    """Turn steps into a batch."""
    batch = np.zeros(len(steps), dtype=COMMAND)
    batch["action"] = Action.NEW
    for row, step in zip(batch, steps, strict=True):
        for name, value in step.items():
            row[name] = value
    return batch


def ladder(side: Side, count: int, owner: int = 0, first_id: int = 1) -> npt.NDArray[np.void]:
    """Build a batch of `count` orders of one lot, all at one price."""
    batch = rows(*[{"side": side, "price": 50, "quantity": 1, "owner": owner}] * count)
    batch["order_id"] = np.arange(first_id, first_id + count)
    return batch


def test_an_order_sees_what_came_before_it_in_the_batch(book_type: BookType) -> None:
    book = book_type()
    trades, outcomes, removals = book.process(
        rows(
            sell(1, 50, 5, 7),
            buy(2, 50, 3),
            reduce(1, 1, 7),
            buy(3, 50, 3, time_in_force=TimeInForce.IOC),
            cancel(1, 7),
            buy(3, 50, 3),
            buy(4, 50, 3),
            replace(4, 0, 2),
            cancel(4),
        )
    )
    assert trades.tolist() == [(1, 2, 7, 0, 50, 3, 1), (1, 3, 7, 0, 50, 1, 3)]
    assert outcomes[["filled", "leaves", "code", "status"]].tolist() == [
        (0, 5, Reason.NONE, Status.RESTING),
        (3, 0, Reason.NONE, Status.FILLED),
        (0, 1, Reason.NONE, Status.REDUCED),
        (1, 0, Reason.IMMEDIATE_REMAINDER, Status.PARTLY_FILLED_CANCELLED),
        (0, 0, Reason.UNKNOWN_ORDER, Status.REJECTED),
        (0, 0, Reason.ORDER_ID_NOT_RISING, Status.REJECTED),
        (0, 3, Reason.NONE, Status.RESTING),
        (0, 2, Reason.NONE, Status.REPLACED),
        (0, 0, Reason.NONE, Status.CANCELLED),
    ]
    assert removals.tolist() == [
        (1, 7, 1, 1, 2, Reason.REDUCED_BY_OWNER),
        (3, 0, 2, 0, 3, Reason.IMMEDIATE_REMAINDER),
        (4, 0, 1, 2, 7, Reason.REDUCED_BY_OWNER),
        (4, 0, 2, 0, 8, Reason.CANCELLED_BY_OWNER),
    ]
    assert (len(book), book.last_order_id, book.best) == (0, 4, (None, None))


def test_layouts(book_type: BookType) -> None:
    for report in (book_type().process(rows()), book_type().process(rows(buy(1, 50, 5))), book_type().end_day()):
        assert (report.trades.dtype, report.outcomes.dtype, report.removals.dtype) == (TRADE, OUTCOME, REMOVAL)
    assert [len(part) for part in book_type().process(rows())] == [0, 0, 0]


def test_a_report_does_not_change_with_the_next_one(book_type: BookType) -> None:
    book = book_type()
    first = book.process(rows(sell(1, 50, 5), buy(2, 50, 3), cancel(1)))
    copies = [part.tolist() for part in first]
    book.process(rows(sell(3, 60, 9), buy(4, 60, 8), cancel(3)))
    assert [part.tolist() for part in first] == copies


def test_batches_are_read_only_and_of_any_stride(book_type: BookType) -> None:
    batch = np.repeat(rows(sell(1, 50, 5), buy(2, 50, 3)), 2)
    batch.flags.writeable = False
    book = book_type()
    assert book.process(batch[::2]).outcomes["filled"].tolist() == [0, 3]
    assert book.process(batch[:0]).outcomes.tolist() == []


def test_arrays_of_every_layout_mean_the_same(book_type: BookType) -> None:
    batch = rows(sell(1, 50, 5, zone=1), buy(2, 50, 3), sell(3, 51, 5), buy(4, 51, 9, zone=1))
    wide = np.zeros((2, 4), np.int64)
    for headroom in (np.zeros((2, 2), np.int64), np.zeros((2, 2), np.int64, order="F"), wide[:, ::2]):
        headroom[:] = [[9, 4], [2, 9]]
        book = book_type(zones=2, headroom=headroom)
        told = [book.process(part) for part in (batch[:1], np.repeat(batch[1:3], 2)[::2], batch[3:])]
        assert [report.outcomes["filled"].tolist() for report in told] == [[0], [2, 0], [7]]
        assert headroom.tolist() == [[9, 0], [0, 6]]


@pytest.mark.parametrize("commands", [np.zeros((2, 2), COMMAND), np.zeros(2, OUTCOME), np.zeros(2, np.int64)])
def test_what_is_no_row_of_commands_is_refused(commands: npt.NDArray[np.void]) -> None:
    with pytest.raises(TypeError):
        OrderBook().process(commands)


def test_many_trades_in_one_batch(book_type: BookType) -> None:
    book = book_type(capacity=MANY + 1)  # the first taker comes when all makers are there
    book.process(ladder(Side.SELL, MANY))
    report = book.process(ladder(Side.BUY, MANY, first_id=MANY + 1))
    assert report.trades["maker_order_id"].tolist() == list(range(1, MANY + 1))
    assert report.trades["command"].tolist() == list(range(MANY))
    book.check()


def test_many_removals_by_one_command(book_type: BookType) -> None:
    book = book_type(capacity=MANY)
    book.process(ladder(Side.SELL, MANY, owner=7))
    taker = buy(MANY + 1, 50, MANY, 7, self_trade=SelfTrade.CANCEL_MAKER, time_in_force=TimeInForce.IOC)
    assert book.submit(**taker).removals["order_id"].tolist() == list(range(1, MANY + 2))
    book.check()


def test_many_removals_by_no_command(book_type: BookType) -> None:
    book = book_type(capacity=MANY)
    book.process(ladder(Side.SELL, MANY, owner=7))
    assert book.cancel_all(7).removals["order_id"].tolist() == list(range(1, MANY + 1))
    assert (len(book), book.orders(7)) == (0, [])
    book.check()


def test_views(book_type: BookType) -> None:
    bids = (buy(1, 50, 5, 7), buy(2, 52, 1), buy(3, 52, 2, 7, zone=1))
    book, _ = open_book(book_type, (*bids, sell(4, 55, 9, zone=2)))
    assert book.best == (52, 55)
    assert book.depth() == ([(52, 3, 2), (50, 5, 1)], [(55, 9, 1)])
    assert book.depth(levels=1) == ([(52, 3, 2)], [(55, 9, 1)])
    assert book.depth(zone=0) == ([(52, 1, 1), (50, 5, 1)], [])
    assert book.depth(levels=1, zone=1) == ([(52, 2, 1)], [])
    assert book.depth(zone=2) == ([], [(55, 9, 1)])
    assert (book.orders(7), book.orders(0), book.orders(8)) == ([1, 3], [2, 4], [])
    assert (len(book), book.last_order_id) == (4, 4)


def test_an_empty_book(book_type: BookType) -> None:
    book = book_type()
    assert (book.best, book.depth(), len(book), book.last_order_id) == ((None, None), ([], []), 0, 0)
    assert [len(part) for part in book.expire(2**63 - 1)] == [0, 0, 0]
    book.check()


def test_orders_that_cross_once_the_headroom_is_raised_trade_with_the_next_taker(book_type: BookType) -> None:
    book, headroom = open_book(book_type, (sell(1, 50, 5), buy(2, 52, 5, zone=1)))
    headroom[0, 1] = 4
    assert book.best == (52, 50)
    book.check()
    report = book.submit(**replace(2, 0, 6))  # more at its own price: it enters its queue anew, and so matches
    assert report.trades[["maker_order_id", "taker_order_id", "price", "quantity"]].tolist() == [(1, 2, 50, 4)]
    assert report.outcomes.tolist() == [(4, 2, Reason.NONE, Status.REPLACED)]
    assert headroom.tolist() == [[UNLIMITED, 0, 0], *(list(row) for row in HEADROOM[1:])]
    book.check()


def test_a_replace_that_keeps_its_place_does_not_match(book_type: BookType) -> None:
    book, headroom = open_book(book_type, (sell(1, 50, 5), buy(2, 52, 5, zone=1, post_only=1)))
    headroom[0, 1] = 4
    assert book.submit(**replace(2, 52, 4)).outcomes.tolist() == [(0, 4, Reason.NONE, Status.REPLACED)]
    refused = book.submit(**replace(2, 52, 6)).outcomes
    assert refused.tolist() == [(0, 4, Reason.POST_ONLY_WOULD_TRADE, Status.REJECTED)]


def test_two_books_draw_on_one_headroom(book_type: BookType) -> None:
    headroom = np.full((1, 1), 8, dtype=np.int64)
    for left in (3, 0):
        book = book_type(headroom=headroom)
        book.process(rows(sell(1, 50, 5), buy(2, 50, 5)))
        assert headroom[0, 0] == left


def test_a_book_of_one_price_and_one_order(book_type: BookType) -> None:
    book = book_type(min_price=0, max_price=0, capacity=1)
    taker = buy(3, 0, 3, time_in_force=TimeInForce.IOC)
    report = book.process(rows(sell(1, 0, 5), sell(2, 0, 5), replace(1, 0, 3), taker, buy(4, 0, 1), cancel(4)))
    assert report.outcomes["code"].tolist() == [0, Reason.BOOK_FULL, 0, 0, 0, 0]
    assert report.trades["price"].tolist() == [0]
    book.check()


def test_the_widest_ids_and_owners(book_type: BookType) -> None:
    largest, smallest = 2**63 - 1, -(2**63)
    book = book_type()
    report = book.process(rows(sell(1, 50, 5, smallest), buy(largest, 50, 7, largest), cancel(largest, largest)))
    assert report.trades.tolist() == [(1, largest, smallest, largest, 50, 5, 1)]
    assert report.removals.tolist() == [(largest, largest, 2, 0, 2, Reason.CANCELLED_BY_OWNER)]
    assert book.submit(**buy(2, 50, 1)).outcomes["code"][0] == Reason.ORDER_ID_NOT_RISING
