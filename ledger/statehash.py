"""The state hash: SHA-256 over a canonical, logical encoding of the state (contract K11).

Accounts go in by key, orders by book, side, price and place in the queue, everything by name and value. How arrays
are laid out, which slot an order has or how far a table has grown makes no difference.
"""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec
import numpy as np

from ledger.state import State
from ledger.statehash_orders import encode_chains, order_columns
from ledger.tables import AT_NS, NEXT_SEQ, Array

Piece = Any
"""Bytes, or an array whose rows lie one after the other."""
METER_SHIFT: Final = 32


def state_hash(state: State) -> str:
    """Hexadecimal digest of the state."""
    digest = hashlib.sha256()
    with ThreadPoolExecutor(1) as hashing:  # one part is hashed while the next is put in order
        done = [
            hashing.submit(digest.update, piece)
            for name, pieces in logical_parts(state)
            for piece in (name.encode() + b"\0", *pieces, b"\0")
        ]
    for one in done:
        one.result()
    return digest.hexdigest()


def logical_state(state: State) -> dict[str, bytes]:
    """The parts of the state in canonical bytes, by name: where two states differ, the names say in what."""
    return {name: b"".join(pieces) for name, pieces in logical_parts(state)}


def logical_parts(state: State) -> Iterator[tuple[str, Iterable[Piece]]]:
    """Name and canonical bytes of each part, in pieces that need not be joined to be hashed."""
    clock = state.journal.clock
    yield "clock", [msgspec.msgpack.encode((int(clock[NEXT_SEQ]), int(clock[AT_NS])))]
    yield "policy", [state.policy_digest]
    yield "register", [encode_register(state)]
    yield "accounts", encode_accounts(state)
    yield "caps", columns(state.accounts.cap, CAP_SUMS)
    yield "parties", columns(state.accounts.party, ("over_l",))
    yield "orders", encode_orders(state)
    yield "headroom", [state.books.headroom.ravel()]
    yield "instruments", columns(state.market.instrument, ("code", "low_price", "high_price"))
    yield "actors", columns(state.market.actor, ("last_client_order_id", "party"))
    yield "meters", columns(state.metering.meter, ("last_l", "last_at_ns"))
    yield "identities", [encode_identities(state)]


CAP_SUMS = ("limit_l", "imported_l", "exported_l", "held_l", "used_l", "over_l", "over_allocated_l")


def columns(table: Array, names: tuple[str, ...]) -> list[Piece]:
    """Some columns of a table, one after the other."""
    return [np.ascontiguousarray(table[name]) for name in names]


def encode_register(state: State) -> bytes:
    """What is registered, in order of its dense numbers."""
    parts: list[Any] = [state.ledger_id, state.parties, state.rights, state.intakes, state.meter_facts, state.caps]
    parts += [state.instruments, state.actors, sorted(state.suspended.items()), sorted(state.ended_rights)]
    parts += [sorted(state.lapsed_meters), sorted(state.open_instruments), sorted(state.references)]
    parts += [sorted(state.cells), list(state.deadlines)]
    return msgspec.msgpack.encode(parts)


def encode_accounts(state: State) -> list[Piece]:
    """Every account by key (kind, owner, reference, unit), with its balances and sums."""
    keys = np.array(list(state.rows), np.int64).reshape(-1, 4)
    at = np.array(list(state.rows.values()), np.int64)
    order = np.lexsort(keys.T[::-1])
    account, balance = state.accounts.account[at[order]], state.accounts.balance[at[order]]
    sums = ("saved_l", "sold_l", "bought_l", "issued_l", "floor_l", "sell_code", "buy_code")
    return [keys[order].ravel(), balance.ravel(), *columns(account, sums)]


def encode_orders(state: State) -> Iterator[Piece]:
    """Live orders, then the offers of each holding, which are put in order while the orders are hashed."""
    yield from order_columns(state)
    yield encode_chains(state)


def encode_identities(state: State) -> Array:
    """Identities of readings in the late window, by meter, time and sequence.

    They are sorted by all but the meter first, and then by the meter and that rank in one number.
    """
    seen = state.recent_identities()
    meter, measured, sequence = (np.ascontiguousarray(seen[name]) for name in ("meter", "measured_at_ns", "sequence"))
    order = np.lexsort((sequence, measured)) if sequence.any() else np.argsort(measured)
    keys = (meter[order].astype(np.int64) << METER_SHIFT) + np.arange(len(order))
    keys.sort()
    found: Array = seen[order[keys & ((1 << METER_SHIFT) - 1)]]
    return found
