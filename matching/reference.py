"""The plain-Python book: one sorted map a side, one queue a price. Slow, and meant to be obviously right.

The compiled book is tested against it. Orders of all zones stand in one queue in the order of their arrival, and
whoever matches passes over those he may not trade with: the priority among zones needs no rule of its own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sortedcontainers import SortedDict

from matching.report import Depth, Report, Rows
from matching.types import (
    COMMAND,
    MAX_QUANTITY,
    OUTCOME,
    REMOVAL,
    TRADE,
    UNLIMITED,
    Action,
    OrderType,
    Reason,
    SelfTrade,
    Side,
    Status,
    TimeInForce,
)

IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)
NO_COMMAND = -1

Headroom = npt.NDArray[np.int64]
Pair = tuple[int, int]  # seller's zone, buyer's zone


@dataclass(slots=True)
class _Order:
    order_id: int
    owner: int
    side: int
    zone: int
    price: int | None  # None takes any price; such an order never rests
    leaves: int
    time_in_force: int
    post_only: bool
    expires_at_ns: int


class _Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error
    def __init__(self, code: Reason, leaves: int = 0) -> None:
        super().__init__(code)
        self.code, self.leaves = code, leaves


def _refuse_first(rules: Iterable[tuple[bool, Reason]], leaves: int = 0) -> None:
    """Refuse for the first rule that is broken."""
    for broken, code in rules:
        if broken:
            raise _Refused(code, leaves)


class ReferenceBook:
    """An order book of one instrument, with the interface of `OrderBook` and none of its speed."""

    def __init__(
        self,
        min_price: int = 1,
        max_price: int = 65_535,
        capacity: int = 1_048_576,
        zones: int = 1,
        headroom: Headroom | None = None,
    ) -> None:
        """Open an empty book."""
        self.min_price, self.max_price, self.capacity, self.zones = min_price, max_price, capacity, zones
        # lots by [seller's zone, buyer's zone]; the caller shares the array and sees it consumed
        self.headroom = np.full((zones, zones), UNLIMITED, dtype=np.int64) if headroom is None else headroom
        self._orders: dict[int, _Order] = {}
        # side -> price -> order id -> order; a dict keeps the order of arrival
        self._levels: tuple[Any, Any] = (SortedDict(), SortedDict())
        self.last_order_id, self._command = 0, NO_COMMAND
        self._trades: list[tuple[Any, ...]] = []
        self._removals: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        """Live orders."""
        return len(self._orders)

    def process(self, commands: Rows) -> Report:
        """Carry out a batch of COMMAND rows, in order."""
        outcomes = []
        for index, row in enumerate(commands.tolist()):
            self._command = index
            outcomes.append(self._answer(SimpleNamespace(**dict(zip(COMMAND.names or (), row, strict=True)))))
        self._command = NO_COMMAND
        return self._report(outcomes)

    def submit(self, *, order_id: int, action: int = Action.NEW, **fields: int) -> Report:
        """Carry out one command, given by the fields of COMMAND; what is not named is zero, the default of all."""
        command = np.zeros(1, dtype=COMMAND)
        for name, value in {"order_id": order_id, "action": action, **fields}.items():
            command[name] = value
        return self.process(command)

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

    def check(self) -> None:
        """Raise AssertionError if the book contradicts itself."""
        for side in Side:
            for price, queue in self._levels[side].items():
                assert queue, "a queue without orders is no level"
                assert self.min_price <= price <= self.max_price
                assert all((o.side, o.price) == (side, price) for o in queue.values())
        queued = [order for levels in self._levels for queue in levels.values() for order in queue.values()]
        assert len(queued) == len(self._orders) <= self.capacity
        for order in queued:
            assert self._orders[order.order_id] is order
            assert 0 < order.order_id <= self.last_order_id
            assert 0 < order.leaves <= MAX_QUANTITY
            assert 0 <= order.zone < self.zones
            assert order.time_in_force not in IMMEDIATE
            assert (order.time_in_force == TimeInForce.GTD) == (order.expires_at_ns > 0)

    def _answer(self, command: SimpleNamespace) -> tuple[int, ...]:
        """Row of OUTCOME of one command."""
        others = {Action.CANCEL: self._cancel, Action.REDUCE: self._reduce, Action.REPLACE: self._replace}
        try:
            if command.action == Action.NEW:
                return self._new(command)
            order = self._orders.get(command.order_id)
            rules = (
                (command.action not in others, Reason.UNKNOWN_ACTION),
                (order is None, Reason.UNKNOWN_ORDER),
                (order is not None and order.owner != command.owner, Reason.FOREIGN_ORDER),
            )
            _refuse_first(rules)
            return others[command.action](command, cast("_Order", order))
        except _Refused as refused:
            return (0, refused.leaves, refused.code, Status.REJECTED)

    def _new(self, new: SimpleNamespace) -> tuple[int, ...]:
        self._refuse_malformed(new)
        limit = new.price if new.order_type == OrderType.LIMIT else None
        who, how = (new.order_id, new.owner, new.side, new.zone), (new.time_in_force, bool(new.post_only))
        order = _Order(*who, limit, new.quantity, *how, new.expires_at_ns)
        if order.time_in_force not in IMMEDIATE and len(self) == self.capacity:
            raise _Refused(Reason.BOOK_FULL)
        if order.post_only and any(self._reached(order, limit, self.headroom)):
            raise _Refused(Reason.POST_ONLY_WOULD_TRADE)
        if order.time_in_force == TimeInForce.FOK and not self._can_fill(order, new.self_trade):
            raise _Refused(Reason.FOK_NOT_FILLABLE)
        self.last_order_id = order.order_id
        return self._take(order, new.self_trade, Status.RESTING)

    def _refuse_malformed(self, new: SimpleNamespace) -> None:
        """Refuse a new order for what can be seen without looking at the queues."""
        is_limit = new.order_type == OrderType.LIMIT
        immediate, is_gtd = new.time_in_force in IMMEDIATE, new.time_in_force == TimeInForce.GTD
        fok, decrements = new.time_in_force == TimeInForce.FOK, new.self_trade == SelfTrade.DECREMENT
        rules = (
            (new.side not in tuple(Side), Reason.UNKNOWN_SIDE),
            (new.order_type not in tuple(OrderType), Reason.UNKNOWN_ORDER_TYPE),
            (new.time_in_force not in tuple(TimeInForce), Reason.UNKNOWN_TIME_IN_FORCE),
            (new.self_trade not in tuple(SelfTrade), Reason.UNKNOWN_SELF_TRADE),
            (not 0 <= new.zone < self.zones, Reason.UNKNOWN_ZONE),
            (new.order_id <= self.last_order_id, Reason.ORDER_ID_NOT_RISING),
            (new.quantity <= 0, Reason.QUANTITY_NOT_POSITIVE),
            (new.quantity > MAX_QUANTITY, Reason.QUANTITY_TOO_LARGE),
            (is_limit and not self.min_price <= new.price <= self.max_price, Reason.PRICE_OUTSIDE_BOOK),
            (not is_limit and not immediate, Reason.MARKET_MUST_BE_IMMEDIATE),
            (is_gtd and new.expires_at_ns <= 0, Reason.EXPIRY_MISSING),
            (not is_gtd and new.expires_at_ns != 0, Reason.EXPIRY_UNEXPECTED),
            (new.post_only and immediate, Reason.POST_ONLY_MUST_REST),
            (fok and decrements, Reason.FOK_WITH_DECREMENT),
        )
        _refuse_first(rules)

    def _cancel(self, _: SimpleNamespace, order: _Order) -> tuple[int, ...]:
        self._lose(order, order.leaves, Reason.CANCELLED_BY_OWNER)
        return (0, 0, Reason.NONE, Status.CANCELLED)

    def _reduce(self, command: SimpleNamespace, order: _Order) -> tuple[int, ...]:
        _refuse_first([(command.quantity <= 0, Reason.QUANTITY_NOT_POSITIVE)], order.leaves)
        self._lose(order, min(command.quantity, order.leaves), Reason.REDUCED_BY_OWNER)
        return (0, order.leaves, Reason.NONE, Status.REDUCED if order.leaves else Status.CANCELLED)

    def _replace(self, command: SimpleNamespace, order: _Order) -> tuple[int, ...]:
        price, quantity = command.price or cast("int", order.price), command.quantity or order.leaves
        rules = (
            (command.self_trade not in tuple(SelfTrade), Reason.UNKNOWN_SELF_TRADE),
            (quantity < 0, Reason.QUANTITY_NOT_POSITIVE),
            (quantity > MAX_QUANTITY, Reason.QUANTITY_TOO_LARGE),
            (not self.min_price <= price <= self.max_price, Reason.PRICE_OUTSIDE_BOOK),
        )
        _refuse_first(rules, order.leaves)
        keeps_place = price == order.price and quantity <= order.leaves
        if not keeps_place and order.post_only and any(self._reached(order, price, self.headroom)):
            raise _Refused(Reason.POST_ONLY_WOULD_TRADE, order.leaves)
        if quantity < order.leaves:
            self._lose(order, order.leaves - quantity, Reason.REDUCED_BY_OWNER)
        if keeps_place:
            return (0, order.leaves, Reason.NONE, Status.REPLACED)
        self._leave_queue(order)
        order.price, order.leaves = price, quantity
        return self._take(order, command.self_trade, Status.REPLACED)

    def _take(self, taker: _Order, mode: int, resting: Status) -> tuple[int, ...]:
        """Match an order that stands in no queue, let its rest rest or go, and answer."""
        wanted = taker.leaves
        filled = self._match(taker, mode)
        code = Reason.SELF_TRADE  # nothing else takes a quantity off an order that is being matched
        if taker.leaves > 0:
            if taker.time_in_force not in IMMEDIATE:
                self._join_queue(taker)
                return (filled, taker.leaves, Reason.NONE, resting)
            code = Reason.IMMEDIATE_REMAINDER
            self._lose(taker, taker.leaves, code)
        if filled == wanted:
            return (filled, 0, Reason.NONE, Status.FILLED)
        return (filled, 0, code, Status.PARTLY_FILLED_CANCELLED if filled else Status.CANCELLED)

    def _match(self, taker: _Order, mode: int) -> int:
        """Trade against the queues, and return what was filled."""
        filled = 0
        for maker, pair in self._reached(taker, taker.price, self.headroom):
            if mode != SelfTrade.ALLOW and taker.owner == maker.owner != 0:
                self._prevent(taker, maker, mode)
            else:
                quantity = min(taker.leaves, maker.leaves, int(self.headroom[pair]))
                parties = (maker.order_id, taker.order_id, maker.owner, taker.owner)
                self._trades.append((*parties, maker.price, quantity, self._command))
                self.headroom[pair] -= 0 if self.headroom[pair] == UNLIMITED else quantity
                taker.leaves -= quantity
                maker.leaves -= quantity
                if maker.leaves == 0:
                    self._leave_queue(maker)
                filled += quantity
            if taker.leaves == 0:
                break
        return filled

    def _prevent(self, taker: _Order, maker: _Order, mode: int) -> None:
        """Keep two orders of one owner apart."""
        both = min(taker.leaves, maker.leaves)
        maker_loses, taker_loses = {
            SelfTrade.CANCEL_TAKER: (0, taker.leaves),
            SelfTrade.CANCEL_MAKER: (maker.leaves, 0),
            SelfTrade.CANCEL_BOTH: (maker.leaves, taker.leaves),
            SelfTrade.DECREMENT: (both, both),
        }[SelfTrade(mode)]
        for order, quantity in ((maker, maker_loses), (taker, taker_loses)):
            if quantity:
                self._lose(order, quantity, Reason.SELF_TRADE)

    def _can_fill(self, taker: _Order, mode: int) -> bool:
        """Whether a taker would trade to its last lot: the match again, on paper."""
        headroom, wanted = self.headroom.copy(), taker.leaves
        for maker, pair in self._reached(taker, taker.price, headroom):
            if mode != SelfTrade.ALLOW and taker.owner == maker.owner != 0:
                if mode == SelfTrade.CANCEL_MAKER:
                    continue
                return False
            quantity = min(wanted, maker.leaves, int(headroom[pair]))
            headroom[pair] -= 0 if headroom[pair] == UNLIMITED else quantity
            wanted -= quantity
            if wanted == 0:
                return True
        return False

    def _reached(self, taker: _Order, limit: int | None, headroom: Headroom) -> Iterator[tuple[_Order, Pair]]:
        """Counter-orders in priority order, each if its zones may still trade when its turn comes."""
        buys = taker.side == Side.BUY
        queues = self._levels[Side.SELL if buys else Side.BUY]
        for price in list(self._prices(Side.SELL if buys else Side.BUY)):
            if limit is not None and (price > limit if buys else price < limit):
                return
            for maker in list(queues[price].values()):
                pair = (maker.zone, taker.zone) if buys else (taker.zone, maker.zone)
                if headroom[pair] > 0:
                    yield maker, pair

    def _prices(self, side: int) -> Iterator[int]:
        """Prices of a side, best first."""
        return reversed(self._levels[side]) if side == Side.BUY else iter(self._levels[side])

    def _join_queue(self, order: _Order) -> None:
        self._levels[order.side].setdefault(order.price, {})[order.order_id] = order
        self._orders[order.order_id] = order

    def _leave_queue(self, order: _Order) -> None:
        queue = self._levels[order.side][order.price]
        del queue[order.order_id], self._orders[order.order_id]
        if not queue:
            del self._levels[order.side][order.price]

    def _lose(self, order: _Order, quantity: int, code: Reason) -> None:
        """Take a quantity off an order without a trade, and the order off the book when nothing is left."""
        order.leaves -= quantity
        if order.leaves == 0 and order.order_id in self._orders:
            self._leave_queue(order)
        self._removals.append((order.order_id, order.owner, quantity, order.leaves, self._command, code))

    def _remove_all(self, order_ids: Iterable[int], code: Reason) -> Report:
        for order_id in order_ids:
            self._lose(self._orders[order_id], self._orders[order_id].leaves, code)
        return self._report([])

    def _side_depth(self, side: int, levels: int, zone: int | None) -> list[tuple[int, int, int]]:
        rows = []
        for price in self._prices(side):
            queue = [o.leaves for o in self._levels[side][price].values() if zone is None or o.zone == zone]
            if queue:
                rows.append((price, sum(queue), len(queue)))
        return rows[:levels]

    def _report(self, outcomes: list[tuple[int, ...]]) -> Report:
        trades, self._trades = np.array(self._trades, dtype=TRADE), []
        removals, self._removals = np.array(self._removals, dtype=REMOVAL), []
        return Report(trades, np.array(outcomes, dtype=OUTCOME), removals)
