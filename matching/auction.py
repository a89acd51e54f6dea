"""Trades among orders that rest: the call auction, and what a change of headroom makes possible.

An order can trade with another when their zones may; the best order of a zone stands for all behind it, so the next
pair is found among the heads of the zones' queues, however many orders are blocked.
"""

from typing import Any

import numpy as np

from matching.book import NO_LANE, SELF_TRADE, net, next_lane, pair_headroom, use_headroom, write_removal, write_trade
from matching.compiled import kernel
from matching.ladder import NO_LEVEL
from matching.queue import BUY, SELF_TRADE_SHIFT, queue_at, release_slot, shrink, unlink, zone_of
from matching.types import SelfTrade

ALLOW, CANCEL_TAKER, CANCEL_MAKER = int(SelfTrade.ALLOW), int(SelfTrade.CANCEL_TAKER), int(SelfTrade.CANCEL_MAKER)
CANCEL_BOTH = int(SelfTrade.CANCEL_BOTH)
NO_COMMAND = -1
OWN_PRICE = -1  # orders trade at the price of the older one, as far as they cross


@kernel
def crossed_range(books: Any, book: int) -> tuple[int, int]:
    """Best ask and best bid over all zones, as levels; the second is the lower, or NO_LEVEL, where nothing crosses."""
    shape = books.book[book]
    low, high = np.int64(NO_LEVEL), np.int64(NO_LEVEL)
    for zone in range(shape["zones"]):
        high = max(high, books.best[shape["best_at"] + zone])
        ask = books.best[shape["best_at"] + shape["zones"] + zone]
        if ask != NO_LEVEL and (low == NO_LEVEL or ask < low):
            low = ask
    return (low, high) if low != NO_LEVEL else (np.int64(0), np.int64(NO_LEVEL))


@kernel
def gather(books: Any, book: int, low: int, high: int, bought: Any, sold: Any) -> None:
    """For each level from `low` to `high`: what would be bought there, and what would be sold (int64, zeroed)."""
    zones = books.book[book]["zones"]
    for slot in range(1, len(books.orders)):
        order = books.orders[slot]
        if order["order_id"] == 0 or order["book"] != book:
            continue
        level = np.int64(order["level"])
        if order["lane"] < zones:
            if level >= low:
                bought[min(level, high) - low] += order["quantity"]
        elif level <= high:
            sold[max(level, low) - low] += order["quantity"]
    for at in range(1, len(sold)):
        sold[at] += sold[at - 1]
        bought[len(bought) - 1 - at] += bought[len(bought) - at]


@kernel
def choose(bought: Any, sold: Any, reference: int, referenced: bool) -> int:
    """Place of the auction price: the largest volume, the smallest imbalance, then by surplus, reference or middle.

    `reference` is a place too, inside or outside, if it is `referenced`.
    """
    most, least = np.int64(0), np.int64(0)
    first, last = np.int64(0), np.int64(0)
    buyers, sellers = True, True  # are left over at each of the best prices
    for at in range(len(bought)):
        volume, imbalance = min(bought[at], sold[at]), bought[at] - sold[at]
        if volume > most or (volume == most and abs(imbalance) < least) or at == 0:
            most, least, first, buyers, sellers = volume, abs(imbalance), np.int64(at), True, True
        if volume == most and abs(imbalance) == least:
            last = np.int64(at)
            buyers = buyers and imbalance > 0
            sellers = sellers and imbalance < 0
    if buyers or sellers:
        return last if buyers else first
    target = reference if referenced else (first + last) // 2
    chosen = first
    for at in range(first, last + 1):
        kept = min(bought[at], sold[at]) == most and abs(bought[at] - sold[at]) == least
        if kept and abs(at - target) < abs(chosen - target):
            chosen = np.int64(at)
    return chosen


