"""What a command does to a book: refusals first, then the act. The kernels are called by other compiled loops too.

Each act has two halves: `…_refusal` judges and changes nothing, and the act itself, which cannot fail. A caller
that keeps accounts escrows between the two.
"""

from typing import Any

import numpy as np

from matching import index
from matching.book import (
    IMMEDIATE,
    NO_LANE,
    NONE,
    SELF_TRADE,
    could_fill,
    match,
    net,
    next_lane,
    write_removal,
)
from matching.compiled import kernel, prefetch
from matching.queue import (
    BUY,
    POST_ONLY,
    conditions_of,
    enqueue,
    lane_of,
    queue_at,
    release_slot,
    remove,
    shrink,
    side_of,
    take_slot,
    unlink,
    with_self_trade,
    zone_of,
)
from matching.types import MAX_QUANTITY, UNLIMITED, Action, OrderType, Reason, SelfTrade, Status, TimeInForce

NEW, CANCEL, REPLACE, REDUCE = int(Action.NEW), int(Action.CANCEL), int(Action.REPLACE), int(Action.REDUCE)
LIMIT, MARKET = int(OrderType.LIMIT), int(OrderType.MARKET)
GTC, GTD, IOC, FOK = int(TimeInForce.GTC), int(TimeInForce.GTD), int(TimeInForce.IOC), int(TimeInForce.FOK)
NEAR = 32_768  # live orders that the processor's cache holds; beyond, a batch is looked through ahead
AHEAD = 4  # commands between one step of foresight and the next
ALLOW, DECREMENT = int(SelfTrade.ALLOW), int(SelfTrade.DECREMENT)

REJECTED, RESTING, FILLED = int(Status.REJECTED), int(Status.RESTING), int(Status.FILLED)
PARTLY, CANCELLED = int(Status.PARTLY_FILLED_CANCELLED), int(Status.CANCELLED)
REPLACED, REDUCED = int(Status.REPLACED), int(Status.REDUCED)

UNKNOWN_ACTION, UNKNOWN_SIDE = int(Reason.UNKNOWN_ACTION), int(Reason.UNKNOWN_SIDE)
UNKNOWN_ORDER_TYPE, UNKNOWN_TIME_IN_FORCE = int(Reason.UNKNOWN_ORDER_TYPE), int(Reason.UNKNOWN_TIME_IN_FORCE)
UNKNOWN_SELF_TRADE, UNKNOWN_ZONE = int(Reason.UNKNOWN_SELF_TRADE), int(Reason.UNKNOWN_ZONE)
QUANTITY_NOT_POSITIVE, QUANTITY_TOO_LARGE = int(Reason.QUANTITY_NOT_POSITIVE), int(Reason.QUANTITY_TOO_LARGE)
PRICE_OUTSIDE_BOOK, BOOK_FULL = int(Reason.PRICE_OUTSIDE_BOOK), int(Reason.BOOK_FULL)
EXPIRY_MISSING, EXPIRY_UNEXPECTED = int(Reason.EXPIRY_MISSING), int(Reason.EXPIRY_UNEXPECTED)
ORDER_ID_NOT_RISING = int(Reason.ORDER_ID_NOT_RISING)
UNKNOWN_ORDER, FOREIGN_ORDER = int(Reason.UNKNOWN_ORDER), int(Reason.FOREIGN_ORDER)
MARKET_MUST_BE_IMMEDIATE, POST_ONLY_MUST_REST = int(Reason.MARKET_MUST_BE_IMMEDIATE), int(Reason.POST_ONLY_MUST_REST)
POST_ONLY_WOULD_TRADE, FOK_WITH_DECREMENT = int(Reason.POST_ONLY_WOULD_TRADE), int(Reason.FOK_WITH_DECREMENT)
FOK_NOT_FILLABLE, NOT_IN_AUCTION = int(Reason.FOK_NOT_FILLABLE), int(Reason.NOT_IN_AUCTION)
CANCELLED_BY_OWNER, REDUCED_BY_OWNER = int(Reason.CANCELLED_BY_OWNER), int(Reason.REDUCED_BY_OWNER)


