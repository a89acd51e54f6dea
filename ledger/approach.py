"""Looking ahead in a batch of orders: what they will touch is asked for before their turn comes.

Holders come in no order, so without this two thirds of deciding an order is waiting for memory: right, holding, holder
and money, each found through the one before. Nothing is decided here and nothing changed.
"""

from typing import Any

import numpy as np

from ledger.accounts import holding_row
from ledger.compiled import kernel
from ledger.tables import FIRST_YEAR
from matching import index
from matching.commands import NEW
from matching.compiled import prefetch
from matching.queue import BUY

STEP = 8
"""Orders between one step and the next: long enough for memory to answer, short enough that it is still there."""


@kernel
def look_ahead(books: Any, accounts: Any, market: Any, orders: Any, at: int) -> None:
    """Take the orders that come behind `at` one step nearer each."""
    count = len(orders)
    if at + 4 * STEP < count:
        ask_for_right(books, accounts, market, orders[at + 4 * STEP])
    if at + 3 * STEP < count:
        ask_for_holding(books, accounts, market, orders[at + 3 * STEP])
    if at + 2 * STEP < count:
        ask_for_holder(books, accounts, market, orders[at + 2 * STEP])
    if at + STEP < count:
        ask_for_money(books, accounts, market, orders[at + STEP])


@kernel
def ask_for_right(books: Any, accounts: Any, market: Any, order: Any) -> None:
    """Where the row of the holding stands, or the slot of the order to change."""
    if order["action"] != NEW:
        prefetch(books.ids, index.place_of(books, order["order_id"]))
    elif 0 <= order["instrument"] < len(market.instrument) and 0 <= order["right"] < len(accounts.right_rows):
        column = market.instrument[order["instrument"]]["year"] - accounts.scalars[FIRST_YEAR]
        prefetch(accounts.right_rows, order["right"] * accounts.right_rows.shape[1] + column)


@kernel
def ask_for_holding(books: Any, accounts: Any, market: Any, order: Any) -> None:
    """The holding and its balance, or the order to change and what it owes."""
    if order["action"] != NEW:
        slot = index.probable(books, order["order_id"])
        prefetch(books.orders, slot)
        prefetch(market.terms, slot)
    else:
        ask_for_account(accounts, row_of(books, accounts, market, order))


@kernel
def ask_for_holder(books: Any, accounts: Any, market: Any, order: Any) -> None:
    """The holder of a new order; the holding of one to change, and its neighbours in the queue."""
    row = row_of(books, accounts, market, order)
    if order["action"] != NEW:
        resting = books.orders[index.probable(books, order["order_id"])]
        prefetch(books.orders, resting["next"])
        prefetch(books.orders, resting["previous"])
        ask_for_account(accounts, row)
    elif row >= 0 and accounts.account[row]["owner"] >= 0:
        prefetch(accounts.party, accounts.account[row]["owner"])


@kernel
def ask_for_money(books: Any, accounts: Any, market: Any, order: Any) -> None:
    """The money of who bids."""
    row = row_of(books, accounts, market, order)
    if row >= 0 and accounts.account[row]["owner"] >= 0 and (order["action"] != NEW or order["side"] == BUY):
        money = np.int64(accounts.party[accounts.account[row]["owner"]]["money"])
        prefetch(accounts.balance, money * accounts.balance.shape[1])


@kernel
def row_of(books: Any, accounts: Any, market: Any, order: Any) -> int:
    """Row of the holding that an order will very likely be for, or -1."""
    if order["action"] != NEW:
        return np.int64(market.terms[index.probable(books, order["order_id"])]["account"])
    if order["instrument"] < 0 or order["instrument"] >= len(market.instrument):
        return np.int64(-1)
    return holding_row(accounts, np.int64(order["right"]), np.int64(market.instrument[order["instrument"]]["year"]))


@kernel
def ask_for_account(accounts: Any, row: int) -> None:
    """A row of accounts, which may lie across two lines of the cache, and its balance."""
    if row >= 0:
        prefetch(accounts.account, row)
        prefetch(accounts.account, row + 1)
        prefetch(accounts.balance, row * accounts.balance.shape[1])
