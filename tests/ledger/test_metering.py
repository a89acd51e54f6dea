"""Readings: which count, how much water they are, whose it is, and what it does to offers (K15, K18)."""

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shuiquan
from ledger.codes import reason
from ledger.policy_file import parse_policy
from shuiquan import Code, Refused, Role, Side
from tests.districts import DAY_NS, HOUR_NS, START_NS, raw_policy
from tests.world import BUREAU, DOCUMENT, GATEWAY, OPERATOR, Fork, World

LOT_L, M3, NS, PPM = 100_000, 1_000, 10**9, 1_000_000
NEW_YEAR_NS = 1_735_660_800 * NS  # 1 January 2025, 00:00 in the district (UTC+8)
NONE, MISSING = 0, -(2**63)
USED, BARRED = Code.WITHDRAWN_FOR_USE, Code.WITHDRAWN_INELIGIBLE


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """T and U: irrigation rights of one holder, 500 lots each; W: a right in the west; A to F: without a drop."""
    made = World(tmp_path_factory.mktemp("metering") / "ledger.db")
    made.add_right("T", kind="irrigation", industry="farming", money_yuan=20_000)
    made.add_right("U", kind="irrigation", industry="farming", party="P-T")
    made.add_right("W", basin="west", kind="irrigation", money_yuan=20_000)
    for name in "ABCDEF":
        made.add_right(name, kind="irrigation", volume_m3=0, metered=False)
    made.open_market("SW-A", "SW-B")
    yield made
    made.exchange.close()


@pytest.fixture
def ledger(base: World) -> World:
    return Fork(base)


def metered(ledger: World, code: str = "X", rights: Any = (("T", PPM),), **fields: Any) -> None:
    """A meter that passes 1,000 l/h and shows at most 999,999 l; it was installed at 9:00 with 990,000 l on it."""
    shape = {"modulus_l": 1_000_000, "max_l_per_hour": 1_000, "first_l": 990_000, "installed_at_ns": START_NS - HOUR_NS}
    ledger.add_meter(code, rights, **shape | fields)


def read(ledger: World, meter: str, value_l: int, at_ns: int | None = None, sequence: int = 0) -> Any:
    """Submit one reading in litres."""
    row = ledger.reading(meter, None, at_ns, sequence)
    row["value_l"] = value_l
    return ledger.read(row)


H, OK = HOUR_NS, (NONE, 0)
JUDGED: dict[str, tuple[tuple[tuple[int, int, int], ...], tuple[tuple[int, int], ...]]] = {
    # readings as (measured after 10:00 in ns, litres shown, sequence) and what each leads to: (code, litres)
    "the first counts from the installation": (((0, 991_200, 0),), ((NONE, 1_200),)),
    "ten hours of flow": (((9 * H, 990_000, 0), (19 * H, 999_999, 0)), (OK, (NONE, 9_999))),
    "1.2 times its rate": (((0, 991_201, 0), (0, 991_200, 1)), ((Code.RATE_TOO_HIGH, 0), (NONE, 1_200))),
    "no flow": (((0, 990_000, 0), (H, 990_000, 0)), (OK, OK)),
    "the same again": (((0, 990_500, 0), (0, 990_500, 0)), ((NONE, 500), (Code.DUPLICATE_READING, 0))),
    "again with another value": (((0, 990_500, 0), (0, 990_900, 0)), ((NONE, 500), (Code.DUPLICATE_READING, 0))),
    "twice in an instant": (((0, 990_500, 0), (0, 990_900, 1)), ((NONE, 500), (Code.LATE_READING, 0))),
    "late, then on": (((2 * H, 990_500, 0), (H, 990_900, 0), (3 * H, 990_900, 0)),
        ((NONE, 500), (Code.LATE_READING, 0), (NONE, 400))),
    "as old as the installation": (((-H, 990_500, 0), (1 - H, 990_000, 0)), ((Code.LATE_READING, 0), OK)),
    "missing, then on": (((0, MISSING, 0), (H, 991_500, 0)), ((Code.VALUE_MISSING, 0), (NONE, 1_500))),
    "missing, then again": (((0, MISSING, 0), (0, 990_100, 0)), ((Code.VALUE_MISSING, 0), (Code.DUPLICATE_READING, 0))),
    "back, then on": (((0, 989_999, 0), (H, 992_000, 0)), ((Code.STEP_BACK, 0), (NONE, 2_000))),
    "too fast, then on": (((0, 999_000, 0), (H, 992_000, 0)), ((Code.RATE_TOO_HIGH, 0), (NONE, 2_000))),
    "the register wraps": (((12 * H, 3_000, 0), (13 * H, 3_100, 0)), ((Code.WRAPPED, 13_000), (NONE, 100))),
    "as far as it can run": (((9 * H, 2_001, 0), (9 * H, 2_000, 1)), ((Code.STEP_BACK, 0), (Code.WRAPPED, 12_000))),
    "its last figure": (((9 * H, 1_000_000, 0), (9 * H, 999_999, 1)), ((Code.BEYOND_MODULUS, 0), (NONE, 9_999))),
    "no such figures": (((0, -1, 0), (0, 2**63 - 1, 1)), ((Code.BEYOND_MODULUS, 0), (Code.BEYOND_MODULUS, 0))),
    "a clock ahead": (((20 * H + 300 * NS + 1, 990_001, 0), (20 * H + 300 * NS, 990_001, 0)),
        ((Code.CLOCK_AHEAD, 0), (NONE, 1))),
}  # fmt: skip


