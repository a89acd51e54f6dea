"""The yardstick's hash over trades: 64-bit FNV-1a over maker, taker, quantity and price of each, in order.

Two engines that print the same hash have matched the same orders in the same order at the same prices.
"""

from typing import Any, Final

import numba
import numpy as np

START: Final = 1_469_598_103_934_665_603
PRIME: Final = np.uint64(1_099_511_628_211)
LOW: Final = np.uint64(0xFFFFFFFF)


def trade_hash(trades: Any, start: int = START) -> int:
    """Hash of an array of TRADE, going on from `start`; each figure counts with its lower 32 bits."""
    return int(fold(trades, np.uint64(start)))


@numba.njit(cache=True)
def fold(trades: Any, start: Any) -> Any:
    """Fold every trade into the hash."""
    folded = start
    for at in range(len(trades)):
        trade = trades[at]
        folded = (folded ^ (np.uint64(trade["maker_order_id"]) & LOW)) * PRIME
        folded = (folded ^ (np.uint64(trade["taker_order_id"]) & LOW)) * PRIME
        folded = (folded ^ (np.uint64(trade["quantity"]) & LOW)) * PRIME
        folded = (folded ^ (np.uint64(trade["price"]) & LOW)) * PRIME
    return folded
