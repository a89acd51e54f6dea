"""Uses every kernel once, so that all are compiled and cached before anybody waits for them."""

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from adapters.audit.sink import FolderSink
from ledger.audit.full_replay import replay_watched
from ledger.commands import (
    AllocateCell,
    Command,
    InstallMeter,
    IssueRight,
    OpenMarket,
    RegisterIntake,
    RegisterParty,
    RegisterRight,
    Role,
    SettleAgreement,
    SuspendParty,
    VerifySaving,
)
from ledger.rows import ORDER, READING
from matching.arrays import with_slots
from matching.engine import kernels_compiled
from matching.types import Action, Side
from shuiquan.config import parse_target
from shuiquan.exchange import Exchange
from shuiquan.opening import open_exchange

START_NS = 1_717_466_400_000_000_000  # 2024-06-04 10:00 in the district, within a session
FAR_NS = 10**18


def compile_all() -> None:
    """Run a small ledger through every path and replay it. Its facts go to a folder that is thrown away."""
    kernels_compiled()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warm.db"
        with open_exchange(path, policy="yongchuan", clock=lambda: START_NS) as exchange:
            register(exchange)
            trade(exchange)
            exchange.state.replace_books(with_slots(exchange.state.books, 4_096))
            exchange.state.rebuild_seen(1)
        with open_exchange(path, readonly=True) as replayed:
            replayed.state_hash()
            replayed.depth("YC-SW-2024")
            replayed.checkpoint(FolderSink(path.parent))
        with closing(parse_target(path).open(writable=False)) as store:
            replay_watched(store)


def register(exchange: Exchange) -> None:
    """Two rights, one of them with a meter and savings."""
    where = {"source": "surface", "basin": "linjianghe", "township": "linjiang", "industry": "industry"}
    volume_l = 10**9
    commands: list[Command] = [AllocateCell(**where, year=2024, volume_l=2 * volume_l, document="-")]
    for name in ("A", "B"):
        commands += [
            RegisterParty(code=f"P-{name}", kind="company", name=name),
            RegisterRight(
                code=name, party=f"P-{name}", kind="regional" if name == "B" else "licence", **where,
                licensed_l=volume_l, verified_l=volume_l, valid_from_ns=0, valid_to_ns=START_NS + FAR_NS, document="-",
            ),
            IssueRight(right=name, year=2024, volume_l=volume_l, document="-"),
        ]  # fmt: skip
    commands += [
        RegisterIntake(code="Q", name="Q", kind="intake", source="surface", township="linjiang", licensed_l=volume_l),
        InstallMeter(
            code="M", intake="Q", modulus_l=10**12, max_l_per_hour=10**9, installed_at_ns=START_NS - 10**14,
            verified_until_ns=START_NS + FAR_NS, shares=(("A", 1_000_000),),
        ),
        VerifySaving(right="A", year=2024, volume_l=volume_l, measure="-", document="-"),
    ]  # fmt: skip
    exchange.submit(commands, actor="clerk", role=Role.BUREAU, approver="head", command_id="register", linked=True)


def trade(exchange: Exchange) -> None:
    """Orders of each kind, a reading that withdraws offers, an agreement and a suspension."""
    operator: dict[str, Any] = {"actor": "platform", "role": Role.OPERATOR}
    exchange.submit([OpenMarket(instrument="YC-SW-2024")], command_id="open", **operator)
    orders = np.zeros(3, ORDER)
    orders["action"], orders["side"], orders["quantity"], orders["price"] = Action.NEW, Side.SELL, 5, 3000
    orders["action"][2], orders["order_id"][2] = Action.CANCEL, 1
    exchange.submit(orders, command_id="orders", **operator)
    reading = np.zeros(1, READING)
    reading["measured_at_ns"], reading["value_l"] = START_NS, 999_900_000
    exchange.submit(reading, actor="gateway", role=Role.GATEWAY, command_id="reading")
    deal = SettleAgreement(instrument="YC-SW-2024", seller="B", buyer="A", volume_l=1000, amount_fen=0, document="-")
    exchange.submit([deal], command_id="deal", **operator)
    suspend = SuspendParty(party="P-B", document="-")
    exchange.submit([suspend], actor="clerk", role=Role.BUREAU, approver="head", command_id="suspend")
