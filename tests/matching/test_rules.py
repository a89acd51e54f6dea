"""Every reason to refuse a command, as a table: a row a case, on both books."""

from itertools import combinations

import pytest

from matching import OrderType, Reason, SelfTrade, Status, TimeInForce
from matching.types import MAX_QUANTITY
from tests.matching.books import HIGH, LOW, BookType, Step, buy, cancel, open_book, reduce, replace, sell

LARGEST, SMALLEST = 2**63 - 1, -(2**63)
FIRST_REMOVAL = Reason.CANCELLED_BY_OWNER  # from here on a reason is why a quantity left the book
OF_AN_AUCTION = {Reason.NOT_IN_AUCTION}  # its rows are with the auction

MARKET = OrderType.MARKET
DAY, GTD, IOC, FOK = TimeInForce.DAY, TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK
TAKER, MAKER, BOTH, DECREMENT = (mode for mode in SelfTrade if mode != SelfTrade.ALLOW)

FULL = (buy(1, 50, 5), buy(2, 50, 5), buy(3, 50, 5), sell(4, 60, 5))

REFUSALS: tuple[tuple[Reason, tuple[Step, ...], Step, int], ...] = (
    # reason, given, refused, leaves
    (Reason.UNKNOWN_ACTION, (), buy(1, 50, 5, action=0), 0),
    (Reason.UNKNOWN_ACTION, (buy(1, 50, 5),), buy(1, 50, 5, action=5), 0),
    (Reason.UNKNOWN_ACTION, (), buy(1, 50, 5, action=-1), 0),
    (Reason.UNKNOWN_SIDE, (), buy(1, 50, 5) | {"side": 2}, 0),
    (Reason.UNKNOWN_SIDE, (), buy(1, 50, 5) | {"side": -1}, 0),
    (Reason.UNKNOWN_ORDER_TYPE, (), buy(1, 50, 5, order_type=2), 0),
    (Reason.UNKNOWN_ORDER_TYPE, (), buy(1, 50, 5, order_type=-1), 0),
    (Reason.UNKNOWN_TIME_IN_FORCE, (), buy(1, 50, 5, time_in_force=5), 0),
    (Reason.UNKNOWN_TIME_IN_FORCE, (), buy(1, 50, 5, time_in_force=-1), 0),
    (Reason.UNKNOWN_SELF_TRADE, (), buy(1, 50, 5, self_trade=5), 0),
    (Reason.UNKNOWN_SELF_TRADE, (), buy(1, 50, 5, self_trade=-1), 0),
    (Reason.UNKNOWN_SELF_TRADE, (buy(1, 50, 5),), replace(1, 51, self_trade=5), 5),
    (Reason.UNKNOWN_ZONE, (), buy(1, 50, 5, zone=3), 0),
    (Reason.UNKNOWN_ZONE, (), buy(1, 50, 5, zone=-1), 0),
    (Reason.ORDER_ID_NOT_RISING, (), buy(0, 50, 5), 0),
    (Reason.ORDER_ID_NOT_RISING, (), buy(SMALLEST, 50, 5), 0),
    (Reason.ORDER_ID_NOT_RISING, (buy(7, 50, 5),), buy(7, 50, 5), 0),
    (Reason.ORDER_ID_NOT_RISING, (buy(7, 50, 5), cancel(7)), buy(6, 50, 5), 0),
    (Reason.ORDER_ID_NOT_RISING, (buy(7, 50, 5, time_in_force=IOC),), buy(7, 50, 5), 0),
    (Reason.QUANTITY_NOT_POSITIVE, (), buy(1, 50, 0), 0),
    (Reason.QUANTITY_NOT_POSITIVE, (), buy(1, 50, SMALLEST), 0),
    (Reason.QUANTITY_NOT_POSITIVE, (buy(1, 50, 5),), reduce(1, 0), 5),
    (Reason.QUANTITY_NOT_POSITIVE, (buy(1, 50, 5),), reduce(1, SMALLEST), 5),
    (Reason.QUANTITY_NOT_POSITIVE, (buy(1, 50, 5),), replace(1, 51, -1), 5),
    (Reason.QUANTITY_TOO_LARGE, (), buy(1, 50, MAX_QUANTITY + 1), 0),
    (Reason.QUANTITY_TOO_LARGE, (), buy(1, 50, LARGEST), 0),
    (Reason.QUANTITY_TOO_LARGE, (buy(1, 50, 5),), replace(1, 51, MAX_QUANTITY + 1), 5),
    (Reason.PRICE_OUTSIDE_BOOK, (), buy(1, LOW - 1, 5), 0),
    (Reason.PRICE_OUTSIDE_BOOK, (), sell(1, HIGH + 1, 5), 0),
    (Reason.PRICE_OUTSIDE_BOOK, (), sell(1, 0, 5), 0),
    (Reason.PRICE_OUTSIDE_BOOK, (), buy(1, SMALLEST, 5), 0),
    (Reason.PRICE_OUTSIDE_BOOK, (), buy(1, LARGEST, 5), 0),
    (Reason.PRICE_OUTSIDE_BOOK, (buy(1, 50, 5),), replace(1, LOW - 1), 5),
    (Reason.PRICE_OUTSIDE_BOOK, (buy(1, 50, 5),), replace(1, HIGH + 1), 5),
    (Reason.MARKET_MUST_BE_IMMEDIATE, (), buy(1, 50, 5, order_type=MARKET), 0),
    (Reason.MARKET_MUST_BE_IMMEDIATE, (), buy(1, 50, 5, order_type=MARKET, time_in_force=DAY), 0),
    (Reason.MARKET_MUST_BE_IMMEDIATE, (), buy(1, 0, 5, order_type=MARKET, time_in_force=GTD), 0),
    (Reason.EXPIRY_MISSING, (), buy(1, 50, 5, time_in_force=GTD), 0),
    (Reason.EXPIRY_MISSING, (), buy(1, 50, 5, time_in_force=GTD, expires_at_ns=-1), 0),
    (Reason.EXPIRY_UNEXPECTED, (), buy(1, 50, 5, expires_at_ns=1), 0),
    (Reason.EXPIRY_UNEXPECTED, (), buy(1, 50, 5, time_in_force=IOC, expires_at_ns=-1), 0),
    (Reason.POST_ONLY_MUST_REST, (), buy(1, 50, 5, post_only=1, time_in_force=IOC), 0),
    (Reason.POST_ONLY_MUST_REST, (), buy(1, 50, 5, post_only=1, time_in_force=FOK), 0),
    (Reason.POST_ONLY_MUST_REST, (), buy(1, 0, 5, post_only=1, order_type=MARKET, time_in_force=IOC), 0),
    (Reason.FOK_WITH_DECREMENT, (), buy(1, 50, 5, time_in_force=FOK, self_trade=DECREMENT), 0),
    (Reason.BOOK_FULL, FULL, buy(5, 50, 5), 0),
    (Reason.BOOK_FULL, FULL, buy(5, 60, 5, post_only=1), 0),
    (Reason.POST_ONLY_WOULD_TRADE, (sell(1, 50, 5),), buy(2, 50, 5, post_only=1), 0),
    (Reason.POST_ONLY_WOULD_TRADE, (buy(1, 50, 5, 7),), sell(2, 49, 5, 7, post_only=1, self_trade=MAKER), 0),
    (Reason.POST_ONLY_WOULD_TRADE, (sell(1, 50, 5), buy(2, 49, 5, post_only=1)), replace(2, 50), 5),
    (Reason.POST_ONLY_WOULD_TRADE, (sell(1, 50, 5), buy(2, 49, 5, post_only=1)), replace(2, 50, 3), 5),
    (Reason.FOK_NOT_FILLABLE, (), buy(1, 50, 1, time_in_force=FOK), 0),
    (Reason.FOK_NOT_FILLABLE, (sell(1, 50, 4),), buy(2, 50, 5, time_in_force=FOK), 0),
    (Reason.FOK_NOT_FILLABLE, (sell(1, 50, 4), sell(2, 51, 4)), buy(3, 50, 5, time_in_force=FOK), 0),
    (Reason.FOK_NOT_FILLABLE, (sell(1, 50, 4),), buy(2, 0, 5, order_type=MARKET, time_in_force=FOK), 0),
    (Reason.FOK_NOT_FILLABLE, (sell(1, 50, 5, zone=2),), buy(2, 50, 5, time_in_force=FOK), 0),
    (Reason.FOK_NOT_FILLABLE, (sell(1, 49, 3, zone=1), sell(2, 50, 3, zone=1)), buy(3, 50, 6, time_in_force=FOK), 0),
    (
        Reason.FOK_NOT_FILLABLE,
        (sell(1, 49, 1, 7), sell(2, 50, 9)),
        buy(3, 50, 5, 7, time_in_force=FOK, self_trade=TAKER),
        0,
    ),
    (
        Reason.FOK_NOT_FILLABLE,
        (sell(1, 49, 4), sell(2, 50, 1, 7)),
        buy(3, 50, 5, 7, time_in_force=FOK, self_trade=BOTH),
        0,
    ),
    (
        Reason.FOK_NOT_FILLABLE,
        (sell(1, 49, 4), sell(2, 50, 1, 7)),
        buy(3, 50, 5, 7, time_in_force=FOK, self_trade=MAKER),
        0,
    ),
    (Reason.UNKNOWN_ORDER, (), cancel(1), 0),
    (Reason.UNKNOWN_ORDER, (buy(1, 50, 5), cancel(1)), reduce(1, 1), 0),
    (Reason.UNKNOWN_ORDER, (buy(1, 50, 5), sell(2, 50, 5)), replace(1, 51), 0),
    (Reason.UNKNOWN_ORDER, (buy(1, 50, 5),), cancel(0), 0),
    (Reason.UNKNOWN_ORDER, (buy(1, 50, 5),), cancel(SMALLEST), 0),
    (Reason.FOREIGN_ORDER, (buy(1, 50, 5, 7),), cancel(1, 8), 0),
    (Reason.FOREIGN_ORDER, (buy(1, 50, 5, 7),), reduce(1, 0, 0), 0),
    (Reason.FOREIGN_ORDER, (buy(1, 50, 5),), replace(1, 51, owner=7, self_trade=5), 0),
)

