"""Settlement of fills: water against money, in the instant of the trade, with the facts that say so.

Both sides were escrowed at entry, so a trade between eligible orders cannot fail here.
"""

from typing import Any

import numpy as np

from ledger.accounts import ESCROWED, buy_escrow, fee, settle_money, settle_water
from ledger.compiled import kernel
from ledger.offers import IMMEDIATE, NO_LIMIT, freed_escrow, release, unlink_offer, write_removal_fact
from ledger.tables import AT_NS, N_TRADES, NEXT_SEQ
from matching.queue import BUY
from matching.types import Reason

REDUCED_BY_OWNER = int(Reason.REDUCED_BY_OWNER)


@kernel
def post_trade(
    accounts: Any, market: Any, buyer: int, seller: int, volume_l: int, amount_fen: int, buyer_fee: int,
    seller_fee: int, released: int,
) -> int:  # fmt: skip
    """Post a fill between two orders, given by slot. Returns the litres that covered the buyer's over-use."""
    buy, sell = market.terms[buyer], market.terms[seller]
    buy["escrow"] -= amount_fen + buyer_fee + released
    buy["notional_fen"] += amount_fen
    sell["notional_fen"] += amount_fen
    settle_money(
        accounts, np.int64(sell["account"]), np.int64(buy["account"]), ESCROWED, amount_fen, buyer_fee, seller_fee,
        released,
    )  # fmt: skip
    return settle_water(accounts, np.int64(sell["account"]), np.int64(buy["account"]), volume_l, ESCROWED)


@kernel
def release_after_fill(terms: Any, leaves: int, amount_fen: int, buyer_fee: int) -> int:
    """Escrow that a buy no longer needs once this fill is paid: price improvement and fee difference (K22)."""
    left = terms["escrow"] - amount_fen - buyer_fee
    if leaves == 0:
        return left
    if terms["limit_fen"] == NO_LIMIT:
        return np.int64(0)
    return left - buy_escrow(terms["limit_fen"], leaves, terms["notional_fen"] + amount_fen, terms["fee_ppm"])


@kernel
def write_trade_fact(
    accounts: Any, market: Any, journal: Any, buyer: int, seller: int, instrument: int, trade: Any, side: int
) -> Any:
    """Write what does not depend on money into the next trade fact and return it."""
    buy_row = accounts.account[market.terms[buyer]["account"]]
    sell_row = accounts.account[market.terms[seller]["account"]]
    fact = journal.trades[journal.counts[N_TRADES]]
    fact["seq"] = journal.clock[NEXT_SEQ]
    fact["at_ns"] = journal.clock[AT_NS]
    fact["maker_order_id"] = trade["maker_order_id"]
    fact["taker_order_id"] = trade["taker_order_id"]
    fact["price"] = trade["price"]
    fact["quantity"] = trade["quantity"]
    fact["instrument"] = instrument
    fact["buyer_right"] = buy_row["reference"]
    fact["seller_right"] = sell_row["reference"]
    fact["year"] = sell_row["year"]
    fact["taker_side"] = side
    fact["buyer_zone"] = buy_row["zone"]
    fact["seller_zone"] = sell_row["zone"]
    journal.counts[N_TRADES] += 1
    journal.clock[NEXT_SEQ] += 1
    return fact


@kernel
def settle_trades(
    books: Any,
    tape: Any,
    accounts: Any,
    market: Any,
    journal: Any,
    instrument: int,
    taker: int,
    side: int,
    quantity: int,
) -> None:
    """Settle the fills that an order of `quantity` lots (terms in slot `taker`) just made, and write their facts."""
    terms = market.instrument[instrument]
    leaves = quantity
    for at in range(tape.counts[0]):
        trade = tape.trades[at]
        maker = np.int64(tape.maker_slots[at])
        leaves -= trade["quantity"]
        maker_leaves = books.orders[maker]["quantity"]  # zero once its slot is free; no maker fills twice
        buyer, seller = (taker, maker) if side == BUY else (maker, taker)
        buyer_leaves, seller_leaves = (leaves, maker_leaves) if side == BUY else (maker_leaves, leaves)
        amount_fen = trade["price"] * terms["tick_fen"] * trade["quantity"]
        volume_l = trade["quantity"] * terms["lot_l"]
        buyer_fee = next_fee(market.terms[buyer], amount_fen)
        seller_fee = min(next_fee(market.terms[seller], amount_fen), amount_fen)
        released = release_after_fill(market.terms[buyer], buyer_leaves, amount_fen, buyer_fee)
        fact = write_trade_fact(accounts, market, journal, buyer, seller, instrument, trade, side)
        fact["volume_l"] = volume_l
        fact["amount_fen"] = amount_fen
        fact["buyer_fee_fen"] = buyer_fee
        fact["seller_fee_fen"] = seller_fee
        fact["released_fen"] = released
        fact["covered_l"] = post_trade(
            accounts, market, buyer, seller, volume_l, amount_fen, buyer_fee, seller_fee, released
        )
        if seller_leaves == 0 and seller != IMMEDIATE:
            unlink_offer(accounts, market, seller)


@kernel
def next_fee(terms: Any, amount_fen: int) -> int:
    """Fee of the next fill: what the cumulative fee grows by (K22)."""
    return fee(terms["notional_fen"] + amount_fen, terms["fee_ppm"]) - fee(terms["notional_fen"], terms["fee_ppm"])


@kernel
def settle_removals(
    tape: Any, accounts: Any, market: Any, journal: Any, instrument: int, taker_id: int, taker: int, side: int,
    own_leaves: int, cause: int, replaced: bool,
) -> None:  # fmt: skip
    """Give back the escrow of what left the book without a trade, and write the facts.

    Facts of removals follow those of trades, so the order's own leaves are counted down from `own_leaves`, what its
    trades left, however matching interleaved the two; its terms stand in slot `taker`. When an order is replaced its
    escrow has moved already, so its own reduction releases nothing (K23).
    """
    for at in range(tape.counts[1]):
        removal = tape.removals[at]
        slot = np.int64(tape.removal_slots[at])
        own_side, quantity, leaves = 1 - side, removal["quantity"], removal["leaves"]
        if removal["order_id"] == taker_id:
            slot = np.int64(taker)
            own_leaves -= quantity
            own_side, leaves = side, own_leaves
        row = np.int64(market.terms[slot]["account"])
        released = np.int64(0)
        if not (replaced and removal["code"] == REDUCED_BY_OWNER):
            lot_l = market.instrument[instrument]["lot_l"]
            released = freed_escrow(market.terms[slot], own_side, quantity, leaves, lot_l)
            release(accounts, market, slot, own_side, released, leaves)
        write_removal_fact(
            accounts, journal, row, instrument, removal["order_id"], cause, quantity, leaves, released,
            removal["code"], own_side,
        )  # fmt: skip