@kernel
def limit_level(books: Any, book: int, side: int, order_type: int, price: int) -> int:
    """The worst level an order may trade at: its price, or the far end of the book for a market order."""
    shape = books.book[book]
    if order_type == MARKET:
        return shape["prices"] - 1 if side == BUY else np.int64(0)
    return price - shape["min_price"]


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
def new_refusal(books: Any, book: int, order: Any, budget: int) -> int:
    """Why a new order may not enter the book, or NONE. `order` has the fields of COMMAND; nothing changes."""
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
    side, zone = np.int64(order["side"]), np.int64(order["zone"])
    limit = limit_level(books, book, side, order["order_type"], order["price"])
    if order["post_only"] and next_lane(books, book, side, zone, limit)[0] != NO_LANE:
        return POST_ONLY_WOULD_TRADE
    if order["time_in_force"] == FOK and not could_fill(
        books, book, order["owner"], side, zone, np.int64(order["self_trade"]), limit, order["quantity"], budget
    ):
        return FOK_NOT_FILLABLE
    return NONE


@kernel
def place(books: Any, tape: Any, book: int, order: Any, budget: int, command: int) -> tuple[int, int, int, int, int]:
    """Enter a new order that `new_refusal` has passed. Returns status, code, filled, leaves and its slot.

    The slot (0 for an immediate order) is taken before matching, so no maker's slot is given away while the
    caller still reads its own data of the makers.
    """
    side, zone, order_id = np.int64(order["side"]), np.int64(order["zone"]), order["order_id"]
    limit = limit_level(books, book, side, order["order_type"], order["price"])
    books.book[book]["last_order_id"] = order_id
    slot = np.uint32(0)
    if order["time_in_force"] < IOC:
        slot = take_slot(books, order_id)
        resting = books.orders[slot]
        resting["owner"] = order["owner"]
        resting["level"] = limit
        resting["book"] = book
        resting["lane"] = lane_of(books, book, side, zone)
        resting["conditions"] = conditions_of(
            np.int64(order["time_in_force"]), np.int64(order["post_only"]), np.int64(order["self_trade"])
        )
        books.standing[slot]["expires_at_ns"] = order["expires_at_ns"]
    return trade_then_rest(
        books, tape, book, order_id, slot, order["owner"], side, zone, np.int64(order["self_trade"]), limit,
        order["quantity"], budget, command, RESTING,
    )  # fmt: skip


@kernel
def trade_then_rest(
    books: Any, tape: Any, book: int, order_id: int, slot: int, owner: int, side: int, zone: int, mode: int,
    limit: int, quantity: int, budget: int, command: int, rests_as: int,
) -> tuple[int, int, int, int, int]:  # fmt: skip
    """Match an order that is in no queue; what is left rests if it has a slot and nothing forbids it."""
    filled, leaves, code = np.int64(0), quantity, NONE
    if not books.book[book]["auction"]:
        filled, leaves, code = match(
            books, tape, book, order_id, slot, owner, side, zone, mode, limit, quantity, budget, command
        )
    if leaves > 0 and code == NONE and slot != 0:
        books.orders[slot]["quantity"] = leaves
        enqueue(books, slot)
        return rests_as, NONE, filled, leaves, slot
    if leaves > 0:
        code = IMMEDIATE if code == NONE else code
        write_removal(tape, slot, order_id, owner, leaves, 0, code, command)
    if slot != 0:
        release_slot(books, slot)
    if filled == quantity:
        return FILLED, NONE, filled, np.int64(0), slot
    code = SELF_TRADE if code == NONE else code  # a decrement took what was not filled
    return (PARTLY if filled > 0 else CANCELLED), code, filled, np.int64(0), slot


