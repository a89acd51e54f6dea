"""The rematch in plain Python: recorded orders go through the reference book, which shares no code with the other.

It is slow and meant to be obviously right. What it takes from the facts is what stands before the book: who may
trade, what an order escrowed, what was withdrawn and when. What it shows is what a book does with that: each trade
with the order that had priority, at its price; each quantity that left; each outcome.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np

from ledger import facts, rows
from ledger.audit.recorded import Recorded, submissions_of
from ledger.audit.rematch import Rematch, watched
from ledger.codes import Code, Refused
from ledger.journal.records import Decoded
from ledger.replay import Progress
from ledger.tables import Array
from ledger.units import PPM
from matching.reference import ReferenceBook
from matching.reference_queues import Headroom, Order, prevents, zones_of
from matching.types import UNLIMITED, Action, OrderType, Reason, Side, Status, TimeInForce

CAPACITY: Final = 2**31
JUDGED: Final = (Reason.POST_ONLY_WOULD_TRADE, Reason.FOK_NOT_FILLABLE, Reason.UNKNOWN_ORDER)
"""Refusals that depend on what stands in the book; all others are given before it is asked."""

Figures = list[tuple[int, ...]]


class BudgetBook(ReferenceBook):
    """A reference book in which a market buy spends no more than it has."""

    budget = UNLIMITED  # ticks x lots of the order that comes next
    spent = False

    def _match(self, taker: Order) -> int:
        self.spent, filled = False, 0
        for maker in self._reached(taker, taker.price, self.headroom):
            most = taker.leaves
            if self.budget != UNLIMITED and not prevents(maker, taker):
                most = min(most, self.budget // maker.price)
                self.spent = most < min(taker.leaves, maker.leaves, int(self.headroom[zones_of(maker, taker)]))
                kept, taker.leaves = taker.leaves - most, most
                fill = self._meet(maker, taker, maker.price) if most else 0
                taker.leaves += kept
                self.budget -= fill * maker.price
            else:
                fill = self._meet(maker, taker, maker.price)
            filled += fill
            if taker.leaves == 0 or self.spent:
                break
        return filled

    def _can_fill(self, taker: Order) -> bool:
        if not super()._can_fill(taker):
            return False
        headroom, wanted, left = self.headroom.copy(), taker.leaves, self.budget
        for maker in self._reached(taker, taker.price, headroom):
            if wanted and not prevents(maker, taker):
                pair = zones_of(maker, taker)
                quantity = min(wanted, maker.leaves, int(headroom[pair]))
                headroom[pair] -= 0 if headroom[pair] == UNLIMITED else quantity
                wanted, left = wanted - quantity, left - quantity * maker.price
        return self.budget == UNLIMITED or left >= 0


class Market(NamedTuple):
    """What stands before the books: their terms, and whose each right is."""

    books: list[BudgetBook]
    terms: list[facts.InstrumentDefined]
    parties: list[int]  # of each right
    zones: list[int]  # of each right
    headroom: list[Headroom]  # the one that is in force, last


def rematch_in_python(groups: Iterable[Decoded], progress: Progress | None = None) -> Rematch:
    """Feed all recorded orders to reference books. `groups` holds all facts of a journal, dense and in order.

    Raises Refused: OUTCOME_DIFFERS naming the first order that comes out otherwise, with both outcomes.
    """
    market, last_seq, ledger_id = Market([], [], [], [], []), 0, ""
    submissions = orders = trades = removals = 0
    for recorded in submissions_of(watched(groups, progress)):
        for stamped in recorded.acts:
            last_seq = max(last_seq, stamped.seq)
            if isinstance(stamped.fact, facts.LedgerOpened):
                ledger_id = stamped.fact.ledger_id
            apply_act(market, stamped.fact)
        try:
            judge(market, recorded)
        except IndexError:
            raise differs(int(recorded.row["seq"]), 0, "an instrument and a right that are registered", "") from None
        columns = [recorded.rows_of(topic) for topic in rows.PAGE_DTYPES]
        last_seq = max([last_seq, *(int(column["seq"][-1]) for column in columns if len(column))])
        submissions += recorded.row is not None
        orders, trades, removals = orders + len(columns[0]), trades + len(columns[1]), removals + len(columns[2])
    return Rematch(ledger_id, last_seq, submissions, orders, trades, removals, "")


def apply_act(market: Market, fact: facts.Fact) -> None:
    """What a rare fact changes before the books."""
    if isinstance(fact, facts.HeadroomSet):
        market.headroom.append(np.array(fact.lots, np.int64).reshape(fact.zones, fact.zones))
        for book in market.books:
            book.headroom = market.headroom[-1]
    elif isinstance(fact, facts.InstrumentDefined):
        headroom = market.headroom[-1]
        market.books.append(BudgetBook(1, fact.max_price, CAPACITY, len(headroom), headroom))
        market.terms.append(fact)
    elif isinstance(fact, facts.RightRegistered):
        market.parties.append(fact.party)
        market.zones.append(fact.basin)
    elif isinstance(fact, facts.AgreementSettled):
        market.headroom[-1][market.zones[fact.seller_right], market.zones[fact.buyer_right]] -= fact.headroom_lots


def judge(market: Market, recorded: Recorded) -> None:
    """Everything that one submission did to the books, order by order."""
    orders, trades, removals = (recorded.rows_of(topic) for topic in (rows.ORDERS, rows.TRADES, rows.REMOVALS))
    by_order = np.isin(removals["cause"], orders["seq"])
    for removal in removals[~by_order]:
        withdraw(market, removal)
    if not len(orders):
        if len(trades):
            raise differs(int(trades["seq"][0]), int(trades["taker_order_id"][0]), "no trade", "a trade")
        return
    for book in market.books:
        due = book.expire(int(recorded.row["at_ns"])).removals
        if len(due):
            order_id = int(due["order_id"][0])
            raise differs(int(orders["seq"][0]), order_id, "it expired before", "it is still there")
    own = removals[by_order]
    firsts = orders["seq"]
    traded, removed = np.searchsorted(trades["seq"], firsts), np.searchsorted(own["seq"], firsts)
    if len(trades) and traded[0]:
        raise differs(int(trades["seq"][0]), int(trades["taker_order_id"][0]), "no trade before an order", "a trade")
    for at, order in enumerate(orders):
        until = slice(at + 1, at + 2)
        judge_order(
            market, order, trades[traded[at] : next(iter(traded[until]), None)],
            own[removed[at] : next(iter(removed[until]), None)],
        )  # fmt: skip


def withdraw(market: Market, removal: Any) -> None:
    """A quantity that left for a reason of the ledger's: expiry, use, lost eligibility. It must have been there."""
    book, order_id = market.books[removal["instrument"]], int(removal["order_id"])
    owner, quantity = market.parties[removal["right"]] + 1, int(removal["quantity"])
    report = book.submit(order_id=order_id, action=Action.REDUCE, owner=owner, quantity=quantity)
    outcome, taken = report.outcomes[0], report.removals["quantity"].tolist()
    if outcome["status"] == Status.REJECTED or taken != [quantity] or outcome["leaves"] != removal["leaves"]:
        found = f"{taken} lots taken off, {outcome['leaves']} left"
        raise differs(int(removal["seq"]), order_id, found, f"[{quantity}] and {removal['leaves']}")


