"""Whether the figures of a frequent fact follow from what stood before it: compiled, one fact at a time.

Each check comes before its fact is applied and looks at every number that applying would use, so that a fact which
somebody made up is named and never posted. A check returns NONE or one of FAULTS.
"""

from typing import Any, Final

import numpy as np

from ledger.accounts import FREE, OVER_USE, buy_escrow, holding_row
from ledger.compiled import kernel
from ledger.eligibility import MAX_LOTS
from ledger.metering import WRAPPED
from ledger.offers import NO_LIMIT, freed_escrow, money_row
from ledger.settle import REDUCED_BY_OWNER, next_fee, release_after_fill
from ledger.units import MAX_AMOUNT
from matching import index
from matching.book import NONE
from matching.commands import CANCEL, NEW, REDUCE, REJECTED, REPLACE
from matching.queue import BUY, SELL, book_of, side_of
from matching.refusals import MARKET
from matching.types import UNLIMITED

FAULTS: Final = {
    1: "names an instrument, right, holding, actor, meter or zone that there is",
    2: "names live orders of its instrument, on their sides",
    3: "no more lots than the order has, at a price that it allows",
    4: "escrow is what the order must hold",
    5: "volume is lots x lot, amount is price x tick x lots",
    6: "fees are what the fees on all fills so far grow by",
    7: "what is given back is what the order need not hold any more",
    8: "covers the over-use that there was",
    9: "stays within the headroom between the zones",
    10: "the register moves forward, and by as much as is booked",
    11: "follows its reading, whose uses sum to it",
    12: "over-use is what was not free",
    13: "its number is that of the order, above all before",
    14: "postings sum to zero",
    15: "free and escrowed balances are not below zero",
    16: "what is held and used stays within each cap",
}
"""What must be so, by the number of the check."""

UNKNOWN, NOT_LIVE, BEYOND, ESCROW, AMOUNT, FEE, RELEASE, COVERED, HEADROOM = range(1, 10)
REGISTER, USES, OVER, NUMBER, SUM, NEGATIVE, ABOVE_CAP = range(10, 17)

ORDER_SEQ, REDUCED_ID, REDUCED_BY, READING_SEQ, USE_LEFT = range(5)
"""What is remembered from one fact to the next, int64[5].

The last order and, of a replace, the lots that a removal is still to take off; the last reading and its litres that
are still to be booked.
"""


@kernel
def check_order(books: Any, accounts: Any, market: Any, fact: Any, memory: Any) -> int:
    """Whether the outcome of an order command can be applied."""
    memory[ORDER_SEQ], memory[REDUCED_ID], memory[REDUCED_BY] = fact["seq"], 0, 0
    if memory[USE_LEFT] != 0:
        return USES
    if fact["actor"] < 0 or fact["actor"] >= len(market.actor):
        return UNKNOWN
    if fact["status"] == REJECTED:
        return NONE
    if fact["action"] in (NEW, REPLACE) and (fact["quantity"] < 0 or fact["quantity"] > MAX_LOTS):
        return BEYOND
    if fact["action"] == NEW:
        return check_new(books, accounts, market, fact)
    if fact["action"] not in (CANCEL, REDUCE, REPLACE):
        return UNKNOWN
    slot = index.find(books, fact["order_id"])
    if slot == 0 or book_of(books, slot) != fact["instrument"] or side_of(books, slot) != fact["side"]:
        return NOT_LIVE
    return check_replace(books, market, fact, slot, memory) if fact["action"] == REPLACE else NONE


@kernel
def in_book(books: Any, book: int, price: int) -> bool:
    """Whether a book has this price."""
    shape = books.book[book]
    return shape["min_price"] <= price < shape["min_price"] + shape["prices"]


