"""Replay: apply recorded facts to the state. Nothing is decided or matched here; the recorded figures are posted.

An order enters its queue with its whole quantity, and its trades and removals take it down again, so the book that
results is the one that matching left.
"""

from typing import Any

import numpy as np

from ledger.accounts import holding_row, use_water
from ledger.compiled import kernel
from ledger.decide import set_terms
from ledger.metering import WRAPPED, holdings_exist, is_remembered, move_register, remember
from ledger.offers import escrow, link_offer, release, unlink_offer
from ledger.settle import post_trade
from ledger.tables import N_ORDERS, N_READINGS, N_REMOVALS, N_TRADES, N_USES, NEVER, NEXT_EXPIRY
from matching import index
from matching.book import NONE, use_headroom
from matching.commands import NEW, REJECTED, REPLACE
from matching.ladder import rank_of
from matching.queue import (
    BUY,
    SELL,
    book_of,
    conditions_of,
    enqueue,
    lane_of,
    shrink,
    side_of,
    take_slot,
    unlink,
    with_self_trade,
)
from matching.refusals import GTC, GTD, IOC, limit_rank, own_rank


@kernel
def apply_order(books: Any, accounts: Any, market: Any, journal: Any, fact: Any) -> None:
    """Apply the outcome of an order command. A cancel or reduce is done by its removal."""
    if fact["status"] == REJECTED:
        return
    if fact["action"] == NEW:
        apply_new(books, accounts, market, journal, fact)
    elif fact["action"] == REPLACE:
        apply_replace(books, accounts, market, fact)


@kernel
def apply_new(books: Any, accounts: Any, market: Any, journal: Any, fact: Any) -> None:
    """Enter an accepted order at the back of its queue, with all that it escrowed."""
    row = holding_row(accounts, np.int64(fact["right"]), np.int64(fact["year"]))
    book, side = np.int64(fact["instrument"]), np.int64(fact["side"])
    slot = take_slot(books, fact["order_id"])
    order = books.orders[slot]
    order["owner"] = accounts.account[row]["owner"] + 1
    order["quantity"] = fact["quantity"]
    order["conditions"] = conditions_of(
        np.int64(GTD if fact["expires_at_ns"] > 0 else GTC), np.int64(fact["post_only"]), np.int64(fact["self_trade"])
    )
    books.standing[slot]["expires_at_ns"] = fact["expires_at_ns"]
    books.book[book]["last_order_id"] = fact["order_id"]
    rank = own_rank(books, book, limit_rank(books, book, side, fact["order_type"], fact["price"]))
    enqueue(books, slot, lane_of(books, book, side, np.int64(fact["zone"])), rank)
    set_terms(market, slot, fact, row, fact["escrowed"], np.int64(fact["actor"]))
    market.terms[slot]["fee_ppm"] = fact["fee_ppm"]
    escrow(accounts, row, side, fact["escrowed"])
    if side == SELL:
        link_offer(accounts, market, slot)
    if fact["client_order_id"] > 0:
        market.actor[fact["actor"]]["last_client_order_id"] = fact["client_order_id"]
    if fact["time_in_force"] < IOC and fact["expires_at_ns"] > 0:
        journal.clock[NEXT_EXPIRY] = min(journal.clock[NEXT_EXPIRY], fact["expires_at_ns"])


@kernel
def apply_replace(books: Any, accounts: Any, market: Any, fact: Any) -> None:
    """Change a live order; a smaller quantity comes with its removal."""
    slot = index.find(books, fact["order_id"])
    order, terms = books.orders[slot], market.terms[slot]
    book, side = book_of(books, slot), side_of(books, slot)
    escrow(accounts, np.int64(terms["account"]), side, fact["escrowed"])
    if side == BUY:
        terms["escrow"] += fact["escrowed"]
    rank, quantity = np.int64(order["rank"]), order["quantity"]
    if fact["price"] != 0:
        rank = rank_of(books, order["lane"], fact["price"])
        terms["limit_fen"] = fact["price"] * market.instrument[book]["tick_fen"]
    if rank == order["rank"] and fact["quantity"] <= quantity:
        return
    unlink(books, slot)
    order["conditions"] = with_self_trade(np.int64(order["conditions"]), np.int64(fact["self_trade"]))
    order["quantity"] = max(quantity, fact["quantity"])
    enqueue(books, slot, order["lane"], rank)


