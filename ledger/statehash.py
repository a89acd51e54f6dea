"""The state hash: SHA-256 over a canonical, logical encoding of the state (contract K11).

Accounts go in by key, orders by book, side, price and place in the queue, everything by name and value. How arrays
are laid out, which slot an order has or how far a table has grown makes no difference.
"""

import hashlib
from typing import Any

import msgspec
import numpy as np

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
    books, market = state.books, state.market
    live = np.flatnonzero(books.orders["order_id"])
    live = live[np.argsort(books.standing["arrival"][live], kind="stable")]
    lanes, orders = books.lanes[books.orders["lane"][live]], books.orders[live]
    prices = lanes["first_price"] + lanes["step"] * orders["rank"].astype(np.int64)
    order = np.lexsort((prices, lanes["side"], lanes["book"]))  # stable: by arrival within
    live, lanes, orders = live[order], lanes[order], orders[order]
    entered: bytes = columns(lanes, ("book", "side", "zone")) + prices[order].tobytes()
    entered += columns(orders, ("order_id", "owner", "quantity", "conditions"))
    entered += books.standing["expires_at_ns"][live].tobytes()
    terms = market.terms[live]
    owed = columns(terms, ("notional_fen", "limit_fen", "fee_ppm", "actor"))
    escrows = np.where(lanes["side"] == Side.BUY, terms["escrow"], 0)
    return entered + owed + escrows.tobytes() + encode_chains(state)


def encode_chains(state: State) -> bytes:
    """The offers of each holding in order of acceptance: use withdraws them from the end."""
    chains: list[tuple[int, int, list[int]]] = []
    account = state.accounts.account
    for row in np.flatnonzero(account["first_offer"]):
        slot, ids = int(account["first_offer"][row]), []
        while slot:
            ids.append(int(state.books.orders["order_id"][slot]))
            slot = int(state.market.terms["next_offer"][slot])
        chains.append((int(account["reference"][row]), int(account["year"][row]), ids))
    return msgspec.msgpack.encode(sorted(chains))


def encode_identities(state: State) -> bytes:
    """Identities of readings in the late window, sorted."""
    return np.sort(state.recent_identities(), order=("meter", "measured_at_ns", "sequence")).tobytes()