@kernel
def check_new(books: Any, accounts: Any, market: Any, fact: Any) -> int:
    """Whether a new order can have been accepted."""
    book, side = np.int64(fact["instrument"]), np.int64(fact["side"])
    row = holding_row(accounts, np.int64(fact["right"]), np.int64(fact["year"]))
    if book < 0 or book >= len(books.book) or row < 0 or side not in (BUY, SELL):
        return UNKNOWN
    terms = market.instrument[book]
    if accounts.account[row]["unit"] != terms["unit"] or accounts.account[row]["zone"] != fact["zone"]:
        return UNKNOWN
    if fact["order_id"] != fact["seq"] or fact["order_id"] <= books.book[book]["last_order_id"]:
        return NUMBER
    if fact["quantity"] == 0 or (fact["order_type"] != MARKET and not in_book(books, book, fact["price"])):
        return BEYOND
    ppm = np.int64(terms["buyer_fee_ppm"] if side == BUY else terms["seller_fee_ppm"])
    if fact["fee_ppm"] != ppm:
        return FEE
    if side == SELL:
        amount = fact["quantity"] * terms["lot_l"]
    elif fact["order_type"] == MARKET:
        amount = fact["max_amount_fen"]
        amount = accounts.balance[money_row(accounts, row), FREE] if amount == 0 else amount
    else:
        amount = buy_escrow(fact["price"] * terms["tick_fen"], fact["quantity"], np.int64(0), ppm)
    return NONE if fact["escrowed"] == amount else ESCROW


@kernel
def check_replace(books: Any, market: Any, fact: Any, slot: int, memory: Any) -> int:
    """Whether a live order can have been replaced, and how many lots a removal is then to take off."""
    instrument, terms = market.instrument[fact["instrument"]], market.terms[slot]
    if fact["price"] != 0 and not in_book(books, np.int64(fact["instrument"]), fact["price"]):
        return BEYOND
    old = books.orders[slot]["quantity"]
    quantity = old if fact["quantity"] == 0 else fact["quantity"]
    limit_fen = terms["limit_fen"] if fact["price"] == 0 else fact["price"] * instrument["tick_fen"]
    if fact["side"] == SELL:
        amount = (quantity - old) * instrument["lot_l"]
    else:
        amount = buy_escrow(limit_fen, quantity, terms["notional_fen"], np.int64(terms["fee_ppm"])) - terms["escrow"]
    if fact["escrowed"] != amount:
        return ESCROW
    memory[REDUCED_ID], memory[REDUCED_BY] = fact["order_id"], max(np.int64(0), old - quantity)
    return NONE


@kernel
def check_trade(books: Any, accounts: Any, market: Any, fact: Any, memory: Any) -> int:
    """Whether a fill and its settlement follow from both orders."""
    maker, taker = index.find(books, fact["maker_order_id"]), index.find(books, fact["taker_order_id"])
    if maker * taker == 0 or maker == taker or fact["taker_side"] not in (BUY, SELL):
        return NOT_LIVE
    book, taker_side = np.int64(fact["instrument"]), np.int64(fact["taker_side"])
    if book_of(books, maker) != book or book_of(books, taker) != book:
        return NOT_LIVE
    if side_of(books, taker) != taker_side or side_of(books, maker) == taker_side:
        return NOT_LIVE
    buyer, seller = (taker, maker) if taker_side == BUY else (maker, taker)
    buy, sell, terms = market.terms[buyer], market.terms[seller], market.instrument[book]
    buy_row, sell_row = accounts.account[buy["account"]], accounts.account[sell["account"]]
    if buy_row["reference"] != fact["buyer_right"] or sell_row["reference"] != fact["seller_right"]:
        return UNKNOWN
    if buy_row["year"] != fact["year"] or sell_row["year"] != fact["year"]:
        return UNKNOWN
    if buy_row["zone"] != fact["buyer_zone"] or sell_row["zone"] != fact["seller_zone"]:
        return UNKNOWN
    quantity = fact["quantity"]
    due = memory[REDUCED_BY] if memory[REDUCED_ID] == fact["taker_order_id"] else np.int64(0)
    buyer_leaves = books.orders[buyer]["quantity"] - quantity - (due if buyer == taker else 0)
    seller_leaves = books.orders[seller]["quantity"] - quantity - (due if seller == taker else 0)
    if quantity <= 0 or buyer_leaves < 0 or seller_leaves < 0 or not in_book(books, book, fact["price"]):
        return BEYOND
    lot_fen = fact["price"] * terms["tick_fen"]
    if (buy["limit_fen"] != NO_LIMIT and lot_fen > buy["limit_fen"]) or lot_fen < sell["limit_fen"]:
        return BEYOND
    headroom = books.headroom[fact["seller_zone"], fact["buyer_zone"]]
    if headroom != UNLIMITED and quantity > headroom:
        return HEADROOM
    return check_settlement(accounts, buy, sell, terms, fact, buyer_leaves)


