"""What must be refused, tried one by one."""

from typing import Any, NamedTuple

import numpy as np

from ledger.accounts import FREE, sellable
from ledger.codes import Code
from ledger.commands import Role, SettleAgreement, SuspendParty
from ledger.rows import ORDER
from ledger.tables import Kind
from ledger.units import LITRES_PER_M3, NS
from matching.types import Action, Side
from shuiquan.exchange import Exchange

SURFACE = "YC-SW-2024"
OPERATOR: dict[str, Any] = {"actor": "交易平台", "role": Role.OPERATOR}


class Attempt(NamedTuple):
    """Something that must be refused, and the code it was refused with (0: it was not)."""

    zh: str
    en: str
    expected: Code
    found: int


def order(exchange: Exchange, side: Side, right: int, price: int, quantity: int) -> Any:
    """One new order for surface water."""
    row = np.zeros(1, ORDER)
    row["action"], row["side"], row["right"], row["price"], row["quantity"] = Action.NEW, side, right, price, quantity
    row["instrument"] = exchange.instrument(SURFACE)
    return row


def find(exchange: Exchange, wanted: Any) -> int:
    """Number of the first surface right of the year for whose (right, account, row) `wanted` holds."""
    accounts = exchange.state.accounts
    unit = exchange.state.market.instrument["unit"][exchange.instrument(SURFACE)]
    for row in np.flatnonzero((accounts.account["kind"] == Kind.HOLDING) & (accounts.account["unit"] == unit)):
        account = accounts.account[row]
        right = int(account["reference"])
        if wanted(exchange.state.rights[right], account, int(row)):
            return right
    raise LookupError(SURFACE)


def attempts(exchange: Exchange, clock: Any) -> list[Attempt]:
    """Try what the rules forbid: each attempt must be refused by its code and change nothing."""
    clock.at_ns += 60 * NS
    reference = exchange.policy.instruments[0].reference_price
    accounts = exchange.state.accounts
    poor = find(exchange, lambda _, account, row: account["buy_code"] == 0 and money(exchange, row) == 0)
    unsaved = find(
        exchange,
        lambda right, account, row: (
            right.kind == "licence"
            and account["sell_code"] == 0
            and account["saved_l"] == 0
            and accounts.balance[row, FREE] > 10**6
        ),
    )
    seller = find(exchange, lambda _, account, row: account["sell_code"] == 0 and sellable(accounts, row) > 10**6)
    lapsed = find(exchange, lambda _, account, __: account["sell_code"] == Code.METERING_NOT_WORKING)
    excluded = find(exchange, lambda _, account, __: account["sell_code"] == Code.CLASS_EXCLUDED)
    trials = [
        (
            "取水户转让未经核定的节水",
            "a licence holder with nothing saved sells",
            Code.NOTHING_SAVED,
            Side.SELL,
            unsaved,
            reference,
            1,
        ),
        ("保证金不足", "a buyer without money", Code.NOT_ENOUGH_MONEY, Side.BUY, poor, reference, 10),
        (
            "报价超出参考价区间",
            "a price outside the band",
            Code.PRICE_OUTSIDE_BAND,
            Side.SELL,
            seller,
            3 * reference,
            1,
        ),
        ("卖出超过可用水量", "more water than there is", Code.NOT_ENOUGH_WATER, Side.SELL, seller, reference, 10**6),
        ("计量设施检定过期", "a right whose meter lapsed", Code.METERING_NOT_WORKING, Side.SELL, lapsed, reference, 1),
        ("公共供水单位转让", "a public water supplier sells", Code.CLASS_EXCLUDED, Side.SELL, excluded, reference, 1),
    ]
    found = []
    for number, (zh, en, expected, side, right, price, quantity) in enumerate(trials):
        answer = exchange.submit(
            order(exchange, side, right, price, quantity), command_id=f"attempt-{number}", **OPERATOR
        )
        found.append(Attempt(zh, en, expected, int(answer.orders["code"][0])))
    return [*found, foreign_zone(exchange, seller), suspended(exchange, seller)]


def money(exchange: Exchange, row: int) -> int:
    """Free money of the holder of an account, in fen."""
    accounts = exchange.state.accounts
    return int(accounts.balance[accounts.party["money"][accounts.account["owner"][row]], FREE])


def foreign_zone(exchange: Exchange, seller: int) -> Attempt:
    """An agreement between two zones that no passage of the policy joins."""
    policy, rights = exchange.policy, exchange.state.rights
    open_pairs = {(policy.zone_number(p.seller), policy.zone_number(p.buyer)) for p in policy.passages}
    buyer = find(
        exchange,
        lambda right, account, _: account["buy_code"] == 0 and (rights[seller].basin, right.basin) not in open_pairs,
    )
    deal = SettleAgreement(
        instrument=SURFACE, seller=rights[seller].code, buyer=rights[buyer].code, volume_l=10_000 * LITRES_PER_M3,
        amount_fen=100_000, document="协议-2024-001",
    )  # fmt: skip
    answer = exchange.submit([deal], command_id="attempt-zones", **OPERATOR)
    code = answer.refused[0].code if answer.refused else 0
    return Attempt("分区之间不允许流转", "an agreement between closed zones", Code.ZONES_NOT_PERMITTED, code)


def suspended(exchange: Exchange, seller: int) -> Attempt:
    """A holder who is suspended: his orders are withdrawn, and new ones refused."""
    party = exchange.state.parties[exchange.state.rights[seller].party].code
    suspend = SuspendParty(party=party, tax_overdue=True, document="永水监〔2024〕7号")
    exchange.submit(
        [suspend], actor="水利局-监管岗", role=Role.BUREAU, approver="水利局-审批岗", command_id="suspend-1"
    )
    reference = exchange.policy.instruments[0].reference_price
    answer = exchange.submit(
        order(exchange, Side.SELL, seller, reference, 1), command_id="attempt-suspended", **OPERATOR
    )
    return Attempt(
        "欠缴水资源税费被暂停", "a holder suspended for overdue tax", Code.TAX_OVERDUE, int(answer.orders["code"][0])
    )
