"""Who may give an order now, and what covers it: sessions, holders, bands, water and money (rules T0-T5, K15, K17)."""

from typing import Any

import numpy as np

from ledger.accounts import FREE, buy_escrow, most_notional, own_water, sellable
from ledger.codes import Code
from ledger.compiled import kernel
from ledger.offers import money_row
from ledger.tables import AT_NS
from matching.book import NONE
from matching.queue import BUY, SELL
from matching.refusals import GTD, MARKET
from matching.types import UNLIMITED, Reason

EXPIRED, QUANTITY_TOO_LARGE = int(Reason.EXPIRED), int(Reason.QUANTITY_TOO_LARGE)
UNKNOWN_RIGHT, WRONG_UNIT, NOT_YOUR_RIGHT = int(Code.UNKNOWN_RIGHT), int(Code.WRONG_UNIT), int(Code.NOT_YOUR_RIGHT)
CLIENT_ORDER_ID_NOT_RISING, OUT_OF_RANGE = int(Code.CLIENT_ORDER_ID_NOT_RISING), int(Code.OUT_OF_RANGE)
MARKET_CLOSED, PRICE_OUTSIDE_BAND = int(Code.MARKET_CLOSED), int(Code.PRICE_OUTSIDE_BAND)
OVER_USE, BASIC_NEED, NOT_RESOLD = int(Code.OVER_USE), int(Code.BASIC_NEED), int(Code.NOT_RESOLD)
NOT_ENOUGH_WATER, NOTHING_SAVED = int(Code.NOT_ENOUGH_WATER), int(Code.NOTHING_SAVED)
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
