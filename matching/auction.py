"""Trades among orders that rest: the call auction, and what a change of headroom makes possible.

An order can trade with another when their zones may; the best order of a zone stands for all behind it, so the next
pair is found among the heads of the zones' queues, however many orders are blocked.
"""

from typing import Any

import numpy as np

from matching.book import (
    NO_LANE,
    SELF_TRADE,
    net,
    next_lane,
    pair_headroom,
    release_ended,
    release_if_ended,
    take_off,
    use_headroom,
    write_removal,
    write_trade,
)
from matching.compiled import kernel, prefetch
from matching.index import place_of
from matching.ladder import NO_RANK, price_of, rank_of
from matching.queue import BUY, SELF_TRADE_SHIFT, SELL, lane_of, queue_at, release_all_ended, zone_of
from matching.types import SelfTrade

ALLOW, CANCEL_TAKER, CANCEL_MAKER = int(SelfTrade.ALLOW), int(SelfTrade.CANCEL_TAKER), int(SelfTrade.CANCEL_MAKER)
CANCEL_BOTH = int(SelfTrade.CANCEL_BOTH)
NO_COMMAND = -1
AHEAD = 8  # orders between asking for a thing and using it
AT_HAND = 512  # trades whose orders the processor's cache holds
MANY = 32  # once trades are this part of the slots, the slots of the next ones are freed together
SOME = 8  # looking at all slots costs less than freeing this part of them one by one
NO_PRICE = -1
OWN_PRICE = -1  # orders trade at the price of the older one, as far as they cross


@kernel
def best_price(books: Any, book: int, side: int) -> int:
    """Best price of a side over all zones, or NO_PRICE."""
    first_lane, best = lane_of(books, book, side, np.int64(0)), np.int64(NO_RANK)
    for zone in range(books.book[book]["zones"]):
        best = min(best, books.lanes[np.uint32(first_lane + zone)]["best"])
    return price_of(books, first_lane, best) if best != NO_RANK else np.int64(NO_PRICE)


@kernel
def crossed_range(books: Any, book: int) -> tuple[int, int]:
    """Best ask and best bid over all zones; NO_PRICE and less where nothing crosses."""
    low, high = best_price(books, book, SELL), best_price(books, book, BUY)
    return (low, high) if NO_PRICE not in (low, high) and low <= high else (np.int64(NO_PRICE), np.int64(NO_PRICE - 1))


@kernel
def gather(books: Any, book: int, low: int, high: int, bought: Any, sold: Any) -> None:
    """For each price from `low` to `high`: what would be bought there, and what would be sold (int64, zeroed)."""
    selling = lane_of(books, book, SELL, np.int64(0))
    for slot in range(1, len(books.orders)):
        order = books.orders[slot]
        lane = order["lane"]
        if order["order_id"] == 0 or books.lanes[lane]["book"] != book:
            continue
        price = price_of(books, lane, np.int64(order["rank"]))
        if lane < selling:
            if price >= low:
                bought[min(price, high) - low] += order["quantity"]
        elif price <= high:
            sold[max(price, low) - low] += order["quantity"]
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
def next_bid(books: Any, book: int, price: int) -> tuple[int, int]:
    """The best, then oldest, bid that can trade, with the lane of the ask it trades with; slot 0 for none.

    At OWN_PRICE a bid trades with asks up to its own price, otherwise only at `price`.
    """
    shape, bids, asks = (
        books.book[book],
        lane_of(books, book, BUY, np.int64(0)),
        lane_of(books, book, SELL, np.int64(0)),
    )
    found, found_rank, found_arrival, with_lane = np.uint32(0), np.int64(NO_RANK), np.int64(0), np.uint32(NO_LANE)
    for zone in range(shape["zones"]):
        lane = np.uint32(bids + zone)
        rank = books.lanes[lane]["best"]
        if rank == NO_RANK or rank > found_rank or (price != OWN_PRICE and rank > rank_of(books, lane, price)):
            continue
        limit = rank_of(books, asks, price_of(books, lane, rank) if price == OWN_PRICE else price)
        ask_lane, _, _ = next_lane(books, book, BUY, np.int64(zone), limit)
        if ask_lane == NO_LANE:
            continue
        head = books.levels[queue_at(books, lane, rank)]["head"]
        arrival = books.standing[head]["arrival"]
        if rank < found_rank or arrival < found_arrival:
            found, found_rank, found_arrival, with_lane = head, rank, arrival, ask_lane
    return found, with_lane


@kernel
def lose(books: Any, tape: Any, slot: int, quantity: int) -> None:
    """Take a quantity off an order to keep it from trading with its owner."""
    order = books.orders[slot]
    leaves = order["quantity"] - quantity
    write_removal(tape, slot, order["order_id"], order["owner"], quantity, leaves, SELF_TRADE, NO_COMMAND)
    take_off(books, slot, quantity)


@kernel
def meet(books: Any, tape: Any, bid: int, ask: int, price: int) -> int:
    """Let a bid and an ask trade, or keep them apart by the mode of the younger. Returns what was filled."""
    bid_first = books.standing[bid]["arrival"] < books.standing[ask]["arrival"]
    maker, taker = (bid, ask) if bid_first else (ask, bid)
    older, younger = books.orders[maker], books.orders[taker]
    for follower in (older["next"], younger["next"]):
        second = books.orders[follower]["next"]
        prefetch(books.orders, second)
        prefetch(books.standing, second)
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
    if price == OWN_PRICE:
        price = price_of(books, older["lane"], np.int64(older["rank"]))
    at = tape.counts[0]
    tape.taker_slots[at] = taker
    write_trade(books, tape, at, maker, younger["order_id"], younger["owner"], price, quantity, NO_COMMAND)
    tape.counts[0] = at + 1
    use_headroom(books, BUY, zone, counter_zone, quantity)
    take_off(books, maker, quantity)
    take_off(books, taker, quantity)
    return quantity


@kernel
def release_both(books: Any, tape: Any, first_trade: int) -> None:
    """Free the slots of makers and takers that the trades from `first_trade` on ended; asks for them ahead."""
    last = tape.counts[0] - 1
    for slots in (tape.maker_slots, tape.taker_slots):
        for at in range(first_trade, last + 1):
            soon = slots[np.uint64(min(at + AHEAD, last))]
            prefetch(books.ids, place_of(books, books.orders[soon]["order_id"]))
            prefetch(books.links, soon)
            release_if_ended(books, slots[np.uint64(at)])


@kernel
def cross(books: Any, tape: Any, book: int, price: int) -> int:
    """Let all that can trade do so, at one price or each at the older order's. Returns the volume.

    Each pair takes something off its orders, so this ends. Netting follows each trade at own prices (K26). Slots are
    freed while the processor still has them at hand; when they become many, together at the end. Nobody takes one
    before.
    """
    volume, first, many = np.int64(0), tape.counts[0], len(books.orders) // MANY
    released = first
    while True:
        bid, lane = next_bid(books, book, price)
        if bid == 0:
            break
        if tape.counts[0] - released >= AT_HAND and released - first < many:
            release_both(books, tape, released)
            released = tape.counts[0]
        ask = books.levels[queue_at(books, lane, books.lanes[lane]["best"])]["head"]
        volume += meet(books, tape, bid, ask, price)
        if price == OWN_PRICE and len(books.netting) > 0:
            net(books)
    if tape.counts[0] - released > len(books.orders) // SOME:
        release_all_ended(books)
    else:
        release_both(books, tape, released)
        release_ended(books, tape, released, np.int64(0))
    return volume
