"""Matching: which counter-order comes next, what an order trades, and whether it could trade in whole.

An order matches the best-priced, then oldest, counter-order of a zone it may trade with. There is one queue a
zone and price; the heads of the permitted zones are merged by price and arrival, so blocked orders cost nothing.
"""

from typing import Any, NamedTuple

import numpy as np

from matching.compiled import kernel
from matching.ladder import NO_LEVEL, highest_to, lowest_from
from matching.queue import BUY, lane_of, remove, shrink
from matching.types import UNLIMITED, Reason, SelfTrade

ALLOW, CANCEL_TAKER, CANCEL_MAKER = int(SelfTrade.ALLOW), int(SelfTrade.CANCEL_TAKER), int(SelfTrade.CANCEL_MAKER)
CANCEL_BOTH, DECREMENT = int(SelfTrade.CANCEL_BOTH), int(SelfTrade.DECREMENT)
NONE, SELF_TRADE, IMMEDIATE = int(Reason.NONE), int(Reason.SELF_TRADE), int(Reason.IMMEDIATE_REMAINDER)
BUDGET_SPENT = int(Reason.BUDGET_SPENT)


class Books(NamedTuple):
    """The flat arrays of a group of books, as kernels see them (dtypes in `matching.types`)."""

    book: Any  # BOOK, one a book
    levels: Any  # LEVEL, for each book, lane and price
    words: Any  # uint64 bitmap of occupied levels
    summary: Any  # uint64 bitmap of words that are not zero
    best: Any  # int64 best level for each book and lane, or NO_LEVEL
    orders: Any  # ORDER, slot 0 unused
    pool: Any  # POOL, one row
    ids: Any  # int64 keys of the id table
    slots: Any  # int32 values of the id table
    headroom: Any  # int64[zones, zones], lots from seller's zone to buyer's zone


class Tape(NamedTuple):
    """Where kernels write what happens. The slots let a caller find its own data of the orders concerned."""

    trades: Any  # TRADE
    maker_slots: Any  # int32, the maker's slot of each trade
    removals: Any  # REMOVAL
    removal_slots: Any  # int32, the slot of each removal's order (0: the taker, which never had one)
    counts: Any  # int64[2], trades and removals written


@kernel
def pair_headroom(books: Any, side: int, zone: int, counter_zone: int) -> int:
    """What may still move between an order of `side` in `zone` and a counter-order of `counter_zone`."""
    return books.headroom[counter_zone, zone] if side == BUY else books.headroom[zone, counter_zone]


@kernel
def use_headroom(books: Any, side: int, zone: int, counter_zone: int, quantity: int) -> None:
    """Consume headroom by a fill, unless the pair is without a limit."""
    seller, buyer = (counter_zone, zone) if side == BUY else (zone, counter_zone)
    if books.headroom[seller, buyer] != UNLIMITED:
        books.headroom[seller, buyer] -= quantity


@kernel
def next_counter(books: Any, book: int, side: int, zone: int, limit: int) -> int:
    """Slot of the counter-order that comes first for an order of `side` and `zone` up to level `limit`, or 0."""
    shape = books.book[book]
    found, found_level, found_arrival = np.int64(0), np.int64(NO_LEVEL), np.int64(0)
    for counter_zone in range(shape["zones"]):
        if pair_headroom(books, side, zone, counter_zone) <= 0:
            continue
        lane = lane_of(books, book, 1 - side, counter_zone)
        level = books.best[shape["best_at"] + lane]
        if level == NO_LEVEL or (level > limit if side == BUY else level < limit):
            continue
        if found != 0 and (level > found_level if side == BUY else level < found_level):
            continue
        head = np.int64(books.levels[shape["levels_at"] + lane * shape["prices"] + level]["head"])
        arrival = books.orders[head]["arrival"]
        if found == 0 or level != found_level or arrival < found_arrival:
            found, found_level, found_arrival = head, level, arrival
    return found


@kernel
def write_removal(
    tape: Any, slot: int, order_id: int, owner: int, quantity: int, leaves: int, code: int, command: int
) -> None:
    """Note that a quantity left the book without a trade."""
    at = tape.counts[1]
    row = tape.removals[at]
    row["order_id"] = order_id
    row["owner"] = owner
    row["quantity"] = quantity
    row["leaves"] = leaves
    row["code"] = code
    row["command"] = command
    tape.removal_slots[at] = slot
    tape.counts[1] = at + 1


@kernel
def write_trade(books: Any, tape: Any, maker: int, taker_id: int, taker: int, quantity: int, command: int) -> None:
    """Note a fill of `quantity` at the maker's price."""
    at = tape.counts[0]
    row = tape.trades[at]
    order = books.orders[maker]
    row["maker_order_id"] = order["order_id"]
    row["taker_order_id"] = taker_id
    row["maker_owner"] = order["owner"]
    row["taker_owner"] = taker
    row["price"] = books.book[order["book"]]["min_price"] + order["level"]
    row["quantity"] = quantity
    row["command"] = command
    tape.maker_slots[at] = maker
    tape.counts[0] = at + 1


