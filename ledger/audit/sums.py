"""The full walk: every sum that is kept as it goes, made anew from the accounts and the live orders."""

import numpy as np

from ledger.audit.verification import check_state
from ledger.codes import Code, Refused
from ledger.state import State
from ledger.tables import Array, Kind
from matching.types import Side


def walk(state: State) -> None:
    """Check every unit, balance and cap, every escrow, and all sums of holders and caps.

    Raises Refused: CONSERVATION_BROKEN, ABOVE_INDEX.
    """
    check_state(state)
    accounts = state.accounts
    owed = owed_by_orders(state)
    same("escrow", accounts.balance[:, 1], owed, "what live orders hold")
    holdings = np.flatnonzero(accounts.account["kind"] == Kind.HOLDING)
    over_l = np.zeros(len(accounts.party), np.int64)
    np.subtract.at(over_l, accounts.account["owner"][holdings], accounts.balance[holdings, 3])
    same("party.over_l", accounts.party["over_l"], over_l, "the over-use of a holder's rights")
    for name, sums in cap_sums(state, holdings).items():
        same(f"cap.{name}", accounts.cap[name], sums, "the sum over the holdings under a cap")


def same(name: str, kept: Array, made: Array, what: str) -> None:
    """Raise Refused (CONSERVATION_BROKEN) where a kept sum is not the one made anew."""
    unequal = np.flatnonzero(kept != made)
    if len(unequal):
        at = int(unequal[0])
        raise Refused(Code.CONSERVATION_BROKEN, name, int(kept[at]), f"{what}, {int(made[at])} (row {at})")


def owed_by_orders(state: State) -> Array:
    """What the live orders hold in escrow, by account row: litres of sells, fen of buys."""
    accounts, books, terms = state.accounts, state.books, state.market.terms
    owed = np.zeros(len(accounts.balance), np.int64)
    live = np.flatnonzero(books.orders["order_id"])
    lanes, rows = books.lanes[books.orders["lane"][live]], terms["account"][live]
    sells = lanes["side"] == Side.SELL
    lots = state.market.instrument["lot_l"][lanes["book"]] if len(live) else np.zeros(0, np.int64)
    np.add.at(owed, rows[sells], (books.orders["quantity"][live] * lots)[sells])
    money = accounts.party["money"][accounts.account["owner"][rows[~sells]]]
    np.add.at(owed, money, terms["escrow"][live][~sells])
    return owed


def cap_sums(state: State, holdings: Array) -> dict[str, Array]:
    """The sums of caps over the holdings under them."""
    accounts = state.accounts
    account, balance = accounts.account[holdings], accounts.balance[holdings]
    counts = account["caps"].astype(np.int64)
    holding = np.repeat(np.arange(len(holdings)), counts)
    within = np.arange(len(holding)) - np.repeat(np.cumsum(counts) - counts, counts)
    cap = accounts.cap_members[account["caps_at"][holding] + within]
    free, escrowed, abstracted, over = balance.T
    parts = {
        "held_l": free + escrowed, "used_l": abstracted + over, "over_l": -over,
        "imported_l": account["bought_l"], "exported_l": account["sold_l"],
    }  # fmt: skip
    sums = {name: np.zeros(len(accounts.cap), np.int64) for name in parts}
    for name, part in parts.items():
        np.add.at(sums[name], cap, part[holding])
    return sums
