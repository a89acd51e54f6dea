"""The order loop: for each order check, escrow, match, settle, go on. One compiled call a batch, over all books.

An order sees the effect of the one before it. Each command leaves its outcome, then its trades, then its removals,
numbered densely (contract K7).
"""

from typing import Any

import numpy as np

from ledger.accounts import FREE, buy_escrow, holding_row, most_notional, own_water, sellable
from ledger.codes import Code
from ledger.compiled import kernel
from ledger.offers import NO_LIMIT, escrow, link_offer, money_row
from ledger.settle import settle_removals, settle_trades
from ledger.tables import AT_NS, N_ORDERS, NEXT_EXPIRY, NEXT_SEQ
from matching import index
from matching.book import NONE
from matching.commands import (
    CANCEL,
    CANCELLED,
    CANCELLED_BY_OWNER,
    FOREIGN_ORDER,
    GTD,
    MARKET,
    NEW,
    QUANTITY_NOT_POSITIVE,
    REDUCE,
    REDUCED,
    REDUCED_BY_OWNER,
    REJECTED,
    REPLACE,
    UNKNOWN_ACTION,
    UNKNOWN_ORDER,
    UNKNOWN_SIDE,
    cancel,
    entry_refusal,
    form_refusal,
    place,
    reduce,
    replace,
    replace_refusal,
)
from matching.queue import BUY, SELL
from matching.types import UNLIMITED, Reason, TimeInForce

DAY = int(TimeInForce.DAY)
EXPIRED, QUANTITY_TOO_LARGE = int(Reason.EXPIRED), int(Reason.QUANTITY_TOO_LARGE)
UNKNOWN_INSTRUMENT, UNKNOWN_RIGHT = int(Code.UNKNOWN_INSTRUMENT), int(Code.UNKNOWN_RIGHT)
WRONG_UNIT, NOT_YOUR_RIGHT = int(Code.WRONG_UNIT), int(Code.NOT_YOUR_RIGHT)
CLIENT_ORDER_ID_NOT_RISING, OUT_OF_RANGE = int(Code.CLIENT_ORDER_ID_NOT_RISING), int(Code.OUT_OF_RANGE)
MARKET_CLOSED, PRICE_OUTSIDE_BAND = int(Code.MARKET_CLOSED), int(Code.PRICE_OUTSIDE_BAND)
OVER_USE, BASIC_NEED = int(Code.OVER_USE), int(Code.BASIC_NEED)
NOT_ENOUGH_WATER, NOTHING_SAVED = int(Code.NOT_ENOUGH_WATER), int(Code.NOTHING_SAVED)
NOT_RESOLD = int(Code.NOT_RESOLD)
NOT_ENOUGH_MONEY = int(Code.NOT_ENOUGH_MONEY)

ANYBODY = -1
MAX_LOTS = 2**31
"""Largest order in lots. With `ledger.policy.MAX_LOT_FEN` it keeps the value of an order below 2**62."""


@kernel
def session_refusal(market: Any, journal: Any, instrument: int) -> int:
    """Why an instrument takes no orders now, or NONE."""
    terms = market.instrument[instrument]
    if terms["code"] != NONE:
        return np.int64(terms["code"])
    now = journal.clock[AT_NS]
    return MARKET_CLOSED if now < terms["opens_at_ns"] or now >= terms["closes_at_ns"] else NONE


@kernel
def side_refusal(accounts: Any, row: int, side: int) -> int:
    """Why the holder may not buy or sell with this right now, or NONE (T2, T4, T5, K15)."""
    holding = accounts.account[row]
    if side == BUY:
        return np.int64(holding["buy_code"])
    if holding["sell_code"] != NONE:
        return np.int64(holding["sell_code"])
    return OVER_USE if accounts.party[holding["owner"]]["over_l"] > 0 else NONE


@kernel
def may_act(accounts: Any, market: Any, row: int, actor: int) -> bool:
    """Whether an actor may act for the holder of a right: an operator for any, a holder for himself."""
    party = market.actor[actor]["party"]
    return party == ANYBODY or party == accounts.account[row]["owner"]


