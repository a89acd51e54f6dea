"""What a snapshot holds: the registers of a state, its tables cut to what is used, its orders; and the way back.

A restored state is built like a replayed one: books are made anew and orders enter them, chains are linked again.
Before a kernel sees a table, every number in it that is followed as an address is checked against its bounds.
"""

import hashlib
from typing import Any, Final

import msgspec
import numpy as np
from sortedcontainers import SortedList

from ledger import facts
from ledger.metering import remember_all
from ledger.policy import Policy
from ledger.policy_rules import YEARS
from ledger.snapshot_orders import LIVE_ORDER, enter_orders, fits, live_orders
from ledger.state import CellKey, State
from ledger.tables import (
    ACCOUNT,
    ACTOR,
    CAP,
    FEE_ROW,
    FIRST_YEAR,
    INSTRUMENT,
    METER,
    PARTY,
    SEEN,
    SHARE,
    Array,
    Kind,
)
from matching.arrays import make_books, with_book
from matching.types import MAX_CAPACITY

INT64: Final = np.dtype("<i8")
INT32: Final = np.dtype("<i4")
DTYPES: Final = {
    "clock": INT64, "balance": INT64, "account": ACCOUNT, "party": PARTY, "cap": CAP, "cap_members": INT32,
    "scalars": INT64, "instrument": INSTRUMENT, "actor": ACTOR, "meter": METER, "share": SHARE, "year_starts": INT64,
    "limits": INT64, "identities": SEEN, "headroom": INT64, "books": INT64, "orders": LIVE_ORDER,
}  # fmt: skip
"""Tables of a snapshot. `books` is (last order id, whether an auction collects) a book, then (arrivals, 0)."""

REGISTERS: Final = "registers"
ORDERS: Final = "orders"


class Registers(msgspec.Struct, frozen=True):
    """What stands behind the numbers: see `State`, whose names these are."""

    ledger_id: str
    policy: bytes
    policy_digest: bytes
    parties: list[facts.PartyRegistered]
    suspended: dict[int, int]
    rights: list[facts.RightRegistered]
    ended_rights: list[int]
    intakes: list[facts.IntakeRegistered]
    meter_facts: list[facts.MeterInstalled]
    lapsed_meters: list[int]
    meters_of_right: dict[int, list[int]]
    caps: list[facts.CapPublished]
    instruments: list[facts.InstrumentDefined]
    open_instruments: list[int]
    actors: list[str]
    numbers: list[tuple[str, str, int]]
    cells: list[tuple[CellKey, int]]
    references: list[str]
    deadlines: list[tuple[int, int, int]]
    session_day: int


LISTS: Final = ("parties", "rights", "intakes", "meter_facts", "caps", "instruments", "actors")
SETS: Final = ("ended_rights", "lapsed_meters", "open_instruments", "references")
SAME: Final = ("ledger_id", "policy_digest", "suspended", "meters_of_right", "session_day")


def parts_of(state: State) -> dict[str, Array | bytes]:
    """The parts of a state by name; tables are views of it, to be copied before it changes."""
    accounts, market, metering, books = state.accounts, state.market, state.metering, state.books
    same: dict[str, Any] = {name: getattr(state, name) for name in (*SAME, *LISTS)}
    same |= {name: sorted(getattr(state, name)) for name in SETS}
    registers = Registers(
        **same,
        policy=msgspec.msgpack.encode(state.policy),
        numbers=[(what, code, number) for (what, code), number in state.numbers.items()],
        cells=list(state.cells.items()),
        deadlines=list(state.deadlines),
    )
    figures = [*zip(books.book["last_order_id"], books.book["auction"], strict=True), (books.pool["arrivals"][0], 0)]
    return {
        ORDERS: live_orders(state),  # first, where they are aligned: they are many, and need not be copied
        REGISTERS: msgspec.msgpack.encode(registers),
        "clock": state.journal.clock, "balance": accounts.balance, "account": accounts.account,
        "party": accounts.party, "cap": accounts.cap, "cap_members": accounts.cap_members,
        "scalars": accounts.scalars, "instrument": market.instrument, "actor": market.actor, "meter": metering.meter,
        "share": metering.share, "year_starts": metering.year_starts, "limits": metering.limits,
        "identities": state.recent_identities(), "headroom": books.headroom,
        "books": np.array(figures, np.int64),
    }  # fmt: skip


def restored(parts: dict[str, Any]) -> State:
    """The state that these parts, of the dtypes above, describe. Raises ValueError or LookupError where they do not."""
    state = State()
    restore_registers(state, msgspec.msgpack.decode(parts[REGISTERS], type=Registers))
    tables: dict[str, Any] = {name: np.array(parts[name]) for name in DTYPES if name != ORDERS}
    tables[ORDERS] = np.require(parts[ORDERS], requirements=("ALIGNED", "WRITEABLE"))  # only read, by kernels
    restore_tables(state, tables)
    check_tables(state)
    link_holdings(state)
    restore_books(state, tables["headroom"], tables["books"], tables["orders"])
    state.rebuild_seen(len(tables["identities"]))
    remember_all(state.metering, tables["identities"])
    return state


def restore_registers(state: State, registers: Registers) -> None:
    """Take over what is registered."""
    for name in (*SAME, *LISTS):
        setattr(state, name, getattr(registers, name))
    for name in SETS:
        setattr(state, name, set(getattr(registers, name)))
    state.policy = msgspec.msgpack.decode(registers.policy, type=Policy)
    if hashlib.sha256(registers.policy).digest() != registers.policy_digest:
        raise ValueError("policy")
    state.numbers = {(what, code): number for what, code, number in registers.numbers}
    state.cells = dict(registers.cells)
    state.deadlines = SortedList(registers.deadlines)