@pytest.mark.parametrize("name", JUDGED)
def test_readings_are_judged_and_only_good_ones_count(ledger: World, name: str) -> None:
    rows, expected = JUDGED[name]
    metered(ledger)
    free = ledger.balance("T")[0]
    ledger.clock.at_ns = START_NS + 20 * HOUR_NS
    answers = [read(ledger, "X", value_l, START_NS + at_ns, sequence) for at_ns, value_l, sequence in rows]
    found = [(answer.readings["code"].item(), answer.readings["volume_l"].item()) for answer in answers]
    assert found == list(expected), [reason(code).name for code, _ in found]
    assert [answer.uses["volume_l"].tolist() for answer in answers] == [[v] if v else [] for _, v in expected]
    total = sum(volume_l for _, volume_l in expected)
    assert ledger.balance("T") == (free - total, 0, total, 0)
    ledger.check()


def test_a_reading_counts_for_thirty_days_and_no_longer(ledger: World) -> None:
    metered(ledger, modulus_l=10**9, first_l=0)
    ledger.clock.at_ns = START_NS + 40 * DAY_NS
    late = read(ledger, "X", 1, START_NS + 10 * DAY_NS - 1)
    good = read(ledger, "X", 1, START_NS + 10 * DAY_NS)
    assert (late.readings["code"], good.readings["code"]) == (Code.READING_TOO_LATE, NONE)
    ledger.check()


def test_identities_are_kept_apart_and_outlive_a_full_table(ledger: World) -> None:
    metered(ledger, "X", max_l_per_hour=10**6)
    metered(ledger, "Y", (("U", PPM),), max_l_per_hour=10**6)
    ledger.clock.at_ns = START_NS + DAY_NS
    both = np.repeat(np.concatenate([ledger.reading(meter, 990) for meter in "XY"]), 1_500)
    both["measured_at_ns"] = START_NS + np.tile(np.arange(1_500), 2) * NS
    assert set(ledger.read(both).readings["code"].tolist()) == {NONE}
    ledger.clock.at_ns += 29 * DAY_NS
    assert set(ledger.read(both, both).readings["code"].tolist()) == {Code.DUPLICATE_READING}
    ledger.check()


@pytest.mark.parametrize("days", [0, 140], ids=["a day", "months"])
def test_a_meter_at_the_limits_of_its_figures_is_judged_like_any(ledger: World, days: int) -> None:
    installed = START_NS - DAY_NS - days * DAY_NS
    metered(ledger, modulus_l=2**53, max_l_per_hour=2**40, first_l=2**53 - 1, installed_at_ns=installed)
    answer = read(ledger, "X", 9)
    assert (answer.readings["code"], answer.readings["volume_l"]) == (Code.WRAPPED, 10)
    ledger.check()