@kernel
def target_refusal(books: Any, slot: int, owner: int) -> int:
    """Why a command may not touch the order in `slot` (0: no such live order), or NONE."""
    if slot == 0:
        return UNKNOWN_ORDER
    return FOREIGN_ORDER if books.orders[slot]["owner"] != owner else NONE


@kernel
def cancel(books: Any, tape: Any, slot: int, code: int, command: int) -> int:
    """Take a live order out of its book for the reason `code`. Returns the quantity that left."""
    order = books.orders[slot]
    quantity = order["quantity"]
    write_removal(tape, slot, order["order_id"], order["owner"], quantity, 0, code, command)
    remove(books, slot)
    return quantity


@kernel
def reduce(books: Any, tape: Any, slot: int, quantity: int, code: int, command: int) -> int:
    """Take at most `quantity` off a live order, which keeps its place. Returns what is left."""
    order = books.orders[slot]
    taken = min(quantity, order["quantity"])
    write_removal(tape, slot, order["order_id"], order["owner"], taken, order["quantity"] - taken, code, command)
    return shrink(books, slot, taken)


@kernel
def replace_refusal(books: Any, slot: int, mode: int, price: int, quantity: int) -> int:
    """Why a live order may not be replaced like this, or NONE. Zero price or quantity means unchanged."""
    order = books.orders[slot]
    book = np.int64(order["book"])
    if mode < ALLOW or mode > DECREMENT:
        return UNKNOWN_SELF_TRADE
    if quantity < 0:
        return QUANTITY_NOT_POSITIVE
    if quantity > MAX_QUANTITY:
        return QUANTITY_TOO_LARGE
    if price != 0 and not price_in_book(books, book, price):
        return PRICE_OUTSIDE_BOOK
    limit = np.int64(order["level"]) if price == 0 else price - books.book[book]["min_price"]
    loses_place = limit != order["level"] or quantity > order["quantity"]
    if not (order["conditions"] & POST_ONLY and loses_place) or books.book[book]["auction"]:
        return NONE
    lane, _ = next_lane(books, book, side_of(books, slot), zone_of(books, slot), limit)
    return POST_ONLY_WOULD_TRADE if lane != NO_LANE else NONE


@kernel
def replace(
    books: Any, tape: Any, slot: int, mode: int, price: int, quantity: int, command: int
) -> tuple[int, int, int, int, int]:
    """Change a live order that `replace_refusal` has passed. Returns status, code, filled, leaves and its slot.

    Less quantity at the same price keeps its place. Anything else goes to the back and trades first if it crosses.
    """
    order = books.orders[slot]
    book, old = np.int64(order["book"]), order["quantity"]
    level = np.int64(order["level"]) if price == 0 else price - books.book[book]["min_price"]
    new = old if quantity == 0 else quantity
    if new < old:
        write_removal(tape, slot, order["order_id"], order["owner"], old - new, new, REDUCED_BY_OWNER, command)
        order["quantity"] = new
    if level == order["level"] and new <= old:
        return REPLACED, NONE, np.int64(0), new, slot
    unlink(books, slot)
    order["level"] = level
    order["conditions"] = with_self_trade(np.int64(order["conditions"]), mode)
    return trade_then_rest(
        books, tape, book, order["order_id"], slot, order["owner"], side_of(books, slot), zone_of(books, slot),
        mode, level, new, np.int64(UNLIMITED), command, REPLACED,
    )  # fmt: skip


