"""Why a command is refused: rules that judge it and change nothing. What it does otherwise is in `commands`.

A caller that keeps accounts asks here first, escrows, and then acts, which cannot fail.
"""

from typing import Any

import numpy as np

from matching.book import NO_LANE, NONE, could_fill, next_lane
from matching.compiled import kernel
from matching.ladder import rank_of
from matching.queue import BUY, POST_ONLY, book_of, side_of, zone_of
from matching.types import MAX_QUANTITY, OrderType, Reason, SelfTrade, TimeInForce

LIMIT, MARKET = int(OrderType.LIMIT), int(OrderType.MARKET)
GTC, GTD, IOC, FOK = int(TimeInForce.GTC), int(TimeInForce.GTD), int(TimeInForce.IOC), int(TimeInForce.FOK)
ALLOW, DECREMENT = int(SelfTrade.ALLOW), int(SelfTrade.DECREMENT)

UNKNOWN_SIDE, UNKNOWN_ORDER_TYPE = int(Reason.UNKNOWN_SIDE), int(Reason.UNKNOWN_ORDER_TYPE)
UNKNOWN_TIME_IN_FORCE, UNKNOWN_SELF_TRADE = int(Reason.UNKNOWN_TIME_IN_FORCE), int(Reason.UNKNOWN_SELF_TRADE)
UNKNOWN_ZONE = int(Reason.UNKNOWN_ZONE)
QUANTITY_NOT_POSITIVE, QUANTITY_TOO_LARGE = int(Reason.QUANTITY_NOT_POSITIVE), int(Reason.QUANTITY_TOO_LARGE)
PRICE_OUTSIDE_BOOK, BOOK_FULL = int(Reason.PRICE_OUTSIDE_BOOK), int(Reason.BOOK_FULL)
EXPIRY_MISSING, EXPIRY_UNEXPECTED = int(Reason.EXPIRY_MISSING), int(Reason.EXPIRY_UNEXPECTED)
ORDER_ID_NOT_RISING = int(Reason.ORDER_ID_NOT_RISING)
UNKNOWN_ORDER, FOREIGN_ORDER = int(Reason.UNKNOWN_ORDER), int(Reason.FOREIGN_ORDER)
MARKET_MUST_BE_IMMEDIATE, POST_ONLY_MUST_REST = int(Reason.MARKET_MUST_BE_IMMEDIATE), int(Reason.POST_ONLY_MUST_REST)
POST_ONLY_WOULD_TRADE, FOK_WITH_DECREMENT = int(Reason.POST_ONLY_WOULD_TRADE), int(Reason.FOK_WITH_DECREMENT)
FOK_NOT_FILLABLE, NOT_IN_AUCTION = int(Reason.FOK_NOT_FILLABLE), int(Reason.NOT_IN_AUCTION)


@kernel
def limit_rank(books: Any, book: int, side: int, order_type: int, price: int) -> int:
    """The worst rank that an order may trade with, of lanes on the other side: its price's, or the last of all."""
    shape = books.book[book]
    last, above_lowest = shape["prices"] - 1, price - shape["min_price"]
    if order_type == MARKET:
        return last
    return above_lowest if side == BUY else last - above_lowest


@kernel
def own_rank(books: Any, book: int, limit: int) -> int:
    """Where an order rests that may trade up to rank `limit` of the other side: each side counts from its own end."""
    return books.book[book]["prices"] - 1 - limit


@kernel
def price_in_book(books: Any, book: int, price: int) -> bool:
    """Whether the book has a level for this price."""
    shape = books.book[book]
    return shape["min_price"] <= price < shape["min_price"] + shape["prices"]


@kernel
def form_refusal(books: Any, book: int, order: Any) -> int:
    """Why a new order is not well formed, or NONE. `order` has the fields of COMMAND."""
    shape = books.book[book]
    if order["side"] < 0 or order["side"] > 1:
        return UNKNOWN_SIDE
    if order["order_type"] < LIMIT or order["order_type"] > MARKET:
        return UNKNOWN_ORDER_TYPE
    if order["time_in_force"] < GTC or order["time_in_force"] > FOK:
        return UNKNOWN_TIME_IN_FORCE
    if order["self_trade"] < ALLOW or order["self_trade"] > DECREMENT:
        return UNKNOWN_SELF_TRADE
    if order["zone"] < 0 or order["zone"] >= shape["zones"]:
        return UNKNOWN_ZONE
    if order["order_id"] <= shape["last_order_id"]:
        return ORDER_ID_NOT_RISING
    if order["quantity"] <= 0:
        return QUANTITY_NOT_POSITIVE
    if order["quantity"] > MAX_QUANTITY:
        return QUANTITY_TOO_LARGE
    if order["order_type"] == LIMIT and not price_in_book(books, book, order["price"]):
        return PRICE_OUTSIDE_BOOK
    return conditions_refusal(order)


