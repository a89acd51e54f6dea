"""Units: litres, fen and nanoseconds inside; cubic metres, yuan and local time at the edges.

Everything is an integer. A decimal is read as text and converted exactly, or refused (contract K13).
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

from ledger.codes import Code, Refused

LITRES_PER_M3: Final = 1000
FEN_PER_YUAN: Final = 100
PPM: Final = 1_000_000
NS: Final = 1_000_000_000
SECONDS_PER_HOUR: Final = 3600
MAX_AMOUNT: Final = 2**62 - 1
"""No volume, amount or sum may exceed this: kernels do not check for overflow (contract K27)."""

MAX_DIGITS: Final = 40
"""Digits before or behind the point beyond which no figure is worth reading."""

VOLUME_UNITS: Final = {
    "m3": 1,
    "m³": 1,
    "立方米": 1,
    "方": 1,
    "万m3": 10_000,
    "万m³": 10_000,
    "万立方米": 10_000,
    "万方": 10_000,
}
"""Cubic metres in each unit of volume that bureaus write."""


def whole(text: str | int, factor: int, field: str) -> int:
    """`text` x `factor` as an integer. Raises Refused when it is no decimal, not whole then, or out of range."""
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise Refused(Code.POLICY_FLOAT, field, text, "an integer or a decimal in quotes")
    try:
        number = Decimal(str(text).replace(",", "").strip())
    except InvalidOperation:
        raise Refused(Code.NOT_A_NUMBER, field, text, "a decimal such as 12.5") from None
    if not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS:
        raise Refused(Code.OUT_OF_RANGE, field, text, f"within ±{MAX_AMOUNT // max(factor, 1)}")
    exact = Fraction(number) * factor  # decimal arithmetic would round
    if abs(exact) > MAX_AMOUNT:
        raise Refused(Code.OUT_OF_RANGE, field, text, f"within ±{MAX_AMOUNT // factor}")
    if exact.denominator != 1:
        raise Refused(Code.OUT_OF_RANGE, field, text, f"at most {len(str(factor)) - 1} decimals")
    return int(exact)


def litres(text: str | int, field: str = "volume", unit: str = "m3") -> int:
    """Litres in a volume written in a unit of VOLUME_UNITS. Raises Refused for an unknown unit or a bad number."""
    if unit not in VOLUME_UNITS:
        raise Refused(Code.UNIT_UNKNOWN, field, unit, "one of " + ", ".join(VOLUME_UNITS))
    return whole(text, VOLUME_UNITS[unit] * LITRES_PER_M3, field)


def fen(text: str | int, field: str = "amount") -> int:
    """Fen in an amount written in yuan."""
    return whole(text, FEN_PER_YUAN, field)


def ppm(text: str | int, field: str = "share") -> int:
    """Parts per million in a share written as a decimal from 0 to 1."""
    value = whole(text, PPM, field)
    if not 0 <= value <= PPM:
        raise Refused(Code.OUT_OF_RANGE, field, text, "from 0 to 1")
    return value


def show_m3(volume_l: int) -> str:
    """Cubic metres with thousands separators, and decimals only where there are litres."""
    whole_m3, rest = divmod(abs(volume_l), LITRES_PER_M3)
    return ("-" if volume_l < 0 else "") + f"{whole_m3:,}" + (f".{rest:03d}".rstrip("0") if rest else "")


def show_yuan(amount_fen: int) -> str:
    """Yuan with two decimals and thousands separators."""
    yuan, rest = divmod(abs(amount_fen), FEN_PER_YUAN)
    return ("-" if amount_fen < 0 else "") + f"{yuan:,}.{rest:02d}"


def show_share(part: int, total: int) -> str:
    """A share in per cent with one decimal, rounded down; a dash where there is nothing to share."""
    return f"{part * 1000 // total / 10:.1f}%" if total else "–"


def show_time(at_ns: int, zone: ZoneInfo) -> str:
    """Local date and time to the second."""
    return datetime.fromtimestamp(at_ns // NS, zone).strftime("%Y-%m-%d %H:%M:%S")


def time_ns(text: str, zone: ZoneInfo) -> int:
    """UTC nanoseconds of an ISO 8601 or RFC 3339 date or date and time, local unless it says otherwise.

    A date alone is its beginning. Raises ValueError for text that is neither.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * (NS // 1_000_000)


def year_starts_ns(first: int, count: int, zone: ZoneInfo) -> list[int]:
    """UTC nanoseconds at which each of `count` + 1 years from `first` on begins in the district."""
    return [time_ns(date(year, 1, 1).isoformat(), zone) for year in range(first, first + count + 1)]
