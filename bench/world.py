"""A ledger to measure on: many holders and rights, several instruments, and order flow from a seed."""

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from ledger.commands import (
    AllocateCell,
    Command,
    DepositMoney,
    InstallMeter,
    IssueRight,
    OpenMarket,
    RegisterIntake,
    RegisterParty,
    RegisterRight,
    Role,
)
from ledger.policy import Policy
from ledger.rows import ORDER, READING
from matching.types import Action, SelfTrade, Side, TimeInForce
from shuiquan.config import load_policy
from shuiquan.exchange import Exchange
from shuiquan.opening import open_exchange

START_NS: Final = 1_717_466_400_000_000_000  # 2024-06-04 10:00 in the district, within a session
FAR_NS: Final = 10**18
HOUR_NS: Final = 3_600 * 10**9
BASINS: Final = ("yangtze", "linjianghe", "xiaoanxi")
OPERATOR: Final[dict[str, Any]] = {"actor": "platform", "role": Role.OPERATOR}
BUREAU: Final[dict[str, Any]] = {"actor": "clerk", "role": Role.BUREAU, "approver": "head"}
GATEWAY: Final[dict[str, Any]] = {"actor": "gateway", "role": Role.GATEWAY}
TOWNSHIPS: Final = ("chenshi", "linjiang", "sanjiao")
INSTRUMENTS: Final = 4
PLENTY: Final = 1_000
"""Times the water of a real district, so that a long run does not end with everything sold."""


def bench_policy() -> Policy:
    """The built-in district with plenty of water, several instruments of surface water in lots of 1 m³, no limits."""
    policy = load_policy("yongchuan")
    assert policy is not None
    surface, replace = policy.instruments[0], msgspec.structs.replace
    return replace(
        policy,
        indexes=tuple(replace(one, volume_l=PLENTY * one.volume_l) for one in policy.indexes),
        caps=tuple(replace(one, volume_l=PLENTY * one.volume_l) for one in policy.caps),
        passages=tuple(replace(one, headroom_l=None) for one in policy.passages),
        instruments=tuple(replace(surface, code=f"SW-{number}", lot_l=1_000) for number in range(INSTRUMENTS)),
    )


def open_world(target: Path | str, rights: int, snapshot_facts: int = 2**62) -> Exchange:
    """A ledger with so many rights (each of its own holder, each with a meter and money), its markets open."""
    exchange = open_exchange(target, policy=bench_policy(), clock=lambda: START_NS, snapshot_facts=snapshot_facts)
    volume_l = PLENTY * (20_000_000 // rights) * 1_000
    commands: list[Command] = []
    for number in range(rights):
        where = {
            "source": "surface",
            "basin": BASINS[number % 3],
            "township": TOWNSHIPS[number % 3],
            "industry": "irrigation",
        }
        code = f"R{number:05d}"
        commands += [
            AllocateCell(**where, year=2024, volume_l=volume_l, document="-"),
            RegisterParty(code=f"P{number:05d}", kind="collective", name=code),
            RegisterRight(
                code=code, party=f"P{number:05d}", kind="irrigation", **where, licensed_l=volume_l,
                verified_l=volume_l, valid_from_ns=0, valid_to_ns=START_NS + FAR_NS, document="-",
            ),
            IssueRight(right=code, year=2024, volume_l=volume_l, document="-"),
            RegisterIntake(
                code=f"Q{number:05d}", name=code, kind="intake", source="surface", township=where["township"],
                licensed_l=volume_l,
            ),
            InstallMeter(
                code=f"M{number:05d}", intake=f"Q{number:05d}", online=True, modulus_l=10**13,
                max_l_per_hour=10**6, installed_at_ns=START_NS - 24 * HOUR_NS, verified_until_ns=START_NS + FAR_NS,
                shares=((code, 1_000_000),),
            ),
        ]  # fmt: skip
    exchange.submit(commands, command_id="register", **BUREAU)
    deposits: list[Command] = [
        DepositMoney(party=f"P{number:05d}", amount_fen=10**12, reference=f"d{number}") for number in range(rights)
    ]
    markets = [OpenMarket(instrument=instrument.code) for instrument in exchange.state.instruments]
    exchange.submit([*deposits, *markets], command_id="open", **OPERATOR)
    return exchange


def order_flow(rng: np.random.Generator, count: int, rights: int, first_id: int, last_id: int, new: float = 0.8) -> Any:
    """Orders around a price: four in five new (half of them crossing), one in five a cancel of a recent order."""
    rows = np.zeros(count, ORDER)
    rows["action"] = np.where(rng.random(count) < new, Action.NEW, Action.CANCEL)
    rows["side"] = rng.integers(0, 2, count)
    away = rng.geometric(0.08, count) - 8
    rows["price"] = 3_000 + np.where(rows["side"] == Side.BUY, -away, away)
    rows["quantity"] = rng.integers(1, 20, count)
    rows["instrument"] = rng.integers(0, INSTRUMENTS, count)
    rows["right"] = rng.integers(0, rights, count)
    rows["self_trade"] = SelfTrade.CANCEL_TAKER
    rows["time_in_force"] = TimeInForce.GTC
    rows["order_id"] = np.where(rows["action"] == Action.CANCEL, rng.integers(first_id, last_id + 1, count), 0)
    return rows


def live_flow(exchange: Exchange, rng: np.random.Generator, count: int, new: float = 0.8) -> Any:
    """Order flow whose cancels name orders that are live now; to be asked while nothing is on its way."""
    state = exchange.state
    rows = order_flow(rng, count, len(state.rights), 1, 1, new)
    cancels = np.flatnonzero(rows["action"] == Action.CANCEL)
    live = np.flatnonzero(state.books.orders["order_id"])
    if not len(live):
        return rows
    chosen = rng.choice(live, len(cancels), replace=len(live) < len(cancels))
    rows["order_id"][cancels] = state.books.orders["order_id"][chosen]
    rows["instrument"][cancels] = state.books.lanes["book"][state.books.orders["lane"][chosen]]
    rows["right"][cancels] = state.accounts.account["reference"][state.market.terms["account"][chosen]]
    return rows


def live_orders(exchange: Exchange) -> int:
    """Orders at rest."""
    return int(np.count_nonzero(exchange.state.books.orders["order_id"]))


def reading_flow(number: int, rights: int) -> Any:
    """One hourly reading of every meter."""
    rows = np.zeros(rights, READING)
    rows["meter"] = np.arange(rights)
    rows["measured_at_ns"] = rows["received_at_ns"] = START_NS - 23 * HOUR_NS + number * HOUR_NS // 1000
    rows["value_l"] = 100 * (number + 1)
    return rows
