"""Matching: which counter-order comes next, what an order trades, and whether it could trade in whole.

An order matches the best-priced, then oldest, counter-order of a zone it may trade with. There is one queue a
zone and price; the heads of the permitted zones are merged by price and arrival, so blocked orders cost nothing.
A limit is a rank of the lanes that an order trades with: their ranks up to it are good enough.
"""

from typing import Any, NamedTuple

import numpy as np

from matching.compiled import kernel
from matching.ladder import NO_RANK, next_rank, price_of, vacate
from matching.queue import BUY, lane_of, queue_at, release_slot, unlink
from matching.types import UNLIMITED, Reason, SelfTrade

ALLOW, CANCEL_TAKER, CANCEL_MAKER = int(SelfTrade.ALLOW), int(SelfTrade.CANCEL_TAKER), int(SelfTrade.CANCEL_MAKER)
CANCEL_BOTH, DECREMENT = int(SelfTrade.CANCEL_BOTH), int(SelfTrade.DECREMENT)
NONE, SELF_TRADE, IMMEDIATE = int(Reason.NONE), int(Reason.SELF_TRADE), int(Reason.IMMEDIATE_REMAINDER)
BUDGET_SPENT = int(Reason.BUDGET_SPENT)
NO_LANE = 2**32 - 1


class Books(NamedTuple):
    """The flat arrays of a group of books, as kernels see them (dtypes in `matching.types`)."""

    book: Any  # BOOK, one a book
    lanes: Any  # LANE, for each book, side and zone
    levels: Any  # LEVEL, for each lane and rank
    words: Any  # uint64 bitmap of occupied ranks
    summary: Any  # uint64 bitmap of words that are not zero
    orders: Any  # ORDER, slot 0 unused
    standing: Any  # STANDING, by slot
    pool: Any  # POOL, one row
    ids: Any  # uint32 id table: see `matching.index`
    links: Any  # uint32 chains of the id table, by slot
    headroom: Any  # int64[zones, zones], lots from seller's zone to buyer's zone
    netting: Any  # int64[2, zones, zones]: moved since the last netting, and whether permitted; empty without netting
    cursors: Any  # int64[3, zones], where a search stands in each zone: rank, slot, headroom left


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
def next_lane(books: Any, book: int, side: int, zone: int, limit: int) -> tuple[int, int, int]:
    """Lane whose first order comes first for an order of `side` and `zone` up to rank `limit`, or NO_LANE.

    Its orders come first up to another lane's rank and arrival, which are returned too: (`limit` + 1, 0) for none.
    """
    shape = books.book[book]
    zones = shape["zones"]
    first_lane = lane_of(books, book, 1 - side, np.int64(0))
    if zones == 1:
        lane = np.uint32(first_lane)
        can = books.lanes[lane]["best"] <= limit and pair_headroom(books, side, zone, np.int64(0)) > 0
        return (lane if can else np.uint32(NO_LANE)), limit + 1, np.int64(0)
    found, found_rank, found_arrival = np.uint32(NO_LANE), limit + 1, np.int64(0)
    until_rank, until_arrival = limit + 1, np.int64(0)
    for counter_zone in range(zones):
        lane = np.uint32(first_lane + counter_zone)
        rank = books.lanes[lane]["best"]
        if rank > limit or rank > until_rank or pair_headroom(books, side, zone, counter_zone) <= 0:
            continue
        arrival = books.standing[books.levels[queue_at(books, lane, rank)]["head"]]["arrival"]
        if rank < found_rank or (rank == found_rank and arrival < found_arrival):
            until_rank, until_arrival = found_rank, found_arrival
            found, found_rank, found_arrival = lane, rank, arrival
        elif rank < until_rank or arrival < until_arrival:
            until_rank, until_arrival = rank, arrival
    return found, until_rank, until_arrival


@kernel
def write_removal(
    tape: Any, slot: int, order_id: int, owner: int, quantity: int, leaves: int, code: int, command: int
) -> None:
    """Note that a quantity left the book without a trade."""
    at = np.uint64(tape.counts[1])
    row = tape.removals[at]
    row["order_id"] = order_id
    row["owner"] = owner
    row["quantity"] = quantity
    row["leaves"] = leaves
    row["code"] = code
    row["command"] = command
    tape.removal_slots[at] = slot
    tape.counts[1] += 1