@kernel
def conditions_refusal(order: Any) -> int:
    """Why the conditions of a new order contradict each other, or NONE."""
    immediate = order["time_in_force"] >= IOC
    if order["order_type"] == MARKET and not immediate:
        return MARKET_MUST_BE_IMMEDIATE
    if order["time_in_force"] == GTD and order["expires_at_ns"] <= 0:
        return EXPIRY_MISSING
    if order["time_in_force"] != GTD and order["expires_at_ns"] != 0:
        return EXPIRY_UNEXPECTED
    if order["post_only"] and immediate:
        return POST_ONLY_MUST_REST
    if order["time_in_force"] == FOK and order["self_trade"] == DECREMENT:
        return FOK_WITH_DECREMENT
    return NONE


@kernel
def is_plain(books: Any, book: int, order: Any) -> bool:
    """Whether a new order is well formed and has no conditions, found with fewer questions than `form_refusal` asks."""
    odd = order["side"] & ~1 | order["order_type"] | order["time_in_force"] & ~1 | order["post_only"]
    odd = odd | order["self_trade"] & ~3 | order["zone"]
    return (
        odd == 0
        and order["expires_at_ns"] == 0
        and 0 < order["quantity"] <= MAX_QUANTITY
        and price_in_book(books, book, order["price"])
        and order["order_id"] > books.book[book]["last_order_id"]
    )


@kernel
def new_refusal(books: Any, book: int, order: Any, budget: int) -> int:
    """Why a new order may not enter the book, or NONE. `order` has the fields of COMMAND; nothing changes."""
    if is_plain(books, book, order):
        pool = books.pool[0]
        return BOOK_FULL if pool["live"] >= pool["capacity"] else NONE
    code = form_refusal(books, book, order)
    return entry_refusal(books, book, order, budget) if code == NONE else code


@kernel
def entry_refusal(books: Any, book: int, order: Any, budget: int) -> int:
    """Why a well-formed new order may not enter the book as it stands, or NONE; nothing changes."""
    pool = books.pool[0]
    if books.book[book]["auction"] and (order["time_in_force"] >= IOC or order["post_only"]):
        return NOT_IN_AUCTION
    if order["time_in_force"] < IOC and pool["live"] >= pool["capacity"]:
        return BOOK_FULL
    if order["post_only"] or order["time_in_force"] == FOK:
        return taking_refusal(books, book, order, budget)
    return NONE


@kernel
def taking_refusal(books: Any, book: int, order: Any, budget: int) -> int:
    """Why a post-only order may not rest, or a fill-or-kill order would not be filled, or NONE; nothing changes."""
    side, zone = np.int64(order["side"]), np.int64(order["zone"])
    limit = limit_rank(books, book, side, order["order_type"], order["price"])
    if order["post_only"]:
        return POST_ONLY_WOULD_TRADE if next_lane(books, book, side, zone, limit)[0] != NO_LANE else NONE
    mode, quantity = np.int64(order["self_trade"]), order["quantity"]
    filled = could_fill(books, book, order["owner"], side, zone, mode, limit, quantity, budget)
    return NONE if filled else FOK_NOT_FILLABLE


@kernel
def target_refusal(books: Any, slot: int, owner: int) -> int:
    """Why a command may not touch the order in `slot` (0: no such live order), or NONE."""
    if slot == 0:
        return UNKNOWN_ORDER
    return FOREIGN_ORDER if books.orders[slot]["owner"] != owner else NONE


@kernel
def replace_refusal(books: Any, slot: int, mode: int, price: int, quantity: int) -> int:
    """Why a live order may not be replaced like this, or NONE. Zero price or quantity means unchanged."""
    order, book = books.orders[slot], book_of(books, slot)
    if mode < ALLOW or mode > DECREMENT:
        return UNKNOWN_SELF_TRADE
    if quantity < 0:
        return QUANTITY_NOT_POSITIVE
    if quantity > MAX_QUANTITY:
        return QUANTITY_TOO_LARGE
    if price != 0 and not price_in_book(books, book, price):
        return PRICE_OUTSIDE_BOOK
    rank = np.int64(order["rank"]) if price == 0 else rank_of(books, order["lane"], price)
    loses_place = rank != order["rank"] or quantity > order["quantity"]
    if not (order["conditions"] & POST_ONLY and loses_place) or books.book[book]["auction"]:
        return NONE
    limit = own_rank(books, book, rank)  # each side's ranks are the other's, counted from the other end
    lane, _, _ = next_lane(books, book, side_of(books, slot), zone_of(books, slot), limit)
    return POST_ONLY_WOULD_TRADE if lane != NO_LANE else NONE
