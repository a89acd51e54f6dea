"""What time does: sessions of the day, orders and rights whose date has passed, meters whose verification ran out."""

import functools
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from ledger import facts
from ledger.accounts import FREE
from ledger.codes import Code
from ledger.offers import withdraw_slots
from ledger.state import DEADLINE_RIGHT, State
from ledger.tables import NEVER, NEXT_EXPIRY, Array
from ledger.units import NS, time_ns
from matching.types import Reason, Side
from matching.walk import sides

QUARTER_S: Final = 900

Emit = Callable[[facts.Fact], int]


def roll_sessions(state: State) -> None:
    """Set the sessions of the local day."""
    policy = state.policy
    if policy is None:
        return
    day = local_day(state.at_ns // (QUARTER_S * NS), policy.time_zone)
    if day == state.session_day:
        return
    state.session_day = day
    local = date.fromordinal(day).isoformat()
    for fact in state.instruments:
        opens, closes = fact.session
        row = state.market.instrument[fact.instrument]
        row["opens_at_ns"] = time_ns(f"{local}T{opens}", policy.zone)
        row["closes_at_ns"] = time_ns(f"{local}T{closes}", policy.zone)


@functools.lru_cache(maxsize=16)
def local_day(quarter: int, time_zone: str) -> int:
    """The local day (ordinal) of a quarter of an hour since the epoch: today no zone's day begins within one."""
    return datetime.fromtimestamp(quarter * QUARTER_S, UTC).astimezone(ZoneInfo(time_zone)).toordinal()


def expire(state: State, cause: int, emit: Emit) -> None:
    """End everything whose time has come by now, in order of time and id (K2)."""
    while state.deadlines and state.deadlines[0][0] <= state.at_ns:
        at_ns, what, number = state.deadlines[0]
        expire_orders(state, at_ns, cause)
        if what == DEADLINE_RIGHT:
            end_right(state, number, cause, emit)
        else:
            seq = emit(facts.MeterLapsed(number))
            for right, _ in state.meter_facts[number].shares:
                withdraw_ineligible(state, right, seq)
    expire_orders(state, state.at_ns, cause)


def expire_orders(state: State, at_ns: int, cause: int) -> None:
    """Withdraw the orders whose date has passed."""
    if int(state.journal.clock[NEXT_EXPIRY]) > at_ns:
        return
    order_ids, ends_ns = state.books.orders["order_id"], state.books.standing["expires_at_ns"]
    dated = np.flatnonzero((order_ids != 0) & (ends_ns > 0))
    due = dated[ends_ns[dated] <= at_ns]
    due = due[np.lexsort((order_ids[due], ends_ns[due]))]
    later = ends_ns[np.setdiff1d(dated, due)]
    state.journal.clock[NEXT_EXPIRY] = later.min() if len(later) else NEVER
    withdraw(state, due, Reason.EXPIRED, cause)


def end_right(state: State, right: int, cause: int, emit: Emit) -> None:
    """Withdraw the open orders of a right whose term is over, and let what is left expire."""
    holdings = np.sort(state.accounts.right_rows[right])
    holdings = holdings[holdings >= 0]
    withdraw_of_accounts(state, holdings, holdings, Code.RIGHT_EXPIRED, cause)
    years, left = state.accounts.account["year"][holdings], state.accounts.balance[holdings, FREE]
    emit(facts.RightEnded(right, tuple((int(y), int(v)) for y, v in zip(years, left, strict=True) if v > 0)))


def withdraw_orders_of(state: State, party: int, cause: int) -> None:
    """Withdraw all orders of a holder."""
    accounts = np.flatnonzero(state.accounts.account["owner"] == party)
    withdraw_of_accounts(state, accounts, accounts, Code.WITHDRAWN_INELIGIBLE, cause)


def withdraw_ineligible(state: State, right: int, cause: int) -> None:
    """Withdraw the bids of a right that may buy no longer, and the offers of one that may not sell."""
    holdings = state.accounts.right_rows[right]
    holdings = holdings[holdings >= 0]
    account = state.accounts.account[holdings]
    bidding, offering = holdings[account["buy_code"] != 0], holdings[account["sell_code"] != 0]
    withdraw_of_accounts(state, bidding, offering, Code.WITHDRAWN_INELIGIBLE, cause)


def withdraw_of_accounts(state: State, bidding: Array, offering: Array, code: Code, cause: int) -> None:
    """Withdraw the live bids and offers of these holdings, latest accepted first."""
    orders = state.books.orders
    live = np.flatnonzero(orders["order_id"])
    account, sells = state.market.terms["account"][live], sides(state.books, live) == Side.SELL
    mine = live[np.where(sells, np.isin(account, offering), np.isin(account, bidding))]
    withdraw(state, mine[np.argsort(-orders["order_id"][mine])], code, cause)


def withdraw(state: State, slots: Array, code: Code | Reason, cause: int) -> None:
    """Withdraw the orders in these slots, in order."""
    if len(slots):
        state.reserve()
        tables = (state.books, state.tape, state.accounts, state.market, state.journal)
        withdraw_slots(*tables, slots.astype(np.int64), int(code), cause)
