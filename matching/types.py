"""What goes into a book and what comes out of it: enumerations and the layouts of the arrays.

Every array that crosses the border of this room is a numpy structured array of one of the dtypes below, so that
a batch is handed over without a copy and without a Python object per order.
"""

from enum import IntEnum
from typing import Final

import numpy as np


class Action(IntEnum):
    """What a command asks of the book."""

    NEW = 1
    CANCEL = 2
    REPLACE = 3  # quantity is the new leaves; zero price or zero quantity means unchanged
    REDUCE = 4  # takes its quantity off the leaves


class Side(IntEnum):
    """Side of an order."""

    BUY = 0
    SELL = 1


class OrderType(IntEnum):
    """LIMIT names a price; MARKET takes any price and never rests."""

    LIMIT = 0
    MARKET = 1


class TimeInForce(IntEnum):
    """How long an order lives. GTD needs `expires_at_ns`; DAY ends with `end_day`."""

    GTC = 0
    DAY = 1
    GTD = 2
    IOC = 3
    FOK = 4


class SelfTrade(IntEnum):
    """What happens when an order reaches another order of its own owner. The taker's mode decides."""

    ALLOW = 0
    CANCEL_TAKER = 1
    CANCEL_MAKER = 2
    CANCEL_BOTH = 3
    DECREMENT = 4


class Status(IntEnum):
    """Where a command left its order. RESTING may be partly filled: see `filled`."""

    REJECTED = 0
    RESTING = 1
    FILLED = 2
    PARTLY_FILLED_CANCELLED = 3
    CANCELLED = 4
    REPLACED = 5
    REDUCED = 6


class Reason(IntEnum):
    """Why a command was refused or a quantity left the book. Numbers are stable for ever; the book owns 1-99."""

    NONE = 0
    # the command is not well formed
    UNKNOWN_ACTION = 1
    UNKNOWN_SIDE = 2
    UNKNOWN_ORDER_TYPE = 3
    UNKNOWN_TIME_IN_FORCE = 4
    UNKNOWN_SELF_TRADE = 5
    UNKNOWN_ZONE = 6
    # its figures break a limit
    QUANTITY_NOT_POSITIVE = 10
    QUANTITY_TOO_LARGE = 11
    PRICE_OUTSIDE_BOOK = 12
    EXPIRY_MISSING = 13
    EXPIRY_UNEXPECTED = 14
    BOOK_FULL = 15
    # it names an order that cannot be meant
    ORDER_ID_NOT_RISING = 20
    UNKNOWN_ORDER = 21
    FOREIGN_ORDER = 22
    # its conditions cannot be kept
    MARKET_MUST_BE_IMMEDIATE = 30
    POST_ONLY_MUST_REST = 31
    POST_ONLY_WOULD_TRADE = 32
    FOK_WITH_DECREMENT = 33
    FOK_NOT_FILLABLE = 34
    NOT_IN_AUCTION = 35
    # a quantity left the book without a trade
    CANCELLED_BY_OWNER = 50
    REDUCED_BY_OWNER = 51
    IMMEDIATE_REMAINDER = 52
    SELF_TRADE = 53
    EXPIRED = 54
    DAY_ENDED = 55
    BUDGET_SPENT = 56


MAX_QUANTITY: Final = 2**40
"""Largest quantity of one order. With `MAX_PRICE` it keeps price x quantity below 2**62."""

MAX_PRICE: Final = 2**22
"""Largest price of a book: the price array is flat, so a book spans a few million ticks at most."""

UNLIMITED: Final = 2**62
"""Headroom of a pair of zones without a limit (never consumed), and the budget of an order without one."""

