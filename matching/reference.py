"""The plain-Python book: one sorted map a side, one queue a price. Slow, and meant to be obviously right.

The compiled book is tested against it. Orders of all zones stand in one queue in the order of their arrival, and
whoever matches passes over those he may not trade with: the priority among zones needs no rule of its own.

This module answers commands. `reference_queues` keeps the orders; `reference_auction` matches those that rest.
"""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import cast

import numpy as np

from matching.reference_auction import Crossings
from matching.reference_queues import NO_COMMAND, Headroom, Order, prevents, zones_of
from matching.report import Report, Rows
from matching.types import (
    COMMAND,
    MAX_QUANTITY,
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


class _Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error
    def __init__(self, code: Reason, leaves: int = 0) -> None:
        super().__init__(code)
        self.code, self.leaves = code, leaves


def _refuse_first(rules: Iterable[tuple[bool, Reason]], leaves: int = 0) -> None:
    """Refuse for the first rule that is broken."""
    for broken, code in rules:
        if broken:
            raise _Refused(code, leaves)


class ReferenceBook(Crossings):
    """An order book of one instrument, with the interface of `OrderBook` and none of its speed.

    A fill from a seller's zone to a buyer's consumes their headroom, unless it is UNLIMITED. With `netting` it also
    raises the headroom of the way back by as much, when its command is done: not during it, so no order profits
    from its own fills. Only ways that have a limit and are permitted rise, which is where the headroom was above
    zero when the book was opened or by the last `set_headroom`. A raise matches nothing: orders that cross because
    of it wait for the next taker, or for `set_headroom`.
    """

    def process(self, commands: Rows) -> Report:
        """Carry out a batch of COMMAND rows, in order."""
        outcomes = []
        for index, row in enumerate(commands.tolist()):
            self._command = index
            outcomes.append(self._answer(SimpleNamespace(**dict(zip(COMMAND.names or (), row, strict=True)))))
            self._net()
        self._command = NO_COMMAND
        return self._report(outcomes)

    def submit(self, *, order_id: int, action: int = Action.NEW, **fields: int) -> Report:
        """Carry out one command, given by the fields of COMMAND; what is not named is zero, the default of all."""
        command = np.zeros(1, dtype=COMMAND)
        for name, value in {"order_id": order_id, "action": action, **fields}.items():
            command[name] = value
        return self.process(command)

    def check(self) -> None:
        """Raise AssertionError if the book contradicts itself."""
        assert not self._moved, "netting is due when a command is done"
        for side in Side:
            for price, queue in self._levels[side].items():
                assert queue, "a queue without orders is no level"
                assert self.min_price <= price <= self.max_price
                assert all((o.side, o.price) == (side, price) for o in queue.values())
                arrivals = [o.arrival for o in queue.values()]
                assert arrivals == sorted(set(arrivals))
        queued = [order for levels in self._levels for queue in levels.values() for order in queue.values()]
        assert len(queued) == len(self._orders) <= self.capacity
        for order in queued:
            assert self._orders[order.order_id] is order
            assert 0 < order.order_id <= self.last_order_id
            assert 0 < order.leaves <= MAX_QUANTITY
            assert 0 <= order.zone < self.zones
            assert order.time_in_force not in IMMEDIATE
            assert order.self_trade in tuple(SelfTrade)
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
            return others[command.action](command, cast("Order", order))
        except _Refused as refused:
            return (0, refused.leaves, refused.code, Status.REJECTED)

    def _new(self, new: SimpleNamespace) -> tuple[int, ...]:
        self._refuse_malformed(new)
        limit = new.price if new.order_type == OrderType.LIMIT else None
        who, how = (new.order_id, new.owner, new.side, new.zone), (new.time_in_force, bool(new.post_only))
        order = Order(*who, limit, new.quantity, *how, new.self_trade, new.expires_at_ns)
        immediate = order.time_in_force in IMMEDIATE
        if self.auction and (immediate or order.post_only):  # a market order is immediate
            raise _Refused(Reason.NOT_IN_AUCTION)
        if not immediate and len(self) == self.capacity:
            raise _Refused(Reason.BOOK_FULL)
        if order.post_only and any(self._reached(order, limit, self.headroom)):
            raise _Refused(Reason.POST_ONLY_WOULD_TRADE)
        if order.time_in_force == TimeInForce.FOK and not self._can_fill(order):
            raise _Refused(Reason.FOK_NOT_FILLABLE)
        self.last_order_id = order.order_id
        return self._take(order, Status.RESTING)

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

    def _cancel(self, _: SimpleNamespace, order: Order) -> tuple[int, ...]:
        self._lose(order, order.leaves, Reason.CANCELLED_BY_OWNER)
        return (0, 0, Reason.NONE, Status.CANCELLED)

    def _reduce(self, command: SimpleNamespace, order: Order) -> tuple[int, ...]:
        _refuse_first([(command.quantity <= 0, Reason.QUANTITY_NOT_POSITIVE)], order.leaves)
        self._lose(order, min(command.quantity, order.leaves), Reason.REDUCED_BY_OWNER)
        return (0, order.leaves, Reason.NONE, Status.REDUCED if order.leaves else Status.CANCELLED)

    def _replace(self, command: SimpleNamespace, order: Order) -> tuple[int, ...]:
        price, quantity = command.price or order.price, command.quantity or order.leaves
        rules = (
            (command.self_trade not in tuple(SelfTrade), Reason.UNKNOWN_SELF_TRADE),
            (quantity < 0, Reason.QUANTITY_NOT_POSITIVE),
            (quantity > MAX_QUANTITY, Reason.QUANTITY_TOO_LARGE),
            (not self.min_price <= price <= self.max_price, Reason.PRICE_OUTSIDE_BOOK),
        )
        _refuse_first(rules, order.leaves)
        keeps_place = price == order.price and quantity <= order.leaves
        may_not_trade = order.post_only and not keeps_place and not self.auction
        if may_not_trade and any(self._reached(order, price, self.headroom)):
            raise _Refused(Reason.POST_ONLY_WOULD_TRADE, order.leaves)
        if quantity < order.leaves:
            self._lose(order, order.leaves - quantity, Reason.REDUCED_BY_OWNER)
        if keeps_place:
            return (0, order.leaves, Reason.NONE, Status.REPLACED)
        self._leave_queue(order)
        order.price, order.leaves, order.self_trade = price, quantity, command.self_trade
        return self._take(order, Status.REPLACED)

    def _take(self, taker: Order, resting: Status) -> tuple[int, ...]:
        """Match an order that stands in no queue, let its rest rest or go, and answer."""
        wanted = taker.leaves
        filled = 0 if self.auction else self._match(taker)
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

    def _match(self, taker: Order) -> int:
        """Trade against the queues, and return what was filled."""
        filled = 0
        for maker in self._reached(taker, taker.price, self.headroom):
            filled += self._meet(maker, taker, maker.price)
            if taker.leaves == 0:
                break
        return filled

    def _can_fill(self, taker: Order) -> bool:
        """Whether a taker would trade to its last lot: the match again, on paper."""
        headroom, wanted = self.headroom.copy(), taker.leaves
        for maker in self._reached(taker, taker.price, headroom):
            if prevents(maker, taker):
                if taker.self_trade == SelfTrade.CANCEL_MAKER:
                    continue
                return False
            pair = zones_of(maker, taker)
            quantity = min(wanted, maker.leaves, int(headroom[pair]))
            headroom[pair] -= 0 if headroom[pair] == UNLIMITED else quantity
            wanted -= quantity
            if wanted == 0:
                return True
        return False

    def _reached(self, taker: Order, limit: int | None, headroom: Headroom) -> Iterator[Order]:
        """Counter-orders in priority order, each if its zones may still trade when its turn comes."""
        buys = taker.side == Side.BUY
        for maker in self._standing(Side.SELL if buys else Side.BUY):
            if limit is not None and (maker.price > limit if buys else maker.price < limit):
                return
            if headroom[zones_of(maker, taker)] > 0:
                yield maker
