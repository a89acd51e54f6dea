"""What orders that are taken do: matching, zones and self-trade, as tables on both books."""

import pytest

from matching import OrderType, Reason, SelfTrade, Status, TimeInForce
from matching.types import MAX_QUANTITY
from tests.matching.books import HIGH, LOW, BookType, Does, Row, buy, cancel, covers, play, sell

IOC, FOK = TimeInForce.IOC, TimeInForce.FOK
TAKER, MAKER, BOTH, DECREMENT = (mode for mode in SelfTrade if mode != SelfTrade.ALLOW)
REST, OWN, LESS, GONE = (
    Reason.IMMEDIATE_REMAINDER,
    Reason.SELF_TRADE,
    Reason.REDUCED_BY_OWNER,
    Reason.CANCELLED_BY_OWNER,
)
RESTING, REPLACED, REDUCED = Status.RESTING, Status.REPLACED, Status.REDUCED
FILLED, PARTLY, CANCELLED = Status.FILLED, Status.PARTLY_FILLED_CANCELLED, Status.CANCELLED
ANY_PRICE = {"order_type": OrderType.MARKET, "time_in_force": IOC}

FULL = (sell(1, 50, 1), sell(2, 50, 1), sell(3, 50, 1), sell(4, 60, 1))
MATCHING: tuple[Row, ...] = (
    (
        "price, then time",
        (sell(1, 51, 5), sell(2, 50, 5), sell(3, 50, 5)),
        buy(4, 51, 12),
        Does(FILLED, 12, trades=((2, 50, 5), (3, 50, 5), (1, 51, 2))),
    ),
    (
        "the dearest bid first",
        (buy(1, 50, 5), buy(2, 51, 5)),
        sell(3, 50, 7),
        Does(FILLED, 7, trades=((2, 51, 5), (1, 50, 2))),
    ),
    ("the rest rests", (sell(1, 50, 5),), buy(2, 50, 7), Does(RESTING, 5, 2, trades=((1, 50, 5),))),
    ("prices do not meet", (sell(1, 51, 5),), buy(2, 50, 7), Does(RESTING, 0, 7)),
    (
        "lowest price, largest quantity",
        (buy(1, LOW, MAX_QUANTITY),),
        sell(2, LOW, MAX_QUANTITY),
        Does(FILLED, MAX_QUANTITY, trades=((1, LOW, MAX_QUANTITY),)),
    ),
    ("highest price", (sell(1, HIGH, 5),), buy(2, HIGH, 5), Does(FILLED, 5, trades=((1, HIGH, 5),))),
    (
        "a market order takes any price and its own does not count",
        (sell(1, LOW, 2), sell(2, HIGH, 3)),
        buy(3, -1, 9, **ANY_PRICE),
        Does(PARTLY, 5, 0, REST, ((1, LOW, 2), (2, HIGH, 3)), ((3, 4, 0, REST),)),
    ),
    (
        "a market order finds nothing",
        (),
        sell(1, 0, 9, **ANY_PRICE),
        Does(CANCELLED, 0, 0, REST, (), ((1, 9, 0, REST),)),
    ),
    (
        "IOC stops at its limit",
        (sell(1, 50, 2), sell(2, 51, 3)),
        buy(3, 50, 9, time_in_force=IOC),
        Does(PARTLY, 2, 0, REST, ((1, 50, 2),), ((3, 7, 0, REST),)),
    ),
    (
        "FOK to the last lot",
        (sell(1, 50, 2), sell(2, 51, 3)),
        buy(3, 51, 5, time_in_force=FOK),
        Does(FILLED, 5, trades=((1, 50, 2), (2, 51, 3))),
    ),
    ("post-only rests one tick off", (sell(1, 51, 2),), buy(2, 50, 9, post_only=1), Does(RESTING, 0, 9)),
    (
        "a post-only order is taken",
        (sell(1, 51, 2, post_only=1),),
        buy(2, 51, 2),
        Does(FILLED, 2, trades=((1, 51, 2),)),
    ),
    (
        "a full book still takes an immediate order",
        FULL,
        buy(5, 50, 4, time_in_force=IOC),
        Does(PARTLY, 3, 0, REST, ((1, 50, 1), (2, 50, 1), (3, 50, 1)), ((5, 1, 0, REST),)),
    ),
    ("a full book has room again after a cancel", (*FULL, cancel(2)), sell(5, 50, 4), Does(RESTING, 0, 4)),
)

