"""What a command does to a book. The kernels are called by other compiled loops too.

`refusals` has judged a command before it acts, so an act cannot fail. A caller that keeps accounts escrows between.
"""

from typing import Any

import numpy as np

from matching import index
from matching.book import IMMEDIATE, NONE, SELF_TRADE, match, net, release_ended, write_removal
from matching.compiled import kernel, prefetch
from matching.ladder import rank_of
from matching.queue import (
    book_of,
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
from matching.refusals import (
    IOC,
    QUANTITY_NOT_POSITIVE,
    limit_rank,
    new_refusal,
    own_rank,
    price_in_book,
    replace_refusal,
    target_refusal,
)
from matching.types import UNLIMITED, Action, Reason, Status

NEW, CANCEL, REPLACE, REDUCE = int(Action.NEW), int(Action.CANCEL), int(Action.REPLACE), int(Action.REDUCE)
NEAR = 32_768  # live orders that the processor's cache holds; beyond, a batch is looked through ahead
AHEAD = 4  # commands between one step of foresight and the next

REJECTED, RESTING, FILLED = int(Status.REJECTED), int(Status.RESTING), int(Status.FILLED)
PARTLY, CANCELLED = int(Status.PARTLY_FILLED_CANCELLED), int(Status.CANCELLED)
REPLACED, REDUCED = int(Status.REPLACED), int(Status.REDUCED)
UNKNOWN_ACTION = int(Reason.UNKNOWN_ACTION)
CANCELLED_BY_OWNER, REDUCED_BY_OWNER = int(Reason.CANCELLED_BY_OWNER), int(Reason.REDUCED_BY_OWNER)


@kernel
def place(books: Any, tape: Any, book: int, order: Any, budget: int, command: int) -> tuple[int, int, int, int, int]:
    """Enter a new order that `new_refusal` has passed. Returns status, code, filled, leaves and its slot, 0 for none.

    A slot is taken before those of the makers that it ended are free, so a caller can still read its data of them.
    """
    side, zone, mode = np.int64(order["side"]), np.int64(order["zone"]), np.int64(order["self_trade"])
    order_id, owner, quantity = order["order_id"], order["owner"], order["quantity"]
    limit = limit_rank(books, book, side, order["order_type"], order["price"])
    shape, slot, first_trade, first_removal = books.book[book], np.uint32(0), tape.counts[0], tape.counts[1]
    shape["last_order_id"] = order_id
    filled, leaves, code = np.int64(0), quantity, NONE
    if not shape["auction"]:
        filled, leaves, code = match(
            books, tape, book, order_id, np.int64(0), owner, side, zone, mode, limit, quantity, budget, command
        )
    if leaves > 0 and code == NONE and order["time_in_force"] < IOC:
        slot = take_slot(books, order_id)
        resting = books.orders[slot]
        resting["owner"] = owner
        resting["quantity"] = leaves
        resting["conditions"] = conditions_of(np.int64(order["time_in_force"]), np.int64(order["post_only"]), mode)
        books.standing[slot]["expires_at_ns"] = order["expires_at_ns"]
        enqueue(books, slot, lane_of(books, book, side, zone), own_rank(books, book, limit))
        status = RESTING
    else:
        status, code = end(tape, slot, order_id, owner, quantity, filled, leaves, code, command)
    release_ended(books, tape, first_trade, first_removal)
    return status, code, filled, (leaves if slot != 0 else np.int64(0)), slot


@kernel
def end(
    tape: Any, slot: int, order_id: int, owner: int, quantity: int, filled: int, leaves: int, code: int, command: int
) -> tuple[int, int]:
    """Note what an order that does not rest leaves untraded. Returns its status and code."""
    if leaves > 0:
        code = IMMEDIATE if code == NONE else code
        write_removal(tape, slot, order_id, owner, leaves, 0, code, command)
    if filled == quantity:
        return FILLED, NONE
    code = SELF_TRADE if code == NONE else code  # a decrement took what was not filled
    return (PARTLY if filled > 0 else CANCELLED), code


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
def replace(
    books: Any, tape: Any, slot: int, mode: int, price: int, quantity: int, command: int
) -> tuple[int, int, int, int, int]:
    """Change a live order that `replace_refusal` has passed. Returns status, code, filled, leaves and its slot.

    Less quantity at the same price keeps its place. Anything else goes to the back and trades first if it crosses.
    """
    order, book, first_trade, first_removal = books.orders[slot], book_of(books, slot), tape.counts[0], tape.counts[1]
    order_id, owner, old = order["order_id"], order["owner"], order["quantity"]
    rank = np.int64(order["rank"]) if price == 0 else rank_of(books, order["lane"], price)
    new = old if quantity == 0 else quantity
    if new < old:
        write_removal(tape, slot, order_id, owner, old - new, new, REDUCED_BY_OWNER, command)
        order["quantity"] = new
    if rank == order["rank"] and new <= old:
        return REPLACED, NONE, np.int64(0), new, slot
    unlink(books, slot)
    order["conditions"] = with_self_trade(np.int64(order["conditions"]), mode)
    filled, leaves, code = np.int64(0), new, NONE
    if not books.book[book]["auction"]:
        filled, leaves, code = match(
            books, tape, book, order_id, slot, owner, side_of(books, slot), zone_of(books, slot), mode,
            own_rank(books, book, rank), new, np.int64(UNLIMITED), command,
        )  # fmt: skip
    release_ended(books, tape, first_trade, first_removal)
    if leaves > 0 and code == NONE:
        order["quantity"] = leaves
        enqueue(books, slot, order["lane"], rank)
        return REPLACED, NONE, filled, leaves, slot
    status, code = end(tape, slot, order_id, owner, new, filled, leaves, code, command)
    release_slot(books, slot)
    return status, code, filled, np.int64(0), slot


@kernel
def answer(outcome: Any, status: int, code: int, filled: int, leaves: int) -> None:
    """Write an OUTCOME."""
    outcome["status"] = status
    outcome["code"] = code
    outcome["filled"] = filled
    outcome["leaves"] = leaves


@kernel
def process_one(books: Any, tape: Any, book: int, command: Any, at: int, outcome: Any) -> None:
    """Carry out one command and write its outcome."""
    action = command["action"]
    if action == NEW:
        code = new_refusal(books, book, command, np.int64(UNLIMITED))
        if code != NONE:
            answer(outcome, REJECTED, code, 0, 0)
            return
        status, code, filled, leaves, _ = place(books, tape, book, command, np.int64(UNLIMITED), at)
        answer(outcome, status, code, filled, leaves)
        return
    if action not in (CANCEL, REPLACE, REDUCE):
        answer(outcome, REJECTED, UNKNOWN_ACTION, 0, 0)
        return
    slot = index.find(books, command["order_id"])
    code = target_refusal(books, slot, command["owner"])
    if code != NONE:
        answer(outcome, REJECTED, code, 0, 0)
    elif action == CANCEL:
        cancel(books, tape, slot, CANCELLED_BY_OWNER, at)
        answer(outcome, CANCELLED, NONE, 0, 0)
    elif action == REDUCE:
        reduce_one(books, tape, slot, command["quantity"], at, outcome)
    else:
        replace_one(books, tape, slot, command, at, outcome)


@kernel
def reduce_one(books: Any, tape: Any, slot: int, quantity: int, at: int, outcome: Any) -> None:
    """Reduce a live order, or refuse to, and write the outcome."""
    if quantity <= 0:
        answer(outcome, REJECTED, QUANTITY_NOT_POSITIVE, 0, books.orders[slot]["quantity"])
        return
    leaves = reduce(books, tape, slot, quantity, REDUCED_BY_OWNER, at)
    answer(outcome, (REDUCED if leaves > 0 else CANCELLED), NONE, 0, leaves)


@kernel
def replace_one(books: Any, tape: Any, slot: int, command: Any, at: int, outcome: Any) -> None:
    """Replace a live order, or refuse to, and write the outcome."""
    mode, price, quantity = np.int64(command["self_trade"]), command["price"], command["quantity"]
    code = replace_refusal(books, slot, mode, price, quantity)
    if code != NONE:
        answer(outcome, REJECTED, code, 0, books.orders[slot]["quantity"])
        return
    status, code, filled, leaves, _ = replace(books, tape, slot, mode, price, quantity, at)
    answer(outcome, status, code, filled, leaves)


@kernel
def queue_ahead(books: Any, book: int, command: Any) -> int:
    """Where the queue stands in `levels` that a new order may join; 0 for a command that is none."""
    if command["action"] != NEW or not price_in_book(books, book, command["price"]) or command["side"] & ~1:
        return np.uint64(0)
    lane = lane_of(books, book, np.int64(command["side"]), np.int64(0))
    return queue_at(books, lane, rank_of(books, lane, command["price"]))


@kernel
def approach(books: Any, book: int, command: Any) -> None:
    """Ask for the order that a command will touch: its own, or the last of the queue that it may join."""
    if command["action"] != NEW:
        prefetch(books.orders, index.probable(books, command["order_id"]))
    else:
        prefetch(books.orders, books.levels[queue_ahead(books, book, command)]["tail"])


@kernel
def arrive(books: Any, command: Any) -> None:
    """Ask for the neighbours of the order that a command will take out of its queue."""
    if command["action"] != NEW:
        order = books.orders[index.probable(books, command["order_id"])]
        prefetch(books.orders, order["next"])
        prefetch(books.orders, order["previous"])


@kernel
def process(books: Any, tape: Any, book: int, commands: Any, outcomes: Any) -> None:
    """Carry out a batch of COMMAND in order; `outcomes` gets a row a command."""
    count = len(commands)
    far = books.pool[0]["live"] > NEAR
    for at in range(count):
        if far and at + 3 * AHEAD < count:
            prefetch(books.levels, queue_ahead(books, book, commands[at + 3 * AHEAD]))
            prefetch(books.ids, index.place_of(books, commands[at + 3 * AHEAD]["order_id"]))
            approach(books, book, commands[at + 2 * AHEAD])
            arrive(books, commands[at + AHEAD])
        process_one(books, tape, book, commands[at], at, outcomes[at])
        if len(books.netting) > 0:
            net(books)


@kernel
def cancel_slots(books: Any, tape: Any, slots: Any, code: int) -> None:
    """Take the orders of all these slots out of their books, in order, caused by no command."""
    for at in range(len(slots)):
        cancel(books, tape, np.int64(slots[at]), code, np.int64(-1))