@kernel
def prevent_self_trade(
    books: Any, tape: Any, maker: int, taker_id: int, leaves: int, mode: int, command: int, taker_slot: int
) -> int:
    """Keep an order from its owner's own counter-order `maker`. Returns the taker's leaves."""
    order = books.orders[maker]
    owner, maker_id = order["owner"], order["order_id"]
    if mode in (CANCEL_MAKER, CANCEL_BOTH):
        write_removal(tape, maker, maker_id, owner, order["quantity"], 0, SELF_TRADE, command)
        remove(books, maker)
    elif mode == DECREMENT:
        both = min(leaves, order["quantity"])
        leaves -= both
        write_removal(tape, maker, maker_id, owner, both, order["quantity"] - both, SELF_TRADE, command)
        write_removal(tape, taker_slot, taker_id, owner, both, leaves, SELF_TRADE, command)
        shrink(books, maker, both)
    return leaves


@kernel
def match(
    books: Any,
    tape: Any,
    book: int,
    taker_id: int,
    taker_slot: int,
    owner: int,
    side: int,
    zone: int,
    mode: int,
    limit: int,
    quantity: int,
    budget: int,
    command: int,
) -> tuple[int, int, int]:
    """Trade an order against the book up to level `limit`.

    `budget` bounds the sum of price x quantity, UNLIMITED for none. Returns what was filled, what is left, and
    why it may not go on: NONE (nothing more to trade with), SELF_TRADE or BUDGET_SPENT.
    """
    leaves, filled = quantity, np.int64(0)
    while leaves > 0:
        maker = next_counter(books, book, side, zone, limit)
        if maker == 0:
            return filled, leaves, NONE
        order = books.orders[maker]
        if owner != 0 and order["owner"] == owner and mode != ALLOW:
            leaves = prevent_self_trade(books, tape, maker, taker_id, leaves, mode, command, taker_slot)
            if mode in (CANCEL_TAKER, CANCEL_BOTH) or leaves == 0:
                return filled, leaves, SELF_TRADE
            continue
        counter_zone = np.int64(order["zone"])
        price = books.book[book]["min_price"] + order["level"]
        fill = min(leaves, order["quantity"], pair_headroom(books, side, zone, counter_zone))
        if budget != UNLIMITED and price > 0:
            fill = min(fill, budget // price)
            if fill == 0:
                return filled, leaves, BUDGET_SPENT
            budget -= fill * price
        write_trade(books, tape, maker, taker_id, owner, fill, command)
        use_headroom(books, side, zone, counter_zone, fill)
        shrink(books, maker, fill)
        filled += fill
        leaves -= fill
    return filled, leaves, NONE


@kernel
def could_fill(
    books: Any, book: int, owner: int, side: int, zone: int, mode: int, limit: int, quantity: int, budget: int
) -> bool:
    """Whether `match` would fill the whole quantity; nothing changes. Counts headroom, own orders and budget."""
    shape = books.book[book]
    zones = shape["zones"]
    levels, slots, headroom = np.empty(zones, np.int64), np.empty(zones, np.int64), np.empty(zones, np.int64)
    for z in range(zones):
        lane = lane_of(books, book, 1 - side, z)
        headroom[z] = pair_headroom(books, side, zone, z)
        levels[z] = books.best[shape["best_at"] + lane]
        slots[z] = 0
        if levels[z] != NO_LEVEL:
            slots[z] = books.levels[shape["levels_at"] + lane * shape["prices"] + levels[z]]["head"]
    while quantity > 0:
        pick = np.int64(-1)
        for z in range(zones):
            level = levels[z]
            if level == NO_LEVEL or headroom[z] <= 0 or (level > limit if side == BUY else level < limit):
                continue
            if (
                pick < 0
                or (level < levels[pick] if side == BUY else level > levels[pick])
                or (level == levels[pick] and books.orders[slots[z]]["arrival"] < books.orders[slots[pick]]["arrival"])
            ):
                pick = np.int64(z)
        if pick < 0:
            return False
        order = books.orders[slots[pick]]
        own = owner != 0 and order["owner"] == owner and mode != ALLOW
        if own and mode != CANCEL_MAKER:
            return False
        if not own:
            price = shape["min_price"] + order["level"]
            fill = min(quantity, order["quantity"], headroom[pick])
            if budget != UNLIMITED:
                budget -= fill * price
                if budget < 0:
                    return False
            quantity -= fill
            if headroom[pick] != UNLIMITED:
                headroom[pick] -= fill
        advance(books, book, 1 - side, pick, levels, slots)
    return True


@kernel
def advance(books: Any, book: int, side: int, zone: int, levels: Any, slots: Any) -> None:
    """Move one zone's cursor to the next order behind, of the same level or of the next."""
    shape = books.book[book]
    following = np.int64(books.orders[slots[zone]]["next"])
    if following == 0:
        lane = lane_of(books, book, side, zone)
        level = levels[zone]
        level = highest_to(books, book, lane, level - 1) if side == BUY else lowest_from(books, book, lane, level + 1)
        levels[zone] = level
        if level != NO_LEVEL:
            following = np.int64(books.levels[shape["levels_at"] + lane * shape["prices"] + level]["head"])
    slots[zone] = following
