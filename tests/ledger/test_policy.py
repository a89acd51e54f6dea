"""Policies: what breaks a rule is refused by code before it makes a ledger (K13, K27)."""

from pathlib import Path
from typing import Any

import pytest

from ledger.policy_file import parse_policy
from shuiquan import Code, Refused
from tests.districts import raw_policy
from tests.ledger.test_malformed import VAST
from tests.world import World

FLOAT, BROKEN = (Code.POLICY_FLOAT,), (Code.POLICY_INVALID, Code.OUT_OF_RANGE)
INVALID: dict[str, tuple[tuple[Any, ...], Any, tuple[Code, ...]]] = {
    "a float": (("rules", "basic_need"), 0.2, FLOAT),
    "a float deep down": (("caps", 0, "volume_m3"), 1.0, FLOAT),
    "a truth": (("fees", "buyer"), True, FLOAT),
    "no number": (("fees", "buyer"), "much", (Code.NOT_A_NUMBER,)),
    "not a number": (("fees", "buyer"), "NaN", BROKEN),
    "a share above one": (("fees", "buyer"), "1.000001", BROKEN),
    "finer than a litre": (("caps", 0, "volume_m3"), "0.0001", BROKEN),
    "much finer than a litre": (("caps", 0, "volume_m3"), "1." + "0" * 30 + "1", BROKEN),
    "beyond counting": (("caps", 0, "volume_m3"), "1e999999", BROKEN),
    "below nothing": (("indexes", 0, "volume_m3"), -1, BROKEN),
    "a cap below nothing": (("caps", 0, "volume_m3"), -1, BROKEN),
    "a headroom below nothing": (("passages", 0, "headroom_m3"), -100, BROKEN),
    "a key too many": (("rules", "more"), 1, BROKEN),
    "no indexes": (("indexes",), [], BROKEN),
    "a year before all years": (("indexes", 0, "year"), 0, BROKEN),
    "an instrument of no year": (("instruments", 0, "year"), 10**9, BROKEN),
    "the same instrument twice": (("instruments", 1, "code"), "SW-A", BROKEN),
    "another lot": (("instruments", 1, "lot_m3"), 200, BROKEN),
    "no tick": (("instruments", 0, "tick_yuan_per_m3"), "0", BROKEN),
    "a session of no time": (("instruments", 0, "session"), ["17:00", "09:00"], BROKEN),
    "a late window beyond time": (("rules", "late_days"), 2**40, BROKEN),
    "a late window below nothing": (("rules", "late_days"), -1, BROKEN),
    "a version beyond counting": (("version",), 2**70, BROKEN),
    "no such basin": (("caps", 1, "basin"), "?", (Code.UNKNOWN_NAME,)),
    "no such class": (("rules", "excluded_sellers"), ["?"], (Code.UNKNOWN_NAME,)),
    "a folder of time zones": (("time_zone",), "Asia", BROKEN),
    "rows that are words": (("caps",), ["volume_m3"], BROKEN),
}  # fmt: skip


@pytest.mark.parametrize("name", INVALID)
def test_a_policy_that_breaks_a_rule_is_refused_by_code(tmp_path: Path, name: str) -> None:
    keys, value, codes = INVALID[name]
    raw = raw_policy()
    part: Any = raw
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    with pytest.raises(Refused) as refused:
        World(tmp_path / "ledger.db", parse_policy(raw))
    assert refused.value.code in codes


def test_indexes_of_one_unit_never_sum_beyond_what_can_be_counted(tmp_path: Path) -> None:
    index = VAST["indexes"][0]
    with pytest.raises(Refused) as refused:
        World(tmp_path / "ledger.db", parse_policy(raw_policy() | {"indexes": [index] * 5}))
    assert refused.value.code in {Code.POLICY_INVALID, Code.OUT_OF_RANGE}
