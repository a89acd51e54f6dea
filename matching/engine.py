"""`OrderBook`: one compiled book that owns its arrays; batches in, reports out."""

from sys import getrefcount
from typing import Any, Final

import numpy as np

from matching import auction
from matching import commands as kernels
from matching.arrays import Array, make_books, make_tape, open_headroom, with_netting, with_room
from matching.book import Books, Tape, net
from matching.compiled import CACHE, Entry, announce
from matching.queue import TIME_IN_FORCE
from matching.report import Depth, Indicative, Report, Uncrossed
from matching.snapshot import pack, unpack
from matching.types import (
    COMMAND,
    MAX_CAPACITY,
    OUTCOME,
    REMOVAL,
    TRADE,
    UNLIMITED,
    Action,
    OrderType,
    Reason,
    SelfTrade,
    Side,
    TimeInForce,
)
from matching.walk import check_books, level_rows

SMALL_BYTES: Final = 4_096  # so small that a copy costs less than holding on to the whole
NO_TRADES, NO_OUTCOMES, NO_REMOVALS = np.empty(0, TRADE), np.empty(0, OUTCOME), np.empty(0, REMOVAL)
UNSHARED: Final = 3  # references to an array that only the book holds, while `shared` looks at it


class OrderBook:
    """A limit order book with price-time priority, self-trade prevention and trading zones.

    Prices are ticks in `min_price`..`max_price`, quantities lots. At most `capacity` orders rest at a time; more
    are refused with `Reason.BOOK_FULL`. `headroom` is an int64[zones, zones] array of lots that may still move from
    the seller's zone to the buyer's; it is shared with the caller and consumed by fills (`UNLIMITED` never is).

    >>> book = OrderBook(max_price=100)
    >>> _ = book.submit(order_id=1, side=Side.SELL, price=20, quantity=5, owner=7)
    >>> report = book.submit(order_id=2, side=Side.BUY, price=21, quantity=3, owner=8)
    >>> report.trades["price"].tolist(), report.trades["quantity"].tolist()
    ([20], [3])
    """

    def __init__(
        self,
        min_price: int = 1,
        max_price: int = 65_535,
        capacity: int = 1_048_576,
        zones: int = 1,
        headroom: Array | None = None,
        *,
        netting: bool = False,
    ) -> None:
        """An empty book. With `netting`, what flows between two zones may flow back, once the taker is done.

        Raises ValueError for an impossible range of prices or a capacity beyond MAX_CAPACITY.
        """
        announce(CACHE, "the order book")
        books = make_books([(min_price, max_price)], open_headroom(zones) if headroom is None else headroom, capacity)
        self._books: Books = with_netting(books) if netting else books
        self._tape: Tape = make_tape(1024, 2048)
        self._outcomes: Array = np.empty(512, OUTCOME)
        self._spare = self._tape, self._outcomes
        self._one = np.zeros(1, COMMAND)
        self._process = Entry(kernels.process)

    def __len__(self) -> int:
        """Number of live orders."""
        return int(self._books.pool["live"].item())

    @property
    def last_order_id(self) -> int:
        """The last order id accepted; a new one must be above it."""
        return int(self._books.book["last_order_id"][0])

    def process(self, commands: Array) -> Report:
        """Carry out a batch of COMMAND in order. Raises TypeError for an array of another dtype or shape."""
        if commands.dtype != COMMAND or commands.ndim != 1:
            msg = f"commands must be a row of matching.COMMAND, not {commands.dtype} of the shape {commands.shape}"
            raise TypeError(msg)
        self._reserve(len(commands))
        outcomes = self._outcomes[: len(commands)]
        if commands.flags.carray:
            self._process((self._books,), self._tape, 0, commands, outcomes)
        else:  # its elements are apart, or must not be written to: a kernel of its own
            kernels.process(self._books, self._tape, 0, commands, outcomes)
        return self._report(len(commands))

    def submit(
        self,
        *,
        order_id: int,
        action: Action = Action.NEW,
        side: Side = Side.BUY,
        price: int = 0,
        quantity: int = 0,
        owner: int = 0,
        order_type: OrderType = OrderType.LIMIT,
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
        self_trade: SelfTrade = SelfTrade.ALLOW,
        zone: int = 0,
        expires_at_ns: int = 0,
    ) -> Report:
        """Carry out one command: a batch of one."""
        self._one[0] = (
            order_id, owner, price, quantity, expires_at_ns, action, side, order_type, time_in_force, post_only,
            self_trade, zone,
        )  # fmt: skip
        return self.process(self._one)

    def cancel_all(self, owner: int) -> Report:
        """Cancel every live order of an owner, oldest id first."""
        return self._cancel(self._slots_of(owner), Reason.CANCELLED_BY_OWNER)

    def expire(self, at_ns: int) -> Report:
        """End the good-till-date orders whose time has come, in order of time and id."""
        orders, expires_at_ns = self._books.orders, self._books.standing["expires_at_ns"]
        due = np.flatnonzero(
            (orders["order_id"] != 0)
            & (orders["conditions"] & TIME_IN_FORCE == TimeInForce.GTD)
            & (expires_at_ns <= at_ns)
        )
        order = np.lexsort((orders["order_id"][due], expires_at_ns[due]))
        return self._cancel(due[order], Reason.EXPIRED)

    def end_day(self) -> Report:
        """End the day orders, oldest id first."""
        orders = self._books.orders
        due = np.flatnonzero((orders["order_id"] != 0) & (orders["conditions"] & TIME_IN_FORCE == TimeInForce.DAY))
        return self._cancel(due[np.argsort(orders["order_id"][due])], Reason.DAY_ENDED)

    def orders(self, owner: int) -> list[int]:
        """Ids of an owner's live orders, ascending."""
        return [int(order_id) for order_id in self._books.orders["order_id"][self._slots_of(owner)]]

    def grow(self, capacity: int) -> None:
        """Let more orders rest from now on. Raises ValueError for fewer than before or more than MAX_CAPACITY."""
        before = int(self._books.pool["capacity"][0])
        if not before <= capacity <= MAX_CAPACITY:
            msg = f"capacity must satisfy {before} <= {capacity} <= {MAX_CAPACITY}"
            raise ValueError(msg)
        self._books.pool["capacity"] = capacity

    # orders that rest may trade

    @property
    def auction(self) -> bool:
        """Whether a call auction collects orders."""
        return bool(self._books.book["auction"][0])

    def open_auction(self) -> None:
        """Collect orders without matching from now on. Raises RuntimeError if an auction is open already."""
        if self.auction:
            raise RuntimeError("an auction is open already")
        self._books.book["auction"] = 1

    def indicative(self, reference: int | None = None) -> Indicative:
        """What an uncross would find now, apart from zones and self-trade, in an auction or outside.

        The price has the largest volume, then the smallest imbalance (bought less sold); then it is the highest
        where buyers are left at each such price, the lowest where sellers are; then the one nearest to the
        reference, or else to the midpoint of those prices, the lower of two. It is None where no orders cross.
        """
        books = self._books
        low, high = auction.crossed_range(books, 0)
        if high < low:
            return Indicative(None, 0, 0)
        bought, sold = np.zeros((2, high - low + 1), np.int64)
        auction.gather(books, 0, low, high, bought, sold)
        at = auction.choose(bought, sold, 0 if reference is None else reference - low, reference is not None)
        return Indicative(int(low + at), int(min(bought[at], sold[at])), int(bought[at] - sold[at]))

    def uncross(self, reference: int | None = None) -> Uncrossed:
        """End the auction: orders that meet at the indicative price trade at it. Raises RuntimeError if none is open.

        Bids are served by price, then age; each takes the asks by price, then age, as far as the headroom of its
        pair of zones goes. Of two orders the older is the maker; the self-trade mode of the younger decides. What
        zones and self-trade prevention keep from trading is `lost`; what still crosses stays as it is.
        """
        if not self.auction:
            raise RuntimeError("no auction is open")
        price, volume, imbalance = self.indicative(reference)
        self._books.book["auction"] = 0
        self._reserve(0)
        executed = 0
        if price is not None:
            executed = int(auction.cross(self._books, self._tape, 0, price))
            if len(self._books.netting):
                net(self._books)
        return Uncrossed(price, executed, imbalance, volume - executed, self._report())

    def set_headroom(self, headroom: Array) -> Report:
        """Take over new figures of headroom, and let the orders trade that may meet now.

        The best, then oldest, bid that can trade does so with the best, then oldest, ask it can trade with, at the
        price of the older order, under the self-trade mode of the younger; and so on, netting after each trade,
        until no pair is left. While an auction collects orders, none trade.

        `headroom` is copied into the array that the book shares with its caller. Raises ValueError for another
        shape than zones x zones or a figure outside 0..UNLIMITED; nothing has changed then.
        """
        books, given = self._books, np.asarray(headroom)
        if given.shape != books.headroom.shape:
            raise ValueError(f"headroom must have the shape {books.headroom.shape}, not {given.shape}")
        if given.min() < 0 or given.max() > UNLIMITED:
            raise ValueError("headroom must be from 0 to UNLIMITED")
        np.copyto(books.headroom, given)
        if len(books.netting):
            books.netting[1] = given > 0
        self._reserve(0)
        if not self.auction:
            auction.cross(books, self._tape, 0, auction.OWN_PRICE)
        return self._report()

    # keeping

    def snapshot(self) -> bytes:
        """The book as bytes, in the layout that `matching.snapshot` describes."""
        return pack(self._books)

    def restore(self, data: bytes) -> None:
        """Become the book of a snapshot, which goes on from there as the other would have, places in queues included.

        The headroom is copied into the array that this book shares with its caller. Raises ValueError for bytes
        that are no snapshot, or one of another number of zones; the book is as it was then.
        """
        books = unpack(data)
        if books.headroom.shape != self._books.headroom.shape:
            raise ValueError(f"the snapshot has the zones {books.headroom.shape}, not {self._books.headroom.shape}")
        np.copyto(self._books.headroom, books.headroom)
        self._books = books._replace(headroom=self._books.headroom)

    @property
    def best(self) -> tuple[int | None, int | None]:
        """Best bid and best ask over all zones, None for an empty side."""
        bid, ask = (int(auction.best_price(self._books, 0, side)) for side in (0, 1))
        return (None if bid == auction.NO_PRICE else bid, None if ask == auction.NO_PRICE else ask)

    def depth(self, levels: int = 10, zone: int | None = None) -> Depth:
        """The best `levels` prices of each side as rows of (price, quantity, orders), best first."""
        return Depth(
            bids=level_rows(self._books, 0, Side.BUY, levels, zone),
            asks=level_rows(self._books, 0, Side.SELL, levels, zone),
        )

    def check(self) -> None:
        """Walk every invariant of the book; raises AssertionError naming the first that is broken."""
        check_books(self._books)

    def _slots_of(self, owner: int) -> Array:
        orders = self._books.orders
        slots = np.flatnonzero((orders["order_id"] != 0) & (orders["owner"] == owner))
        return slots[np.argsort(orders["order_id"][slots])]

    def _cancel(self, slots: Array, reason: Reason) -> Report:
        self._reserve(0)
        kernels.cancel_slots(self._books, self._tape, slots.astype(np.int64), int(reason))
        return self._report()

    def _reserve(self, commands: int) -> None:
        """Make room: slots for new orders; a trade ends its maker or its taker, a removal ends or shrinks an order."""
        books = self._books
        _, live, capacity, *_ = books.pool.item()
        if min(live + commands, capacity) >= len(books.orders):
            self._books = with_room(books, commands)
        needed = 2 * commands + live + 1
        if shared(self._tape.trades) or shared(self._tape.removals) or shared(self._outcomes):  # by a report
            (self._tape, self._outcomes), self._spare = self._spare, (self._tape, self._outcomes)
        if len(self._tape.trades) < needed or shared(self._tape.trades) or shared(self._tape.removals):
            self._tape = make_tape(2 * needed, 4 * needed)
        if len(self._outcomes) < commands or shared(self._outcomes):
            self._outcomes = np.empty(2 * commands, OUTCOME)
        self._tape.counts.fill(0)

    def _report(self, commands: int = 0) -> Report:
        trades, removals = self._tape.counts.tolist()
        return Report(
            cut(self._tape.trades, trades) if trades else NO_TRADES,
            cut(self._outcomes, commands) if commands else NO_OUTCOMES,
            cut(self._tape.removals, removals) if removals else NO_REMOVALS,
        )


def shared(rows: Array) -> bool:
    """Whether a report still shows rows that only the book would hold otherwise."""
    return getrefcount(rows) > UNSHARED


def cut(rows: Array, count: int) -> Array:
    """The first rows: a few as a copy, many as they are (nothing is written to them while a report shows them)."""
    first = rows[:count]
    if count * rows.itemsize > SMALL_BYTES:
        return first
    return np.frombuffer(bytearray(first.tobytes()), rows.dtype)  # a copy of a structured array goes field by field


def kernels_compiled() -> Any:
    """Compile what a book needs (or load it from the cache) by using each path once."""
    book = OrderBook(max_price=64, capacity=16, zones=2)
    book.submit(order_id=1, side=Side.SELL, price=5, quantity=1, owner=1, zone=1)
    book.submit(order_id=2, side=Side.BUY, price=5, quantity=1, owner=2)
    book.cancel_all(1)
    book.open_auction()
    book.submit(order_id=3, side=Side.SELL, price=5, quantity=1, owner=1)
    book.submit(order_id=4, side=Side.BUY, price=6, quantity=1, owner=2)
    book.uncross()
    book.set_headroom(open_headroom(2))
    book.restore(book.snapshot())
    book.depth()
    book.check()
    return book
