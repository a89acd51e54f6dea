"""What happens to resting orders: cancel, reduce, replace, and the removals that no command asked for."""

import pytest

from matching import Reason, SelfTrade, Status, TimeInForce
from tests.matching.books import BookType, Does, Row, buy, cancel, covers, play, reduce, replace, sell

DAY, GTD = TimeInForce.DAY, TimeInForce.GTD
TAKER, MAKER, BOTH, DECREMENT = (mode for mode in SelfTrade if mode != SelfTrade.ALLOW)
GONE, LESS, EXPIRED, ENDED = Reason.CANCELLED_BY_OWNER, Reason.REDUCED_BY_OWNER, Reason.EXPIRED, Reason.DAY_ENDED
NONE, OWN = Reason.NONE, Reason.SELF_TRADE
REPLACED, REDUCED = Status.REPLACED, Status.REDUCED
FILLED, PARTLY, CANCELLED = Status.FILLED, Status.PARTLY_FILLED_CANCELLED, Status.CANCELLED

FULL = (sell(1, 50, 1), sell(2, 50, 1), sell(3, 50, 1), sell(4, 60, 1))
TWO = (sell(1, 50, 5, 7), sell(2, 50, 5))
CHANGES: tuple[Row, ...] = (
    ("cancel", TWO, cancel(1, 7), Does(CANCELLED, 0, 0, NONE, (), ((1, 5, 0, GONE),))),
    ("reduce", TWO, reduce(1, 2, 7), Does(REDUCED, 0, 3, NONE, (), ((1, 2, 3, LESS),))),
    ("reduce all", TWO, reduce(1, 5, 7), Does(CANCELLED, 0, 0, NONE, (), ((1, 5, 0, LESS),))),
    ("reduce by more than all", TWO, reduce(1, 2**63 - 1, 7), Does(CANCELLED, 0, 0, NONE, (), ((1, 5, 0, LESS),))),
    (
        "reduce keeps the place",
        (*TWO, reduce(1, 2, 7)),
        buy(3, 50, 4),
        Does(FILLED, 4, trades=((1, 50, 3), (2, 50, 1))),
    ),
    ("replace by nothing new", TWO, replace(1, owner=7), Does(REPLACED, 0, 5)),
    ("which keeps the place", (*TWO, replace(1, owner=7)), buy(3, 50, 4), Does(FILLED, 4, trades=((1, 50, 4),))),
    ("replace by less", TWO, replace(1, 50, 2, 7), Does(REPLACED, 0, 2, NONE, (), ((1, 3, 2, LESS),))),
    (
        "which keeps the place, too",
        (*TWO, replace(1, 0, 2, 7)),
        buy(3, 50, 4),
        Does(FILLED, 4, trades=((1, 50, 2), (2, 50, 2))),
    ),
    ("replace by more", TWO, replace(1, 0, 6, 7), Does(REPLACED, 0, 6)),
    (
        "which loses the place",
        (*TWO, replace(1, 50, 6, 7)),
        buy(3, 50, 7),
        Does(FILLED, 7, trades=((2, 50, 5), (1, 50, 2))),
    ),
    (
        "as does a price there and back",
        (*TWO, replace(1, 51, owner=7), replace(1, 50, owner=7)),
        buy(3, 50, 7),
        Does(FILLED, 7, trades=((2, 50, 5), (1, 50, 2))),
    ),
    (
        "among zones as well",
        (sell(1, 50, 5), sell(2, 50, 5, zone=1), replace(1, 0, 6)),
        buy(3, 50, 6),
        Does(FILLED, 6, trades=((2, 50, 5), (1, 50, 1)), headroom=0),
    ),
    ("another price and less", TWO, replace(1, 51, 2, 7), Does(REPLACED, 0, 2, NONE, (), ((1, 3, 2, LESS),))),
    (
        "replace into a full fill",
        (*TWO, buy(3, 40, 5, 7)),
        replace(3, 50, 7, 7),
        Does(FILLED, 7, trades=((1, 50, 5), (2, 50, 2))),
    ),
    (
        "replace into a part, with less",
        (sell(1, 50, 2), buy(2, 40, 5)),
        replace(2, 50, 3),
        Does(REPLACED, 2, 1, NONE, ((1, 50, 2),), ((2, 2, 3, LESS),)),
    ),
    (
        "replace into an own order, the command's mode",
        (sell(1, 50, 2), sell(2, 50, 2, 7), buy(3, 40, 5, 7, self_trade=MAKER)),
        replace(3, 50, 0, 7, self_trade=BOTH),
        Does(PARTLY, 2, 0, OWN, ((1, 50, 2),), ((2, 2, 0, OWN), (3, 3, 0, OWN))),
    ),
    (
        "replace into an own order alone",
        (sell(1, 50, 2, 7), buy(2, 40, 5, 7)),
        replace(2, 50, 4, 7, self_trade=TAKER),
        Does(CANCELLED, 0, 0, OWN, (), ((2, 1, 4, LESS), (2, 4, 0, OWN))),
    ),
    (
        "replace decrements",
        (sell(1, 50, 2, 7), buy(2, 40, 5, 7)),
        replace(2, 50, 0, 7, self_trade=DECREMENT),
        Does(REPLACED, 0, 3, NONE, (), ((1, 2, 0, OWN), (2, 2, 3, OWN))),
    ),
    ("a full book still replaces", FULL, replace(2, 51, 9), Does(REPLACED, 0, 9)),
    ("post-only moves within its side", (*TWO, sell(3, 52, 5, post_only=1)), replace(3, 51), Does(REPLACED, 0, 5)),
)

