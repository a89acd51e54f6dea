"""The story that `make demo` tells: policy, register, season, market, refusals, an over-use, balance, replay."""

import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from adapters.cli.show import console, progress_bar
from adapters.meters.stream import readings_of
from adapters.registry.importer import import_register
from adapters.registry.sample import write_sample
from ledger.codes import Refused
from ledger.commands import DepositMoney, OpenMarket, Role, VerifySaving
from ledger.policy import Policy
from ledger.policy_file import read_policy
from ledger.submissions import Submission
from ledger.tables import Array
from ledger.units import NS
from shuiquan.config import DISTRICTS
from shuiquan.demo import report
from shuiquan.demo.market import Crowd, traders_of
from shuiquan.demo.over_use import Pump, over_pump, strongest_pump
from shuiquan.demo.refusals import attempts
from shuiquan.demo.season import meter_of, published, season_of, windows
from shuiquan.exchange import Exchange
from shuiquan.opening import open_exchange, remove_ledger

BUREAU: Final[dict[str, Any]] = {"actor": "水利局-登记岗", "role": Role.BUREAU, "approver": "水利局-审批岗"}
OPERATOR: Final[dict[str, Any]] = {"actor": "交易平台", "role": Role.OPERATOR}
GATEWAY: Final[dict[str, Any]] = {"actor": "采集网关", "role": Role.GATEWAY}
DAYS: Final = 30
WINDOW_HOURS: Final = 6
TRADING_DAYS: Final = 5
BATCHES_A_DAY: Final = 40
ORDERS_A_BATCH: Final = 100
BATCH_MINUTES: Final = 10


class StoryClock:
    """The clock of the story: the exchange stamps submissions with it."""

    def __init__(self, policy: Policy) -> None:
        """A clock in the district's time zone."""
        self._zone = policy.zone
        self.at_ns = 0

    def __call__(self) -> int:
        """Now, in UTC nanoseconds."""
        return self.at_ns

    def set(self, text: str) -> datetime:
        """Move to a local date and time."""
        moment = datetime.fromisoformat(text).replace(tzinfo=self._zone)
        self.at_ns = int(moment.timestamp()) * NS
        return moment


def run(out: Path, seed: int) -> None:
    """Run the pilot on a new ledger `out/yongchuan.db`; one of an earlier run is replaced."""
    started = time.perf_counter()
    policy = read_policy(DISTRICTS / "yongchuan.toml")
    clock = StoryClock(policy)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "yongchuan.db"
    remove_ledger(path)
    shutil.rmtree(out / "register", ignore_errors=True)
    clock.set("2024-05-29T09:00")
    with open_exchange(path, policy=policy, clock=clock) as exchange:
        report.show_policy(policy)
        import_sample(exchange, out / "register", seed)
        measure(exchange, clock, seed)
        pump = strongest_pump(exchange)  # kept out of the crowd, for the last act
        trade(exchange, clock, seed, pump)
        report.show_refused(attempts(exchange, clock))
        report.show_over_use(exchange, over_pump(exchange, clock, pump))
        report.show_ledger(exchange)
        live = exchange.state_hash()
    reopen(path, live)
    report.show_next_day(path, time.perf_counter() - started)


def import_sample(exchange: Exchange, folder: Path, seed: int) -> None:
    """Write a register as a bureau keeps it, and import it: all of it or nothing."""
    write_sample(folder, exchange.policy, seed)
    with progress_bar("导入登记台账 importing the register") as done:
        found = import_register(
            exchange, folder, actor=str(BUREAU["actor"]), approver=str(BUREAU["approver"]), command_id="import-1",
            progress=lambda at, _: done(at),
        )  # fmt: skip
    report.show_register(exchange, folder, found)


