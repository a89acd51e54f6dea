"""What the cells of a register mean: pure conversions from text. Each raises Refused for text that is not its kind."""

import re
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from adapters.registry.tables import Hint, plain
from ledger.codes import Code, Refused
from ledger.units import LITRES_PER_M3, PPM, VOLUME_UNITS, litres, ppm, time_ns, whole

AREA_UNITS: Final = {"亩": 1, "mu": 1, "万亩": 10_000}
QUOTA_UNITS: Final = {"m3/亩": 1, "立方米/亩": 1, "方/亩": 1}
FLOW_UNITS: Final = {"m3/h": 1, "m3/小时": 1, "立方米/小时": 1, "m3/s": 3600}
"""Thousands of litres an hour in each unit of flow."""

UNITS: Final = {"volume": VOLUME_UNITS, "area": AREA_UNITS, "quota": QUOTA_UNITS, "flow": FLOW_UNITS}
LARGEST: Final = 2**61
EARLIEST, LATEST = date(1970, 1, 1), date(2115, 12, 31)
EXCEL_EPOCH: Final = date(1899, 12, 30)
KEY_LENGTH, CREDIT_LENGTH = 64, 18

CREDIT_SIGNS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 signs of a credit code: no I, O, S, V, Z (GB 32100-2015)."""

IDENTITY_CHECKS: Final = "10X98765432"
_DATES: Final = (
    re.compile(r"(\d{4})([-./])(\d{1,2})\2(\d{1,2})(?: 0?0:00(?::00)?)?"),
    re.compile(r"(\d{4})(年)(\d{1,2})月(\d{1,2})日"),
    re.compile(r"(\d{4})()(\d{2})(\d{2})"),
)
_DATE_HINT: Final = Hint("a day such as 2023-12-13 or 2023年12月13日", "日期如 2023-12-13 或 2023年12月13日")
_KEY_HINT: Final = Hint("1 to 64 printable characters", "编号为 1 至 64 个可见字符")


def key(text: str) -> str:
    """Read the code of a thing: 1 to 64 printable characters."""
    code = plain(text)
    if not 0 < len(code) <= KEY_LENGTH or not code.isprintable():
        raise Refused(Code.OUT_OF_RANGE, "code", text, _KEY_HINT)
    return code


def volume(text: str, unit: str) -> int:
    """Read a volume as litres, exactly."""
    return within(text, litres(plain(text), "volume", unit))


def area(text: str, unit: str) -> int:
    """Read an area as thousandths of a mu."""
    return within(text, whole(plain(text), AREA_UNITS[unit] * 1000, "area"))


def quota(text: str, unit: str) -> int:
    """Read an irrigation quota as litres a mu."""
    return within(text, whole(plain(text), QUOTA_UNITS[unit] * LITRES_PER_M3, "quota"))


def flow(text: str, unit: str) -> int:
    """Read a flow as litres an hour."""
    return within(text, whole(plain(text), FLOW_UNITS[unit] * LITRES_PER_M3, "flow"))


def within(text: str, number: int) -> int:
    """Give the number back. Raises Refused (OUT_OF_RANGE) for one below zero or beyond all measure."""
    if not 0 <= number <= LARGEST:
        raise Refused(Code.OUT_OF_RANGE, "number", text, Hint(f"from 0 to {LARGEST}", f"须在 0 至 {LARGEST} 之间"))
    return number


def year(text: str) -> int:
    """Read a year such as 2024 or 2024年."""
    digits = plain(text).removesuffix("年度").removesuffix("年")
    if not re.fullmatch(r"\d+", digits, re.ASCII):
        raise Refused(Code.NOT_A_NUMBER, "year", text, Hint("a year such as 2024", "年度如 2024"))
    if not EARLIEST.year <= int(digits) <= LATEST.year:
        raise Refused(Code.OUT_OF_RANGE, "year", text, Hint("a year such as 2024", "年度如 2024"))
    return int(digits)


def day(text: str) -> date:
    """Read a day as bureaus write it, or as the number of days that a spreadsheet keeps.

    Raises Refused: NOT_A_DATE, or OUT_OF_RANGE for a day before 1970 or after 2115.
    """
    written = plain(text)
    try:
        if re.fullmatch(r"\d{5}", written, re.ASCII):
            found = EXCEL_EPOCH + timedelta(days=int(written))
        else:
            parts = next(match for match in (form.fullmatch(written) for form in _DATES) if match)
            found = date(int(parts[1]), int(parts[3]), int(parts[4]))
    except (StopIteration, ValueError):
        raise Refused(Code.NOT_A_DATE, "day", text, _DATE_HINT) from None
    if not EARLIEST <= found <= LATEST:
        raise Refused(Code.OUT_OF_RANGE, "day", text, Hint(f"{EARLIEST} to {LATEST}", f"{EARLIEST} 至 {LATEST}"))
    return found


def start_ns(text: str, zone: ZoneInfo) -> int:
    """Read a day as UTC nanoseconds of its beginning in the district."""
    return time_ns(day(text).isoformat(), zone)


def end_ns(text: str, zone: ZoneInfo) -> int:
    """Read a last day, itself included, as UTC nanoseconds of the beginning of the next."""
    return time_ns((day(text) + timedelta(days=1)).isoformat(), zone)


def shares(text: str) -> tuple[tuple[str, int], ...]:
    """Read rights with their shares as parts per million: YC-L-0001, or YC-L-0001:0.6;YC-L-0002:0.4.

    Raises Refused: OUT_OF_RANGE when they do not sum to one, ROW_DUPLICATE for a right that stands twice.
    """
    parts = [part.strip() for part in plain(text).replace("、", ";").split(";") if part.strip()]
    if len(parts) == 1 and ":" not in parts[0]:
        return ((key(parts[0]), PPM),)
    found = []
    for part in parts:
        code, _, share = part.rpartition(":")
        found.append((key(code), ppm(share, "share")))
    rights = [code for code, _ in found]
    if twice := next((code for code in rights if rights.count(code) > 1), ""):
        raise Refused(Code.ROW_DUPLICATE, "shares", twice, Hint("each right once", "每个用水权只列一次"))
    if sum(share for _, share in found) != PPM or not all(share for _, share in found):
        rule = Hint("shares above 0 that sum to 1, such as A:0.6;B:0.4", "各份额须大于 0 且合计为 1 例如 A:0.6;B:0.4")
        raise Refused(Code.OUT_OF_RANGE, "shares", text, rule)
    return tuple(found)


def credit_code(text: str) -> str:
    """Read a unified social credit code. Raises Refused (CREDIT_CODE_INVALID)."""
    code = plain(text).upper()
    signs = len(code) == CREDIT_LENGTH and all(sign in CREDIT_SIGNS for sign in code)
    if not signs or credit_check(code[:-1]) != code[-1]:
        rule = Hint("18 signs, the last the check character of GB 32100-2015", "18 位 末位为 GB 32100-2015 校验码")
        raise Refused(Code.CREDIT_CODE_INVALID, "credit_code", text, rule)
    return code


def credit_check(body: str) -> str:
    """Work out the 18th sign of a credit code from the 17 before it: weights 3^i modulo 31 (GB 32100-2015)."""
    total = sum(CREDIT_SIGNS.index(sign) * pow(3, at, 31) for at, sign in enumerate(body))
    return CREDIT_SIGNS[-total % 31]


def identity_number(text: str) -> str:
    """Read a resident identity number. Raises Refused (OUT_OF_RANGE)."""
    number = plain(text).upper()
    if not re.fullmatch(r"\d{17}[\dX]", number, re.ASCII) or identity_check(number[:17]) != number[17]:
        rule = Hint("18 signs, the last the check character of GB 11643-1999", "18 位 末位为 GB 11643-1999 校验码")
        raise Refused(Code.OUT_OF_RANGE, "identity_number", text, rule)
    return number


def identity_check(body: str) -> str:
    """Work out the 18th sign of an identity number from the 17 digits before it: ISO 7064 MOD 11-2."""
    return IDENTITY_CHECKS[sum(int(digit) * pow(2, 17 - at, 11) for at, digit in enumerate(body)) % 11]


def digits(text: str) -> str:
    """Read a telephone or account number that kept all its digits. Raises Refused (NOT_A_NUMBER)."""
    number = plain(text)
    if not re.fullmatch(r"\+?\d[\d -]*", number, re.ASCII):
        rule = Hint("digits, in a cell formatted as text", "数字 单元格须设为文本格式")
        raise Refused(Code.NOT_A_NUMBER, "digits", text, rule)
    return number
