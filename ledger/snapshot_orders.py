"""The live orders of a state as rows, and back into queues: each at its place, with what it owes.

Slots, the id table, bitmaps and chains are left out: a restored state makes its own, so no number of a snapshot is
ever followed as an address.
"""

from typing import Any, Final

import numpy as np

from ledger.compiled import kernel
from ledger.offers import link_offer
from ledger.state import State
from ledger.tables import Array
from matching.arrays import with_room
from matching.ladder import rank_of
from matching.queue import SELL, enqueue, lane_of, side_of, take_slot

BOOK_FIELDS: Final = ("order_id", "owner", "quantity", "conditions")
LANE_FIELDS: Final = ("book", "side", "zone")
STANDING_FIELDS: Final = ("arrival", "expires_at_ns")
TERMS_FIELDS: Final = ("escrow", "notional_fen", "limit_fen", "account", "fee_ppm", "actor")

LIVE_ORDER: Final = np.dtype(
    [
        ("order_id", "<i8"),
        ("owner", "<i8"),
        ("quantity", "<i8"),
        ("arrival", "<i8"),
        ("expires_at_ns", "<i8"),
        ("escrow", "<i8"),
        ("notional_fen", "<i8"),
        ("limit_fen", "<i8"),
        ("account", "<i4"),
        ("fee_ppm", "<i4"),
        ("actor", "<i4"),
        ("price", "<i4"),
        ("book", "<i4"),
        ("side", "i1"),
        ("zone", "i1"),
        ("conditions", "i1"),
    ],
    align=True,
)
"""One live order: what the book knows of it (`matching.types.ORDER`, STANDING) and what it owes (`tables.TERMS`)."""


def live_orders(state: State) -> Array:
    """Rows of LIVE_ORDER in order of arrival."""
    orders, standing = state.books.orders, state.books.standing
    slots = np.flatnonzero(orders["order_id"])
    slots = slots[np.argsort(standing["arrival"][slots])]
    lanes, made = state.books.lanes[orders["lane"][slots]], np.zeros(len(slots), LIVE_ORDER)
    made["price"] = lanes["first_price"] + lanes["step"] * orders["rank"][slots].astype(np.int64)
    for name in LANE_FIELDS:
        made[name] = lanes[name]
    for names, table in (
        (BOOK_FIELDS, orders), (STANDING_FIELDS, standing), (TERMS_FIELDS, state.market.terms),
    ):  # fmt: skip
        for name in names:
            made[name] = table[name][slots]
    return made


def fits(state: State, rows: Array) -> bool:
    """Whether every live order lies in its book and belongs to a holding and an actor of this state."""
    ids = np.sort(rows["order_id"])
    once = bool((ids[1:] > ids[:-1]).all())
    return once and bool(orders_fit(state.books, state.accounts, rows, len(state.actors)))


@kernel
def orders_fit(books: Any, accounts: Any, rows: Any, actors: int) -> bool:
    """Whether orders in order of arrival have numbers within their bounds, and owners that hold their accounts."""
    arrival = np.int64(-(2**63))
    for at in range(len(rows)):
        row = rows[at]
        book, account = np.int64(row["book"]), np.int64(row["account"])
        if not (0 <= book < len(books.book) and 0 <= account < len(accounts.account)):
            return False
        shape, owner = books.book[book], accounts.account[account]["owner"]
        lowest = np.int64(shape["min_price"])
        within = (
            row["order_id"] > 0
            and row["quantity"] > 0
            and 0 <= row["side"] <= SELL
            and 0 <= row["zone"] < len(books.headroom)
            and 0 <= row["actor"] < actors
            and lowest <= row["price"] < lowest + np.int64(shape["prices"])
        )
        if not within or row["arrival"] <= arrival or owner < 0 or row["owner"] != owner + 1:
            return False
        arrival = row["arrival"]
    return True


def enter_orders(state: State, rows: Array) -> None:
    """Let the orders of a snapshot, which fit, enter the empty books of a state."""
    state.replace_books(with_room(state.books, len(rows)))
    slots = np.zeros(len(rows), np.int64)
    fill_queues(state.books, state.market, rows, slots)
    link_offers(state.books, state.accounts, state.market, slots[np.argsort(rows["order_id"])])


@kernel
def fill_queues(books: Any, market: Any, rows: Any, slots: Any) -> None:
    """Enter orders in order of arrival, under the arrivals they had; `slots` becomes their slots."""
    for at in range(len(rows)):
        row = rows[at]
        slot = take_slot(books, row["order_id"])
        order = books.orders[slot]
        order["owner"] = row["owner"]
        order["quantity"] = row["quantity"]
        order["conditions"] = row["conditions"]
        books.standing[slot]["expires_at_ns"] = row["expires_at_ns"]
        lane = lane_of(books, np.int64(row["book"]), np.int64(row["side"]), np.int64(row["zone"]))
        enqueue(books, slot, lane, rank_of(books, lane, np.int64(row["price"])))
        books.standing[slot]["arrival"] = row["arrival"]
        terms = market.terms[slot]
        terms["escrow"] = row["escrow"]
        terms["notional_fen"] = row["notional_fen"]
        terms["limit_fen"] = row["limit_fen"]
        terms["account"] = row["account"]
        terms["fee_ppm"] = row["fee_ppm"]
        terms["actor"] = row["actor"]
        slots[at] = slot


@kernel
def link_offers(books: Any, accounts: Any, market: Any, slots: Any) -> None:
    """Chain the offers of each holding in order of acceptance, which is that of their ids."""
    for at in range(len(slots)):
        if side_of(books, slots[at]) == SELL:
            link_offer(accounts, market, slots[at])