@kernel
def write_trade(
    books: Any, tape: Any, at: int, maker: int, taker_id: int, taker: int, price: int, quantity: int, command: int
) -> None:
    """Note a fill of `quantity` at `price` as number `at`; the caller counts."""
    row = tape.trades[np.uint64(at)]
    order = books.orders[maker]
    row["maker_order_id"] = order["order_id"]
    row["taker_order_id"] = taker_id
    row["maker_owner"] = order["owner"]
    row["taker_owner"] = taker
    row["price"] = price
    row["quantity"] = quantity
    row["command"] = command
    tape.maker_slots[np.uint64(at)] = maker


@kernel
def prevent_self_trade(
    books: Any, tape: Any, maker: int, taker_id: int, leaves: int, mode: int, command: int, taker_slot: int
) -> int:
    """Keep an order from its owner's own counter-order `maker`. Returns the taker's leaves."""
    order = books.orders[maker]
    owner, maker_id = order["owner"], order["order_id"]
    if mode in (CANCEL_MAKER, CANCEL_BOTH):
        write_removal(tape, maker, maker_id, owner, order["quantity"], 0, SELF_TRADE, command)
        take_off(books, maker, order["quantity"])
    elif mode == DECREMENT:
        both = min(leaves, order["quantity"])
        leaves -= both
        write_removal(tape, maker, maker_id, owner, both, order["quantity"] - both, SELF_TRADE, command)
        write_removal(tape, taker_slot, taker_id, owner, both, leaves, SELF_TRADE, command)
        take_off(books, maker, both)
    return leaves


@kernel
def take_off(books: Any, slot: int, quantity: int) -> None:
    """Take a quantity off a resting order, which leaves its queue when nothing is left; its slot is freed later."""
    order = books.orders[slot]
    order["quantity"] -= quantity
    if order["quantity"] == 0:
        unlink(books, slot)


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
    """Trade an order against the book up to rank `limit` of the lanes it trades with.

    `budget` bounds the sum of price x quantity, UNLIMITED for none. Returns what was filled, what is left, and
    why it may not go on: NONE (nothing more to trade with), SELF_TRADE or BUDGET_SPENT. The slots of the makers that
    it ended are still theirs, until `release_ended`.
    """
    leaves, filled = quantity, np.int64(0)
    lane, until_rank, until_arrival = next_lane(books, book, side, zone, limit)
    while lane != NO_LANE:
        counter_zone = np.int64(books.lanes[lane]["zone"])
        most = min(leaves, pair_headroom(books, side, zone, counter_zone))
        taken, budget, spent, own = take_from(
            books, tape, lane, until_rank, until_arrival, taker_id, owner, mode, most, budget, command
        )
        use_headroom(books, side, zone, counter_zone, taken)
        leaves -= taken
        filled += taken
        if spent:
            return filled, leaves, BUDGET_SPENT
        if own != 0:
            leaves = prevent_self_trade(books, tape, own, taker_id, leaves, mode, command, taker_slot)
            if mode in (CANCEL_TAKER, CANCEL_BOTH) or leaves == 0:
                return filled, leaves, SELF_TRADE
        if leaves == 0:
            break
        lane, until_rank, until_arrival = next_lane(books, book, side, zone, limit)
    return filled, leaves, NONE


