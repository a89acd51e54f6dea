"""The order loop: for each order check, escrow, match, settle, go on. One compiled call a batch, over all books.

An order sees the effect of the one before it. Each command leaves its outcome, then its trades, then its removals,
numbered densely (contract K7).
"""

from typing import Any

import numpy as np

from ledger.accounts import FREE, buy_escrow, holding_row
from ledger.approach import look_ahead
from ledger.codes import Code
from ledger.compiled import kernel
from ledger.eligibility import (
    MAX_LOTS,
    NOT_ENOUGH_MONEY,
    PRICE_OUTSIDE_BAND,
    QUANTITY_TOO_LARGE,
    cover,
    holder_refusal,
    may_act,
    session_refusal,
    water_refusal,
)
from ledger.offers import NO_LIMIT, escrow, link_offer, money_row
from ledger.settle import settle_removals, settle_trades
from ledger.tables import AT_NS, N_ORDERS, N_REMOVALS, N_TRADES, NEXT_EXPIRY, NEXT_SEQ
from matching import index
from matching.book import NONE
from matching.commands import (
    CANCEL,
    CANCELLED,
    CANCELLED_BY_OWNER,
    NEW,
    REDUCE,
    REDUCED,
    REDUCED_BY_OWNER,
    REJECTED,
    REPLACE,
    UNKNOWN_ACTION,
    cancel,
    place,
    reduce,
    replace,
)
from matching.queue import BUY, SELL, book_of, side_of, zone_of
from matching.refusals import (
    FOREIGN_ORDER,
    GTD,
    MARKET,
    QUANTITY_NOT_POSITIVE,
    UNKNOWN_ORDER,
    UNKNOWN_SIDE,
    entry_refusal,
    form_refusal,
    replace_refusal,
)
from matching.types import TimeInForce

DAY = int(TimeInForce.DAY)
UNKNOWN_INSTRUMENT = int(Code.UNKNOWN_INSTRUMENT)


@kernel
def fill_scratch(market: Any, order: Any, order_id: int, owner: int, zone: int) -> Any:
    """The order as its book sees it. DAY is good till the session's end (K2)."""
    scratch = market.scratch[0]
    scratch["order_id"] = order_id
    scratch["owner"] = owner
    scratch["zone"] = zone
    scratch["price"] = order["price"]
    scratch["quantity"] = order["quantity"]
    scratch["side"] = order["side"]
    scratch["order_type"] = order["order_type"]
    scratch["post_only"] = order["post_only"]
    scratch["self_trade"] = order["self_trade"]
    scratch["time_in_force"] = order["time_in_force"]
    scratch["expires_at_ns"] = order["expires_at_ns"]
    if order["time_in_force"] == DAY and order["expires_at_ns"] == 0:
        scratch["time_in_force"] = GTD
        scratch["expires_at_ns"] = market.instrument[order["instrument"]]["closes_at_ns"]
    return scratch


@kernel
def set_terms(market: Any, slot: int, order: Any, row: int, amount: int, actor: int) -> None:
    """Remember what a live order owes, at its slot (0 for one that never rests)."""
    instrument = market.instrument[order["instrument"]]
    terms = market.terms[slot]
    terms["account"] = row
    terms["actor"] = actor
    terms["notional_fen"] = 0
    terms["escrow"] = amount if order["side"] == BUY else 0
    terms["fee_ppm"] = instrument["buyer_fee_ppm"] if order["side"] == BUY else instrument["seller_fee_ppm"]
    terms["limit_fen"] = NO_LIMIT if order["order_type"] == MARKET else order["price"] * instrument["tick_fen"]


@kernel
def decide_new(
    books: Any, tape: Any, accounts: Any, market: Any, journal: Any, fact: Any, order: Any, actor: int
) -> None:
    """A new order: refuse it by code, or escrow, match and settle it."""
    instrument, side = np.int64(order["instrument"]), np.int64(order["side"])
    if instrument < 0 or instrument >= len(books.book):
        fact["code"] = UNKNOWN_INSTRUMENT
        return
    if side not in (BUY, SELL):
        fact["code"] = UNKNOWN_SIDE
        return
    year = np.int64(market.instrument[instrument]["year"])
    row = holding_row(accounts, np.int64(order["right"]), year)
    fact["year"] = year
    code = holder_refusal(books, accounts, market, journal, order, row, actor)
    if code != NONE:
        fact["code"] = code
        return
    owner, zone = np.int64(accounts.account[row]["owner"]) + 1, np.int64(accounts.account[row]["zone"])
    order_id = fact["seq"]
    scratch = fill_scratch(market, order, order_id, owner, zone)
    fact["zone"] = zone
    fact["expires_at_ns"] = scratch["expires_at_ns"]
    code = form_refusal(books, instrument, scratch)
    if code != NONE:
        fact["code"] = code
        return
    cover_code, amount, budget = cover(accounts, market, order, row)
    code = entry_refusal(books, instrument, scratch, budget)
    code = cover_code if code == NONE else code
    if code != NONE:
        fact["code"] = code
        return
    escrow(accounts, row, side, amount)
    fact["escrowed"] = amount
    if order["client_order_id"] > 0:
        market.actor[actor]["last_client_order_id"] = order["client_order_id"]
    status, code, filled, leaves, slot = place(books, tape, instrument, scratch, budget, np.int64(0))
    set_terms(market, slot, order, row, amount, actor)
    fact["fee_ppm"] = market.terms[slot]["fee_ppm"]
    if slot != 0 and side == SELL:
        link_offer(accounts, market, slot)
    if leaves > 0 and scratch["expires_at_ns"] > 0:
        journal.clock[NEXT_EXPIRY] = min(journal.clock[NEXT_EXPIRY], scratch["expires_at_ns"])
    settle_trades(books, tape, accounts, market, journal, instrument, slot, side, order["quantity"])
    own_leaves = order["quantity"] - filled
    settle_removals(tape, accounts, market, journal, instrument, order_id, slot, side, own_leaves, order_id, False)
    write_outcome(fact, status, code, filled, leaves)


