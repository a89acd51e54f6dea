"""The ledger's state as flat arrays: what kernels read and write, and how the arrays grow.

A holding is one right in one year; it is a row of `account` and of `balance`. Money, pools (control index,
district, cells, expired, fees, external) are rows of the same tables. A row has four balances, one a role.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ledger import rows
from matching.rows import fill_first

Array = npt.NDArray[Any]


class Role(IntEnum):
    """The four balances of an account row. ABSTRACTED and OVER_USE are contra accounts (K14)."""

    FREE = 0
    ESCROWED = 1
    ABSTRACTED = 2
    OVER_USE = 3


class Kind(IntEnum):
    """What an account row is. Only CONTROL and EXTERNAL may have a negative free balance: they close the sums."""

    HOLDING = 0
    MONEY = 1
    CONTROL = 2  # water: the control index
    DISTRICT = 3
    CELL = 4
    EXPIRED = 5
    OVER_ALLOCATED = 6  # contra: what an opening import found issued above the index (K16)
    EXTERNAL = 7  # money: the world outside
    FEES = 8


CONTRA: Final = (Kind.CONTROL, Kind.OVER_ALLOCATED, Kind.EXTERNAL)
MONEY_UNIT: Final = -1
"""Unit of money. A unit of water is source x 10,000 + year."""


def water_unit(source: int, year: int) -> int:
    """Number of the unit of one source kind and year."""
    return source * 10_000 + year


ACCOUNT = np.dtype(
    [
        ("unit", "<i8"),
        ("saved_l", "<i8"),
        ("sold_l", "<i8"),
        ("bought_l", "<i8"),
        ("issued_l", "<i8"),
        ("floor_l", "<i8"),
        ("owner", "<i4"),  # party, or -1
        ("reference", "<i4"),  # right of a holding, number of a cell, or -1
        ("next_of_owner", "<i4"),  # the next holding of the same party, or -1
        ("first_offer", "<i4"),  # slots of its resting sell orders, oldest first
        ("last_offer", "<i4"),
        ("caps_at", "<i4"),
        ("caps", "<i4"),
        ("sell_code", "<i2"),  # why it may not sell, or 0
        ("buy_code", "<i2"),
        ("year", "<i2"),
        ("kind", "i1"),
        ("licence", "i1"),  # sells only verified savings (T2)
        ("zone", "i1"),
    ],
    align=True,
)

PARTY = np.dtype([("over_l", "<i8"), ("money", "<i4"), ("first_holding", "<i4")], align=True)

CAP = np.dtype(
    [
        ("limit_l", "<i8"),
        ("imported_l", "<i8"),
        ("exported_l", "<i8"),
        ("held_l", "<i8"),
        ("used_l", "<i8"),
        ("over_l", "<i8"),  # over-use stands beside the cap (K16)
        ("over_allocated_l", "<i8"),
    ]
)

INSTRUMENT = np.dtype(
    [
        ("unit", "<i8"),
        ("lot_l", "<i8"),
        ("tick_fen", "<i8"),
        ("low_price", "<i8"),
        ("high_price", "<i8"),
        ("opens_at_ns", "<i8"),
        ("closes_at_ns", "<i8"),
        ("buyer_fee_ppm", "<i4"),
        ("seller_fee_ppm", "<i4"),
        ("year", "<i2"),
        ("code", "<i2"),  # why it takes no orders, or 0
    ],
    align=True,
)

TERMS = np.dtype(
    [
        ("escrow", "<i8"),  # fen of a buy; a sell's escrow is leaves x lot
        ("notional_fen", "<i8"),  # of its fills so far: fees are cumulative (K22)
        ("limit_fen", "<i8"),  # limit price of a lot in fen; -1 for a market order
        ("account", "<i4"),
        ("fee_ppm", "<i4"),
        ("next_offer", "<i4"),
        ("previous_offer", "<i4"),
        ("actor", "<i4"),
    ],
    align=True,
)

ACTOR = np.dtype([("last_client_order_id", "<i8"), ("party", "<i4")], align=True)
"""`party` is the only holder the actor may act for, -1 for any, -2 for none."""

METER = np.dtype(
    [
        ("modulus_l", "<i8"),
        ("max_l_per_hour", "<i8"),
        ("last_l", "<i8"),
        ("last_at_ns", "<i8"),
        ("first_at_ns", "<i8"),
        ("shares_at", "<i4"),
        ("shares", "<i4"),
        ("sign", "i1"),
    ],
    align=True,
)

SHARE = np.dtype([("right", "<i4"), ("ppm", "<i4")])

SEEN = np.dtype([("measured_at_ns", "<i8"), ("meter", "<i4"), ("sequence", "<i4")])
"""Identity of a reading that arrived within the late window; an empty place has meter -1."""


class Accounts(NamedTuple):
    """Who holds what, and the caps over it."""

    balance: Array  # int64[n, 4]
    account: Array  # ACCOUNT
    party: Array  # PARTY
    cap: Array  # CAP
    cap_members: Array  # int32, the caps of each account, at `caps_at`
    right_rows: Array  # int32[rights, years], row of a holding, or -1
    scalars: Array  # int64[3]: fee account row, first year, 1 if bought water may be resold


class Market(NamedTuple):
    """Instruments, what each live order owes, and who gave it."""

    instrument: Array  # INSTRUMENT
    terms: Array  # TERMS, by slot of the books' pool
    actor: Array  # ACTOR
    scratch: Array  # matching.COMMAND[1]


class Metering(NamedTuple):
    """Registers of meters, shares among rights, and the identities of recent readings."""

    meter: Array  # METER
    share: Array  # SHARE
    year_starts: Array  # int64
    seen: Array  # SEEN, open addressing, length a power of two
    limits: Array  # int64[3]: identities in `seen`, late window in ns, tolerance of clocks ahead in ns


class Journal(NamedTuple):
    """Where kernels write the facts of a segment."""

    orders: Array
    trades: Array
    removals: Array
    readings: Array
    uses: Array
    counts: Array  # int64[5], rows written of each
    clock: Array  # int64[3]: next seq, at_ns, earliest expiry of a live order


FEE_ROW, FIRST_YEAR, RESALE = 0, 1, 2
N_ORDERS, N_TRADES, N_REMOVALS, N_READINGS, N_USES = 0, 1, 2, 3, 4
NEXT_SEQ, AT_NS, NEXT_EXPIRY = 0, 1, 2
NEVER: Final = 2**63 - 1


def grown(array: Array, length: int, fill: Any = 0) -> Array:
    """`array` if it has `length` rows, otherwise a copy of at least twice its length filled up with `fill`."""
    if length <= len(array):
        return array
    longer = np.zeros((max(length, 2 * len(array)), *array.shape[1:]), array.dtype)
    fill_first(longer, array)
    if fill:  # zeros cost nothing until they are touched
        longer[len(array) :] = fill
    return longer


def plain(rows: Array) -> Array:
    """The array as kernels are compiled for it."""
    return rows if rows.flags.c_contiguous and rows.flags.writeable else rows.copy()


def copied(part: Array) -> Array:
    """A copy of contiguous rows, as bytes: numpy copies structured rows field by field, ten times slower."""
    made: Array = part.view(np.uint8).copy().view(part.dtype)
    return made


def joined(parts: Sequence[Array]) -> Array:
    """Contiguous rows of several arrays in one; an array that stands alone is handed on as it is."""
    if len(parts) == 1:
        return parts[0]
    made: Array = np.concatenate([part.view(np.uint8) for part in parts]).view(parts[0].dtype)
    return made


def make_journal(orders: int, trades: int, removals: int, readings: int, uses: int) -> Journal:
    """Empty columns for so many facts of each kind. Memory is touched only as it is written."""
    return Journal(
        orders=np.zeros(orders, rows.ORDER_FACT),
        trades=np.zeros(trades, rows.TRADE_FACT),
        removals=np.zeros(removals, rows.REMOVAL_FACT),
        readings=np.zeros(readings, rows.READING_FACT),
        uses=np.zeros(uses, rows.USE_FACT),
        counts=np.zeros(5, np.int64),
        clock=np.array([1, 0, NEVER], np.int64),
    )
