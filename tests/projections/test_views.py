"""Read models: equal to the ledger's state and to its facts, however and by whomever they were caught up."""

import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shuiquan
from adapters.stores.sqlite import SQLiteStore
from adapters.stores.views import Views
from ledger import facts
from ledger.accounts import ABSTRACTED, ESCROWED, FREE, OVER_USE
from ledger.journal.records import Decoded
from ledger.replay import groups_after
from ledger.rows import ORDERS, PAGE_DTYPES, READINGS, TRADES, USES
from ledger.tables import Array, Kind
from matching.types import Status
from projections.base import Projection, Table, Upsert
from projections.holdings import Holdings
from shuiquan.asking import read_models
from shuiquan.exchange import Exchange
from tests.districts import district
from tests.ledger.scripts import play, populate, random_script
from tests.stores.homes import copied
from tests.stores.ledgers import finished, resumed, start
from tests.world import World

MONEY_QUERY = """
    SELECT p.code, SUM(m.free_fen) AS free_fen, SUM(m.escrowed_fen) AS escrowed_fen FROM money m
    LEFT JOIN rights r ON m.is_party = 0 AND r.right = m.right_or_party
    JOIN parties p ON p.party = CASE m.is_party WHEN 1 THEN m.right_or_party ELSE r.party END
    GROUP BY p.party
"""
HOLDING = ("issued_l", "free_l", "escrowed_l", "abstracted_l", "over_use_l", "saved_l", "sold_l", "bought_l")


def projections() -> list[Projection]:
    """The projections of the product."""
    return read_models(district())


def tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of a file of views, the position reached among them."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}


