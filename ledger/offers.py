"""Escrow of live orders, the chain of a holding's offers, and their withdrawal.

A sell order escrows leaves x lot litres of its holding, a buy order fen of its holder. What an order owes stands in
TERMS at its slot; a holding's sell orders form a chain in order of acceptance.
"""

from typing import Any

import numpy as np

from ledger.accounts import ESCROWED, FREE, buy_escrow
from ledger.codes import Code
from ledger.compiled import kernel
from ledger.tables import AT_NS, N_REMOVALS, NEXT_SEQ
from matching.commands import reduce
from matching.queue import BUY, SELL, book_of, side_of

NO_LIMIT = -1  # limit of a market order
IMMEDIATE = 0  # slot that holds the terms of an order which never rests
WITHDRAWN_INELIGIBLE = int(Code.WITHDRAWN_INELIGIBLE)


@kernel
def money_row(accounts: Any, row: int) -> int:
    """Row of the money of a holding's holder."""
    return np.int64(accounts.party[accounts.account[row]["owner"]]["money"])


@kernel
def escrow(accounts: Any, row: int, side: int, amount: int) -> None:
    """Move `amount` (litres of a sell, fen of a buy; negative gives back) from free to escrowed."""
    at = row if side == SELL else money_row(accounts, row)
    accounts.balance[at, FREE] -= amount
    accounts.balance[at, ESCROWED] += amount


@kernel
def link_offer(accounts: Any, market: Any, slot: int) -> None:
    """Append a sell order to the chain of its holding."""
    terms = market.terms[slot]
    holding = accounts.account[terms["account"]]
    last = holding["last_offer"]
    terms["previous_offer"] = last
    terms["next_offer"] = 0
    holding["last_offer"] = slot
    if last != 0:
        market.terms[last]["next_offer"] = slot
    else:
        holding["first_offer"] = slot


@kernel
def unlink_offer(accounts: Any, market: Any, slot: int) -> None:
    """Take a sell order out of the chain of its holding."""
    terms = market.terms[slot]
    holding = accounts.account[terms["account"]]
    before, after = terms["previous_offer"], terms["next_offer"]
    if before != 0:
        market.terms[before]["next_offer"] = after
    else:
        holding["first_offer"] = after
    if after != 0:
        market.terms[after]["previous_offer"] = before
    else:
        holding["last_offer"] = before


@kernel
def freed_escrow(terms: Any, side: int, quantity: int, leaves: int, lot_l: int) -> int:
    """Escrow that an order gives back when `quantity` leaves and `leaves` stay: litres of a sell, fen of a buy."""
    if side == SELL:
        return quantity * lot_l
    if leaves == 0:
        return terms["escrow"]
    if terms["limit_fen"] == NO_LIMIT:  # a market order's budget does not depend on its quantity
        return np.int64(0)
    return terms["escrow"] - buy_escrow(terms["limit_fen"], leaves, terms["notional_fen"], terms["fee_ppm"])


@kernel
def release(accounts: Any, market: Any, slot: int, side: int, released: int, leaves: int) -> None:
    """Give escrow back after a removal; an offer without leaves leaves its chain."""
    terms = market.terms[slot]
    escrow(accounts, np.int64(terms["account"]), side, -released)
    if side == BUY:
        terms["escrow"] -= released
    elif leaves == 0 and slot != IMMEDIATE:
        unlink_offer(accounts, market, slot)


@kernel
def write_removal_fact(
    accounts: Any, journal: Any, row: int, instrument: int, order_id: int, cause: int, quantity: int, leaves: int,
    released: int, code: int, side: int,
) -> None:  # fmt: skip
    """Write the fact of a removal, numbered next."""
    at = journal.counts[N_REMOVALS]
    fact = journal.removals[at]
    fact["seq"] = journal.clock[NEXT_SEQ]
    fact["at_ns"] = journal.clock[AT_NS]
    fact["order_id"] = order_id
    fact["cause"] = cause
    fact["quantity"] = quantity
    fact["leaves"] = leaves
    fact["released"] = released
    fact["instrument"] = instrument
    fact["right"] = accounts.account[row]["reference"]
    fact["code"] = code
    fact["year"] = accounts.account[row]["year"]
    fact["side"] = side
    journal.counts[N_REMOVALS] = at + 1
    journal.clock[NEXT_SEQ] += 1


@kernel
def withdraw(
    books: Any, tape: Any, accounts: Any, market: Any, journal: Any, slot: int, quantity: int, code: int, cause: int
) -> int:
    """Take `quantity` off a resting order for a reason of ours, with its fact. Returns the escrow given back."""
    order = books.orders[slot]
    instrument, side, order_id = book_of(books, slot), side_of(books, slot), order["order_id"]
    row = np.int64(market.terms[slot]["account"])
    leaves = order["quantity"] - quantity
    released = freed_escrow(market.terms[slot], side, quantity, leaves, market.instrument[instrument]["lot_l"])
    tape.counts[1] = 0
    reduce(books, tape, slot, quantity, code, np.int64(-1))
    release(accounts, market, slot, side, released, leaves)
    write_removal_fact(accounts, journal, row, instrument, order_id, cause, quantity, leaves, released, code, side)
    return released


@kernel
def withdraw_for_use(
    books: Any, tape: Any, accounts: Any, market: Any, journal: Any, row: int, volume_l: int, code: int, cause: int
) -> None:
    """Free at least `volume_l` litres of a holding's offers if there are so many, latest accepted first (K15)."""
    while volume_l > 0 and accounts.account[row]["last_offer"] != 0:
        slot = np.int64(accounts.account[row]["last_offer"])
        lot_l = market.instrument[book_of(books, slot)]["lot_l"]
        lots = min((volume_l + lot_l - 1) // lot_l, books.orders[slot]["quantity"])
        volume_l -= withdraw(books, tape, accounts, market, journal, slot, lots, code, cause)


@kernel
def withdraw_offers_of_owner(
    books: Any, tape: Any, accounts: Any, market: Any, journal: Any, owner: int, cause: int
) -> None:
    """Withdraw all sell orders of a holder, of all his rights: he may not sell any more (K24)."""
    row = np.int64(accounts.party[owner]["first_holding"])
    while row >= 0:
        while accounts.account[row]["last_offer"] != 0:
            slot = np.int64(accounts.account[row]["last_offer"])
            everything = books.orders[slot]["quantity"]
            withdraw(books, tape, accounts, market, journal, slot, everything, WITHDRAWN_INELIGIBLE, cause)
        row = np.int64(accounts.account[row]["next_of_owner"])


@kernel
def withdraw_slots(
    books: Any, tape: Any, accounts: Any, market: Any, journal: Any, slots: Any, code: int, cause: int
) -> None:
    """Withdraw these resting orders whole, in order."""
    for at in range(len(slots)):
        slot = np.int64(slots[at])
        withdraw(books, tape, accounts, market, journal, slot, books.orders[slot]["quantity"], code, cause)
