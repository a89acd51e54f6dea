"""A ledger of the test district with a few holders, ready to trade: what most ledger tests start from."""

import copy
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import shuiquan
from ledger.answers import Answer
from ledger.audit import check_state
from ledger.commands import Command
from ledger.decider import Decider
from ledger.digests import content_digest
from ledger.fold import cap_covers
from ledger.journal.pages import MAX_PAGE_FACTS
from ledger.journal.records import GENESIS, chain, parse, segments
from ledger.policy import Policy
from ledger.replay import replay
from ledger.segments import drafts
from ledger.state import State
from ledger.statehash import logical_state
from ledger.submissions import Submission, check_submission
from matching.queue import book_of
from matching.walk import sides
from shuiquan import Action, OrderType, Role, Side, TimeInForce
from tests.districts import DAY_NS, START_NS, Clock, district

BUREAU = {"actor": "clerk", "role": Role.BUREAU, "approver": "head"}
OPERATOR = {"actor": "platform", "role": Role.OPERATOR}
GATEWAY = {"actor": "gateway", "role": Role.GATEWAY}
DOCUMENT = "测试文号〔2024〕2号"
YEAR_END_NS = START_NS + 400 * DAY_NS


class World:
    """An exchange on the test district, with a clock that the test moves and command ids that count up."""

    def __init__(self, path: Path | str, policy: Policy | None = None, **options: Any) -> None:
        self.path = path
        self.clock = Clock()
        self.exchange = shuiquan.open(path, policy=policy or district(), clock=self.clock, ledger_id="test", **options)
        self.count = 0

    def reopen(self, **options: Any) -> None:
        """Close and open again from disk."""
        self.exchange.close()
        self.exchange = shuiquan.open(self.path, clock=self.clock, **options)

    def submit(self, content: Any, who: dict[str, Any], **options: Any) -> Answer:
        """Submit under a fresh command id."""
        self.count += 1
        return self.exchange.submit(content, command_id=f"c{self.count}", **who, **options)

    def bureau(self, *commands: Command) -> Answer:
        """Commands of the bureau, approved; every one must be accepted."""
        answer = self.submit(list(commands), BUREAU)
        assert not answer.refused, answer.refused
        return answer

    def operator(self, *commands: Command) -> Answer:
        """Commands of the platform; every one must be accepted."""
        answer = self.submit(list(commands), OPERATOR)
        assert not answer.refused, answer.refused
        return answer

    def orders(self, *orders: tuple[Any, ...]) -> Answer:
        """A batch of orders as made by `order`."""
        return self.submit(np.concatenate(orders), OPERATOR)

    def order(self, side: Side, right: str, price: int, quantity: int, instrument: str = "SW-A", **fields: int) -> Any:
        """One new order as an array of length 1."""
        row = np.zeros(1, shuiquan.ORDER)
        row["action"], row["side"], row["price"], row["quantity"] = Action.NEW, side, price, quantity
        row["right"], row["instrument"] = self.exchange.right(right), self.exchange.instrument(instrument)
        row["self_trade"] = shuiquan.SelfTrade.CANCEL_TAKER
        for name, value in fields.items():
            row[name] = value
        return row

    def rest(self, side: Side, right: str, price: int, quantity: int, instrument: str = "SW-A", **fields: int) -> int:
        """Submit one order, which must be accepted; returns its id."""
        (fact,) = self.orders(self.order(side, right, price, quantity, instrument, **fields)).orders
        assert fact["status"] != shuiquan.Status.REJECTED, fact
        return int(fact["order_id"])

    def change(self, action: Action, order_id: int, price: int = 0, quantity: int = 0, self_trade: int = 0) -> Any:
        """A cancel, replace or reduce as an array of length 1."""
        row = np.zeros(1, shuiquan.ORDER)
        row["action"], row["order_id"], row["price"], row["quantity"] = action, order_id, price, quantity
        row["self_trade"] = self_trade
        return row

    def reading(self, meter: str, value_m3: int | None, at_ns: int | None = None, sequence: int = 0) -> Any:
        """One reading as an array of length 1."""
        row = np.zeros(1, shuiquan.READING)
        row["meter"], row["sequence"] = self.exchange.meter(meter), sequence
        row["measured_at_ns"] = row["received_at_ns"] = self.clock.at_ns if at_ns is None else at_ns
        row["value_l"] = -(2**63) if value_m3 is None else value_m3 * 1000
        row["flow_l_per_h"] = -(2**63)
        return row

    def read(self, *readings: Any) -> Answer:
        """Submit readings as the gateway."""
        return self.submit(np.concatenate(readings), GATEWAY)

    def balance(self, right: str, year: int = 2024) -> tuple[int, int, int, int]:
        """Free, escrowed, abstracted and over-use of a holding, in litres."""
        row = self.exchange.state.holding(self.exchange.right(right), year)
        assert row is not None
        return tuple(int(amount) for amount in self.exchange.state.accounts.balance[row])  # type: ignore[return-value]

    def money(self, party: str) -> tuple[int, int]:
        """Free and escrowed money of a holder, in fen."""
        accounts = self.exchange.state.accounts
        number = self.exchange.state.numbers["party", party]
        row = accounts.balance[accounts.party["money"][number]]
        return int(row[0]), int(row[1])

    def add_right(
        self, name: str, kind: str = "licence", basin: str = "east", industry: str = "industry", *,
        volume_m3: int = 50_000, saved_m3: int = 0, money_yuan: int = 0, party: str = "", metered: bool = True,
        source: str = "surface", year: int = 2024,
    ) -> None:  # fmt: skip
        """A holder `P-name` with a right `name`, issued, metered by `M-name`, with money and verified savings."""
        party = party or f"P-{name}"
        if ("party", party) not in self.exchange.state.numbers:
            self.bureau(shuiquan.RegisterParty(code=party, kind="company", name=party))
        where = {"source": source, "basin": basin, "township": "town", "industry": industry}
        self.bureau(
            shuiquan.AllocateCell(**where, year=year, volume_l=volume_m3 * 1000, document=DOCUMENT),
            shuiquan.RegisterRight(
                code=name, party=party, kind=kind, **where, licensed_l=volume_m3 * 1000, verified_l=volume_m3 * 1000,
                valid_from_ns=START_NS - 100 * DAY_NS, valid_to_ns=YEAR_END_NS, document=DOCUMENT,
            ),
            shuiquan.IssueRight(right=name, year=year, volume_l=volume_m3 * 1000, document=DOCUMENT),
        )  # fmt: skip
        if metered:
            self.add_meter(f"M-{name}", ((name, 1_000_000),))
        if saved_m3:
            saved = {"right": name, "year": year, "volume_l": saved_m3 * 1000}
            self.bureau(shuiquan.VerifySaving(**saved, measure="工艺改造", document=DOCUMENT))
        if money_yuan:
            self.count += 1
            reference = f"bank-{self.count}"
            self.operator(shuiquan.DepositMoney(party=party, amount_fen=money_yuan * 100, reference=reference))

    def add_meter(self, code: str, shares: tuple[tuple[str, int], ...], **fields: Any) -> None:
        """An intake `Q-code` and its meter, installed the day before."""
        self.bureau(
            shuiquan.RegisterIntake(
                code=f"Q-{code}", name=code, kind="intake", source="surface", township="town", licensed_l=10**8
            ),
            shuiquan.InstallMeter(
                **{
                    "code": code, "intake": f"Q-{code}", "modulus_l": 10**12, "max_l_per_hour": 10**7, "first_l": 0,
                    "installed_at_ns": START_NS - DAY_NS, "verified_until_ns": YEAR_END_NS, "shares": shares,
                } | fields
            ),
        )  # fmt: skip

    def open_market(self, *instruments: str) -> None:
        """Open instruments for continuous trading."""
        self.operator(*(shuiquan.OpenMarket(instrument=name) for name in instruments or ("SW-A",)))

    def parts(self) -> dict[str, bytes]:
        """What a refusal must leave as it is: accounts, caps, orders and all else but clock, actors and identities."""
        state = logical_state(self.exchange.state)
        return {name: state[name] for name in state if name not in {"clock", "register", "actors", "identities"}}

    def check(self) -> None:
        """Every rule that must hold after every fact, and that replay reproduces this very state."""
        exchange = self.exchange
        assert all(total == 0 for total in exchange.totals().values()), exchange.totals()
        accounts = exchange.state.accounts
        holders = np.isin(accounts.account["kind"], [0, 1])
        assert (accounts.balance[holders, :2] >= 0).all(), "a holder's balance is negative"
        caps = accounts.cap
        index = caps["limit_l"] + caps["imported_l"] - caps["exported_l"] + caps["over_allocated_l"]
        assert (caps["held_l"] + caps["used_l"] <= index).all(), "a cell is above its index"
        check_sums(exchange.state)
        with shuiquan.open(self.path, readonly=True) as replayed:
            assert replayed.state_hash() == exchange.state_hash(), differing(replayed, exchange)


