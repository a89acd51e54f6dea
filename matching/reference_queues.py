"""What stands in the plain-Python book: its queues, its headroom, what is written down, and what can be seen.

Orders of all zones stand in one queue a side and price, in the order of their arrival.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sortedcontainers import SortedDict

from matching.report import Depth, Report
from matching.types import OUTCOME, REMOVAL, TRADE, UNLIMITED, Reason, SelfTrade, Side, TimeInForce

NO_COMMAND = -1

Headroom = npt.NDArray[np.int64]
Pair = tuple[int, int]  # seller's zone, buyer's zone


@dataclass(slots=True)
class Order:
    """An order in its queue, or on the way there."""

    order_id: int
    owner: int
    side: int
    zone: int
    price: Any  # an int, or None for any price; such an order never rests
    leaves: int
    time_in_force: int
    post_only: bool
    self_trade: int
    expires_at_ns: int
    arrival: int = 0  # rises with each entry into a queue


def zones_of(one: Order, other: Order) -> Pair:
    """The pair of zones of an order and a counter-order."""
    return (one.zone, other.zone) if one.side == Side.SELL else (other.zone, one.zone)


def prevents(maker: Order, taker: Order) -> bool:
    """Whether two orders may not trade because they are of one owner: the taker's mode decides."""
    return taker.self_trade != SelfTrade.ALLOW and taker.owner == maker.owner != 0