def rebuilt(path: Path, target: Path, until: int | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """The tables of new views, folded from zero up to a position."""
    with closing(SQLiteStore(path, writable=False)) as store, closing(Views(target, projections())) as views:
        after = 0
        for decoded in groups_after(store, 0):
            if until is None or decoded.position <= until:
                assert views._recorder.apply(decoded, after)
                after = decoded.position
        assert until in (None, after)
    return tables(target)


def rows_of(exchange: Exchange, topic: str) -> Array:
    """All facts of a topic as one array."""
    found = [told.fact for told in exchange.facts() if told.topic == topic]
    return np.array(found, PAGE_DTYPES[topic])


# what they show


def test_holdings_equal_the_state(world: World) -> None:
    accounts = world.exchange.state.accounts
    expected = {}
    for (kind, _, right, _), row in world.exchange.state.rows.items():
        if kind == Kind.HOLDING:
            account, balance = accounts.account[row], accounts.balance[row]
            amounts = (account["issued_l"], balance[FREE], balance[ESCROWED], balance[ABSTRACTED], -balance[OVER_USE])
            sums = tuple(int(amount) for amount in (*amounts, *(account[name] for name in HOLDING[5:])))
            code = world.exchange.state.rights[right].code
            expected[code, int(account["year"])] = sums
    found = {(row["right"], row["year"]): tuple(row[name] for name in HOLDING) for row in world.exchange.holdings()}
    assert found == {key: sums for key, sums in expected.items() if key in found or any(sums)}
    assert min(len({sums[at] for sums in found.values()}) for at in range(len(HOLDING))) > 1, "a column says nothing"


def test_money_by_holder_equals_the_state(world: World) -> None:
    state = world.exchange.state
    expected = {}
    for number, party in enumerate(state.parties):
        free, escrowed = (int(amount) for amount in state.accounts.balance[state.accounts.party["money"][number], :2])
        expected[party.code] = (free, escrowed)
    found = {row["code"]: (row["free_fen"], row["escrowed_fen"]) for row in world.exchange.query(MONEY_QUERY)}
    assert found == {code: sums for code, sums in expected.items() if code in found or any(sums)}
    assert any(escrowed for _, escrowed in found.values())


def test_usage_equals_the_facts_of_use(world: World) -> None:
    zone, state = world.exchange.policy.zone, world.exchange.state
    expected: dict[tuple[str, int, int], list[int]] = {}
    for use in rows_of(world.exchange, USES):
        ended = datetime.fromtimestamp((int(use["to_ns"]) - 1) // 10**9, UTC).astimezone(zone)
        key = (state.rights[use["right"]].code, int(use["year"]), ended.month)
        sums = expected.setdefault(key, [0, 0, 0])
        for at, value in enumerate((use["volume_l"], use["over_l"], 1)):
            sums[at] += int(value)
    found = {
        (row["right"], row["year"], row["month"]): [row["volume_l"], row["over_l"], row["intervals"]]
        for row in world.exchange.usage()
    }
    assert found == expected
    assert any(over for _, over, _ in found.values())


def test_meters_and_reports_equal_the_readings(world: World) -> None:
    readings = rows_of(world.exchange, READINGS)
    expected = dict.fromkeys(np.unique(readings["meter"]).tolist(), (0, 0))
    last: dict[int, tuple[int, int]] = {}
    for reading in readings:
        meter = int(reading["meter"])
        count, volume_l = expected[meter]
        expected[meter] = (count + 1, volume_l + int(reading["volume_l"]))
        if reading["code"] in (0, shuiquan.Code.WRAPPED):
            last[meter] = (int(reading["measured_at_ns"]), int(reading["value_l"]))
    columns = ("booked", "duplicate", "late", "missing", "held", "refused")
    rows = world.exchange.query("SELECT * FROM reports")
    assert {row["meter"]: (row["readings"], row["volume_l"]) for row in rows} == expected
    assert all(row["readings"] == sum(row[name] for name in columns) for row in rows), "a reading is in no class"
    registers = world.exchange.query("SELECT * FROM last_readings")
    assert {row["meter"]: (row["measured_at_ns"], row["value_l"]) for row in registers} == last
    meter = world.exchange.state.metering.meter
    assert all(tuple(meter[number][["last_at_ns", "last_l"]]) == last[number] for number in last)


def test_the_market_equals_the_facts_of_trades(world: World) -> None:
    trades = rows_of(world.exchange, TRADES)
    expected = {}
    for instrument in np.unique(trades["instrument"]).tolist():
        mine = trades[trades["instrument"] == instrument]
        fees = mine["buyer_fee_fen"].sum() + mine["seller_fee_fen"].sum()
        sums = (len(mine), mine["quantity"].sum(), mine["volume_l"].sum(), mine["amount_fen"].sum(), fees)
        expected[instrument] = (*map(int, sums), int(mine["price"][-1]), int(mine["at_ns"][-1]))
    rows = world.exchange.query("SELECT m.*, l.price, l.at_ns FROM market m JOIN last_prices l USING (instrument)")
    assert {row.pop("instrument"): tuple(row.values()) for row in rows} == expected
    assert len(expected) == 2


def test_refusals_equal_the_facts(world: World) -> None:
    orders, readings = rows_of(world.exchange, ORDERS), rows_of(world.exchange, READINGS)
    expected = Counter(("order", int(code)) for code in orders["code"][orders["status"] == Status.REJECTED])
    expected.update(("reading", int(code)) for code in readings["code"][readings["code"] != 0])
    expected.update(
        (told.fact.command, told.fact.code)
        for told in world.exchange.facts()
        if isinstance(told.fact, facts.CommandRefused)
    )
    rows = world.exchange.query("SELECT * FROM refusals")
    assert {(row["kind"], row["code"]): row["count"] for row in rows} == expected
    assert {kind for kind, _ in expected} >= {"order", "reading", "SettleAgreement"}


# how they get there


def test_many_small_steps_equal_one_rebuild(tmp_path: Path) -> None:
    world = World(tmp_path / "steps.db")
    world.exchange.holdings()
    populate(world)
    for step in random_script(32, 30):
        play(world, [step])
        world.exchange.holdings()
    stepped = tables(tmp_path / "steps.db.views")
    world.exchange.holdings()
    assert tables(tmp_path / "steps.db.views") == stepped, "catching up twice changed something"
    assert rebuilt(world.path, tmp_path / "rebuilt.views.db") == stepped
    assert world.exchange.rebuild_views() == world.exchange.position
    assert tables(tmp_path / "steps.db.views") == stepped
    world.exchange.close()


def test_two_views_of_one_file_never_count_twice(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db")
    populate(world)
    with shuiquan.open(world.path, readonly=True) as beside:
        for number, step in enumerate(random_script(33, 24)):
            play(world, [step])
            asked = [(), (world.exchange,), (beside,), (world.exchange, beside), (beside, world.exchange)][number % 5]
            for exchange in asked:
                exchange.holdings()
        assert beside.holdings() == world.exchange.holdings()
    assert tables(tmp_path / "ledger.db.views") == rebuilt(world.path, tmp_path / "rebuilt.views.db")
    world.exchange.close()


class Later(Holdings):
    """A later version of a projection: its table of parties has another column."""

    name = "holdings/2"
    tables = (
        *(table for table in Holdings.tables if table.name != "parties"),
        Table("parties", ("party",), (), ("facts",)),
    )

    def fold(self, decoded: Decoded) -> Iterable[Upsert]:
        """As before, parties apart."""
        for upsert in super().fold(decoded):
            if upsert.table.name != "parties":
                yield upsert
        registered = [fact.party for _, _, fact in decoded.facts if isinstance(fact, facts.PartyRegistered)]
        yield Upsert(self.tables[-1], [(party, 1) for party in registered])


def test_a_projection_of_another_version_is_rebuilt(world: World, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db.views"
    world.exchange.holdings()
    before = tables(path)
    with closing(SQLiteStore(world.path, writable=False)) as store:
        for _ in range(2):  # the second finds what the first left
            with closing(Views(path, [Later(), *projections()[1:]])) as views:
                assert views.catch_up(store) == world.exchange.position
                assert views.select("SELECT COUNT(*) AS parties FROM parties WHERE facts = 1") == [{"parties": 6}]
            assert tables(path)["holdings"] == before["holdings"]


def test_going_back_to_an_earlier_version_rebuilds_too(tmp_path: Path) -> None:
    world, path = World(tmp_path / "ledger.db"), tmp_path / "ledger.db.views"
    populate(world)
    world.exchange.holdings()
    play(world, random_script(34, 6))
    with closing(SQLiteStore(world.path, writable=False)) as store:
        with closing(Views(path, [Later(), *projections()[1:]])) as views:
            views.catch_up(store)
        with closing(Views(path, projections())) as views:
            views.catch_up(store)
    found, expected = tables(path), rebuilt(world.path, tmp_path / "rebuilt.views.db")
    world.exchange.close()
    assert found["holdings"] == expected["holdings"]
    assert found["parties"] == expected["parties"]


def test_views_of_a_journal_that_was_put_back_are_rebuilt(ledger: Path, tmp_path: Path) -> None:
    world = resumed(copied(ledger, tmp_path / "ledger.db"))
    play(world, random_script(35, 6))
    world.exchange.holdings()
    world.exchange.close()
    shutil.copy(ledger, tmp_path / "ledger.db")  # from a backup; the views beside it were not put back
    expected = rebuilt(ledger, tmp_path / "rebuilt.views.db")
    with shuiquan.open(tmp_path / "ledger.db", readonly=True) as exchange:
        exchange.holdings()
    assert tables(tmp_path / "ledger.db.views") == expected


# how they survive

CATCH_UP = """
import os
import signal
import sys
import shuiquan
from projections.market import Market
fold, groups, last = Market.fold, 0, int(sys.argv[2])
def deadly(self, decoded):
    global groups
    groups += 1
    yield from fold(self, decoded)
    if groups == last:
        os.kill(os.getpid(), signal.SIGKILL)
Market.fold = deadly
with shuiquan.open(sys.argv[1], readonly=True) as ledger:
    ledger.rebuild_views(lambda position, _: print(position, flush=True))
"""


@pytest.mark.parametrize(("groups", "inside"), [(3, True), (95, True), (60, False)])
def test_a_process_killed_while_it_catches_up_leaves_rows_and_position_together(
    ledger: Path, tmp_path: Path, groups: int, *, inside: bool
) -> None:
    path = copied(ledger, tmp_path / "ledger.db")
    child = start(CATCH_UP, path, groups if inside else -1)
    assert child.stdout
    lines = []
    if not inside:
        lines = [child.stdout.readline() for _ in range(groups)]
        child.kill()
    status, rest = finished(child)
    assert status == -signal.SIGKILL
    positions = [int(line) for line in (*lines, *rest)]
    found = tables(tmp_path / "ledger.db.views")
    reached = dict(found["tracking"])["+".join(projection.name for projection in projections())]
    if inside:
        assert (len(positions), reached) == (groups - 1, positions[-1])
    assert reached >= positions[-1]
    assert found == rebuilt(path, tmp_path / "part.views.db", reached)
    with shuiquan.open(path, readonly=True) as exchange:
        exchange.holdings()
    assert tables(tmp_path / "ledger.db.views") == rebuilt(path, tmp_path / "rebuilt.views.db")