@st.composite
def shares(draw: st.DrawFn) -> tuple[int, ...]:
    """Parts per million of one to six rights."""
    cuts = draw(st.sets(st.integers(1, PPM - 1) | st.integers(1, 9).map(lambda tenth: tenth * PPM // 10), max_size=5))
    edges = [0, *sorted(cuts), PPM]
    return tuple(high - low for low, high in pairwise(edges))


def largest_fractions(volume_l: int, parts: tuple[int, ...]) -> list[int]:
    """A volume in these parts: floors, and a litre more to the largest fractions, first come first."""
    exact = [Fraction(volume_l * part, PPM) for part in parts]
    given_l = [int(share) for share in exact]
    ranked = sorted(range(len(parts)), key=lambda at: (given_l[at] - exact[at], at))
    for at in ranked[: volume_l - sum(given_l)]:
        given_l[at] += 1
    return given_l


SECONDS = st.integers(1, 400) | st.integers(1, 20 * 86_400)


@settings(max_examples=100)
@given(
    shares(), st.integers(1, 99) | st.integers(1, 6 * 10**8), st.sampled_from((1, -1)), st.just(0) | SECONDS, SECONDS
)
def test_use_is_split_by_years_and_shares_to_the_litre(
    base: World, parts: tuple[int, ...], volume_l: int, sign: int, before_s: int, after_s: int
) -> None:
    ledger, rights = Fork(base), tuple(zip("ABCDEF", parts, strict=False))
    installed = {"first_l": 0, "installed_at_ns": NEW_YEAR_NS - before_s * NS, "sign": sign}
    metered(ledger, "X", rights, modulus_l=10**12, max_l_per_hour=10**12, **installed)
    ledger.clock.at_ns = NEW_YEAR_NS + after_s * NS
    uses = read(ledger, "X", volume_l).uses
    old = volume_l * before_s // (before_s + after_s)
    for year, volume in ((2024, old), (2025, volume_l - old)):
        booked = uses[uses["year"] == year]
        model = enumerate((sign * part for part in largest_fractions(volume, parts)), start=ledger.exchange.right("A"))
        expected = [(right, part) for right, part in model if part]
        assert list(zip(booked["right"].tolist(), booked["volume_l"].tolist(), strict=True)) == expected
        assert all((row["to_ns"] <= NEW_YEAR_NS) == (year == 2024) for row in booked)
    assert uses["volume_l"].sum() == sign * volume_l
    ledger.check()


TURNS = {
    # litres between two readings, (measured before and after the turn of the year in ns) -> litres by year
    "one on the stroke of midnight": (600, (-HOUR_NS, 0), {2024: 600}),
    "and the next": (600, (0, HOUR_NS), {2025: 600}),
    "a third of the time": (601, (-10 * NS, 20 * NS), {2024: 200, 2025: 401}),
    "nothing flows over the turn": (0, (-HOUR_NS, HOUR_NS), {}),
    "one litre for two": (1, (-HOUR_NS, HOUR_NS), {2025: 1}),
    "less than a second apart": (1, (-4 * 10**8, 4 * 10**8), {2025: 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", TURNS)
def test_use_belongs_to_the_year_in_which_it_was_measured(ledger: World, name: str) -> None:
    volume_l, (before, after), by_year = TURNS[name]
    ledger.clock.at_ns = NEW_YEAR_NS + DAY_NS
    shape = {"first_l": 0, "max_l_per_hour": 10**6, "installed_at_ns": NEW_YEAR_NS + before - NS}
    metered(ledger, rights=(("T", PPM // 2), ("U", PPM // 2)), **shape)
    assert not len(read(ledger, "X", 0, NEW_YEAR_NS + before).uses)
    answer = read(ledger, "X", volume_l, NEW_YEAR_NS + after)
    assert answer.readings["code"] == NONE
    years, volumes = answer.uses["year"], answer.uses["volume_l"]
    assert {year: int(volumes[years == year].sum()) for year in set(years.tolist())} == by_year
    ledger.check()


@pytest.mark.parametrize("at_ns", [NEW_YEAR_NS + DAY_NS, 2**63 - 1, -(2**63)], ids=["next year", "end", "start"])
def test_a_refused_reading_leaves_nothing_but_its_fact(ledger: World, at_ns: int) -> None:
    before = ledger.parts()
    answer = read(ledger, "M-T", 5, at_ns)
    assert answer.readings["code"].item() in {Code.CLOCK_AHEAD, Code.READING_TOO_LATE}
    assert ledger.parts() == before
    ledger.check()


# what use does to the market


def offers(ledger: World) -> dict[int, str]:
    """Offers of T, 100 lots each over both instruments, one of U and a bid for U; their names by id."""
    rows = (("first", "T", "SW-A"), ("second", "T", "SW-B"), ("third", "T", "SW-A"), ("other", "U", "SW-B"))
    made = {ledger.rest(Side.SELL, right, 3000, 100, instrument): name for name, right, instrument in rows}
    return made | {ledger.rest(Side.BUY, "U", 2000, 1): "bid"}


TAKEN = {
    # litres taken -> free litres, offered lots, over-use, what was withdrawn as (offer, lots, code)
    "what is free": (200 * LOT_L, 0, 300, 0, ()),
    "a litre more": (200 * LOT_L + 1, LOT_L - 1, 299, 0, (("third", 1, USED),)),
    "a lot more": (201 * LOT_L, 0, 299, 0, (("third", 1, USED),)),
    "the latest and half of the one before": (350 * LOT_L, 0, 150, 0, (("third", 100, USED), ("second", 50, USED))),
    "all there is": (500 * LOT_L, 0, 0, 0, (("third", 100, USED), ("second", 100, USED), ("first", 100, USED))),
    "more than there is": (500 * LOT_L + 7, 0, 0, 7,
        (("third", 100, USED), ("second", 100, USED), ("first", 100, USED), ("other", 100, BARRED))),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_use_takes_free_water_then_offers_then_more_than_there_is(ledger: World, name: str) -> None:
    taken, free, offered, over, gone = TAKEN[name]
    names = offers(ledger)
    answer = read(ledger, "M-T", taken)
    cause, (use,) = answer.readings["seq"].item(), answer.uses
    assert (use["volume_l"], use["over_l"], use["cause"]) == (taken, over, cause)
    found = [(names[row["order_id"].item()], row["quantity"].item(), row["code"].item()) for row in answer.removals]
    assert tuple(found) == gone
    assert (answer.removals["cause"] == cause).all()
    assert ledger.balance("T") == (free, offered * LOT_L, taken, -over)
    assert ledger.balance("U")[1] == (0 if over else 100 * LOT_L)
    on_sale = {name: sum(level[1] for level in ledger.exchange.depth(name).asks) for name in ("SW-A", "SW-B")}
    assert sum(on_sale.values()) == offered + (0 if over else 100)
    again = ledger.orders(*(ledger.order(Side.SELL, right, 3000, 1) for right in "TU")).orders["code"].tolist()
    assert again == ([Code.OVER_USE] * 2 if over else [Code.NOT_ENOUGH_WATER, NONE])
    ledger.check()


def test_each_reading_of_a_batch_sees_what_the_one_before_took(ledger: World) -> None:
    names = offers(ledger)
    earlier = START_NS - 4 * HOUR_NS
    rows = (("M-U", 41_000, START_NS), ("M-T", 20_100, earlier), ("M-T", 60_000, START_NS))
    answer = ledger.read(*(ledger.reading(*row) for row in rows))
    gone = [(names[row["order_id"].item()], row["quantity"].item()) for row in answer.removals]
    assert gone == [("other", 10), ("third", 1), ("third", 99), ("second", 100), ("first", 100), ("other", 90)]
    assert answer.uses["over_l"].tolist() == [0, 0, 100 * LOT_L]
    seqs = np.concatenate([answer.readings["seq"], answer.uses["seq"], answer.removals["seq"]])
    assert sorted(seqs.tolist()) == list(range(answer.first_seq + 1, answer.last_seq + 1))
    ledger.check()


def test_return_flow_covers_over_use_first_and_restores_no_offer(ledger: World) -> None:
    offers(ledger)
    metered(ledger, modulus_l=10**9, max_l_per_hour=10**8, first_l=0, sign=-1)
    read(ledger, "M-T", 510 * LOT_L)
    assert ledger.balance("T") == (0, 0, 510 * LOT_L, -10 * LOT_L)
    back = read(ledger, "X", 4 * LOT_L)
    assert back.uses[["volume_l", "over_l"]].tolist() == [(-4 * LOT_L, -4 * LOT_L)]
    assert back.readings["volume_l"] == -4 * LOT_L
    assert ledger.orders(ledger.order(Side.SELL, "U", 3000, 1)).orders["code"] == Code.OVER_USE
    ledger.clock.at_ns += HOUR_NS
    assert read(ledger, "X", 110 * LOT_L).uses[["volume_l", "over_l"]].tolist() == [(-106 * LOT_L, -6 * LOT_L)]
    assert ledger.balance("T") == (100 * LOT_L, 0, 400 * LOT_L, 0)
    assert ledger.balance("U")[1] == 0
    assert ledger.orders(ledger.order(Side.SELL, "U", 3000, 1)).orders["code"] == NONE
    ledger.check()


def test_use_undoes_no_trade(ledger: World) -> None:
    ledger.rest(Side.SELL, "T", 3000, 200)
    ledger.rest(Side.BUY, "W", 3000, 200)
    read(ledger, "M-T", 301 * LOT_L)
    assert ledger.balance("T") == (0, 0, 301 * LOT_L, -LOT_L)
    assert ledger.balance("W")[0] == 700 * LOT_L
    ledger.check()


def test_a_manual_reading_needs_the_bureau_and_somebody_else(ledger: World) -> None:
    row = ledger.reading("M-T", 5)
    for who, code in (
        ({"actor": "clerk", "role": Role.BUREAU}, Code.NEEDS_APPROVER),
        ({"actor": "clerk", "role": Role.BUREAU, "approver": "clerk"}, Code.NEEDS_APPROVER),
        (OPERATOR, Code.NOT_AUTHORISED),
        ({"actor": "P-T", "role": Role.HOLDER, "approver": "head"}, Code.NOT_AUTHORISED),
    ):
        with pytest.raises(Refused) as refused:
            ledger.submit(row, who)
        assert refused.value.code == code
    assert ledger.submit(row, BUREAU).uses["volume_l"].tolist() == [5 * M3]
    assert ledger.submit(ledger.reading("M-U", 5), GATEWAY).uses["volume_l"].tolist() == [5 * M3]
    ledger.check()


def test_offers_are_withdrawn_in_the_same_order_after_reopening(tmp_path: Path) -> None:
    raw, removed = raw_policy(), []
    raw["instruments"].append(raw["instruments"][0] | {"code": "SW-25", "year": 2025})
    cell = {"source": "surface", "basin": "east", "township": "town", "industry": "industry", "year": 2025}
    for reopened in (False, True):
        world = World(tmp_path / f"{reopened}.db", parse_policy(raw))
        for name in "FBDACE":
            world.add_right(name, kind="irrigation", party="P", metered=False)
        rights = tuple((name, PPM // 6 + (4 if name == "A" else 0)) for name in "CAFEBD")
        world.add_meter("X", rights, installed_at_ns=NEW_YEAR_NS - HOUR_NS)
        world.open_market("SW-25")
        world.clock.at_ns = NEW_YEAR_NS + 10 * HOUR_NS
        world.read(world.reading("X", 660))  # of it 600 in the new year, for which nothing is issued yet
        issues = [shuiquan.IssueRight(right=name, year=2025, volume_l=10**6, document=DOCUMENT) for name in "ABCDEF"]
        issued = world.bureau(shuiquan.AllocateCell(**cell, volume_l=6 * 10**6, document=DOCUMENT), *issues)
        assert sum(fact.covered_l for _, _, fact in issued.acts[1:]) == 600_000
        for name in "ABCDEF":
            world.rest(Side.SELL, name, 3000, 5, "SW-25")
        if reopened:
            world.reopen()
        world.clock.at_ns += DAY_NS
        removed.append(world.read(world.reading("X", 60_000)).removals[["order_id", "code", "seq"]].tolist())
        world.check()
        world.exchange.close()
    assert (len(removed[0]), removed[0]) == (6, removed[1])


UNREAD = """
import sys
from pathlib import Path
from tests.districts import DAY_NS
from tests.world import World
world = World(Path(sys.argv[1]))
world.add_right("A", kind="irrigation", volume_m3=0)
for at in range(40):
    world.add_meter(f"X{at}", (("A", 1_000_000),), verified_until_ns=2**61)
world.clock.at_ns += 2_500 * DAY_NS
answer = world.read(*(world.reading(f"X{at}", 7) for at in range(40)))
print(len(answer.uses), answer.uses["volume_l"].sum())
world.check()
"""


def test_meters_unread_for_years_book_every_year(tmp_path: Path) -> None:
    command = [sys.executable, "-c", UNREAD, str(tmp_path / "ledger.db")]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert run.stdout.split() == [str(8 * 40), str(7_000 * 40)], run.stderr[-400:]
