"""What a book answers: the report on a batch, and the depth of its queues."""

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