COMMAND = np.dtype(
    [
        ("order_id", "<i8"),
        ("owner", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("expires_at_ns", "<i8"),
        ("action", "i1"),
        ("side", "i1"),
        ("order_type", "i1"),
        ("time_in_force", "i1"),
        ("post_only", "i1"),
        ("self_trade", "i1"),
        ("zone", "i1"),
    ],
    align=True,
)
"""One instruction to a book. Price in ticks, quantity in lots. Owner 0 is nobody and never trades with himself."""

TRADE = np.dtype(
    [
        ("maker_order_id", "<i8"),
        ("taker_order_id", "<i8"),
        ("maker_owner", "<i8"),
        ("taker_owner", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("command", "<i8"),
    ]
)
"""One fill, at the maker's price. `command` is the index of the taker's command in the batch."""

OUTCOME = np.dtype([("filled", "<i8"), ("leaves", "<i8"), ("code", "<i2"), ("status", "i1")], align=True)
"""The answer to one command, at the same index: what it filled, what is left resting, and why (a `Reason`)."""

REMOVAL = np.dtype(
    [
        ("order_id", "<i8"),
        ("owner", "<i8"),
        ("quantity", "<i8"),
        ("leaves", "<i8"),
        ("command", "<i8"),
        ("code", "<i2"),
    ],
    align=True,
)
"""A quantity that left a book without a trade, what its order has left, and why.

`command` is the index in the batch, -1 where none caused it.
"""

ORDER = np.dtype(
    [
        ("order_id", "<i8"),
        ("owner", "<i8"),
        ("quantity", "<i8"),
        ("next", "<u4"),
        ("previous", "<u4"),
        ("rank", "<u4"),  # of its price in its lane: see LANE
        ("lane", "<u2"),
        ("conditions", "i1"),  # time in force, post-only and self-trade mode: see `matching.queue`
    ],
    align=True,
)
"""What matching reads of a live order, 40 bytes. Slot 0 is nobody, so 0 ends every chain."""

STANDING = np.dtype([("arrival", "<i8"), ("expires_at_ns", "<i8")])
"""The rest of a live order, 16 bytes, seldom read: when it entered its queue (rising), and when it ends."""

MAX_CAPACITY: Final = 2**24 - 2
"""Most live orders of a group of books: the id table holds slots of 24 bits."""

MAX_LANES: Final = 2**16
"""Most lanes of a group of books: two a zone of each book."""

LEVEL = np.dtype([("head", "<u4"), ("tail", "<u4")])
"""First and last slot of the queue of one lane and price."""

LANE = np.dtype(
    [
        ("best", "<i8"),  # the lowest rank with an order, or NO_RANK
        ("levels_at", "<i8"),  # offsets of this lane's part of the shared arrays
        ("words_at", "<i8"),
        ("summary_at", "<i8"),
        ("first_price", "<i8"),  # price of rank 0
        ("book", "<i4"),
        ("summary", "<i4"),  # words of its summary
        ("prices", "<i4"),
        ("step", "<i4"),  # from a rank's price to the next one's: 1 for sells, -1 for buys
        ("zone", "<i4"),
        ("side", "<i4"),
    ]
)
"""One side and zone of a book, 64 bytes. Ranks count its prices from the best one thinkable: the lowest goes first.

So both sides are walked the same way, and one knows which of two prices goes first without asking for the side.
"""

BOOK = np.dtype(
    [
        ("min_price", "<i8"),
        ("prices", "<i8"),
        ("zones", "<i8"),
        ("lanes_at", "<i8"),  # the first of its lanes: those of buyers by zone, then those of sellers
        ("sells_at", "<i8"),  # the first of those
        ("last_order_id", "<i8"),
        ("auction", "<i8"),  # 1 while a call auction collects orders
    ]
)
"""One book of a group."""

POOL = np.dtype(
    [("free", "<i8"), ("live", "<i8"), ("capacity", "<i8"), ("arrivals", "<i8"), ("shift", "<i8")],
)
"""What the books of a group share: the first free slot, live orders, how many there may be, arrivals so far.

`shift` is 64 less the bits of a place in the id table.
"""
