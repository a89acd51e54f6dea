"""A made-up district to try a policy with: holders, rights, intakes and meters that fit under its caps.

The same seed gives the same district. Persons and numbers are fictitious: codes of bodies and persons name the
administrative region 000000, which does not exist, though their check characters are right.
"""

import hashlib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from adapters.registry.cells import credit_check, identity_check
from adapters.registry.sheets import SHEETS, Sheet
from ledger.policy import Cap, ControlIndex, Label, Policy, Zone
from ledger.units import LITRES_PER_M3, PPM

Value = str | int | Decimal | date
Record = tuple[Value, ...]

LICENCES: Final = 108  # of ordinary companies; further ones are those of EXAMPLES and of the public supplier
MAIN_SURFACE, ABOVE_SCALE, ONLINE = 90, 96, 100
"""Licences 1-90 take from rivers and 91-96 from wells, above scale; main meters of 1-100 report online."""

EXAMPLES: Final = (("530381-13", 60_000, 105_900), ("123789-30360", 30_000, 0))
"""Stations of published frames, with the licensed m³ and the first register of a meter there."""

SMALLEST, SCALE, MIDDLE, LARGEST = 20_000, 100_000, 2_000_000, 3_000_000
"""Licensed m³ a year, and the threshold of the decree for surface water between them."""

HEADS_MU: Final = (86_000, 62_000, 50_000, 49_900, 28_000)
EXACT: Final = {1: LARGEST, 2: SCALE, 3: 900_000, 103: SCALE - 100, 108: SMALLEST}
"""Licences whose volume is not drawn: the extremes, both sides of the threshold, and one whose register wraps."""

AT_SCALE, GAPS = 2, (101, 102)  # exactly at the threshold; above it without a meter that reports online
SPECIAL_INDUSTRIES: Final = {54: "ecology", 65: "restricted", 66: "restricted"}
MINOR: Final = 400_000  # most that a licence asks for outside industry
WELL_RANGE, GAP_RANGE, USER_RANGE = (20_000, 60_000), (120_000, 300_000), (8_000, 70_000)
SECOND_WELL, SECOND_INTAKE = 8_000, 60_000  # below the thresholds of the decree
VILLAGES, ASSOCIATIONS, CERTIFICATES = 12, 4, 34  # at each head; households besides
NETWORK_USERS, REGIONS = 60, 12
SHARED, RETURNING = 4, (5, 7)
WRAPPING: Final = 3
LAPSED_LICENCES, LAPSED_USERS = (72, 81, 90), (10, 25)
ONLINE_MODULUS, MODULUS, SMALL_MODULUS = 8_000_000_000, 10_000_000, 1_000_000
USABLE_PPM: Final = 800_000  # of an index or cap; cells are rounded up
WHOLE_SIZE: Final = 320_000_000  # m³ of surface index for which the figures above are meant
HOURS: Final = 8766
DOCUMENT: Final = "示例文号 2024-01"

HOME: Final = {
    "zhongshanlu": "linjianghe", "shenglilu": "linjianghe", "nandajie": "linjianghe", "chashanzhuhai": "linjianghe",
    "daan": "xiaoanxi", "chenshi": "linjianghe", "weixinghu": "linjianghe", "qingfeng": "xiaoanxi",
    "jinlong": "xiaoanxi", "linjiang": "linjianghe", "hegeng": "linjianghe", "songji": "yangtze",
    "xianlong": "daluxi", "jian": "daluxi", "wujian": "linjianghe", "laisu": "jiulonghe", "baofeng": "jiulonghe",
    "shuangshi": "xiaoanxi", "honglu": "xiaoanxi", "yongrong": "xiaoanxi", "sanjiao": "xiaoanxi",
    "banqiao": "xiaoanxi", "zhutuo": "yangtze",
}  # fmt: skip
"""Basin of a township, for those that the sample knows; the others are dealt out in turn."""


class Place(NamedTuple):
    """Where a right belongs."""

    source: Label
    basin: Zone
    township: Label
    industry: Label
    scheme: str = ""


class Issue(NamedTuple):
    """A right and its volume of the year in m³."""

    right: str
    place: Place
    volume: Decimal