ZONES: tuple[Row, ...] = (
    ("a closed pair does not trade", (sell(1, 50, 5, zone=2),), buy(2, 50, 5), Does(RESTING, 0, 5)),
    ("nor the other way round", (buy(1, 50, 5, zone=1),), sell(2, 50, 5), Does(RESTING, 0, 5)),
    (
        "headroom is consumed",
        (sell(1, 50, 3, zone=1),),
        buy(2, 50, 3),
        Does(FILLED, 3, trades=((1, 50, 3),), headroom=2),
    ),
    (
        "headroom ends the fill",
        (sell(1, 50, 4, zone=1), sell(2, 50, 4, zone=1)),
        buy(3, 50, 8),
        Does(RESTING, 5, 3, trades=((1, 50, 4), (2, 50, 1)), headroom=0),
    ),
    (
        "a seller from zone 1 consumes it too",
        (buy(1, 50, 8),),
        sell(2, 50, 8, zone=1, **ANY_PRICE),
        Does(PARTLY, 5, 0, REST, ((1, 50, 5),), ((2, 3, 0, REST),), headroom=0),
    ),
    (
        "the oldest among zones at one price",
        (sell(1, 50, 2), sell(2, 50, 2, zone=1), sell(3, 50, 2)),
        buy(4, 50, 5),
        Does(FILLED, 5, trades=((1, 50, 2), (2, 50, 2), (3, 50, 1)), headroom=3),
    ),
    (
        "a zone without headroom is passed over for a worse price",
        (sell(1, 49, 7, zone=1), sell(2, 50, 2, zone=2), sell(3, 51, 2)),
        buy(4, 51, 9),
        Does(RESTING, 7, 2, trades=((1, 49, 5), (3, 51, 2)), headroom=0),
    ),
    (
        "FOK counts the headroom",
        (sell(1, 49, 7, zone=1), sell(2, 51, 2)),
        buy(3, 51, 7, time_in_force=FOK),
        Does(FILLED, 7, trades=((1, 49, 5), (2, 51, 2)), headroom=0),
    ),
    ("post-only looks at open pairs alone", (sell(1, 50, 5, zone=2),), buy(2, 50, 5, post_only=1), Does(RESTING, 0, 5)),
    (
        "an own order in a closed zone is not reached",
        (sell(1, 50, 5, 7, zone=2), sell(2, 50, 5)),
        buy(3, 50, 5, 7, self_trade=BOTH),
        Does(FILLED, 5, trades=((2, 50, 5),)),
    ),
    (
        "what is prevented consumes no headroom",
        (sell(1, 50, 9, 7, zone=1),),
        buy(2, 50, 9, 7, self_trade=DECREMENT),
        Does(CANCELLED, 0, 0, OWN, (), ((1, 9, 0, OWN), (2, 9, 0, OWN))),
    ),
)