FAULTS: tuple[tuple[Reason, Step], ...] = (
    # in the order in which they are looked for; each is the only fault of an order that is otherwise good
    (Reason.UNKNOWN_SIDE, {"side": 2}),
    (Reason.UNKNOWN_ORDER_TYPE, {"order_type": 2}),
    (Reason.UNKNOWN_TIME_IN_FORCE, {"time_in_force": 5}),
    (Reason.UNKNOWN_SELF_TRADE, {"self_trade": 5}),
    (Reason.UNKNOWN_ZONE, {"zone": 3}),
    (Reason.ORDER_ID_NOT_RISING, {"order_id": 1}),
    (Reason.QUANTITY_NOT_POSITIVE, {"quantity": 0}),
    (Reason.QUANTITY_TOO_LARGE, {"quantity": MAX_QUANTITY + 1}),
    (Reason.PRICE_OUTSIDE_BOOK, {"price": 0}),
    (Reason.MARKET_MUST_BE_IMMEDIATE, {"order_type": MARKET, "price": 50, "time_in_force": DAY}),
    (Reason.EXPIRY_MISSING, {"time_in_force": GTD, "expires_at_ns": 0}),
    (Reason.EXPIRY_UNEXPECTED, {"expires_at_ns": 1}),
    (Reason.POST_ONLY_MUST_REST, {"post_only": 1, "time_in_force": IOC}),
    (Reason.FOK_WITH_DECREMENT, {"self_trade": DECREMENT, "time_in_force": FOK}),
    (Reason.POST_ONLY_WOULD_TRADE, {"post_only": 1, "time_in_force": DAY}),
    (Reason.FOK_NOT_FILLABLE, {"time_in_force": FOK}),
)