class Fiction:
    """The district under construction. `records` holds rows of each sheet in order of its columns, volumes in m³."""

    def __init__(self, policy: Policy, seed: int, prefix: str, admin_code: str) -> None:
        """Make up a district. `prefix` starts its codes, `admin_code` the stations of its meters."""
        self.policy, self.seed, self.prefix, self.admin_code = policy, seed, prefix, admin_code
        self.year = min(index.year for index in policy.indexes)
        self.records: dict[str, list[Record]] = {sheet.name: [] for sheet in SHEETS}
        self.issues: list[Issue] = []
        self.basins = [basin for basin in policy.basins if not basin.network]
        self.networks = [basin for basin in policy.basins if basin.network]
        surface = self.source("surface").code
        size = sum(i.volume_l for i in policy.indexes if (i.source, i.year) == (surface, self.year)) // LITRES_PER_M3
        self.size_ppm = min(PPM, size * PPM // WHOLE_SIZE)
        self.limits: list[ControlIndex | Cap] = [*policy.indexes, *policy.caps]
        self.room: list[Decimal | int] = [limit.volume_l // LITRES_PER_M3 * USABLE_PPM // PPM for limit in self.limits]

    # drawing

    def draw(self, key: str, low: int, high: int) -> int:
        """Draw a number from `low` to `high`; the key says which draw this is."""
        digest = hashlib.sha256(f"{self.seed}/{key}".encode()).digest()
        return low + int.from_bytes(digest[:8], "big") % (high - low + 1)

    def spread(self, key: str, low: int, high: int) -> int:
        """Draw a volume as often small as large (log-uniform), in hundreds of m³, fit to the size of the district."""
        part = Decimal(self.draw(key, 0, PPM)) / PPM
        drawn = int(low * ((Decimal(high) / low).ln() * part).exp())
        return max(low, drawn * self.size_ppm // PPM) // 100 * 100

    # names

    def source(self, *codes: str) -> Label:
        """Give the source of the first code that the policy knows, or its first one."""
        return chosen(self.policy.sources, codes)

    def industry(self, *codes: str) -> Label:
        """Give the industry of the first code that the policy knows, or its first one."""
        return chosen(self.policy.industries, codes)

    def townships(self, start: int) -> Sequence[Label]:
        """Give all townships, beginning with another one for each start."""
        at = start * 7 % len(self.policy.townships)
        return [*self.policy.townships[at:], *self.policy.townships[:at]]

    def home(self, township: Label) -> Zone:
        """Give the basin of a township."""
        number = self.policy.townships.index(township)
        known = [basin for basin in self.basins if basin.code == HOME.get(township.code)]
        return known[0] if known else self.basins[number % len(self.basins)]

    def code(self, kind: str, number: int) -> str:
        """Give a code such as YC-L-0001."""
        return f"{self.prefix}-{kind}-{number:04d}"

    # fitting

    def fits(self, place: Place, volume: Decimal | int) -> bool:
        """Tell whether a volume fits under every limit that a right falls under."""
        return all(
            volume <= room for limit, room in zip(self.limits, self.room, strict=True) if self.covers(limit, place)
        )

    def take(self, place: Place, volume: Decimal | int) -> None:
        """Take a volume out of every limit that a right falls under."""
        for at, limit in enumerate(self.limits):
            if self.covers(limit, place):
                self.room[at] -= volume

    def covers(self, limit: ControlIndex | Cap, place: Place) -> bool:
        """Tell whether an index or cap limits a right in the year."""
        named = [] if isinstance(limit, ControlIndex) else [
            (limit.basin, place.basin.code), (limit.township, place.township.code),
            (limit.industry, place.industry.code), (limit.network, place.basin.code), (limit.scheme, place.scheme),
        ]  # fmt: skip
        same = (limit.source, limit.year) == (place.source.code, self.year)
        return same and all(wanted in (None, has) for wanted, has in named)

    def settle(self, townships: Sequence[Label], source: Label, industry: Label, volume: int) -> tuple[Place, int]:
        """Find a township with room for a volume, or for as much of it as there is room."""
        while volume:
            for township in townships:
                place = Place(source, self.home(township), township, industry)
                if self.fits(place, volume):
                    self.take(place, volume)
                    return place, volume
            volume = volume * 4 // 500 * 100
        raise ValueError(industry.code)

    # rows

    def add(self, sheet: Sheet, *values: Value) -> None:
        """Add a row to a sheet."""
        self.records[sheet.name].append(values)


def chosen(labels: Sequence[Label], codes: Sequence[str]) -> Label:
    """Give the label of the first code that there is, or the first label."""
    return next((label for code in codes for label in labels if label.code == code), labels[0])


def credit(kind: str, number: int) -> str:
    """Make up a credit code of region 000000; `kind` is its first two signs (GB 32100-2015, GB 11714-1997)."""
    body = f"{number:08d}"
    rest = 11 - sum(int(digit) * weight for digit, weight in zip(body, (3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
    code = f"{kind}000000{body}{'0123456789X0'[rest]}"
    return code + credit_check(code)


def identity(number: int) -> str:
    """Make up an identity number of region 000000."""
    body = f"00000019700101{number:03d}"
    return body + identity_check(body)