@kernel
def take_from(
    books: Any,
    tape: Any,
    lane: int,
    until_rank: int,
    until_arrival: int,
    taker_id: int,
    owner: int,
    mode: int,
    quantity: int,
    budget: int,
    command: int,
) -> tuple[int, int, bool, int]:
    """Trade an order with those of a lane, in order, that stand before (`until_rank`, `until_arrival`).

    Returns what was taken, the budget left, whether it is spent, and the slot of an order of the same owner, at which
    it stopped (0 for none).
    """
    ladder, prevents = books.lanes[lane], mode != ALLOW and owner != 0
    leaves, own, spent, at, rank = quantity, np.uint32(0), False, tape.counts[0], ladder["best"]
    while leaves > 0 and rank <= until_rank:
        price, queue = price_of(books, lane, rank), books.levels[queue_at(books, lane, rank)]
        head = queue["head"]
        slot = head
        while slot != 0 and leaves > 0:
            order = books.orders[slot]
            if rank == until_rank and books.standing[slot]["arrival"] >= until_arrival:
                break
            if prevents and order["owner"] == owner:
                own = slot
                break
            standing = order["quantity"]
            fill = min(leaves, standing)
            if budget != UNLIMITED and price > 0:
                spent = fill > budget // price
                fill = min(fill, budget // price)
                budget -= fill * price
                if fill == 0:
                    break
            write_trade(books, tape, at, slot, taker_id, owner, price, fill, command)
            at += 1
            leaves -= fill
            order["quantity"] = standing - fill
            if fill < standing:
                break
            slot = order["next"]
        if slot != head:
            queue["head"] = slot
            books.orders[slot]["previous"] = 0  # slot 0 is nobody
        if slot != 0:
            break
        queue["tail"] = 0
        vacate(books, lane, rank)
        rank = ladder["best"]
    tape.counts[0] = at
    return quantity - leaves, budget, spent, own


@kernel
def release_ended(books: Any, tape: Any, first_trade: int, first_removal: int) -> None:
    """Free the slots of the orders that trades and removals, from these on, have ended.

    In loops of their own, whose steps do not wait for each other, as those of matching do.
    """
    for at in range(first_trade, tape.counts[0]):
        release_if_ended(books, tape.maker_slots[np.uint64(at)])
    for at in range(first_removal, tape.counts[1]):
        release_if_ended(books, tape.removal_slots[np.uint64(at)])


@kernel
def release_if_ended(books: Any, slot: int) -> None:
    """Free a slot if its order has no quantity left; slot 0 and one that is free already have no order."""
    if books.orders[slot]["quantity"] == 0 and books.orders[slot]["order_id"] != 0:
        release_slot(books, slot)


@kernel
def could_fill(
    books: Any, book: int, owner: int, side: int, zone: int, mode: int, limit: int, quantity: int, budget: int
) -> bool:
    """Whether `match` would fill the whole quantity; nothing changes. Counts headroom, own orders and budget."""
    zones = books.book[book]["zones"]
    first_lane = lane_of(books, book, 1 - side, np.int64(0))
    ranks, slots, headroom = books.cursors[0], books.cursors[1], books.cursors[2]
    for z in range(zones):
        lane = np.uint32(first_lane + z)
        headroom[z] = pair_headroom(books, side, zone, z)
        ranks[z] = books.lanes[lane]["best"]
        slots[z] = 0 if ranks[z] == NO_RANK else books.levels[queue_at(books, lane, ranks[z])]["head"]
    while quantity > 0:
        pick = np.int64(-1)
        for z in range(zones):
            if ranks[z] > limit or headroom[z] <= 0:
                continue
            if (
                pick < 0
                or ranks[z] < ranks[pick]
                or (
                    ranks[z] == ranks[pick]
                    and books.standing[slots[z]]["arrival"] < books.standing[slots[pick]]["arrival"]
                )
            ):
                pick = np.int64(z)
        if pick < 0:
            return False
        order, lane = books.orders[slots[pick]], np.uint32(first_lane + pick)
        own = owner != 0 and order["owner"] == owner and mode != ALLOW
        if own and mode != CANCEL_MAKER:
            return False
        if not own:
            fill = min(quantity, order["quantity"], headroom[pick])
            if budget != UNLIMITED:
                budget -= fill * price_of(books, lane, ranks[pick])
                if budget < 0:
                    return False
            quantity -= fill
            if headroom[pick] != UNLIMITED:
                headroom[pick] -= fill
        advance(books, lane, pick, ranks, slots)
    return True


@kernel
def advance(books: Any, lane: int, zone: int, ranks: Any, slots: Any) -> None:
    """Move one zone's cursor to the next order behind, of the same rank or of the next."""
    following = np.int64(books.orders[slots[zone]]["next"])
    if following == 0:
        ranks[zone] = next_rank(books, lane, ranks[zone] + 1)
        if ranks[zone] != NO_RANK:
            following = np.int64(books.levels[queue_at(books, lane, ranks[zone])]["head"])
    slots[zone] = following