PAIRS = [(one, other) for one, other in combinations(FAULTS, 2) if not one[1].keys() & other[1].keys()]


@pytest.mark.parametrize(("reason", "given", "refused", "leaves"), REFUSALS, ids=[row[0].name for row in REFUSALS])
def test_refusal(book_type: BookType, reason: Reason, given: tuple[Step, ...], refused: Step, leaves: int) -> None:
    book, headroom = open_book(book_type, given)
    before = (book.depth(), len(book), book.last_order_id, headroom.tolist())
    trades, outcomes, removals = book.submit(**refused)
    assert outcomes.tolist() == [(0, leaves, reason, Status.REJECTED)]
    assert (len(trades), len(removals)) == (0, 0)
    assert (book.depth(), len(book), book.last_order_id, headroom.tolist()) == before
    book.check()


@pytest.mark.parametrize(("reason", "fault"), FAULTS, ids=[reason.name for reason, _ in FAULTS])
def test_single_fault(book_type: BookType, reason: Reason, fault: Step) -> None:
    book, _ = open_book(book_type, (sell(1, 50, 4),))
    assert book.submit(**{**buy(2, 50, 5), **fault}).outcomes["code"][0] == reason


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{one.name}-{two.name}" for (one, _), (two, _) in PAIRS])
def test_first_fault_is_named(book_type: BookType, first: tuple[Reason, Step], second: tuple[Reason, Step]) -> None:
    book, _ = open_book(book_type, (sell(1, 50, 4),))
    assert book.submit(**{**buy(2, 50, 5), **first[1], **second[1]}).outcomes["code"][0] == first[0]


def test_every_refusal_has_a_row() -> None:
    refusals = {reason for reason in Reason if reason < FIRST_REMOVAL} - {Reason.NONE}
    assert {reason for reason, *_ in REFUSALS} | OF_AN_AUCTION == refusals