def restore_tables(state: State, tables: dict[str, Any]) -> None:
    """Take over the tables, whose lengths must be those of the registers, and the row of each account by its key."""
    lengths = {
        "clock": (3,), "balance": (len(tables["account"]), 4), "account": (len(tables["account"]),),
        "party": (len(state.parties),), "cap": (len(state.caps),), "scalars": (3,),
        "instrument": (len(state.instruments),), "actor": (len(state.actors),), "meter": (len(state.meter_facts),),
        "year_starts": (YEARS + 1,), "limits": (3,), "books": (len(state.instruments) + 1, 2),
    }  # fmt: skip
    for name, shape in lengths.items():
        if tables[name].shape != shape:
            raise ValueError(name)
    for name in (
        "balance", "account", "party", "cap", "cap_members", "scalars", "instrument", "actor", "meter", "share",
        "year_starts", "limits",
    ):  # fmt: skip
        setattr(state, f"_{name}", tables[name])
    state.account_count, state.share_count = len(tables["account"]), len(tables["share"])
    state.cap_member_count = len(tables["cap_members"])
    state.journal.clock[:] = tables["clock"]
    keys = zip(*(tables["account"][name].tolist() for name in ("kind", "owner", "reference", "unit")), strict=True)
    state.rows = {key: row for row, key in enumerate(keys)}
    if len(state.rows) != state.account_count:
        raise ValueError("account")


def within(values: Any, low: int, high: int) -> bool:
    """Whether all numbers are at least `low` and below `high`."""
    return bool(((values >= low) & (values < high)).all())


def check_tables(state: State) -> None:
    """Raise ValueError naming the first table in which a number leads out of its bounds."""
    accounts, metering = state.accounts, state.metering
    account, meter, parties, rights = accounts.account, metering.meter, len(state.parties), len(state.rights)
    holding = account[account["kind"] == Kind.HOLDING]
    zones = len(state.policy.basins) if state.policy else 0
    caps_end = account["caps_at"].astype(np.int64) + account["caps"]
    shares_end = meter["shares_at"].astype(np.int64) + meter["shares"]
    sound = {
        "account": within(account["owner"], -1, parties) and within(account["kind"], 0, len(Kind)),
        "holding": within(holding["owner"], 0, parties)
        and within(holding["reference"], 0, rights)
        and within(holding["zone"], 0, zones)
        and within(holding["year"] - accounts.scalars[FIRST_YEAR], 0, YEARS),
        "caps": within(account["caps_at"], 0, len(accounts.cap_members) + 1)
        and within(account["caps"], 0, len(accounts.cap_members) + 1)
        and within(caps_end, 0, len(accounts.cap_members) + 1),
        "cap_members": within(accounts.cap_members, 0, len(state.caps)),
        "party": within(accounts.party["money"], 0, len(account)),
        "scalars": within(accounts.scalars[[FEE_ROW]], 0, len(account)),
        "actor": within(state.market.actor["party"], -2, parties),
        "meter": within(meter["shares_at"], 0, len(metering.share) + 1)
        and within(meter["shares"], 0, len(metering.share) + 1)
        and within(shares_end, 0, len(metering.share) + 1),
        "share": within(metering.share["right"], 0, rights),
        "year_starts": bool((np.diff(metering.year_starts) > 0).all()),
        "rights": all(0 <= right.party < parties and 0 <= right.basin < zones for right in state.rights),
        "meter_facts": all(0 <= right < rights for fact in state.meter_facts for right, _ in fact.shares),
    }
    for name, is_sound in sound.items():
        if not is_sound:
            raise ValueError(name)


def link_holdings(state: State) -> None:
    """Find each right's holdings by year, and chain those of a holder, the latest first, as they came up."""
    account, party = state.accounts.account, state.accounts.party
    state._right_rows = np.full((len(state.rights), YEARS), -1, np.int32)  # noqa: SLF001 - a state is being made
    for name in ("first_offer", "last_offer"):
        account[name] = 0
    account["next_of_owner"], party["first_holding"] = -1, -1
    rows = np.flatnonzero(account["kind"] == Kind.HOLDING)
    columns = account["year"][rows] - state.accounts.scalars[FIRST_YEAR]
    state._right_rows[account["reference"][rows], columns] = rows  # noqa: SLF001
    latest: dict[int, int] = {}
    for row, owner in zip(rows.tolist(), account["owner"][rows].tolist(), strict=True):
        account["next_of_owner"][row] = latest.get(owner, -1)
        latest[owner] = row
    party["first_holding"][list(latest)] = list(latest.values())
    state._views = None  # noqa: SLF001


def restore_books(state: State, headroom: Any, figures: Any, orders: Any) -> None:
    """Make the books of all instruments and let the orders enter them."""
    zones = len(state.policy.basins) if state.policy else 0
    if headroom.shape != (zones, zones) or not within(headroom, 0, 2**62 + 1):
        raise ValueError("headroom")
    books = make_books([], headroom)
    for fact in state.instruments:
        books = with_book(books, 1, fact.max_price)
    books.book["last_order_id"], books.book["auction"] = figures[:-1].T
    state.replace_books(books)
    arrivals = int(figures[-1, 0])
    if len(orders) > MAX_CAPACITY or not fits(state, orders) or orders["arrival"].max(initial=0) > arrivals:
        raise ValueError("orders")
    enter_orders(state, orders)
    state.books.pool["arrivals"] = arrivals
