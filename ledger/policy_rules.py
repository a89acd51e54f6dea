"""What the types of a policy cannot say: names that exist and stand once, sums that can be counted, years in reach."""

from collections import Counter
from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ledger.codes import Code, Refused
from ledger.policy import MAX_LOT_FEN, MODES, Instrument, Label, Policy, number_of
from ledger.units import MAX_AMOUNT

YEARS: Final = 32
"""Years that a ledger spans, from the first year of its policy's indexes on."""


def check_policy(policy: Policy) -> None:
    """Raise Refused naming the key, the value and the rule that a policy breaks."""
    try:
        msgspec.convert(msgspec.to_builtins(policy), Policy)  # one made in Python may hold anything
    except msgspec.ValidationError as problem:
        raise Refused(Code.POLICY_INVALID, "policy", str(problem), "see docs/policy.md") from None
    for key in ("time_zone", "station_time_zone"):
        try:
            ZoneInfo(getattr(policy, key))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Refused(Code.POLICY_INVALID, key, getattr(policy, key), "a zone of the IANA database") from None
    for key in ("basins", "townships", "industries", "sources", "instruments"):
        check_once(key, [label.code for label in getattr(policy, key)])
    check_passages(policy)
    check_allocation(policy)
    for field in ("excluded_sellers", "banned_buyers"):
        for industry in getattr(policy.rules, field):
            number_of(policy.industries, industry, f"rules.{field}")
    for instrument in policy.instruments:
        check_instrument(policy, instrument)


def check_once(key: str, codes: Sequence[str]) -> None:
    """Raise Refused for a code that stands twice."""
    for code, count in Counter(codes).items():
        if count > 1:
            raise Refused(Code.POLICY_INVALID, key, code, "each stands once")


def check_passages(policy: Policy) -> None:
    """Raise Refused for a passage between zones that do not exist, or that stands twice."""
    for passage in policy.passages:
        policy.zone_number(passage.seller)
        policy.zone_number(passage.buyer)
    check_once("passages", [f"{passage.seller} -> {passage.buyer}" for passage in policy.passages])


def check_allocation(policy: Policy) -> None:
    """Raise Refused for indexes and caps of unknown names or years out of reach, or a sum that cannot be counted."""
    totals = Counter[tuple[int, int]]()
    for index in policy.indexes:
        check_year(policy, "indexes.year", index.year)
        unit = (number_of(policy.sources, index.source, "indexes.source"), index.year)
        totals[unit] += index.volume_l
        if totals[unit] > MAX_AMOUNT:
            raise Refused(Code.OUT_OF_RANGE, "indexes.volume_m3", index.source, f"together at most {MAX_AMOUNT} l")
    names: dict[str, tuple[Label, ...]] = {
        "basin": policy.basins, "township": policy.townships, "industry": policy.industries,
    }  # fmt: skip
    for cap in policy.caps:
        check_year(policy, "caps.year", cap.year)
        number_of(policy.sources, cap.source, "caps.source")
        for field, labels in names.items():
            if (code := getattr(cap, field)) is not None:
                number_of(labels, code, f"caps.{field}")


def check_year(policy: Policy, field: str, year: int) -> None:
    """Raise Refused for a year that the ledger does not span."""
    first = min(index.year for index in policy.indexes)
    if not first <= year < first + YEARS:
        raise Refused(Code.OUT_OF_RANGE, field, year, f"{first} to {first + YEARS - 1}")


def check_instrument(policy: Policy, instrument: Instrument) -> None:
    """Check an instrument: one lot for all, limits of price and value, its session, its modes. Raises Refused."""
    code = instrument.code
    if instrument.lot_l != policy.instruments[0].lot_l:  # contract K26: headroom is counted in lots
        raise Refused(Code.POLICY_INVALID, f"{code}.lot_m3", instrument.lot_l, "one lot for all instruments")
    if instrument.max_price * instrument.tick_fen >= MAX_LOT_FEN:
        rule = f"a lot below {MAX_LOT_FEN} fen"
        raise Refused(Code.POLICY_INVALID, f"{code}.max_yuan_per_m3", instrument.max_price, rule)
    if instrument.reference_price > instrument.max_price:
        raise Refused(Code.POLICY_INVALID, f"{code}.reference_yuan_per_m3", instrument.reference_price, "0 to maximum")
    number_of(policy.sources, instrument.source, f"{code}.source")
    check_year(policy, f"{code}.year", instrument.year)
    opens, closes = instrument.session
    if opens >= closes:
        raise Refused(Code.POLICY_INVALID, f"{code}.session", instrument.session, "it opens before it closes")
    check_once(f"{code}.modes", [mode.mode for mode in instrument.modes])
    for mode in instrument.modes:
        if mode.mode not in MODES:
            raise Refused(Code.POLICY_INVALID, f"{code}.mode", mode.mode, "one of " + ", ".join(MODES))
        if bool(mode.document) == mode.simulation:
            raise Refused(Code.POLICY_INVALID, f"{code}.{mode.mode}", mode.document, "a document, or simulation")