class PlainMarket:
    """One zone's market by the definitions: orders match by price and age, an open buy holds what it may cost.

    Numbers are whole: money in fen, water in lots. `enter` and `alter` say whether they were accepted.
    """

    def __init__(self, money: dict[str, int], lots: dict[str, int]) -> None:
        self.money, self.lots = dict(money), dict(lots)
        self.orders: dict[int, SimpleNamespace] = {}
        self.age = itertools.count()

    @staticmethod
    def worth(order: Any, amount: int) -> int:
        """What a buyer pays, or a seller gets, for the next fill of an order, its fee counted on all fills together."""
        ppm, sums = 3_000 if order.buys else 2_000, (order.notional, order.notional + amount)
        before, after = (total * ppm // 1_000_000 for total in sums)
        return amount + (after - before if order.buys else before - after)

    def all_money(self) -> dict[str, tuple[int, int]]:
        """Free and escrowed money of everybody."""
        held = dict.fromkeys(self.money, 0)
        for order in self.orders.values():
            held[order.who] += self.worth(order, order.price * order.left) if order.buys else 0
        return {who: (self.money[who] - held[who], held[who]) for who in self.money}

    def offered(self) -> dict[str, int]:
        """Lots in open sells of everybody."""
        return {who: sum(o.left for o in self.orders.values() if o.who == who and not o.buys) for who in self.lots}

    def covers(self, order: Any, price: int, lots: int) -> bool:
        """Whether its holder can pay for, or deliver, `lots` at `price` instead of what the order holds now."""
        if order.buys:
            held = self.worth(order, order.price * order.left)
            return self.worth(order, price * lots) - held <= self.all_money()[order.who][0]
        return lots - order.left <= self.lots[order.who] - self.offered()[order.who] or lots <= order.left

    def enter(self, number: int, buys: bool, who: str, price: int, lots: int) -> bool:
        """A new order."""
        order = SimpleNamespace(buys=buys, who=who, price=price, left=0, notional=0)
        return self.covers(order, price, lots) and self.trade(number, order, price, lots)

    def alter(self, number: int, price: int, lots: int) -> bool:
        """A replace by `lots`, or a reduction by as many when negative."""
        order = self.orders.get(number)
        if order is None or not self.covers(order, price or order.price, max(0, lots)):
            return False
        if lots < 0 or (price in {0, order.price} and lots <= order.left):
            order.left = lots if lots > 0 else max(0, order.left + lots)
            self.orders = {key: one for key, one in self.orders.items() if one.left}
            return True
        del self.orders[number]
        return self.trade(number, order, price or order.price, lots)

    def trade(self, number: int, order: Any, price: int, lots: int) -> bool:
        """Match an order that is in no queue, and let the rest queue."""
        order.price, order.left, order.age, sign = price, lots, next(self.age), 1 if order.buys else -1
        met = [o for o in self.orders.values() if o.buys != order.buys and sign * (price - o.price) >= 0]
        for other in sorted(met, key=lambda o: (sign * o.price, o.age)):
            fill = min(order.left, other.left)
            for one in (order, other):
                self.money[one.who] += self.worth(one, fill * other.price) * (-1 if one.buys else 1)
                self.lots |= {} if one.buys else {one.who: self.lots[one.who] - fill}
                one.notional, one.left = one.notional + fill * other.price, one.left - fill
        self.orders = {key: one for key, one in (self.orders | {number: order}).items() if one.left}
        return True


def seen(answer: Answer) -> tuple[Any, ...]:
    """The facts of an answer, to compare."""
    own = [(rows.dtype, rows.tolist()) for rows in answer.own]
    return answer.first_seq, answer.last_seq, answer.at_ns, own, answer.acts


class Fork(World):
    """A world on a copy of another's state: it decides in memory alone and writes nothing."""

    def __init__(self, base: World) -> None:
        self.clock, self.count = Clock(base.clock.at_ns), base.count
        self.before, state = copy.deepcopy(base.exchange.state), copy.deepcopy(base.exchange.state)
        self.exchange = copy.copy(base.exchange)
        self.exchange._writer = SimpleNamespace(state=state)
        self.decider = Decider(state)

    def submit(self, content: Any, who: dict[str, Any], **options: Any) -> Answer:
        """Decide under a fresh command id."""
        self.count += 1
        listed = [content] if isinstance(content, Command) else content
        submission = Submission(listed, command_id=f"c{self.count}", **who, **options)
        check_submission(submission)
        return self.decider.decide(submission, content_digest(submission), self.clock())

    def check(self) -> None:
        """Every rule that must hold, and that the facts lead from the state before to the very state now."""
        state, replayed = self.exchange.state, copy.deepcopy(self.before)
        check_state(state)
        check_sums(state)
        stored = [packed for _, packed, _ in chain(drafts(self.decider.take(), MAX_PAGE_FACTS), GENESIS, 1)]
        for decoded in segments((parse(at, packed) for at, packed in enumerate(stored, 1)), replayed.next_seq):
            replay(replayed, decoded)
        one, other = logical_state(state), logical_state(replayed)
        assert one == other, [name for name in one if one[name] != other[name]]
        self.before = replayed


def check_sums(state: State) -> None:
    """Escrows are what live orders owe; caps and holders show the sums of their holdings."""
    accounts, orders, terms = state.accounts, state.books.orders, state.market.terms
    account, balance, owed = accounts.account, accounts.balance, np.zeros(len(accounts.balance), np.int64)
    for slot in np.flatnonzero(orders["order_id"]):
        row = terms["account"][slot]
        if sides(state.books, slot) == Side.BUY:
            owed[accounts.party["money"][account["owner"][row]]] += terms["escrow"][slot]
        else:
            owed[row] += orders["quantity"][slot] * state.market.instrument["lot_l"][book_of(state.books, slot)]
    assert (balance[:, 1] == owed).all(), "escrow is not what live orders owe"
    holdings = np.flatnonzero(account["kind"] == 0)
    over = np.zeros(len(accounts.party), np.int64)
    np.subtract.at(over, account["owner"][holdings], balance[holdings, 3])
    assert (accounts.party["over_l"] == over).all(), "over-use of a holder is not the sum of his rights"
    for cap in state.caps:
        rights = [state.rights[right] for right in account["reference"][holdings]]
        covered = zip(holdings, rights, account["year"][holdings], strict=True)
        under = [row for row, right, year in covered if cap_covers(cap, right, year)]
        free, escrowed, taken, beyond = balance[under].sum(axis=0).tolist()
        shown = accounts.cap[["held_l", "used_l", "over_l", "imported_l", "exported_l"]][cap.cap].item()
        moved = account["bought_l"][under].sum(), account["sold_l"][under].sum()
        assert shown == (free + escrowed, taken + beyond, -beyond, *moved), f"cap {cap.cap}"


def differing(one: Any, other: Any) -> list[str]:
    """Names of the parts in which two states differ."""
    first, second = logical_state(one.state), logical_state(other.state)
    return [name for name in first if first[name] != second[name]]


__all__ = ["Action", "Fork", "OrderType", "PlainMarket", "Side", "TimeInForce", "World"]
