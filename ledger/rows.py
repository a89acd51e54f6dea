"""Frequent facts: columns of a page, and the arrays in which callers submit orders and readings.

The dtypes below are the in-memory rows. A page stores their columns in this order, little-endian and without
padding; a changed layout is a new version of the topic. Times are UTC nanoseconds, volumes litres, amounts fen,
prices ticks, quantities lots. `right` is the dense number of a right; with `year` it names a holding.
"""

from enum import IntEnum
from typing import Final

import numpy as np


class Source(IntEnum):
    """How a reading came to be. Estimated water counts as use but never as proof of saving."""

    TELEMETRY = 0
    MANUAL = 1


class Quality(IntEnum):
    """Quality of a reading, kept with it for ever."""

    UNCHECKED = 0
    GOOD = 1
    SUSPECT = 2
    ESTIMATED = 3
    POOR = 4
    MISSING = 5


MISSING: Final = -(2**63)
"""A figure that the meter did not report. Never zero."""

ORDER = np.dtype(
    [
        ("client_order_id", "<i8"),
        ("order_id", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("max_amount_fen", "<i8"),
        ("expires_at_ns", "<i8"),
        ("right", "<i4"),
        ("instrument", "<i4"),
        ("action", "i1"),
        ("side", "i1"),
        ("order_type", "i1"),
        ("time_in_force", "i1"),
        ("post_only", "i1"),
        ("self_trade", "i1"),
    ],
    align=True,
)
"""One order to the exchange. `order_id` names the order to cancel, replace or reduce; a new one gets its own.

`client_order_id` is the caller's, rising for each actor, or 0. `max_amount_fen` bounds a market buy, fees included;
0 means all the money at hand. Enumerations are those of `matching`.
"""

READING = np.dtype(
    [
        ("measured_at_ns", "<i8"),
        ("received_at_ns", "<i8"),
        ("value_l", "<i8"),
        ("flow_l_per_h", "<i8"),
        ("sequence", "<i4"),
        ("meter", "<i4"),
        ("alarm", "<i4"),
        ("source", "i1"),
        ("quality", "i1"),
    ],
    align=True,
)
"""One reading of a cumulative register. `value_l` and `flow_l_per_h` are MISSING when the meter gave none.

Identity is (meter, measured_at_ns, sequence); `sequence` tells apart reports of one instant and is 0 otherwise.
"""

ORDER_FACT = np.dtype(
    [
        ("seq", "<i8"),
        ("at_ns", "<i8"),
        ("order_id", "<i8"),
        ("client_order_id", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("max_amount_fen", "<i8"),
        ("expires_at_ns", "<i8"),
        ("filled", "<i8"),
        ("leaves", "<i8"),
        ("escrowed", "<i8"),  # change of escrow before its trades: litres of a sell, fen of a buy
        ("fee_ppm", "<i4"),  # frozen at entry
        ("actor", "<i4"),
        ("instrument", "<i4"),
        ("right", "<i4"),
        ("code", "<i2"),
        ("year", "<i2"),
        ("action", "i1"),
        ("side", "i1"),
        ("order_type", "i1"),
        ("time_in_force", "i1"),
        ("post_only", "i1"),
        ("self_trade", "i1"),
        ("status", "i1"),
        ("zone", "i1"),
    ],
    align=True,
)
"""The outcome of one order command. For a new order `order_id` equals `seq` (contract K21)."""

TRADE_FACT = np.dtype(
    [
        ("seq", "<i8"),
        ("at_ns", "<i8"),
        ("maker_order_id", "<i8"),
        ("taker_order_id", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("volume_l", "<i8"),
        ("amount_fen", "<i8"),
        ("buyer_fee_fen", "<i8"),
        ("seller_fee_fen", "<i8"),
        ("released_fen", "<i8"),  # of the buyer's escrow: price improvement and fee difference (K22)
        ("covered_l", "<i8"),  # of the volume, what went to cover the buyer's over-use (K15)
        ("instrument", "<i4"),
        ("buyer_right", "<i4"),
        ("seller_right", "<i4"),
        ("year", "<i2"),
        ("taker_side", "i1"),
        ("buyer_zone", "i1"),
        ("seller_zone", "i1"),
    ],
    align=True,
)
"""One fill and its settlement, final (K18)."""

REMOVAL_FACT = np.dtype(
    [
        ("seq", "<i8"),
        ("at_ns", "<i8"),
        ("order_id", "<i8"),
        ("cause", "<i8"),  # seq of the fact that caused it
        ("quantity", "<i8"),
        ("leaves", "<i8"),
        ("released", "<i8"),  # litres of a sell, fen of a buy
        ("instrument", "<i4"),
        ("right", "<i4"),
        ("code", "<i2"),
        ("year", "<i2"),
        ("side", "i1"),
    ],
    align=True,
)
"""A quantity that left a book without a trade, and the escrow that it released (K7)."""

READING_FACT = np.dtype(
    [
        ("seq", "<i8"),
        ("at_ns", "<i8"),
        ("measured_at_ns", "<i8"),
        ("received_at_ns", "<i8"),
        ("value_l", "<i8"),
        ("flow_l_per_h", "<i8"),
        ("volume_l", "<i8"),  # what it adds to the use at this meter
        ("sequence", "<i4"),
        ("meter", "<i4"),
        ("alarm", "<i4"),
        ("actor", "<i4"),
        ("code", "<i2"),
        ("source", "i1"),
        ("quality", "i1"),
    ],
    align=True,
)
"""The outcome of one reading. Only one with code NONE or WRAPPED moves the register and books use."""

USE_FACT = np.dtype(
    [
        ("seq", "<i8"),
        ("at_ns", "<i8"),
        ("cause", "<i8"),  # seq of the reading
        ("from_ns", "<i8"),
        ("to_ns", "<i8"),
        ("volume_l", "<i8"),  # negative for return flow
        ("over_l", "<i8"),  # of the volume, what went to (or came back from) over-use
        ("right", "<i4"),
        ("year", "<i2"),
    ],
    align=True,
)
"""Water taken, booked to one right in the year in which it was measured (K15, K18)."""

ORDERS, TRADES, REMOVALS, READINGS, USES = "order/1", "trade/1", "removal/1", "reading/1", "use/1"
SUBMISSIONS: Final = "submission/1"

PAGE_DTYPES: Final = {
    ORDERS: ORDER_FACT,
    TRADES: TRADE_FACT,
    REMOVALS: REMOVAL_FACT,
    READINGS: READING_FACT,
    USES: USE_FACT,
}
"""The frequent facts that kernels write and apply, by topic."""

SUBMISSION_FIELDS: Final = (
    ("seq", "<i8"),
    ("at_ns", "<i8"),
    ("facts", "<i4"),  # facts of this submission, this one included
    ("commands", "<i4"),
    ("actor_number", "<i4"),
    ("role", "i1"),
    ("content", "V32"),  # SHA-256 over the commands, personal data left out
)
SUBMISSION_TEXTS: Final = ("actor", "approver", "command_id")
"""One submission: who, in which role, approved by whom, under which command id (K1, K29). Texts are UTF-8."""
