"""Live orders and chains of offers as the state hash takes them: columns in one canonical order, in a pass of a kernel.

There may be millions of them, so nothing here is a Python object an order.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from ledger.compiled import kernel
from ledger.state import State
from ledger.tables import TERMS, Array
from matching.compiled import prefetch
from matching.queue import BUY
from matching.types import LANE, ORDER, STANDING

PRICE_BITS, RANK_BITS = 23, 24  # of the largest price of a book, and of a slot
AHEAD = 16
"""So many orders ahead of their turn their lines of memory are asked for."""
SHORT = 16  # an array of fewer values has its length in one byte with its kind
LONGEST: Final = 9
"""Bytes of the longest number in MessagePack."""


class OrderColumns(NamedTuple):
    """Live orders as columns, in the order in which they are hashed: what stands in the book, then what is owed."""

    book: Array
    side: Array
    zone: Array
    price: Array
    order_id: Array
    owner: Array
    quantity: Array
    conditions: Array
    expires_at_ns: Array
    notional_fen: Array
    limit_fen: Array
    fee_ppm: Array
    actor: Array
    escrow: Array  # of a buy; that of a sell follows from its quantity


COLUMN_DTYPES: Final[tuple[Any, ...]] = (
    *(LANE[name] for name in ("book", "side", "zone")), np.dtype(np.int64),
    *(ORDER[name] for name in ("order_id", "owner", "quantity", "conditions")), STANDING["expires_at_ns"],
    *(TERMS[name] for name in ("notional_fen", "limit_fen", "fee_ppm", "actor", "escrow")),
)  # fmt: skip


def order_columns(state: State) -> OrderColumns:
    """Live orders by book, side, price and arrival, with what they owe."""
    books, live = state.books, np.flatnonzero(state.books.orders["order_id"])
    places, arrivals = np.empty(len(live), np.int64), np.empty(len(live), np.int64)
    find_places(books, live, places, arrivals)
    made = OrderColumns(*(np.empty(len(live), dtype) for dtype in COLUMN_DTYPES))
    fill_columns(books, state.market, live[by_place(places, arrivals)], made)
    return made


@kernel
def find_places(books: Any, slots: Any, places: Any, arrivals: Any) -> None:
    """Where each order stands, as one number that rises by book, side and price: 16 bits and 23; and its arrival."""
    for at in range(len(slots)):
        order, lane = books.orders[slots[at]], books.lanes[books.orders[slots[at]]["lane"]]
        price = lane["first_price"] + lane["step"] * np.int64(order["rank"])
        places[at] = (((np.int64(lane["book"]) << 1) | np.int64(lane["side"])) << PRICE_BITS) + price
        arrivals[at] = books.standing[slots[at]]["arrival"]


def by_place(places: Array, arrivals: Array) -> Array:
    """The order of live orders by place, and by arrival within one.

    One sort of whole numbers: 39 bits of a place, and 24 for the rank among all arrivals. In a state that was restored
    the orders stand as they arrived.
    """
    ordered = bool((arrivals[1:] > arrivals[:-1]).all())
    arrived = np.arange(len(arrivals)) if ordered else np.argsort(arrivals)
    keys = (places[arrived] << RANK_BITS) + np.arange(len(arrived))
    keys.sort()
    ranked: Array = arrived[keys & ((1 << RANK_BITS) - 1)]
    return ranked


@kernel
def fill_columns(books: Any, market: Any, slots: Any, columns: Any) -> None:
    """Fill the columns with the orders in these slots, which lie anywhere: they are asked for ahead."""
    for at in range(len(slots)):
        if at + AHEAD < len(slots):
            prefetch(books.orders, slots[at + AHEAD])
            prefetch(books.standing, slots[at + AHEAD])
            prefetch(market.terms, slots[at + AHEAD])
        slot = slots[at]
        order, terms, lane = books.orders[slot], market.terms[slot], books.lanes[books.orders[slot]["lane"]]
        columns.book[at] = lane["book"]
        columns.side[at] = lane["side"]
        columns.zone[at] = lane["zone"]
        columns.price[at] = lane["first_price"] + lane["step"] * np.int64(order["rank"])
        columns.order_id[at] = order["order_id"]
        columns.owner[at] = order["owner"]
        columns.quantity[at] = order["quantity"]
        columns.conditions[at] = order["conditions"]
        columns.expires_at_ns[at] = books.standing[slot]["expires_at_ns"]
        columns.notional_fen[at] = terms["notional_fen"]
        columns.limit_fen[at] = terms["limit_fen"]
        columns.fee_ppm[at] = terms["fee_ppm"]
        columns.actor[at] = terms["actor"]
        columns.escrow[at] = terms["escrow"] if lane["side"] == BUY else 0


def encode_chains(state: State) -> Array:
    """The offers of each holding in order of acceptance, from whose end use withdraws them: MessagePack.

    An array with, for each holding that has offers, by right and year: its right, its year, the ids of the offers.
    """
    account, terms = state.accounts.account, state.market.terms
    rows = np.flatnonzero(account["first_offer"])
    rows = rows[np.lexsort((account["year"][rows], account["reference"][rows]))]
    slots, ends = np.empty(len(terms), np.int64), np.empty(len(rows), np.int64)
    walk_chains(terms["next_offer"], account["first_offer"][rows], slots, ends)
    offers = int(ends[-1]) if len(ends) else 0
    packed = np.empty(LONGEST * (offers + 4 * len(rows) + 1), np.uint8)
    return packed[: pack_chains(state.books, account, rows, slots, ends, packed)]


@kernel
def walk_chains(following: Any, firsts: Any, slots: Any, ends: Any) -> None:
    """Write the slots of all chains one after the other, and where each ends."""
    at = 0
    for chain in range(len(firsts)):
        slot = np.int64(firsts[chain])
        while slot != 0:
            slots[at] = slot
            at += 1
            slot = np.int64(following[slot])
        ends[chain] = at


@kernel
def pack_chains(books: Any, account: Any, rows: Any, slots: Any, ends: Any, packed: Any) -> int:
    """Write the chains as MessagePack; returns the bytes."""
    to, at = put_length(packed, 0, len(rows)), 0
    for chain in range(len(rows)):
        holding = account[rows[chain]]
        to = put_length(packed, to, 3)
        to = put_number(packed, to, np.int64(holding["reference"]))
        to = put_number(packed, to, np.int64(holding["year"]))
        to = put_length(packed, to, ends[chain] - at)
        while at < ends[chain]:
            to = put_number(packed, to, books.orders[slots[at]]["order_id"])
            at += 1
    return to


@kernel
def put_length(packed: Any, to: int, length: int) -> int:
    """Write the head of an array; returns the place behind it."""
    if length < SHORT:
        packed[to] = 0x90 | length
        return to + 1
    return put_bytes(packed, to, 0xDC if length < 1 << 16 else 0xDD, length, 2 if length < 1 << 16 else 4)


@kernel
def put_number(packed: Any, to: int, number: int) -> int:
    """Write a number that is not negative, in its shortest form; returns the place behind it."""
    if number < 1 << 7:
        packed[to] = number
        return to + 1
    if number < 1 << 8:
        return put_bytes(packed, to, 0xCC, number, 1)
    if number < 1 << 16:
        return put_bytes(packed, to, 0xCD, number, 2)
    return put_bytes(packed, to, 0xCE if number < 1 << 32 else 0xCF, number, 4 if number < 1 << 32 else 8)


@kernel
def put_bytes(packed: Any, to: int, kind: int, number: int, size: int) -> int:
    """Write a kind and a number of so many bytes, the highest first; returns the place behind it."""
    packed[to] = kind
    for at in range(size):
        packed[to + 1 + at] = (number >> (8 * (size - 1 - at))) & 0xFF
    return to + 1 + size