@kernel
def apply_trade(books: Any, accounts: Any, market: Any, fact: Any) -> None:
    """Settle a recorded fill and take it off both orders."""
    maker, taker = index.find(books, fact["maker_order_id"]), index.find(books, fact["taker_order_id"])
    buyer, seller = (taker, maker) if fact["taker_side"] == BUY else (maker, taker)
    post_trade(
        accounts, market, buyer, seller, fact["volume_l"], fact["amount_fen"], fact["buyer_fee_fen"],
        fact["seller_fee_fen"], fact["released_fen"],
    )  # fmt: skip
    use_headroom(books, BUY, np.int64(fact["buyer_zone"]), np.int64(fact["seller_zone"]), fact["quantity"])
    shrink(books, buyer, fact["quantity"])
    if shrink(books, seller, fact["quantity"]) == 0:
        unlink_offer(accounts, market, seller)


@kernel
def apply_removal(books: Any, accounts: Any, market: Any, fact: Any) -> None:
    """Take a recorded quantity off an order and give its escrow back."""
    slot = index.find(books, fact["order_id"])
    release(accounts, market, slot, np.int64(fact["side"]), fact["released"], fact["leaves"])
    shrink(books, slot, fact["quantity"])


@kernel
def apply_reading(metering: Any, fact: Any) -> None:
    """Move a register, and remember the identity of what was not refused outright."""
    code = fact["code"]
    if is_remembered(code):
        remember(metering, np.int64(fact["meter"]), fact["measured_at_ns"], np.int64(fact["sequence"]))
    if code in (NONE, WRAPPED):
        move_register(metering.meter[fact["meter"]], fact["value_l"], fact["measured_at_ns"])


@kernel
def apply_use(accounts: Any, fact: Any) -> None:
    """Book recorded use."""
    row = holding_row(accounts, np.int64(fact["right"]), np.int64(fact["year"]))
    use_water(accounts, row, fact["volume_l"], fact["over_l"])


@kernel
def next_seq(rows: Any, at: int, count: int) -> int:
    """Sequence number of the next row, or NEVER past the last."""
    return rows[at]["seq"] if at < count else np.int64(NEVER)


@kernel
def awaits_holdings(accounts: Any, metering: Any, fact: Any) -> bool:
    """Whether the water of a reading falls on a holding that does not exist yet."""
    if fact["volume_l"] == 0:
        return False
    return not holdings_exist(accounts, metering, metering.meter[fact["meter"]], fact["measured_at_ns"])


@kernel
def apply_facts(books: Any, accounts: Any, market: Any, metering: Any, journal: Any, done: Any) -> bool:
    """Apply the facts in `journal` in the order of their `seq`, whichever columns they stand in.

    `done` (int64[5]) counts what is applied of each column. Returns False where the next fact is a reading that awaits
    holdings, as the deciding kernel does: the caller makes them and goes on.
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
            return True
        if first == order:
            apply_order(books, accounts, market, journal, journal.orders[done[N_ORDERS]])
            done[N_ORDERS] += 1
        elif first == trade:
            apply_trade(books, accounts, market, journal.trades[done[N_TRADES]])
            done[N_TRADES] += 1
        elif first == removal:
            apply_removal(books, accounts, market, journal.removals[done[N_REMOVALS]])
            done[N_REMOVALS] += 1
        elif first == reading:
            if awaits_holdings(accounts, metering, journal.readings[done[N_READINGS]]):
                return False
            apply_reading(metering, journal.readings[done[N_READINGS]])
            done[N_READINGS] += 1
        else:
            apply_use(accounts, journal.uses[done[N_USES]])
            done[N_USES] += 1