DATED = (
    buy(1, 40, 5, time_in_force=GTD, expires_at_ns=30),
    sell(2, 60, 5, 7, time_in_force=GTD, expires_at_ns=20),
    buy(3, 40, 5, 7, time_in_force=GTD, expires_at_ns=20),
    sell(4, 60, 5, time_in_force=DAY),
)
SWEEPS: tuple[Row, ...] = (
    (
        "expire: by time, then id",
        DATED,
        ("expire", 30),
        Does(removals=((2, 5, 0, EXPIRED), (3, 5, 0, EXPIRED), (1, 5, 0, EXPIRED))),
    ),
    ("the instant itself is over", DATED, ("expire", 20), Does(removals=((2, 5, 0, EXPIRED), (3, 5, 0, EXPIRED)))),
    ("nothing is over before", DATED, ("expire", 19), Does()),
    (
        "what is left of an order expires",
        (DATED[0], sell(2, 40, 2)),
        ("expire", 99),
        Does(removals=((1, 3, 0, EXPIRED),)),
    ),
    (
        "a replaced order keeps its time",
        (DATED[0], replace(1, 41)),
        ("expire", 30),
        Does(removals=((1, 5, 0, EXPIRED),)),
    ),
    (
        "end of day: by id",
        (DATED[3] | {"order_id": 1}, buy(2, 59, 1), buy(3, 10, 1, time_in_force=DAY)),
        ("end_day",),
        Does(removals=((1, 5, 0, ENDED), (3, 1, 0, ENDED))),
    ),
    ("no order of the day", DATED[:3], ("end_day",), Does()),
    (
        "a replaced order is still the day's",
        (DATED[3], replace(4, 61, 9)),
        ("end_day",),
        Does(removals=((4, 9, 0, ENDED),)),
    ),
    (
        "all of an owner: by id",
        (*DATED[:3], replace(2, 61, owner=7)),
        ("cancel_all", 7),
        Does(removals=((2, 5, 0, GONE), (3, 5, 0, GONE))),
    ),
    ("all of nobody", DATED, ("cancel_all", 0), Does(removals=((1, 5, 0, GONE), (4, 5, 0, GONE)))),
    ("all of a stranger", DATED, ("cancel_all", 8), Does()),
)

ROWS = CHANGES + SWEEPS
OF_A_MATCH = {Reason.IMMEDIATE_REMAINDER, Reason.SELF_TRADE}  # their rows are with the match
NOT_OF_THE_BOOK = {Reason.BUDGET_SPENT}


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_change(book_type: BookType, row: Row) -> None:
    play(book_type, row)


def test_every_other_removal_has_a_row() -> None:
    removals = {reason for reason in Reason if reason >= GONE}
    assert covers(ROWS) | OF_A_MATCH == removals - NOT_OF_THE_BOOK