def judge_order(market: Market, order: Any, trades: Array, removals: Array) -> None:
    """One order command: outcome, trades and removals of the reference book must be the recorded ones, in order."""
    seq, order_id, code = int(order["seq"]), int(order["order_id"]), int(order["code"])
    refused = order["status"] == Status.REJECTED
    said = recorded_figures(order, trades, removals)
    found: tuple[Any, Figures, Figures]
    if refused and (code not in JUDGED or without_budget(order)):
        found = (said[0], [], [])
    elif refused and code == Reason.UNKNOWN_ORDER:
        asked = [book.submit(order_id=order_id, action=Action.CANCEL, owner=0) for book in market.books]
        known = any(report.outcomes["code"][0] != Reason.UNKNOWN_ORDER for report in asked)
        found = (("a live order",), [], []) if known else (said[0], [], [])
    else:
        found = book_figures(market, order)
        if refused and found[0][:2] == said[0][:2]:
            found = (said[0], *found[1:])  # how much is left of an order that a refusal did not change
    for name, ours, theirs in zip(("outcome", "trades", "removals"), found, said, strict=True):
        if ours != theirs:
            raise differs(seq, order_id, f"{name} {FIGURES[name]} {ours}", str(theirs))


FIGURES: Final = {
    "outcome": "(status, code, filled, leaves)",
    "trades": "(maker order, taker order, price, lots)",
    "removals": "(order, lots, leaves, code)",
}


