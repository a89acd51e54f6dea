"""A ledger on which nearly everything has happened, for the read models to show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import shuiquan
from shuiquan import Side
from tests.districts import DAY_NS, START_NS
from tests.ledger.scripts import play, populate, random_script
from tests.stores.homes import copied
from tests.stores.ledgers import resumed
from tests.world import DOCUMENT, World


def eventful(world: World) -> None:
    """What random scripts seldom reach: over-use, covered by an issue too; return flow; a right that will end."""
    world.clock.at_ns = START_NS + 20 * DAY_NS
    world.add_right("G", kind="irrigation", industry="farming", volume_m3=1_000, party="P-G", money_yuan=10_000)
    world.add_right("R", kind="regional", industry="farming", volume_m3=30_000)
    where = {"source": "surface", "basin": "east", "township": "town", "industry": "farming"}
    world.bureau(
        shuiquan.AllocateCell(**where, year=2024, volume_l=10_000_000, document=DOCUMENT),
        shuiquan.RegisterRight(
            code="S", party="P-G", kind="irrigation", **where, licensed_l=10_000_000, verified_l=10_000_000,
            valid_from_ns=0, valid_to_ns=world.clock.at_ns + 2 * DAY_NS, document=DOCUMENT,
        ),
    )  # fmt: skip
    world.add_meter("M-S", (("S", 1_000_000),))
    world.add_meter("M-back", (("G", 1_000_000),), sign=-1)
    world.read(world.reading("M-G", 4_000), world.reading("M-back", 500), world.reading("M-S", 2_000))
    assert world.balance("G") == (0, 0, 3_500_000, -2_500_000)
    world.bureau(shuiquan.IssueRight(right="S", year=2024, volume_l=9_000_000, document=DOCUMENT))
    assert world.balance("S") == (7_000_000, 0, 2_000_000, 0)


def trade_to_cover(world: World) -> None:
    """G buys from R until its over-use is covered: by an order, and by an agreement."""
    world.open_market()
    world.orders(world.order(Side.SELL, "R", 4_500, 30), world.order(Side.BUY, "G", 4_500, 10))
    deal = shuiquan.SettleAgreement(
        instrument="SW-A", seller="R", buyer="G", volume_l=2_345_678, amount_fen=45_678, document=DOCUMENT
    )
    world.operator(deal)
    assert world.balance("G") == (845_678, 0, 3_500_000, 0)
    world.clock.at_ns += 2 * DAY_NS  # the term of S is over
    world.open_market("SW-B")
    assert world.balance("S") == (0, 0, 2_000_000, 0)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger on which nearly everything has happened."""
    world = World(tmp_path_factory.mktemp("views") / "ledger.db")
    populate(world)
    play(world, random_script(31, 70))
    eventful(world)
    trade_to_cover(world)
    world.exchange.close()
    return world.path


@pytest.fixture
def world(ledger: Path, tmp_path: Path) -> Iterator[World]:
    """That ledger, opened for writing, without read models."""
    made = resumed(copied(ledger, tmp_path / "ledger.db"))
    yield made
    made.exchange.close()
