"""Other order books for Python, each through its own interface, on the first part of one workload.

Measured: the calls that enter and cancel orders, one a message, a second of processor time. What a package wants to
have made before (an object an order) is made before, as our batches are; prices are whole numbers, with which all of
them work and are fastest. Every package carries out the whole workload: all of its messages are limit orders and
cancels. None of them has what is not in it and what the book checks all the same: owners, conditions, zones,
refusals. A package that is not installed, or that fails, is shown with the reason. Whether it makes the very trades
that our book makes is shown too.

Our book is measured both in batches and with one call of `submit` a message.
"""

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from bench.flow import make_flow
from bench.hashing import trade_hash
from bench.measured import Measured, Sizes, in_turn
from bench.rates import SEED, our_hash, our_rate
from matching import TRADE, Action, OrderBook, Side

Row = tuple[int, int, int, int, int]  # operation, id, side, price, quantity
Fill = tuple[int, int, int, int]  # maker, taker, quantity, price
INSTRUMENT: Final = "W"
OURS_BATCHED, OURS_SINGLE = "shuiquan, batches", "shuiquan, a call an order"


class Prepared(NamedTuple):
    """A package's book with the calls that carry out a workload on it, and how to read its trades afterwards."""

    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]]
    fills: Callable[[list[Any]], Iterator[Fill]]  # of what the calls returned


class Peer(NamedTuple):
    """A package: its name where packages are found, its module, how to prepare its calls, and what to know."""

    package: str
    module: str
    prepare: Callable[[Any, list[Row]], Prepared]
    note: str


class PeerRate(msgspec.Struct, frozen=True):
    """What one book gave."""

    version: str
    rate: Measured
    same_trades: bool | None


def prepare_light(module: Any, rows: list[Row]) -> Prepared:
    """lightmatchingengine: it numbers orders itself, 1, 2, 3 …, which are our ids; it looks for the best price anew."""
    engine, side_of = module.LightMatchingEngine(), (module.Side.BUY, module.Side.SELL)
    calls = [
        (engine.cancel_order, (order, INSTRUMENT))
        if cancels
        else (engine.add_order, (INSTRUMENT, price, quantity, side_of[side]))
        for cancels, order, side, price, quantity in rows
    ]

    def fills(results: list[Any]) -> Iterator[Fill]:
        for found in results:
            taker, trades = found if isinstance(found, tuple) else (None, ())
            for trade in trades:  # the taker's own come once a price, those of the makers one by one
                if trade.order_id != taker.order_id:
                    yield trade.order_id, taker.order_id, trade.trade_qty, trade.trade_price

    return Prepared(calls, fills)


def prepare_pyorderbook(module: Any, rows: list[Row]) -> Prepared:
    """pyorderbook: it gives every order a random id, when the order is made; prices become decimals then."""
    book, make = module.Book(), (module.bid, module.ask)
    made = {row[1]: make[row[2]](INSTRUMENT, row[3], row[4]) for row in rows if not row[0]}
    ids = {order.id: number for number, order in made.items()}
    calls = [(book.cancel if row[0] else book.match, (made[row[1]],)) for row in rows]

    def fills(results: list[Any]) -> Iterator[Fill]:
        for trade in itertools.chain.from_iterable(blotter.trades for blotter in results if blotter is not None):
            maker, taker = ids[trade.standing_order_id], ids[trade.incoming_order_id]
            yield maker, taker, trade.fill_quantity, int(trade.fill_price)

    return Prepared(calls, fills)


def prepare_orderbook(module: Any, rows: list[Row]) -> Prepared:
    """akhil4n-orderbook and cython-orderbook, of one interface: an order has a numeral as its id when it is made."""
    book, side_of = module.OrderBook(), (module.OrderSide.BID, module.OrderSide.ASK)
    made = {
        order: module.Order(side=side_of[side], price=price, original_quantity=quantity)
        for cancels, order, side, price, quantity in rows
        if not cancels
    }
    ids = {order.order_id: number for number, order in made.items()}
    calls = [
        (book.cancel_order, (made[row[1]].order_id,)) if row[0] else (book.add_limit_order, (made[row[1]],))
        for row in rows
    ]

    def fills(_: list[Any]) -> Iterator[Fill]:
        for trade in book.trade_log:
            yield ids[trade.filler_id], ids[trade.aggressor_id], trade.quantity_filled, trade.price

    return Prepared(calls, fills)


