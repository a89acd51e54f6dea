"""The state hash: SHA-256 over a canonical, logical encoding of the state (contract K11).

Accounts go in by key, orders by book, side, price and place in the queue, everything by name and value. How arrays
are laid out, which slot an order has or how far a table has grown makes no difference.
"""

import hashlib
from typing import Any

import msgspec
import numpy as np

from ledger.compiled import kernel
from ledger.state import State
from ledger.tables import AT_NS, NEXT_SEQ, Array
from matching.types import Side


def state_hash(state: State) -> str:
    """Hexadecimal digest of the state."""
    digest = hashlib.sha256()
    for name, value in logical_state(state).items():
        digest.update(name.encode() + b"\0" + value + b"\0")
    return digest.hexdigest()


def logical_state(state: State) -> dict[str, bytes]:
    """The parts of the state in canonical bytes, by name: where two states differ, the names say in what."""
    clock = state.journal.clock
    return {
        "clock": msgspec.msgpack.encode((int(clock[NEXT_SEQ]), int(clock[AT_NS]))),
        "policy": state.policy_digest,
        "register": encode_register(state),
        "accounts": encode_accounts(state),
        "caps": columns(state.accounts.cap, CAP_SUMS),
        "parties": columns(state.accounts.party, ("over_l",)),
        "orders": encode_orders(state),
        "headroom": state.books.headroom.tobytes(),
        "instruments": columns(state.market.instrument, ("code", "low_price", "high_price")),
        "actors": columns(state.market.actor, ("last_client_order_id", "party")),
        "meters": columns(state.metering.meter, ("last_l", "last_at_ns")),
        "identities": encode_identities(state),
    }


CAP_SUMS = ("limit_l", "imported_l", "exported_l", "held_l", "used_l", "over_l", "over_allocated_l")


def columns(table: Array, names: tuple[str, ...]) -> bytes:
    """Some columns of a table, one after the other."""
    return b"".join(np.ascontiguousarray(table[name]).tobytes() for name in names)


def encode_register(state: State) -> bytes:
    """What is registered, in order of its dense numbers."""
    parts: list[Any] = [state.ledger_id, state.parties, state.rights, state.intakes, state.meter_facts, state.caps]
    parts += [state.instruments, state.actors, sorted(state.suspended.items()), sorted(state.ended_rights)]
    parts += [sorted(state.lapsed_meters), sorted(state.open_instruments), sorted(state.references)]
    parts += [sorted(state.cells), list(state.deadlines)]
    return msgspec.msgpack.encode(parts)


def encode_accounts(state: State) -> bytes:
    """Every account by key (kind, owner, reference, unit), with its balances and sums."""
    keys = np.array(list(state.rows), np.int64).reshape(-1, 4)
    at = np.array(list(state.rows.values()), np.int64)
    order = np.lexsort(keys.T[::-1])
    account, balance = state.accounts.account[at[order]], state.accounts.balance[at[order]]
    sums = ("saved_l", "sold_l", "bought_l", "issued_l", "floor_l", "sell_code", "buy_code")
    return keys[order].tobytes() + np.ascontiguousarray(balance).tobytes() + columns(account, sums)


def encode_orders(state: State) -> bytes:
    """Live orders by book, side, price and arrival, with what they owe; then each account's offers."""
    books, live = state.books, np.flatnonzero(state.books.orders["order_id"])
    lanes, rank = books.lanes[books.orders["lane"][live]], books.orders["rank"][live].astype(np.int64)
    prices = lanes["first_price"] + lanes["step"] * rank
    order = by_place(lanes["book"], lanes["side"], prices, books.standing["arrival"][live])
    live, lanes, prices = live[order], lanes[order], prices[order]
    entered: bytes = columns(lanes, ("book", "side", "zone")) + prices.tobytes()
    entered += columns(books.orders[live], ("order_id", "owner", "quantity", "conditions"))
    entered += books.standing["expires_at_ns"][live].tobytes()
    terms = state.market.terms[live]
    owed = columns(terms, ("notional_fen", "limit_fen", "fee_ppm", "actor"))
    escrows = np.where(lanes["side"] == Side.BUY, terms["escrow"], 0)
    return entered + owed + escrows.tobytes() + encode_chains(state)


def by_place(book: Array, side: Array, price: Array, arrival: Array) -> Array:
    """The order of live orders by book, side, price and arrival.

    One sort of whole numbers: 16 bits of book and side, 23 of a price, and 24 for the rank among all arrivals.
    """
    arrived = np.argsort(arrival)
    lane = (book[arrived].astype(np.int64) << 1) | side[arrived]
    keys = (lane << 47) + (price[arrived] << 24) + np.arange(len(arrived))
    keys.sort()
    ranked: Array = arrived[keys & 0xFFFFFF]
    return ranked


def encode_chains(state: State) -> bytes:
    """The offers of each holding in order of acceptance: use withdraws them from the end."""
    account, terms = state.accounts.account, state.market.terms
    rows = np.flatnonzero(account["first_offer"])
    slots, ends = np.zeros(len(terms), np.int64), np.zeros(len(rows), np.int64)
    walk_chains(terms["next_offer"], account["first_offer"][rows], slots, ends)
    ids = state.books.orders["order_id"][slots].tolist()
    starts = [0, *ends.tolist()]
    chains = [
        (reference, year, ids[start:end])
        for reference, year, start, end in zip(
            account["reference"][rows].tolist(), account["year"][rows].tolist(), starts, starts[1:], strict=False
        )
    ]
    return msgspec.msgpack.encode(sorted(chains))


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


def encode_identities(state: State) -> bytes:
    """Identities of readings in the late window, sorted."""
    seen = state.recent_identities()
    order = np.lexsort((seen["sequence"], seen["measured_at_ns"], seen["meter"]))
    sorted_bytes: bytes = seen[order].tobytes()
    return sorted_bytes