def without_budget(order: Any) -> bool:
    """Whether a refused market buy was to spend what its holder had, which its fact does not say."""
    return bool(order["order_type"] == OrderType.MARKET and order["side"] == Side.BUY and not order["max_amount_fen"])


def recorded_figures(order: Any, trades: Array, removals: Array) -> tuple[Any, Figures, Figures]:
    """Outcome, trades and removals as they are recorded."""
    outcome = tuple(int(order[name]) for name in ("status", "code", "filled", "leaves"))
    return (
        outcome,
        [tuple(map(int, row)) for row in trades[["maker_order_id", "taker_order_id", "price", "quantity"]].tolist()],
        [tuple(map(int, row)) for row in removals[["order_id", "quantity", "leaves", "code"]].tolist()],
    )


def book_figures(market: Market, order: Any) -> tuple[Any, Figures, Figures]:
    """Outcome, trades and removals of the reference book."""
    number, order_id = int(order["instrument"]), int(order["order_id"])
    book, terms = market.books[number], market.terms[number]
    if min(number, int(order["right"])) < 0:
        raise IndexError
    dated = int(order["expires_at_ns"])
    in_force = TimeInForce.GTD if dated and order["time_in_force"] == TimeInForce.DAY else int(order["time_in_force"])
    if order["order_type"] == OrderType.MARKET and order["side"] == Side.BUY and order["action"] == Action.NEW:
        fen = int(order["escrowed"]) or int(order["max_amount_fen"])
        book.budget = affordable(fen, int(terms.buyer_fee_ppm)) // terms.tick_fen
    new = order["action"] == Action.NEW
    report = book.submit(
        order_id=order_id, action=int(order["action"]), owner=market.parties[order["right"]] + 1,
        zone=market.zones[order["right"]], price=int(order["price"]), quantity=int(order["quantity"]),
        side=int(order["side"]), order_type=int(order["order_type"]), time_in_force=in_force if new else 0,
        expires_at_ns=dated if new else 0, post_only=int(order["post_only"]), self_trade=int(order["self_trade"]),
    )  # fmt: skip
    renamed = {int(Reason.IMMEDIATE_REMAINDER): int(Reason.BUDGET_SPENT)} if book.spent else {}
    book.budget, book.spent = UNLIMITED, False
    outcome, *_ = report.outcomes
    code = int(outcome["code"])
    trades = report.trades[["maker_order_id", "taker_order_id", "price", "quantity"]].tolist()
    own = int(outcome["leaves"]) + sum(int(row["quantity"]) for row in report.removals if row["order_id"] == order_id)
    removals = []
    for row in report.removals:
        leaves = int(row["leaves"])
        if row["order_id"] == order_id:  # recorded behind all trades, however matching interleaved them
            own -= int(row["quantity"])
            leaves = own
        removals.append(
            (int(row["order_id"]), int(row["quantity"]), leaves, renamed.get(int(row["code"]), row["code"]))
        )
    figures = int(outcome["status"]), renamed.get(code, code), int(outcome["filled"]), int(outcome["leaves"])
    return figures, [tuple(map(int, row)) for row in trades], [tuple(map(int, row)) for row in removals]


def affordable(fen: int, ppm: int) -> int:
    """The largest notional in fen that is paid for with its fee."""
    notional = fen * PPM // (PPM + ppm)
    while notional + 1 + (notional + 1) * ppm // PPM <= fen:
        notional += 1
    return notional


def differs(seq: int, order_id: int, ours: str, theirs: str) -> Refused:
    """The refusal of a recorded outcome."""
    return Refused(
        Code.OUTCOME_DIFFERS, "seq", seq, f"order {order_id}: the reference book says {ours}, recorded {theirs}"
    )