@kernel
def next_bid(books: Any, book: int, price_level: int) -> tuple[int, int]:
    """The best, then oldest, bid that can trade, with the lane of the ask it trades with; slot 0 for none.

    At OWN_PRICE a bid trades with asks up to its own price, otherwise only at `price_level`.
    """
    shape = books.book[book]
    found, found_level, found_arrival, with_lane = np.uint32(0), np.int64(NO_LEVEL), np.int64(0), np.int64(NO_LANE)
    for zone in range(shape["zones"]):
        level = books.best[shape["best_at"] + zone]
        if level == NO_LEVEL or level < price_level or level < found_level:
            continue
        lane, _ = next_lane(books, book, BUY, np.int64(zone), level if price_level == OWN_PRICE else price_level)
        if lane == NO_LANE:
            continue
        head = books.levels[queue_at(books, book, np.int64(zone), level)]["head"]
        arrival = books.standing[head]["arrival"]
        if found == 0 or level > found_level or arrival < found_arrival:
            found, found_level, found_arrival, with_lane = head, level, arrival, lane
    return found, with_lane


@kernel
def lose(books: Any, tape: Any, slot: int, quantity: int) -> None:
    """Take a quantity off an order to keep it from trading with its owner."""
    order = books.orders[slot]
    leaves = order["quantity"] - quantity
    write_removal(tape, slot, order["order_id"], order["owner"], quantity, leaves, SELF_TRADE, NO_COMMAND)
    shrink(books, slot, quantity)


@kernel
def meet(books: Any, tape: Any, bid: int, ask: int, price_level: int) -> int:
    """Let a bid and an ask trade, or keep them apart by the mode of the younger. Returns what was filled."""
    bid_first = books.standing[bid]["arrival"] < books.standing[ask]["arrival"]
    maker, taker = (bid, ask) if bid_first else (ask, bid)
    older, younger = books.orders[maker], books.orders[taker]
    both = min(older["quantity"], younger["quantity"])
    mode = np.int64(younger["conditions"]) >> SELF_TRADE_SHIFT
    if mode != ALLOW and younger["owner"] != 0 and older["owner"] == younger["owner"]:
        decrement = mode not in (CANCEL_TAKER, CANCEL_MAKER, CANCEL_BOTH)
        from_taker = both if decrement else younger["quantity"]
        if mode != CANCEL_TAKER:
            lose(books, tape, maker, both if decrement else older["quantity"])
        if mode != CANCEL_MAKER:
            lose(books, tape, taker, from_taker)
        return np.int64(0)
    zone, counter_zone = zone_of(books, bid), zone_of(books, ask)
    quantity = min(both, pair_headroom(books, BUY, zone, counter_zone))
    level = np.int64(older["level"]) if price_level == OWN_PRICE else price_level
    price = books.book[older["book"]]["min_price"] + level
    tape.taker_slots[tape.counts[0]] = taker
    write_trade(books, tape, maker, younger["order_id"], younger["owner"], price, quantity, NO_COMMAND)
    use_headroom(books, BUY, zone, counter_zone, quantity)
    fill(books, maker, quantity)
    fill(books, taker, quantity)
    return quantity


@kernel
def fill(books: Any, slot: int, quantity: int) -> None:
    """Take a fill off an order, which leaves its queue when nothing is left; its slot is freed later."""
    order = books.orders[slot]
    order["quantity"] -= quantity
    if order["quantity"] == 0:
        unlink(books, slot)


@kernel
def release_filled(books: Any, tape: Any) -> None:
    """Free the slots of all that the trades filled, in a loop whose steps do not wait for each other."""
    for at in range(tape.counts[0]):
        for slot in (tape.maker_slots[at], tape.taker_slots[at]):
            order = books.orders[slot]
            if order["order_id"] != 0 and order["quantity"] == 0:
                release_slot(books, slot)


@kernel
def cross(books: Any, tape: Any, book: int, price_level: int) -> int:
    """Let all that can trade do so, at one price or each at the older order's. Returns the volume.

    Each pair takes something off its orders, so this ends. Netting follows each trade at own prices (K26).
    """
    volume = np.int64(0)
    while True:
        bid, lane = next_bid(books, book, price_level)
        if bid == 0:
            release_filled(books, tape)
            return volume
        level = books.best[books.book[book]["best_at"] + lane]
        ask = books.levels[queue_at(books, book, lane, level)]["head"]
        volume += meet(books, tape, bid, ask, price_level)
        if price_level == OWN_PRICE and len(books.netting) > 0:
            net(books)
