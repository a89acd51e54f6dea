"""A district's policy: what may be issued, by whom it may be traded, at what fee, under which document.

The text is a TOML file in cubic metres and yuan; the policy in the ledger is the same in litres and fen. Floats
are refused (contract K13). A policy is part of the ledger: it is adopted by a fact and changed by another.
"""

import tomllib
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from ledger.codes import Code, Refused
from ledger.units import fen, litres, ppm, whole
from matching.types import MAX_PRICE

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=400)]
MODES: Final = ("continuous", "call_auction", "listing", "one_way_auction", "agreement")
KINDS: Final = ("licence", "irrigation", "network", "regional")
MAX_ZONES: Final = 64
MAX_LOT_FEN: Final = 2**30
"""A lot may cost no more: with the largest order it keeps price x quantity, and fees on it, below 2**62 (K27)."""


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every part of a policy: unknown keys are faults, values never change."""


class Label(Struct, frozen=True, kw_only=True):
    """A thing of the district under its short code, with its names for people."""

    code: Name
    zh: Name
    en: Name


class Zone(Label, frozen=True, kw_only=True):
    """A trading zone: a basin, or the network of a public supplier."""

    network: bool = False


class Passage(Struct, frozen=True, kw_only=True):
    """Permission to move water from one zone to another. No `headroom` means no limit; no entry, no permission."""

    seller: Name
    buyer: Name
    headroom_l: int | None = None


class ControlIndex(Struct, frozen=True, kw_only=True):
    """The control index (用水总量控制指标) of one source kind and year."""

    source: Name
    year: int
    volume_l: int
    document: Text
    illustrative: bool = False


class Cap(Struct, frozen=True, kw_only=True):
    """A published cap over any combination of attributes of one source kind and year (contract K16)."""

    source: Name
    year: int
    volume_l: int
    document: Text
    basin: Name | None = None
    township: Name | None = None
    industry: Name | None = None
    network: Name | None = None
    scheme: Name | None = None
    illustrative: bool = False


class Mode(Struct, frozen=True, kw_only=True):
    """A trading mode and what opens it: a document, or `simulation` until there is one (domain rule T0)."""

    mode: Name
    document: Text = ""
    simulation: bool = False


class Instrument(Struct, frozen=True, kw_only=True):
    """A standardised instrument: a source kind and year, cut into lots, quoted in ticks."""

    code: Name
    zh: Name
    en: Name
    source: Name
    year: int
    lot_l: int
    tick_fen: int  # one tick on one lot
    max_price: int  # in ticks
    venue: Text
    reference_price: int  # in ticks; 0 for none
    band_ppm: int  # of the reference, either way; 0 for no band
    modes: tuple[Mode, ...]
    session: tuple[str, str]  # local times of day


class Fees(Struct, frozen=True, kw_only=True):
    """Fees as parts per million of the money that changes hands."""

    buyer_ppm: int
    seller_ppm: int


class Thresholds(Struct, frozen=True, kw_only=True):
    """Above which licensed volume or area an intake must report online (the decree, chapter 2 (1))."""

    surface_l: int
    ground_l: int
    irrigation_head_mu: int
    window_hours: int  # an online meter is working if it reported within this time


class Rules(Struct, frozen=True, kw_only=True):
    """Switches of the policy."""

    resale_of_bought: bool
    basic_need_ppm: int  # share of an irrigation right that may not be sold (T3, T5)
    excluded_sellers: tuple[Name, ...]  # industries whose licence holders may not sell (T2)
    banned_buyers: tuple[Name, ...]  # industries that may not buy (T5)
    late_days: int


class Policy(Struct, frozen=True, kw_only=True):
    """The policy of a district, in litres, fen, ticks and parts per million."""

    district: Name
    zh: Name
    en: Name
    version: int
    document: Text
    time_zone: Name
    station_time_zone: Name
    basins: tuple[Zone, ...]
    townships: tuple[Label, ...]
    industries: tuple[Label, ...]
    sources: tuple[Label, ...]
    indexes: tuple[ControlIndex, ...]
    caps: tuple[Cap, ...]
    passages: tuple[Passage, ...]
    instruments: tuple[Instrument, ...]
    fees: Fees
    thresholds: Thresholds
    rules: Rules

    @property
    def zone(self) -> ZoneInfo:
        """The district's time zone."""
        return ZoneInfo(self.time_zone)

    def zone_number(self, code: str) -> int:
        """Number of a trading zone. Raises Refused for a code the policy does not know."""
        return number_of(self.basins, code, "basin")