PEERS: Final = (
    Peer("lightmatchingengine", "lightmatchingengine.lightmatchingengine", prepare_light, "pure Python"),
    Peer("pyorderbook", "pyorderbook", prepare_pyorderbook, "pure Python"),
    Peer("akhil4n-orderbook", "orderbook", prepare_orderbook, "pure Python"),
    Peer("cython-orderbook", "cython_orderbook", prepare_orderbook, "compiled by Cython"),
)


def carry_out(prepared: Prepared, prefilled: int) -> tuple[float, int]:
    """Carry out a workload, of which so many messages fill the book. Gives the rate of the rest, and all trades' hash.

    The package's answers are kept in a list. Its objects are collected as garbage before, and as usual meanwhile.
    """
    prefill, rest = prepared.calls[:prefilled], prepared.calls[prefilled:]
    results = [act(*arguments) for act, arguments in prefill]
    gc.collect()
    started = time.thread_time_ns()
    answers = [act(*arguments) for act, arguments in rest]
    spent = time.thread_time_ns() - started
    fills = list(prepared.fills(results + answers))
    trades = np.zeros(len(fills), TRADE)
    for name, column in zip(
        ("maker_order_id", "taker_order_id", "quantity", "price"), zip(*fills, strict=True), strict=False
    ):
        trades[name] = column
    return 1e9 * len(rest) / spent, trade_hash(trades)


def our_single_rate(rows: list[Row], prefilled: int) -> float:
    """Messages a second of processor time with one call a message."""
    book = OrderBook()

    def carry_on(part: list[Row]) -> int:
        submit, actions, sides = book.submit, (Action.NEW, Action.CANCEL), (Side.BUY, Side.SELL)
        started = time.thread_time_ns()
        for cancels, order, side, price, quantity in part:
            submit(order_id=order, action=actions[cancels], side=sides[side], price=price, quantity=quantity, owner=1)
        return time.thread_time_ns() - started

    carry_on(rows[:prefilled])
    return 1e9 * (len(rows) - prefilled) / carry_on(rows[prefilled:])


def measure(sizes: Sizes, peers: tuple[Peer, ...] = PEERS) -> list[PeerRate]:
    """Measure our book and every package that is there, in turn."""
    flow = make_flow("mixed", SEED, sizes.peer_messages, sizes.peer_resting)
    rows: list[Row] = [*flow.prefill.tolist(), *flow.messages.tolist()]
    commands, prefilled = flow.commands(), len(flow.prefill)
    ours, same, failed = our_hash(*commands), {}, {}

    def rate_of(peer: Peer) -> float:
        rate, found = carry_out(peer.prepare(import_module(peer.module), rows), prefilled)
        same[peer.package] = found == ours
        return rate

    subjects = {
        OURS_BATCHED: lambda: our_rate(*commands),
        OURS_SINGLE: lambda: our_single_rate(rows, prefilled),
    }
    for peer in peers:
        try:
            rate_of(peer)  # once before it counts: whether it works at all
        except ModuleNotFoundError:
            failed[peer.package] = "not installed"
        except Exception as error:  # noqa: BLE001 - whatever another package does wrong is its result
            failed[peer.package] = f"{type(error).__name__}: {error}"
        else:
            subjects[peer.package] = lambda peer=peer: rate_of(peer)  # type: ignore[misc]
    found = [PeerRate("", one, same.get(one.subject)) for one in in_turn(subjects, sizes.repetitions)]
    notes = {peer.package: peer.note for peer in peers}
    return [with_version(one, notes) for one in found] + [
        PeerRate("", Measured(name, (), why), same_trades=None) for name, why in failed.items()
    ]


def with_version(found: PeerRate, notes: dict[str, str]) -> PeerRate:
    """The same with the version of its package and what to know about it."""
    rate = found.rate
    if rate.subject not in notes:
        return found
    return PeerRate(
        metadata.version(rate.subject), Measured(rate.subject, rate.values, notes[rate.subject]), found.same_trades
    )
