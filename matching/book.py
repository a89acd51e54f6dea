"""Matching: which counter-order comes next, what an order trades, and whether it could trade in whole.

An order matches the best-priced, then oldest, counter-order of a zone it may trade with. There is one queue a
zone and price; the heads of the permitted zones are merged by price and arrival, so blocked orders cost nothing.
"""

from typing import Any, NamedTuple

import numpy as np

from matching.compiled import kernel
from matching.ladder import NO_LEVEL, highest_to, lowest_from
from matching.queue import BUY, cut_queue, lane_of, queue_at, release_slot, remove, shrink
from matching.types import UNLIMITED, Reason, SelfTrade

ALLOW, CANCEL_TAKER, CANCEL_MAKER = int(SelfTrade.ALLOW), int(SelfTrade.CANCEL_TAKER), int(SelfTrade.CANCEL_MAKER)
CANCEL_BOTH, DECREMENT = int(SelfTrade.CANCEL_BOTH), int(SelfTrade.DECREMENT)
NONE, SELF_TRADE, IMMEDIATE = int(Reason.NONE), int(Reason.SELF_TRADE), int(Reason.IMMEDIATE_REMAINDER)
BUDGET_SPENT = int(Reason.BUDGET_SPENT)
NO_LANE = -1
NEVER = 2**63 - 1


class Books(NamedTuple):
    """The flat arrays of a group of books, as kernels see them (dtypes in `matching.types`)."""

    book: Any  # BOOK, one a book
    levels: Any  # LEVEL, for each book, lane and price
    words: Any  # uint64 bitmap of occupied levels
    summary: Any  # uint64 bitmap of words that are not zero
    best: Any  # int64 best level for each book and lane, or NO_LEVEL
    orders: Any  # ORDER, slot 0 unused
    standing: Any  # STANDING, by slot
    pool: Any  # POOL, one row
    ids: Any  # uint32 id table: see `matching.index`
    headroom: Any  # int64[zones, zones], lots from seller's zone to buyer's zone
    netting: Any  # int64[2, zones, zones]: moved since the last netting, and whether permitted; empty without netting
    cursors: Any  # int64[3, zones], where a search stands in each zone: level, slot, headroom left


class Tape(NamedTuple):
    """Where kernels write what happens. The slots let a caller find its own data of the orders concerned."""

    trades: Any  # TRADE
    maker_slots: Any  # uint32, the maker's slot of each trade
    taker_slots: Any  # uint32, the taker's slot of each trade between orders that rested
    removals: Any  # REMOVAL
    removal_slots: Any  # uint32, the slot of each removal's order (0: the taker, which never had one)
    counts: Any  # int64[2], trades and removals written


@kernel
def pair_headroom(books: Any, side: int, zone: int, counter_zone: int) -> int:
    """What may still move between an order of `side` in `zone` and a counter-order of `counter_zone`."""
    seller, buyer = (counter_zone, zone) if side == BUY else (zone, counter_zone)
    return books.headroom[np.uint64(seller), np.uint64(buyer)]


@kernel
def use_headroom(books: Any, side: int, zone: int, counter_zone: int, quantity: int) -> None:
    """Consume headroom by a fill, unless the pair is without a limit."""
    seller, buyer = (counter_zone, zone) if side == BUY else (zone, counter_zone)
    row, column = np.uint64(seller), np.uint64(buyer)
    if books.headroom[row, column] != UNLIMITED:
        books.headroom[row, column] -= quantity
    if len(books.netting) > 0:
        books.netting[0, seller, buyer] += quantity


@kernel
def net(books: Any) -> None:
    """Open the way back for what has moved between two zones since the last time, where it is permitted and limited."""
    moved, permitted = books.netting[0], books.netting[1]
    for seller in range(len(moved)):
        for buyer in range(len(moved)):
            back = books.headroom[buyer, seller]
            if moved[seller, buyer] > 0 and seller != buyer and permitted[buyer, seller] and back != UNLIMITED:
                books.headroom[buyer, seller] = min(back + moved[seller, buyer], UNLIMITED - 1)  # it stays a limit
            moved[seller, buyer] = 0


@kernel
def next_lane(books: Any, book: int, side: int, zone: int, limit: int) -> tuple[int, int]:
    """Lane whose first order comes first for an order of `side` and `zone` up to level `limit`, or NO_LANE.

    It stays first at its level for orders that arrived before the second number returned.
    """
    shape = books.book[book]
    zones, sign = shape["zones"], 1 - 2 * side  # without a branch on the side, which nobody can predict
    found, found_level, found_arrival, until = np.int64(NO_LANE), np.int64(NO_LEVEL), np.int64(0), np.int64(NEVER)
    for counter_zone in range(zones):
        lane = (1 - side) * zones + counter_zone
        level = books.best[np.uint64(shape["best_at"] + lane)]
        if level == NO_LEVEL or (level - limit) * sign > 0:
            continue
        if pair_headroom(books, side, zone, counter_zone) <= 0:
            continue
        if zones == 1:
            return lane, until
        if found != NO_LANE and (level - found_level) * sign > 0:
            continue
        head = books.levels[queue_at(books, book, lane, level)]["head"]
        arrival = books.standing[head]["arrival"]
        if found == NO_LANE or level != found_level:
            found, found_level, found_arrival, until = lane, level, arrival, np.int64(NEVER)
        elif arrival < found_arrival:
            found, found_arrival, until = lane, arrival, found_arrival
        else:
            until = min(until, arrival)
    return found, until