SELF_TRADE: tuple[Row, ...] = (
    ("allowed", (sell(1, 50, 5, 7),), buy(2, 50, 5, 7), Does(FILLED, 5, trades=((1, 50, 5),))),
    ("nobody is not himself", (sell(1, 50, 5),), buy(2, 50, 5, self_trade=BOTH), Does(FILLED, 5, trades=((1, 50, 5),))),
    (
        "cancel taker, after others",
        (sell(1, 50, 2), sell(2, 50, 5, 7), sell(3, 50, 5)),
        buy(4, 50, 9, 7, self_trade=TAKER),
        Does(PARTLY, 2, 0, OWN, ((1, 50, 2),), ((4, 7, 0, OWN),)),
    ),
    (
        "cancel taker, filled before it gets there",
        (sell(1, 50, 2), sell(2, 50, 5, 7)),
        buy(3, 50, 2, 7, self_trade=TAKER),
        Does(FILLED, 2, trades=((1, 50, 2),)),
    ),
    (
        "cancel taker of a market order",
        (sell(1, 50, 5, 7),),
        buy(2, 0, 9, 7, self_trade=TAKER, **ANY_PRICE),
        Does(CANCELLED, 0, 0, OWN, (), ((2, 9, 0, OWN),)),
    ),
    (
        "cancel maker, and go on",
        (sell(1, 50, 2, 7), sell(2, 50, 5), sell(3, 51, 1, 7)),
        buy(4, 51, 9, 7, self_trade=MAKER),
        Does(RESTING, 5, 4, Reason.NONE, ((2, 50, 5),), ((1, 2, 0, OWN), (3, 1, 0, OWN))),
    ),
    (
        "cancel maker, then the remainder",
        (sell(1, 50, 2, 7),),
        buy(2, 50, 9, 7, self_trade=MAKER, time_in_force=IOC),
        Does(CANCELLED, 0, 0, REST, (), ((1, 2, 0, OWN), (2, 9, 0, REST))),
    ),
    (
        "cancel both",
        (sell(1, 50, 2), sell(2, 50, 5, 7), sell(3, 50, 5, 7)),
        buy(4, 50, 9, 7, self_trade=BOTH),
        Does(PARTLY, 2, 0, OWN, ((1, 50, 2),), ((2, 5, 0, OWN), (4, 7, 0, OWN))),
    ),
    (
        "decrement, the maker keeps some",
        (sell(1, 50, 5, 7),),
        buy(2, 50, 3, 7, self_trade=DECREMENT),
        Does(CANCELLED, 0, 0, OWN, (), ((1, 3, 2, OWN), (2, 3, 0, OWN))),
    ),
    (
        "decrement, then trade all the rest",
        (sell(1, 50, 5, 7), sell(2, 50, 5)),
        buy(3, 50, 9, 7, self_trade=DECREMENT),
        Does(PARTLY, 4, 0, OWN, ((2, 50, 4),), ((1, 5, 0, OWN), (3, 5, 4, OWN))),
    ),
    (
        "decrement, then rest",
        (sell(1, 50, 5, 7),),
        buy(2, 50, 9, 7, self_trade=DECREMENT),
        Does(RESTING, 0, 4, Reason.NONE, (), ((1, 5, 0, OWN), (2, 5, 4, OWN))),
    ),
    (
        "decrement, then the remainder",
        (sell(1, 50, 5, 7),),
        buy(2, 50, 9, 7, self_trade=DECREMENT, time_in_force=IOC),
        Does(CANCELLED, 0, 0, REST, (), ((1, 5, 0, OWN), (2, 5, 4, OWN), (2, 4, 0, REST))),
    ),
    (
        "FOK with cancel maker cancels what it reaches",
        (sell(1, 50, 2, 7), sell(2, 50, 5), sell(3, 50, 2, 7)),
        buy(4, 50, 5, 7, self_trade=MAKER, time_in_force=FOK),
        Does(FILLED, 5, 0, Reason.NONE, ((2, 50, 5),), ((1, 2, 0, OWN),)),
    ),
    (
        "FOK with cancel taker, complete before its own order",
        (sell(1, 50, 5), sell(2, 50, 2, 7)),
        buy(3, 50, 5, 7, self_trade=TAKER, time_in_force=FOK),
        Does(FILLED, 5, trades=((1, 50, 5),)),
    ),
    (
        "FOK counts allowed own orders",
        (sell(1, 50, 5, 7),),
        buy(2, 50, 5, 7, time_in_force=FOK),
        Does(FILLED, 5, trades=((1, 50, 5),)),
    ),
)

ROWS = MATCHING + ZONES + SELF_TRADE


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_effect(book_type: BookType, row: Row) -> None:
    play(book_type, row)


def test_every_removal_of_a_match_has_a_row() -> None:
    assert covers(ROWS) == {REST, OWN}