@kernel
def holder_refusal(books: Any, accounts: Any, market: Any, journal: Any, order: Any, row: int, actor: int) -> int:
    """Why a holder may not give a new order now, before its form and its cover are looked at."""
    if row < 0:
        return UNKNOWN_RIGHT if order["right"] < 0 or order["right"] >= len(accounts.right_rows) else WRONG_UNIT
    holding, terms = accounts.account[row], market.instrument[order["instrument"]]
    if holding["unit"] != terms["unit"]:
        return WRONG_UNIT
    if not may_act(accounts, market, row, actor):
        return NOT_YOUR_RIGHT
    if 0 < order["client_order_id"] <= market.actor[actor]["last_client_order_id"]:
        return CLIENT_ORDER_ID_NOT_RISING
    code = session_refusal(market, journal, np.int64(order["instrument"]))
    if code == NONE:
        code = side_refusal(accounts, row, np.int64(order["side"]))
    if code == NONE and order["order_type"] != MARKET:
        price = order["price"]
        in_book = books.book[order["instrument"]]
        banded = price < terms["low_price"] or price > terms["high_price"]
        if banded and in_book["min_price"] <= price < in_book["min_price"] + in_book["prices"]:
            code = PRICE_OUTSIDE_BAND
    if code == NONE and order["quantity"] > MAX_LOTS:
        code = QUANTITY_TOO_LARGE
    if code == NONE and order["time_in_force"] == GTD and 0 < order["expires_at_ns"] <= journal.clock[AT_NS]:
        code = EXPIRED
    return code


@kernel
def water_refusal(accounts: Any, row: int, volume_l: int) -> int:
    """Why a holding cannot offer `volume_l` litres more, or NONE (K17)."""
    if volume_l <= sellable(accounts, row):
        return NONE
    holding = accounts.account[row]
    free = accounts.balance[row, FREE]
    if volume_l > free:
        return NOT_ENOUGH_WATER
    if volume_l > free - holding["floor_l"]:
        return BASIC_NEED
    return NOT_RESOLD if volume_l > own_water(accounts, row) else NOTHING_SAVED


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
def cover(accounts: Any, market: Any, order: Any, row: int) -> tuple[int, int, int]:
    """What a new order must escrow: refusal code, amount (litres or fen), budget in ticks x lots for the book."""
    terms = market.instrument[order["instrument"]]
    unlimited = np.int64(UNLIMITED)
    if order["max_amount_fen"] < 0 or (
        order["max_amount_fen"] > 0 and (order["side"] != BUY or order["order_type"] != MARKET)
    ):
        return OUT_OF_RANGE, np.int64(0), unlimited
    if order["side"] == SELL:
        volume_l = order["quantity"] * terms["lot_l"]
        return water_refusal(accounts, row, volume_l), volume_l, unlimited
    money = accounts.balance[money_row(accounts, row), FREE]
    if order["order_type"] == MARKET:
        budget = order["max_amount_fen"] if order["max_amount_fen"] > 0 else money
        code = NOT_ENOUGH_MONEY if budget > money or budget <= 0 else NONE
        return code, budget, most_notional(max(budget, 0), np.int64(terms["buyer_fee_ppm"])) // terms["tick_fen"]
    amount = buy_escrow(
        order["price"] * terms["tick_fen"], order["quantity"], np.int64(0), np.int64(terms["buyer_fee_ppm"])
    )
    return (NOT_ENOUGH_MONEY if amount > money else NONE), amount, unlimited


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
    settle_removals(tape, accounts, market, journal, instrument, order_id, side, own_leaves, order_id, False)
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
    instrument, side = np.int64(live["book"]), np.int64(live["side"])
    row = np.int64(market.terms[slot]["account"])
    fact["instrument"] = instrument
    fact["side"] = side
    fact["right"] = accounts.account[row]["reference"]
    fact["year"] = accounts.account[row]["year"]
    fact["zone"] = live["zone"]
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
    settle_removals(tape, accounts, market, journal, instrument, order_id, side, own_leaves, fact["seq"], False)


@kernel
def decide_replace(
    books: Any, tape: Any, accounts: Any, market: Any, journal: Any, fact: Any, order: Any, slot: int
) -> None:
    """Replace a live order: judge, move escrow, then change it; a refused replace changes nothing (K23)."""
    live = books.orders[slot]
    instrument, side, old = np.int64(live["book"]), np.int64(live["side"]), live["quantity"]
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
    settle_removals(tape, accounts, market, journal, instrument, order["order_id"], side, own_leaves, fact["seq"], True)
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
def decide_orders(books: Any, tape: Any, accounts: Any, market: Any, journal: Any, orders: Any, actor: int) -> None:
    """Decide a batch of ORDER in order. Facts go to `journal`, whose columns must be long enough.

    They are when there is room for one fact an order, 2 trades an order + 1 a live order, and twice that in removals.
    """
    for at in range(len(orders)):
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


@kernel
def refuse_orders(journal: Any, orders: Any, codes: Any, actor: int) -> None:
    """Write the facts of orders that are refused together, with these codes."""
    for at in range(len(orders)):
        fact = start_fact(journal, orders[at], actor)
        fact["code"] = codes[at]
        if orders[at]["action"] != NEW:
            fact["order_id"] = orders[at]["order_id"]