def measure(exchange: Exchange, clock: StoryClock, seed: int) -> None:
    """Published frames, then a simulated season: hourly telemetry in windows, monthly sheets by hand."""
    clock.set("2024-05-29T10:00")
    decoded = published(exchange, clock.at_ns)
    answer = exchange.submit(decoded.readings, command_id="published-frames", **GATEWAY)
    report.show_published(exchange, answer)
    season = season_of(exchange, clock.set("2024-06-01T00:00"), DAYS, seed)
    faults = 0
    stations = meter_of(exchange)
    with progress_bar("接收计量报文 taking in meter reports", len(season.arrivals)) as done:
        taken = 0
        sheets = season.manual
        for number, (end_ns, arrivals) in enumerate(windows(season.arrivals, WINDOW_HOURS)):
            clock.at_ns = end_ns
            sheets = hand_in(exchange, sheets, end_ns, number)
            decoded = readings_of(arrivals, stations)
            faults += len(decoded.faults)
            if len(decoded.readings):
                exchange.submit(decoded.readings, command_id=f"telemetry-{number}", **GATEWAY)
            done(taken := taken + len(arrivals))
    report.show_season(exchange, season, faults)
    report.show_coverage(exchange, int(clock.set("2024-07-01T08:00").timestamp()) * NS)


def hand_in(exchange: Exchange, sheets: Array, until_ns: int, number: int) -> Array:
    """Submit the reading sheets that have come in; returns those still to come."""
    due = sheets["received_at_ns"] <= until_ns
    if due.any():
        exchange.submit(sheets[due], command_id=f"sheets-{number}", **BUREAU)
    return sheets[~due]


def trade(exchange: Exchange, clock: StoryClock, seed: int, pump: Pump) -> None:
    """Verified savings, money on deposit, and a week of a simulated market."""
    prepare_market(exchange, clock)
    crowd = Crowd(exchange, [one for one in traders_of(exchange) if one.right != pump.right], seed)
    with progress_bar("连续竞价（仿真） continuous book, simulated", TRADING_DAYS * BATCHES_A_DAY) as done:
        for day in range(TRADING_DAYS):
            clock.set(f"2024-07-{8 + day:02d}T09:30")
            for batch in range(BATCHES_A_DAY):
                clock.at_ns += BATCH_MINUTES * 60 * NS
                answer = exchange.submit(crowd.batch(ORDERS_A_BATCH), command_id=f"orders-{day}-{batch}", **OPERATOR)
                crowd.learn(answer.orders)
                done(day * BATCHES_A_DAY + batch + 1)
    report.show_market(exchange)


def prepare_market(exchange: Exchange, clock: StoryClock) -> None:
    """Savings of two licences in three, deposits of two holders in three, and the instruments open."""
    clock.set("2024-07-05T15:00")
    state = exchange.state
    savings: list[Any] = []
    deposits: list[Any] = []
    for number, right in enumerate(state.rights):
        row = state.holding(number, exchange.policy.instruments[0].year)
        if right.kind == "licence" and number % 3 and row is not None:
            saved = int(state.accounts.account["issued_l"][row]) * (15 + number % 20) // 100
            measure_name = ("工艺改造", "产品结构调整", "取水设施改造")[number % 3]
            savings.append(
                VerifySaving(
                    right=right.code,
                    year=2024,
                    volume_l=saved,
                    measure=measure_name,
                    document=f"永水核〔2024〕{number}号",
                )
            )
    for number, party in enumerate(state.parties):
        if number % 3 != 1:
            amount_fen = (2_000 + number % 17 * 1_500) * 100
            deposits.append(DepositMoney(party=party.code, amount_fen=amount_fen, reference=f"托管-2024-{number:05d}"))
    opened = [OpenMarket(instrument=terms.code) for terms in state.instruments if terms.continuous]
    for answer in exchange.submit_many(
        [
            Submission(savings, str(BUREAU["actor"]), Role.BUREAU, "savings", str(BUREAU["approver"])),
            Submission([*deposits, *opened], str(OPERATOR["actor"]), Role.OPERATOR, "open-market"),
        ]
    ):
        if isinstance(answer, Refused):
            raise answer
    report.show_prepared(savings, deposits, opened)


def reopen(path: Path, live: str) -> None:
    """Open the ledger from disk: replaying its facts gives the very state that was live."""
    started = time.perf_counter()
    with open_exchange(path, readonly=True) as replayed:
        found = replayed.state_hash()
        report.show_replay(replayed, live, found, time.perf_counter() - started)
    if found != live:
        console.print("[red]✗ 回放状态与实时状态不符 the replayed state differs[/]")
        raise SystemExit(1)
