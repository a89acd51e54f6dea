"""A district's policy: what may be issued, by whom it may be traded, at what fee, under which document.

A policy is part of the ledger: it is adopted by a fact and changed by another. Its text is a file in cubic metres and
yuan (`ledger.policy_file`); what types cannot say of it stands in `ledger.policy_rules`.
"""

from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from ledger.codes import Code, Refused
from matching.types import MAX_PRICE

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=400)]
Year = Annotated[int, Meta(ge=1900, le=9999)]
Volume = Annotated[int, Meta(ge=0, le=2**61)]
Share = Annotated[int, Meta(ge=0, le=1_000_000)]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
MODES: Final = ("continuous", "call_auction", "listing", "one_way_auction", "agreement")
KINDS: Final = ("licence", "irrigation", "network", "regional")
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
    headroom_l: Volume | None = None


class ControlIndex(Struct, frozen=True, kw_only=True):
    """The control index (用水总量控制指标) of one source kind and year."""

    source: Name
    year: Year
    volume_l: Volume
    document: Text
    illustrative: bool = False


class Cap(Struct, frozen=True, kw_only=True):
    """A published cap over any combination of attributes of one source kind and year (contract K16)."""

    source: Name
    year: Year
    volume_l: Volume
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
    year: Year
    lot_l: Annotated[int, Meta(ge=1, lt=2**31)]  # with the largest order below 2**62 litres (K27)
    tick_fen: Annotated[int, Meta(ge=1)]  # one tick on one lot
    max_price: Annotated[int, Meta(ge=1, le=MAX_PRICE)]  # in ticks
    venue: Text
    reference_price: Annotated[int, Meta(ge=0)]  # in ticks; 0 for none
    band_ppm: Share  # of the reference, either way; 0 for no band
    modes: tuple[Mode, ...]
    session: tuple[TimeOfDay, TimeOfDay]  # local


class Fees(Struct, frozen=True, kw_only=True):
    """Fees as parts per million of the money that changes hands."""

    buyer_ppm: Share
    seller_ppm: Share


class Thresholds(Struct, frozen=True, kw_only=True):
    """Above which licensed volume or area an intake must report online (the decree, chapter 2 (1))."""

    surface_l: Volume
    ground_l: Volume
    irrigation_head_mu: Annotated[int, Meta(ge=0, le=2**40)]
    window_hours: Annotated[int, Meta(ge=1, le=8_784)]  # an online meter is working if it reported within this time


class Rules(Struct, frozen=True, kw_only=True):
    """Switches of the policy."""

    resale_of_bought: bool
    basic_need_ppm: Share  # share of an irrigation right that may not be sold (T3, T5)
    excluded_sellers: tuple[Name, ...]  # industries whose licence holders may not sell (T2)
    banned_buyers: tuple[Name, ...]  # industries that may not buy (T5)
    late_days: Annotated[int, Meta(ge=0, le=3_660)]


class Policy(Struct, frozen=True, kw_only=True):
    """The policy of a district, in litres, fen, ticks and parts per million."""

    district: Name
    zh: Name
    en: Name
    version: Annotated[int, Meta(ge=1, lt=2**31)]
    document: Text
    time_zone: Name
    station_time_zone: Name
    basins: Annotated[tuple[Zone, ...], Meta(min_length=1, max_length=64)]
    townships: tuple[Label, ...]
    industries: tuple[Label, ...]
    sources: tuple[Label, ...]
    indexes: Annotated[tuple[ControlIndex, ...], Meta(min_length=1)]
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