def number_of(labels: tuple[Label, ...], code: str, field: str) -> int:
    """Place of a code among labels. Raises Refused (UNKNOWN_NAME) when it is not there."""
    for number, label in enumerate(labels):
        if label.code == code:
            return number
    raise Refused(Code.UNKNOWN_NAME, field, code, "one of " + ", ".join(label.code for label in labels))


def read_policy(path: Path) -> Policy:
    """The policy in a TOML file. Raises Refused naming the key, the value and the rule it breaks."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise Refused(Code.POLICY_INVALID, "file", str(path.name), str(problem)) from None
    return parse_policy(raw)


def parse_policy(raw: dict[str, Any]) -> Policy:
    """The policy in a parsed TOML document, its volumes in m³, its prices in yuan, its shares as decimals."""
    refuse_floats(raw, "")
    try:
        policy = msgspec.convert(to_integers(raw), Policy)
    except (msgspec.ValidationError, KeyError, TypeError) as problem:
        raise Refused(Code.POLICY_INVALID, "policy", str(problem), "see docs/policy.md") from None
    check_policy(policy)
    return policy


def refuse_floats(value: Any, path: str) -> None:
    """Raise Refused (POLICY_FLOAT) for the first float anywhere in a document."""
    if isinstance(value, float):
        raise Refused(Code.POLICY_FLOAT, path, value, 'write it in quotes, as "0.3"')
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        refuse_floats(item, f"{path}.{key}" if path else str(key))


def to_integers(raw: dict[str, Any]) -> dict[str, Any]:
    """A copy of the document with `volume_m3`, `price_yuan_per_m3`, `share` and the like as integers in our units."""

    def volumes(rows: list[dict[str, Any]], name: str = "volume") -> list[dict[str, Any]]:
        return [
            {k: v for k, v in row.items() if k != f"{name}_m3"} | {f"{name}_l": litres(row[f"{name}_m3"], f"{name}_m3")}
            if f"{name}_m3" in row
            else row
            for row in rows
        ]

    return raw | {
        "indexes": volumes(raw["indexes"]),
        "caps": volumes(raw["caps"]),
        "passages": volumes(raw["passages"], "headroom"),
        "instruments": [instrument_integers(row) for row in raw["instruments"]],
        "fees": {f"{side}_ppm": ppm(raw["fees"][side], f"fees.{side}") for side in ("buyer", "seller")},
        "thresholds": {
            "surface_l": litres(raw["thresholds"]["surface_m3"]),
            "ground_l": litres(raw["thresholds"]["ground_m3"]),
            "irrigation_head_mu": raw["thresholds"]["irrigation_head_mu"],
            "window_hours": raw["thresholds"]["window_hours"],
        },
        "rules": {k: v for k, v in raw["rules"].items() if k != "basic_need"}
        | {"basic_need_ppm": ppm(raw["rules"]["basic_need"], "rules.basic_need")},
    }


def instrument_integers(row: dict[str, Any]) -> dict[str, Any]:
    """An instrument with its lot in litres and its prices in ticks. A tick on a lot must be whole fen (K25)."""
    lot_l = litres(row["lot_m3"], "lot_m3")
    tick = row["tick_yuan_per_m3"]
    tick_fen = whole(tick, fen(row["lot_m3"]), "tick_yuan_per_m3")  # yuan/m³ x m³ a lot x 100

    def ticks(name: str) -> int:
        number, rest = divmod(whole(row[name], fen(row["lot_m3"]), name), tick_fen)
        if rest:
            raise Refused(Code.POLICY_INVALID, name, row[name], f"a multiple of the tick {tick}")
        return number

    if tick_fen <= 0:
        raise Refused(Code.POLICY_INVALID, "tick_yuan_per_m3", tick, "above zero")
    dropped = {"lot_m3", "tick_yuan_per_m3", "max_yuan_per_m3", "reference_yuan_per_m3", "band"}
    return {k: v for k, v in row.items() if k not in dropped} | {
        "lot_l": lot_l,
        "tick_fen": tick_fen,
        "max_price": ticks("max_yuan_per_m3"),
        "reference_price": ticks("reference_yuan_per_m3"),
        "band_ppm": ppm(row["band"], "band"),
    }


def check_policy(policy: Policy) -> None:
    """Check what types cannot say: names that exist, one lot for all, passages between zones. Raises Refused."""
    for key in ("time_zone", "station_time_zone"):
        try:
            ZoneInfo(getattr(policy, key))
        except (ZoneInfoNotFoundError, ValueError):
            raise Refused(Code.POLICY_INVALID, key, getattr(policy, key), "a zone of the IANA database") from None
    if not 0 < len(policy.basins) <= MAX_ZONES:
        raise Refused(Code.POLICY_INVALID, "basins", len(policy.basins), f"1 to {MAX_ZONES} trading zones")
    for passage in policy.passages:
        policy.zone_number(passage.seller)
        policy.zone_number(passage.buyer)
    names = {"basin": policy.basins, "township": policy.townships, "industry": policy.industries}
    for cap in policy.caps:
        number_of(policy.sources, cap.source, "caps.source")
        for field, labels in names.items():
            if (code := getattr(cap, field)) is not None:
                number_of(labels, code, f"caps.{field}")
    for instrument in policy.instruments:
        check_instrument(policy, instrument)


def check_instrument(policy: Policy, instrument: Instrument) -> None:
    """Check an instrument: one lot for all, limits of price and value, its session, its modes. Raises Refused."""
    code = instrument.code
    if instrument.lot_l != policy.instruments[0].lot_l:  # contract K26: headroom is counted in lots
        raise Refused(Code.POLICY_INVALID, f"{code}.lot_m3", instrument.lot_l, "one lot for all instruments")
    if not 0 < instrument.max_price <= MAX_PRICE or instrument.max_price * instrument.tick_fen >= MAX_LOT_FEN:
        rule = f"1 to {MAX_PRICE} ticks, and a lot below {MAX_LOT_FEN} fen"
        raise Refused(Code.POLICY_INVALID, f"{code}.max_yuan_per_m3", instrument.max_price, rule)
    if not 0 <= instrument.reference_price <= instrument.max_price:
        raise Refused(Code.POLICY_INVALID, f"{code}.reference_yuan_per_m3", instrument.reference_price, "0 to maximum")
    number_of(policy.sources, instrument.source, f"{code}.source")
    try:
        opens, closes = (time.fromisoformat(text) for text in instrument.session)
    except ValueError:
        raise Refused(Code.POLICY_INVALID, f"{code}.session", instrument.session, "two times of day, HH:MM") from None
    if opens >= closes:
        raise Refused(Code.POLICY_INVALID, f"{code}.session", instrument.session, "it opens before it closes")
    for mode in instrument.modes:
        if mode.mode not in MODES:
            raise Refused(Code.POLICY_INVALID, f"{code}.mode", mode.mode, "one of " + ", ".join(MODES))
        if bool(mode.document) == mode.simulation:
            raise Refused(Code.POLICY_INVALID, f"{code}.{mode.mode}", mode.document, "a document, or simulation")
