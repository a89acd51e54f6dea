"""What a book answers: the report on a batch, the depth of its queues, and the price of a call auction."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.void]
"""A structured array; each use names its dtype."""


class Report(NamedTuple):
    """What a batch did, in the order in which it happened. Outcomes stand at the index of their command."""

    trades: Rows  # TRADE
    outcomes: Rows  # OUTCOME
    removals: Rows  # REMOVAL


class Depth(NamedTuple):
    """The queues of a book by price, best first, each as (price, quantity, orders)."""

    bids: list[tuple[int, int, int]]
    asks: list[tuple[int, int, int]]


class Indicative(NamedTuple):
    """The price at which a call auction would trade, what would trade there, and who would be left over."""

    price: int | None  # None where no orders cross; then there is no volume and no imbalance either
    volume: int  # as if all zones might trade, and no owner met himself
    imbalance: int  # bought less sold at this price


class Uncrossed(NamedTuple):
    """How a call auction ended."""

    price: int | None
    volume: int  # executed
    imbalance: int  # of the indicative price, as it was before
    lost: int  # indicative volume that zones and self-trade prevention kept from trading
    report: Report  # without outcomes: its trades and removals were caused by no command