@kernel
def process_one(books: Any, tape: Any, book: int, command: Any, at: int) -> tuple[int, int, int, int]:
    """Carry out one command. Returns status, code, filled and leaves."""
    action = command["action"]
    zero = np.int64(0)
    if action == NEW:
        code = new_refusal(books, book, command, np.int64(UNLIMITED))
        if code != NONE:
            return REJECTED, code, zero, zero
        status, code, filled, leaves, _ = place(books, tape, book, command, np.int64(UNLIMITED), at)
        return status, code, filled, leaves
    if action not in (CANCEL, REPLACE, REDUCE):
        return REJECTED, UNKNOWN_ACTION, zero, zero
    slot = index.find(books, command["order_id"])
    code = target_refusal(books, slot, command["owner"])
    if code != NONE:
        return REJECTED, code, zero, zero
    if action == CANCEL:
        cancel(books, tape, slot, CANCELLED_BY_OWNER, at)
        return CANCELLED, NONE, zero, zero
    leaves = books.orders[slot]["quantity"]
    if action == REDUCE:
        if command["quantity"] <= 0:
            return REJECTED, QUANTITY_NOT_POSITIVE, zero, leaves
        leaves = reduce(books, tape, slot, command["quantity"], REDUCED_BY_OWNER, at)
        return (REDUCED if leaves > 0 else CANCELLED), NONE, zero, leaves
    mode = np.int64(command["self_trade"])
    code = replace_refusal(books, slot, mode, command["price"], command["quantity"])
    if code != NONE:
        return REJECTED, code, zero, leaves
    status, code, filled, leaves, _ = replace(books, tape, slot, mode, command["price"], command["quantity"], at)
    return status, code, filled, leaves


@kernel
def foresee(books: Any, book: int, command: Any) -> None:
    """Ask for the queue that a command may join."""
    if command["action"] == NEW and price_in_book(books, book, command["price"]) and 0 <= command["side"] <= 1:
        shape = books.book[book]
        lane = command["side"] * shape["zones"]
        prefetch(books.levels, queue_at(books, book, lane, command["price"] - shape["min_price"]))


@kernel
def approach(books: Any, book: int, command: Any) -> None:
    """Ask for the order that a command will touch: its own, or the last of the queue that it may join."""
    shape = books.book[book]
    if command["action"] != NEW:
        prefetch(books.orders, books.ids[index.home(books, command["order_id"])] >> index.SLOT_SHIFT)
    elif price_in_book(books, book, command["price"]) and 0 <= command["side"] <= 1:
        lane = command["side"] * shape["zones"]
        level = command["price"] - shape["min_price"]
        prefetch(books.orders, books.levels[queue_at(books, book, lane, level)]["tail"])


@kernel
def arrive(books: Any, command: Any) -> None:
    """Ask for the neighbours of the order that a command will take out of its queue."""
    if command["action"] != NEW:
        order = books.orders[books.ids[index.home(books, command["order_id"])] >> index.SLOT_SHIFT]
        prefetch(books.orders, order["next"])
        prefetch(books.orders, order["previous"])


@kernel
def process(books: Any, tape: Any, book: int, commands: Any, outcomes: Any) -> None:
    """Carry out a batch of COMMAND in order; `outcomes` gets a row a command."""
    count = len(commands)
    far = books.pool[0]["live"] > NEAR
    for at in range(count):
        if at + 3 * AHEAD < count:
            prefetch(books.ids, index.home(books, commands[at + 3 * AHEAD]["order_id"]))
        if far and at + 3 * AHEAD < count:
            foresee(books, book, commands[at + 3 * AHEAD])
            approach(books, book, commands[at + 2 * AHEAD])
            arrive(books, commands[at + AHEAD])
        status, code, filled, leaves = process_one(books, tape, book, commands[at], at)
        if len(books.netting) > 0:
            net(books)
        outcome = outcomes[at]
        outcome["status"] = status
        outcome["code"] = code
        outcome["filled"] = filled
        outcome["leaves"] = leaves


@kernel
def cancel_slots(books: Any, tape: Any, slots: Any, code: int) -> None:
    """Take the orders of all these slots out of their books, in order, caused by no command."""
    for at in range(len(slots)):
        cancel(books, tape, np.int64(slots[at]), code, np.int64(-1))