@kernel
def write_outcome(fact: Any, status: int, code: int, filled: int, leaves: int) -> None:
    """Put the answer into the fact of an order."""
    fact["status"] = status
    fact["code"] = code
    fact["filled"] = filled
    fact["leaves"] = leaves


@kernel
def decide_change(
    books: Any, tape: Any, accounts: Any, market: Any, journal: Any, fact: Any, order: Any, actor: int
) -> None:
    """Cancel, reduce or replace a live order."""
    fact["order_id"] = order["order_id"]
    slot = index.find(books, order["order_id"])
    if slot == 0:
        fact["code"] = UNKNOWN_ORDER
        return
    live = books.orders[slot]
    instrument, side = book_of(books, slot), side_of(books, slot)
    row = np.int64(market.terms[slot]["account"])
    fact["instrument"] = instrument
    fact["side"] = side
    fact["right"] = accounts.account[row]["reference"]
    fact["year"] = accounts.account[row]["year"]
    fact["zone"] = zone_of(books, slot)
    fact["leaves"] = live["quantity"]
    if not may_act(accounts, market, row, actor):
        fact["code"] = FOREIGN_ORDER
        fact["leaves"] = 0
        return
    if order["action"] == REPLACE:
        decide_replace(books, tape, accounts, market, journal, fact, order, slot)
        return
    own_leaves, order_id = live["quantity"], order["order_id"]
    if order["action"] == CANCEL:
        cancel(books, tape, slot, CANCELLED_BY_OWNER, np.int64(0))
        write_outcome(fact, CANCELLED, NONE, np.int64(0), np.int64(0))
    elif order["quantity"] <= 0:
        fact["code"] = QUANTITY_NOT_POSITIVE
        return
    else:
        leaves = reduce(books, tape, slot, order["quantity"], REDUCED_BY_OWNER, np.int64(0))
        write_outcome(fact, (REDUCED if leaves > 0 else CANCELLED), NONE, np.int64(0), leaves)
    settle_removals(tape, accounts, market, journal, instrument, order_id, slot, side, own_leaves, fact["seq"], False)


@kernel
def decide_replace(
    books: Any, tape: Any, accounts: Any, market: Any, journal: Any, fact: Any, order: Any, slot: int
) -> None:
    """Replace a live order: judge, move escrow, then change it; a refused replace changes nothing (K23)."""
    live = books.orders[slot]
    instrument, side, old = book_of(books, slot), side_of(books, slot), live["quantity"]
    terms = market.instrument[instrument]
    row = np.int64(market.terms[slot]["account"])
    mode = np.int64(order["self_trade"])
    code = session_refusal(market, journal, instrument)
    if code == NONE:
        code = replace_refusal(books, slot, mode, order["price"], order["quantity"])
    if code == NONE and order["quantity"] > MAX_LOTS:
        code = QUANTITY_TOO_LARGE
    if code == NONE and order["price"] != 0 and not terms["low_price"] <= order["price"] <= terms["high_price"]:
        code = PRICE_OUTSIDE_BAND
    limit_fen = market.terms[slot]["limit_fen"] if order["price"] == 0 else order["price"] * terms["tick_fen"]
    quantity = old if order["quantity"] == 0 else order["quantity"]
    amount = np.int64(0)
    if code == NONE and side == SELL:
        amount = (quantity - old) * terms["lot_l"]
        code = water_refusal(accounts, row, amount) if amount > 0 else NONE
    elif code == NONE:
        amount = buy_escrow(
            limit_fen, quantity, market.terms[slot]["notional_fen"], np.int64(market.terms[slot]["fee_ppm"])
        )
        amount -= market.terms[slot]["escrow"]
        code = NOT_ENOUGH_MONEY if amount > accounts.balance[money_row(accounts, row), FREE] else NONE
    if code != NONE:
        fact["code"] = code
        return
    escrow(accounts, row, side, amount)
    fact["escrowed"] = amount
    fact["fee_ppm"] = market.terms[slot]["fee_ppm"]
    market.terms[slot]["limit_fen"] = limit_fen
    if side == BUY:
        market.terms[slot]["escrow"] += amount
    status, code, filled, leaves, _ = replace(books, tape, slot, mode, order["price"], order["quantity"], np.int64(0))
    settle_trades(books, tape, accounts, market, journal, instrument, slot, side, quantity)
    own_leaves = max(old, quantity) - filled
    settle_removals(
        tape, accounts, market, journal, instrument, order["order_id"], slot, side, own_leaves, fact["seq"], True
    )
    write_outcome(fact, status, code, filled, leaves)