@kernel
def check_settlement(accounts: Any, buy: Any, sell: Any, terms: Any, fact: Any, buyer_leaves: int) -> int:
    """Whether water, money, fees and what is given back are those of this fill."""
    amount_fen = fact["price"] * terms["tick_fen"] * fact["quantity"]
    if fact["amount_fen"] != amount_fen or fact["volume_l"] != fact["quantity"] * terms["lot_l"]:
        return AMOUNT
    buyer_fee, seller_fee = next_fee(buy, amount_fen), min(next_fee(sell, amount_fen), amount_fen)
    if fact["buyer_fee_fen"] != buyer_fee or fact["seller_fee_fen"] != seller_fee:
        return FEE
    if fact["released_fen"] != release_after_fill(buy, buyer_leaves, amount_fen, buyer_fee):
        return RELEASE
    lacking = -accounts.balance[buy["account"], OVER_USE]
    return NONE if fact["covered_l"] == min(fact["volume_l"], lacking) else COVERED


@kernel
def check_removal(books: Any, accounts: Any, market: Any, fact: Any, memory: Any) -> int:
    """Whether a quantity that left was there, and gave back what it held."""
    slot = index.find(books, fact["order_id"])
    if slot == 0 or book_of(books, slot) != fact["instrument"] or side_of(books, slot) != fact["side"]:
        return NOT_LIVE
    terms = market.terms[slot]
    holding = accounts.account[terms["account"]]
    if holding["reference"] != fact["right"] or holding["year"] != fact["year"]:
        return UNKNOWN
    leaves = books.orders[slot]["quantity"] - fact["quantity"]
    if fact["quantity"] <= 0 or leaves < 0 or fact["leaves"] != leaves:
        return BEYOND
    moved = memory[REDUCED_ID] == fact["order_id"] and memory[ORDER_SEQ] == fact["cause"]
    if moved and fact["code"] == REDUCED_BY_OWNER:  # its escrow moved when the order was replaced
        due, memory[REDUCED_BY] = memory[REDUCED_BY], 0
        return NONE if fact["released"] == 0 and fact["quantity"] == due else RELEASE
    lot_l = market.instrument[fact["instrument"]]["lot_l"]
    freed = freed_escrow(terms, np.int64(fact["side"]), fact["quantity"], leaves, lot_l)
    return NONE if fact["released"] == freed else RELEASE


@kernel
def check_reading(metering: Any, market: Any, fact: Any, memory: Any) -> int:
    """Whether a register moved as a reading says."""
    if memory[USE_LEFT] != 0:
        return USES
    if fact["actor"] < 0 or fact["actor"] >= len(market.actor):
        return UNKNOWN
    if fact["code"] not in (NONE, WRAPPED):
        return NONE if fact["volume_l"] == 0 else REGISTER
    if fact["meter"] < 0 or fact["meter"] >= len(metering.meter):
        return UNKNOWN
    meter, value_l = metering.meter[fact["meter"]], fact["value_l"]
    if not 0 <= value_l < meter["modulus_l"] or not meter["last_at_ns"] < fact["measured_at_ns"]:
        return REGISTER
    if fact["measured_at_ns"] > metering.year_starts[-1]:
        return REGISTER
    step = value_l - meter["last_l"]
    if (step < 0) != (fact["code"] == WRAPPED):
        return REGISTER
    step = step + meter["modulus_l"] if step < 0 else step
    if fact["volume_l"] != meter["sign"] * step:
        return REGISTER
    memory[READING_SEQ], memory[USE_LEFT] = fact["seq"], fact["volume_l"]
    return NONE


@kernel
def check_use(accounts: Any, fact: Any, memory: Any) -> int:
    """Whether booked use belongs to the reading before it, and is split into free water and over-use as it must."""
    row, volume_l = holding_row(accounts, np.int64(fact["right"]), np.int64(fact["year"])), fact["volume_l"]
    if row < 0:
        return UNKNOWN
    left = memory[USE_LEFT]
    if fact["cause"] != memory[READING_SEQ] or volume_l == 0 or abs(volume_l) > MAX_AMOUNT:
        return USES
    if (volume_l > 0) != (left > 0) or abs(volume_l) > abs(left):
        return USES
    memory[USE_LEFT] = left - volume_l
    if volume_l > 0:
        over_l = max(np.int64(0), volume_l - accounts.balance[row, FREE])
    else:
        over_l = -min(-volume_l, -accounts.balance[row, OVER_USE])
    return NONE if fact["over_l"] == over_l else OVER