class Queues:
    """The queues of a book, and all that happens to single orders in them."""

    def __init__(
        self,
        min_price: int = 1,
        max_price: int = 65_535,
        capacity: int = 1_048_576,
        zones: int = 1,
        headroom: Headroom | None = None,
        *,
        netting: bool = False,
    ) -> None:
        """Open an empty book. With `netting`, what flows between two zones may flow back: see `ReferenceBook`."""
        self.min_price, self.max_price, self.capacity, self.zones = min_price, max_price, capacity, zones
        # lots by [seller's zone, buyer's zone]; the caller shares the array and sees it consumed
        self.headroom = np.full((zones, zones), UNLIMITED, dtype=np.int64) if headroom is None else headroom
        self.netting = netting
        self._permitted = self.headroom > 0
        self._moved: list[tuple[Pair, int]] = []  # fills whose way back netting has still to open
        self._orders: dict[int, Order] = {}
        # side -> price -> order id -> order; a dict keeps the order of arrival
        self._levels: tuple[Any, Any] = (SortedDict(), SortedDict())
        self.last_order_id, self._arrivals, self._command = 0, 0, NO_COMMAND
        self._trades: list[tuple[Any, ...]] = []
        self._removals: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        """Live orders."""
        return len(self._orders)

    def cancel_all(self, owner: int) -> Report:
        """Remove all orders of an owner."""
        return self._remove_all(self.orders(owner), Reason.CANCELLED_BY_OWNER)

    def expire(self, at_ns: int) -> Report:
        """Remove the orders whose time is over at `at_ns`, by time, then id."""
        dated = [o for o in self._orders.values() if o.time_in_force == TimeInForce.GTD]
        due = sorted((o.expires_at_ns, o.order_id) for o in dated if o.expires_at_ns <= at_ns)
        return self._remove_all([order_id for _, order_id in due], Reason.EXPIRED)

    def end_day(self) -> Report:
        """Remove the orders of the day."""
        ended = sorted(o.order_id for o in self._orders.values() if o.time_in_force == TimeInForce.DAY)
        return self._remove_all(ended, Reason.DAY_ENDED)

    def orders(self, owner: int) -> list[int]:
        """Ids of an owner's live orders, ascending."""
        return sorted(order.order_id for order in self._orders.values() if order.owner == owner)

    @property
    def best(self) -> tuple[int | None, int | None]:
        """Best bid and best ask over all zones."""
        return (next(self._prices(Side.BUY), None), next(self._prices(Side.SELL), None))

    def depth(self, levels: int = 10, zone: int | None = None) -> Depth:
        """Up to `levels` prices a side, of one zone or of all together."""
        return Depth(*(self._side_depth(side, levels, zone) for side in Side))

    def _side_depth(self, side: int, levels: int, zone: int | None) -> list[tuple[int, int, int]]:
        rows = []
        for price in self._prices(side):
            queue = [o.leaves for o in self._levels[side][price].values() if zone is None or o.zone == zone]
            if queue:
                rows.append((price, sum(queue), len(queue)))
        return rows[:levels]

    def _prices(self, side: int) -> Iterator[int]:
        """Prices of a side, best first."""
        return reversed(self._levels[side]) if side == Side.BUY else iter(self._levels[side])

    def _standing(self, side: int) -> Iterator[Order]:
        """Orders of a side, by price, then age. One that was given may leave its queue before the next is asked for."""
        for price in list(self._prices(side)):
            yield from list(self._levels[side][price].values())

    def _join_queue(self, order: Order) -> None:
        self._arrivals += 1
        order.arrival = self._arrivals
        self._levels[order.side].setdefault(order.price, {})[order.order_id] = order
        self._orders[order.order_id] = order

    def _leave_queue(self, order: Order) -> None:
        queue = self._levels[order.side][order.price]
        del queue[order.order_id], self._orders[order.order_id]
        if not queue:
            del self._levels[order.side][order.price]

    def _meet(self, maker: Order, taker: Order, price: int) -> int:
        """Let two orders whose zones may trade do so, or keep them apart. Returns what was filled."""
        if prevents(maker, taker):
            self._prevent(maker, taker)
            return 0
        pair = zones_of(maker, taker)
        quantity = min(taker.leaves, maker.leaves, int(self.headroom[pair]))
        parties = (maker.order_id, taker.order_id, maker.owner, taker.owner)
        self._trades.append((*parties, price, quantity, self._command))
        self.headroom[pair] -= 0 if self.headroom[pair] == UNLIMITED else quantity
        self._moved.append((pair, quantity))
        for order in (maker, taker):
            self._shrink(order, quantity)
        return quantity

    def _prevent(self, maker: Order, taker: Order) -> None:
        """Keep two orders of one owner apart."""
        both = min(taker.leaves, maker.leaves)
        maker_loses, taker_loses = {
            SelfTrade.CANCEL_TAKER: (0, taker.leaves),
            SelfTrade.CANCEL_MAKER: (maker.leaves, 0),
            SelfTrade.CANCEL_BOTH: (maker.leaves, taker.leaves),
            SelfTrade.DECREMENT: (both, both),
        }[SelfTrade(taker.self_trade)]
        for order, quantity in ((maker, maker_loses), (taker, taker_loses)):
            if quantity:
                self._lose(order, quantity, Reason.SELF_TRADE)

    def _net(self) -> None:
        """Open the way back for all that has moved since the last time, if this book nets."""
        moved, self._moved = self._moved, []
        for (seller, buyer), quantity in moved if self.netting else ():
            back = (buyer, seller)
            if seller != buyer and self._permitted[back] and self.headroom[back] != UNLIMITED:
                self.headroom[back] = min(int(self.headroom[back]) + quantity, UNLIMITED - 1)  # it stays a limit

    def _lose(self, order: Order, quantity: int, code: Reason) -> None:
        """Take a quantity off an order without a trade."""
        self._shrink(order, quantity)
        self._removals.append((order.order_id, order.owner, quantity, order.leaves, self._command, code))

    def _shrink(self, order: Order, quantity: int) -> None:
        """Take a quantity off an order, and the order off its queue, if it stands in one, when nothing is left."""
        order.leaves -= quantity
        if order.leaves == 0 and order.order_id in self._orders:
            self._leave_queue(order)

    def _remove_all(self, order_ids: Iterable[int], code: Reason) -> Report:
        for order_id in order_ids:
            self._lose(self._orders[order_id], self._orders[order_id].leaves, code)
        return self._report([])

    def _report(self, outcomes: list[tuple[int, ...]]) -> Report:
        """All that was written down since the last report."""
        trades, self._trades = np.array(self._trades, dtype=TRADE), []
        removals, self._removals = np.array(self._removals, dtype=REMOVAL), []
        return Report(trades, np.array(outcomes, dtype=OUTCOME), removals)