@kernel
def start_fact(journal: Any, order: Any, actor: int) -> Any:
    """The fact of an order command, filled with what was asked and numbered next."""
    at = journal.counts[N_ORDERS]
    fact = journal.orders[at]
    fact["seq"] = journal.clock[NEXT_SEQ]
    fact["at_ns"] = journal.clock[AT_NS]
    fact["order_id"] = journal.clock[NEXT_SEQ]
    fact["client_order_id"] = order["client_order_id"]
    fact["price"] = order["price"]
    fact["quantity"] = order["quantity"]
    fact["max_amount_fen"] = order["max_amount_fen"]
    fact["expires_at_ns"] = order["expires_at_ns"]
    fact["filled"] = 0
    fact["leaves"] = 0
    fact["escrowed"] = 0
    fact["fee_ppm"] = 0
    fact["actor"] = actor
    fact["instrument"] = order["instrument"]
    fact["right"] = order["right"]
    fact["code"] = NONE
    fact["year"] = 0
    fact["action"] = order["action"]
    fact["side"] = order["side"]
    fact["order_type"] = order["order_type"]
    fact["time_in_force"] = order["time_in_force"]
    fact["post_only"] = order["post_only"]
    fact["self_trade"] = order["self_trade"]
    fact["status"] = REJECTED
    fact["zone"] = -1
    journal.counts[N_ORDERS] = at + 1
    journal.clock[NEXT_SEQ] += 1
    return fact


@kernel
def decide_orders(
    books: Any, tape: Any, accounts: Any, market: Any, journal: Any, orders: Any, begin: int, end: int, actor: int
) -> None:
    """Decide ORDER from `begin` to `end` in order. Facts go to `journal`, whose columns must be long enough.

    They are when there is room for one fact an order, 2 trades an order + 1 a live order, and twice that in removals.
    What stands behind `end` is looked at ahead only.
    """
    for at in range(begin, end):
        look_ahead(books, accounts, market, orders, at)
        order = orders[at]
        tape.counts[0] = 0
        tape.counts[1] = 0
        fact = start_fact(journal, order, actor)
        if order["action"] == NEW:
            decide_new(books, tape, accounts, market, journal, fact, order, actor)
        elif order["action"] in (CANCEL, REPLACE, REDUCE):
            decide_change(books, tape, accounts, market, journal, fact, order, actor)
        else:
            fact["code"] = UNKNOWN_ACTION


ACTOR, PARTY, FIRST, ORDERS = 0, 1, 2, 3
"""Columns of a run: of each submission its actor, whose holder he acts for, its first order and how many it has."""

SEQ, FACTS, ORDERS_END, TRADES_END, REMOVALS_END = 0, 1, 2, 3, 4
"""Columns of what became of it: its `seq`, its facts, and how far the journal's columns reach behind it."""


@kernel
def decide_run(
    books: Any, tape: Any, accounts: Any, market: Any, journal: Any, orders: Any, run: Any, made: Any, at: int
) -> int:
    """Decide submissions of orders from `at` on, whose own fact is numbered already; returns where the run stopped.

    It goes on to the next one, whose fact takes a number before its orders, unless something must expire first. `run`
    and `made` are int64 (4, submissions) and (submissions, 5).
    """
    while True:
        actor, begin = run[ACTOR, at], run[FIRST, at]
        market.actor[actor]["party"] = run[PARTY, at]
        decide_orders(books, tape, accounts, market, journal, orders, begin, begin + run[ORDERS, at], actor)
        made[at, FACTS] = journal.clock[NEXT_SEQ] - made[at, SEQ]
        made[at, ORDERS_END] = journal.counts[N_ORDERS]
        made[at, TRADES_END] = journal.counts[N_TRADES]
        made[at, REMOVALS_END] = journal.counts[N_REMOVALS]
        at += 1
        if at == len(made) or journal.clock[NEXT_EXPIRY] <= journal.clock[AT_NS]:
            return at
        made[at, SEQ] = journal.clock[NEXT_SEQ]
        journal.clock[NEXT_SEQ] += 1


@kernel
def refuse_orders(journal: Any, orders: Any, codes: Any, actor: int) -> None:
    """Write the facts of orders that are refused together, with these codes."""
    for at in range(len(orders)):
        fact = start_fact(journal, orders[at], actor)
        fact["code"] = codes[at]
        if orders[at]["action"] != NEW:
            fact["order_id"] = orders[at]["order_id"]