@kernel
def is_before(books: Any, slot: int, until: int) -> bool:
    """Whether an order stands first among the zones: it arrived before `until`."""
    return until == NEVER or books.standing[slot]["arrival"] < until


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
def write_trade(
    books: Any, tape: Any, maker: int, taker_id: int, taker: int, price: int, quantity: int, command: int
) -> None:
    """Note a fill of `quantity` at `price`."""
    at = np.uint64(tape.counts[0])
    row = tape.trades[at]
    order = books.orders[maker]
    row["maker_order_id"] = order["order_id"]
    row["taker_order_id"] = taker_id
    row["maker_owner"] = order["owner"]
    row["taker_owner"] = taker
    row["price"] = price
    row["quantity"] = quantity
    row["command"] = command
    tape.maker_slots[at] = maker
    tape.counts[0] += 1


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
    leaves, filled, code = quantity, np.int64(0), NONE
    shape, first_trade, prevents = books.book[book], tape.counts[0], mode != ALLOW and owner != 0
    while leaves > 0 and code == NONE:
        lane, until = next_lane(books, book, side, zone, limit)
        if lane == NO_LANE:
            break
        level = books.best[np.uint64(shape["best_at"] + lane)]
        price = shape["min_price"] + level
        counter_zone = lane - (1 - side) * shape["zones"]
        room = pair_headroom(books, side, zone, counter_zone)
        slot = books.levels[queue_at(books, book, lane, level)]["head"]
        head, before, own = slot, leaves, False
        while slot != 0 and leaves > 0 and room > 0 and is_before(books, slot, until):
            order = books.orders[slot]
            if prevents and order["owner"] == owner:
                own = True
                break
            standing = order["quantity"]
            fill = min(leaves, standing, room)
            if budget != UNLIMITED and price > 0:
                fill = min(fill, budget // price)
                if fill == 0:
                    code = BUDGET_SPENT
                    break
                budget -= fill * price
            write_trade(books, tape, slot, taker_id, owner, price, fill, command)
            leaves -= fill
            room -= fill
            order["quantity"] = standing - fill
            if fill < standing:
                break
            slot = order["next"]
        if slot != head:
            cut_queue(books, book, lane, level, slot)
        use_headroom(books, side, zone, counter_zone, before - leaves)
        filled += before - leaves
        if own:
            leaves = prevent_self_trade(books, tape, slot, taker_id, leaves, mode, command, taker_slot)
            if mode in (CANCEL_TAKER, CANCEL_BOTH) or leaves == 0:
                code = SELF_TRADE
    release_filled(books, tape, first_trade)
    return filled, leaves, code


@kernel
def release_filled(books: Any, tape: Any, first_trade: int) -> None:
    """Free the slots of the makers that the trades from `first_trade` on filled.

    In a loop of its own, whose steps do not wait for each other, as those of matching do.
    """
    for at in range(first_trade, tape.counts[0]):
        slot = tape.maker_slots[at]
        if books.orders[slot]["quantity"] == 0:
            release_slot(books, slot)


@kernel
def could_fill(
    books: Any, book: int, owner: int, side: int, zone: int, mode: int, limit: int, quantity: int, budget: int
) -> bool:
    """Whether `match` would fill the whole quantity; nothing changes. Counts headroom, own orders and budget."""
    shape = books.book[book]
    zones = shape["zones"]
    levels, slots, headroom = books.cursors[0], books.cursors[1], books.cursors[2]
    for z in range(zones):
        lane = lane_of(books, book, 1 - side, z)
        headroom[z] = pair_headroom(books, side, zone, z)
        levels[z] = books.best[shape["best_at"] + lane]
        slots[z] = 0
        if levels[z] != NO_LEVEL:
            slots[z] = books.levels[queue_at(books, book, lane, levels[z])]["head"]
    while quantity > 0:
        pick = np.int64(-1)
        for z in range(zones):
            level = levels[z]
            if level == NO_LEVEL or headroom[z] <= 0 or (level > limit if side == BUY else level < limit):
                continue
            if (
                pick < 0
                or (level < levels[pick] if side == BUY else level > levels[pick])
                or (
                    level == levels[pick]
                    and books.standing[slots[z]]["arrival"] < books.standing[slots[pick]]["arrival"]
                )
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
    following = np.int64(books.orders[slots[zone]]["next"])
    if following == 0:
        lane = lane_of(books, book, side, zone)
        level = levels[zone]
        level = highest_to(books, book, lane, level - 1) if side == BUY else lowest_from(books, book, lane, level + 1)
        levels[zone] = level
        if level != NO_LEVEL:
            following = np.int64(books.levels[queue_at(books, book, lane, level)]["head"])
    slots[zone] = following
