"""Applying frequent facts under watch: each is checked, posted by the kernel of the replay, and its accounts looked at.

Only the rows that a fact touches are looked at, so the cost does not grow with the ledger.
"""

from typing import Any

import numpy as np

from ledger.accounts import ESCROWED, FREE, holding_row
from ledger.apply import (
    apply_order,
    apply_reading,
    apply_removal,
    apply_trade,
    apply_use,
    awaits_holdings,
    next_seq,
)
from ledger.audit.figures import (
    ABOVE_CAP,
    NEGATIVE,
    SUM,
    check_order,
    check_reading,
    check_removal,
    check_trade,
    check_use,
)
from ledger.compiled import kernel
from ledger.offers import money_row
from ledger.tables import CONTRA, FEE_ROW, N_ORDERS, N_READINGS, N_REMOVALS, N_TRADES, N_USES, NEVER
from matching.book import NONE

CONTROL, OVER_ALLOCATED, EXTERNAL = (int(kind) for kind in CONTRA)
DONE, AWAITS_HOLDINGS = 0, -1


@kernel
def sound_row(accounts: Any, row: int) -> int:
    """Whether an account is not below zero, and every cap over it holds."""
    kind, balance = accounts.account[row]["kind"], accounts.balance[row]
    contra = kind in (CONTROL, OVER_ALLOCATED, EXTERNAL)
    if balance[ESCROWED] < 0 or (balance[FREE] < 0 and not contra):
        return NEGATIVE
    account = accounts.account[row]
    for at in range(account["caps_at"], account["caps_at"] + account["caps"]):
        cap = accounts.cap[accounts.cap_members[at]]
        index_l = cap["limit_l"] + cap["imported_l"] - cap["exported_l"] + cap["over_allocated_l"]
        if cap["held_l"] + cap["used_l"] > index_l:
            return ABOVE_CAP
    return NONE


@kernel
def sum_of(accounts: Any, row: int) -> int:
    """Sum of the balances of a row; 0 for none."""
    return accounts.balance[row].sum() if row >= 0 else np.int64(0)


@kernel
def posted(accounts: Any, water: Any, money: Any, before: Any) -> int:
    """Whether the touched rows sum to what they did before, and are sound. Rows of -1 are none."""
    if sum_of(accounts, water[0]) + sum_of(accounts, water[1]) != before[0]:
        return SUM
    if sum_of(accounts, money[0]) + sum_of(accounts, money[1]) + sum_of(accounts, money[2]) != before[1]:
        return SUM
    for row in (water[0], water[1], money[0], money[1], money[2]):
        if row >= 0:
            code = sound_row(accounts, row)
            if code != NONE:
                return code
    return NONE


@kernel
def rows_touched(accounts: Any, right: int, other: int, year: int, water: Any, money: Any, before: Any) -> None:
    """Note the rows of one or two holdings (-1 for none), their holders' money and the fees, and what they sum to."""
    water[0], water[1] = holding_row(accounts, right, year), holding_row(accounts, other, year)
    money[0] = money_row(accounts, water[0]) if water[0] >= 0 else -1
    money[1] = money_row(accounts, water[1]) if water[1] >= 0 else -1
    money[2] = accounts.scalars[FEE_ROW]
    if money[1] == money[0]:  # who trades with himself
        money[1] = -1
    if water[1] == water[0]:
        water[1] = -1
    before[0] = sum_of(accounts, water[0]) + sum_of(accounts, water[1])
    before[1] = sum_of(accounts, money[0]) + sum_of(accounts, money[1]) + sum_of(accounts, money[2])


@kernel
def post_order(books: Any, accounts: Any, market: Any, journal: Any, fact: Any, memory: Any, touched: Any) -> int:
    """Check and apply an order."""
    code = check_order(books, accounts, market, fact, memory)
    if code != NONE:
        return code
    water, money, before = touched
    rows_touched(accounts, np.int64(fact["right"]), np.int64(-1), np.int64(fact["year"]), water, money, before)
    apply_order(books, accounts, market, journal, fact)
    return posted(accounts, water, money, before)


@kernel
def post_trade_fact(books: Any, accounts: Any, market: Any, fact: Any, memory: Any, touched: Any) -> int:
    """Check and apply a trade."""
    code = check_trade(books, accounts, market, fact, memory)
    if code != NONE:
        return code
    water, money, before = touched
    seller, buyer = np.int64(fact["seller_right"]), np.int64(fact["buyer_right"])
    rows_touched(accounts, seller, buyer, np.int64(fact["year"]), water, money, before)
    apply_trade(books, accounts, market, fact)
    return posted(accounts, water, money, before)


@kernel
def post_removal(books: Any, accounts: Any, market: Any, fact: Any, memory: Any, touched: Any) -> int:
    """Check and apply a removal."""
    code = check_removal(books, accounts, market, fact, memory)
    if code != NONE:
        return code
    water, money, before = touched
    rows_touched(accounts, np.int64(fact["right"]), np.int64(-1), np.int64(fact["year"]), water, money, before)
    apply_removal(books, accounts, market, fact)
    return posted(accounts, water, money, before)


@kernel
def post_use(accounts: Any, fact: Any, memory: Any, touched: Any) -> int:
    """Check and apply booked use: what leaves the free balance is abstracted or over-used."""
    code = check_use(accounts, fact, memory)
    if code != NONE:
        return code
    water, money, before = touched
    rows_touched(accounts, np.int64(fact["right"]), np.int64(-1), np.int64(fact["year"]), water, money, before)
    apply_use(accounts, fact)
    return posted(accounts, water, money, before)


@kernel
def post_facts(
    books: Any, accounts: Any, market: Any, metering: Any, journal: Any, done: Any, memory: Any, touched: Any
) -> int:
    """Check and apply the facts in `journal` in the order of their `seq`, as `apply_facts` does.

    Returns DONE, AWAITS_HOLDINGS where the caller must make holdings, or the fault of the next fact, which `done`
    points at.
    """
    counts = journal.counts
    while True:
        order = next_seq(journal.orders, done[N_ORDERS], counts[N_ORDERS])
        trade = next_seq(journal.trades, done[N_TRADES], counts[N_TRADES])
        removal = next_seq(journal.removals, done[N_REMOVALS], counts[N_REMOVALS])
        reading = next_seq(journal.readings, done[N_READINGS], counts[N_READINGS])
        use = next_seq(journal.uses, done[N_USES], counts[N_USES])
        first = min(order, trade, removal, reading, use)
        if first == NEVER:
            return DONE
        code, kind = NONE, N_USES
        if first == order:
            kind = N_ORDERS
            fact = journal.orders[done[kind]]
            code = post_order(books, accounts, market, journal, fact, memory, touched)
        elif first == trade:
            kind = N_TRADES
            code = post_trade_fact(books, accounts, market, journal.trades[done[kind]], memory, touched)
        elif first == removal:
            kind = N_REMOVALS
            code = post_removal(books, accounts, market, journal.removals[done[kind]], memory, touched)
        elif first == reading:
            kind = N_READINGS
            read = journal.readings[done[kind]]
            if 0 <= read["meter"] < len(metering.meter) and awaits_holdings(accounts, metering, read):
                return AWAITS_HOLDINGS
            code = check_reading(metering, market, read, memory)
            if code == NONE:
                apply_reading(metering, read)
        else:
            code = post_use(accounts, journal.uses[done[kind]], memory, touched)
        if code != NONE:
            return code
        done[kind] += 1
