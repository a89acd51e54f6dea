"""A sample register: about 350 made-up holders of all four kinds, as a bureau would hand it in.

For trials, demonstrations and tests. The same seed gives the same content, and the same bytes of the CSV files.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from adapters.registry import fiction, sheets
from adapters.registry.fiction import DOCUMENT, Fiction, Issue, Place, credit, identity
from adapters.registry.writing import Style, write_sheet
from ledger.policy import Policy
from ledger.units import PPM

FULL_WIDTH: Final = "\uff08\uff09"
STYLES: Final = (
    (sheets.CELLS, Style(volumes="万m³", title="初始水权分配表")),
    (sheets.HOLDERS, Style("gb18030", title="取用水户名录")),
    (sheets.LICENCES, Style(volumes="万m³", title="取水许可台账", brackets=FULL_WIDTH)),
    (sheets.CERTIFICATES, Style("utf-8-sig", dates="%Y.%m.%d", brackets=FULL_WIDTH)),
    (sheets.NETWORK_USERS, Style("utf-8", dates="%Y/%m/%d")),
    (sheets.REGIONS, Style("gb18030", dates="%Y年%m月%d日", volumes="万m³")),
    (sheets.INTAKES, Style("utf-8-sig", volumes="万m³")),
    (sheets.METERS, Style("gb18030", dates="%Y.%m.%d", title="计量设施清单")),
)
MAIN, SPECIAL, HEAD, RETURN, OFFLINE, SECOND, USER = range(7)
"""Groups of meters in the order of their numbers."""


class Meter(NamedTuple):
    """A meter before it has its number. `yearly` is the m³ that pass it in a mean year."""

    intake: str
    yearly: Decimal
    shares: str
    first: int
    online: bool = False
    modulus: int = fiction.ONLINE_MODULUS
    station: str = ""
    back: bool = False
    lapsed: bool = False


class Sample:
    """A made-up district and the works that measure it."""

    def __init__(self, made: Fiction) -> None:
        """Begin with no works."""
        self.made = made
        self.parties = 0
        self.meters: dict[int, list[Meter]] = defaultdict(list)

    def fill(self) -> None:
        """Make all rows."""
        for number in range(1, fiction.LICENCES + 1):
            self.add_licence(number)
        self.add_special_licences()
        for scheme in range(len(fiction.HEADS_MU)):
            self.add_scheme(scheme)
        if self.made.networks:
            self.add_network_users()
        self.add_regions()
        self.add_cells()
        self.add_meters()

    # holders and rights

    def add_party(self, kind: str, name: str, code: str, person: Sequence[str] = ("", "", "", "")) -> str:
        """Add a holder and give his code."""
        self.parties += 1
        party = self.made.code("P", self.parties)
        self.made.add(sheets.HOLDERS, party, kind, name, code, *person)
        return party

    def add_company(self, name: str) -> str:
        """Add a company with a made-up credit code."""
        return self.add_party("企业", name, credit("91", self.parties + 1))

    def add_licence(self, number: int) -> None:
        """Add an ordinary licence with one intake or two, each with a meter."""
        made = self.made
        ground = fiction.MAIN_SURFACE < number <= fiction.ABOVE_SCALE
        industry, wanted = licence_terms(made, number)
        place, licensed = made.settle(made.townships(number), made.source("ground" if ground else "surface"), industry, wanted)
        verified = licensed if licensed in fiction.EXACT.values() else licensed * made.draw(f"verified {number}", 18, 20) // 2000 * 100
        right = self.add_right(made.code("L", number), self.add_company(f"示例企业{number:04d}有限公司"), place, licensed, verified)
        second = (8_000 if ground else min(licensed // 1000 * 100, 60_000)) if number % 3 and number != fiction.AT_SCALE else 0
        self.add_main_meter(number, right, place, licensed - second)
        if second:
            intake = self.add_intake(f"示例企业{number:04d}备用取水口", "取水口", place, second)
            shares = f"{right}:0.6;{made.code('L', number - 1)}:0.4" if number == fiction.SHARED else right
            first = made.draw(f"second {number}", 0, 90_000)
            self.meters[SECOND].append(Meter(intake, Decimal(second), shares, first, modulus=fiction.MODULUS))

    def add_main_meter(self, number: int, right: str, place: Place, licensed: int) -> None:
        """Add the main intake of a licence, its meter, and that of its return flow where it has one."""
        intake = self.add_intake(f"示例企业{number:04d}取水口", "取水口", place, licensed)
        first = self.made.draw(f"main {number}", 0, 500_000)
        if number > fiction.ONLINE:
            self.meters[OFFLINE].append(Meter(intake, Decimal(licensed), right, first, modulus=fiction.MODULUS))
            return
        first = fiction.ONLINE_MODULUS - 1_000 if number == fiction.WRAPPING else first
        lapsed = number in fiction.LAPSED_LICENCES
        self.meters[MAIN].append(Meter(intake, Decimal(licensed), right, first, online=True, lapsed=lapsed))
        if number in fiction.RETURNING:
            self.meters[RETURN].append(Meter(intake, Decimal(licensed * 3 // 10), right, 0, online=True, back=True))

    def add_right(self, right: str, party: str, place: Place, licensed: int, verified: int) -> str:
        """Add a licence and its issue, and give its code."""
        made = self.made
        number = f"D{made.admin_code}{place.source.code[0].upper()}{made.year - 2}-{right[-4:]}"
        made.add(
            sheets.LICENCES, right, number, party, place.source.zh, place.basin.zh, place.township.zh,
            place.industry.zh, Decimal(licensed), Decimal(verified), date(made.year - 2, 1, 1), date(made.year + 2, 12, 31),
            made.year, Decimal(verified), DOCUMENT,
        )  # fmt: skip
        made.issues.append(Issue(right, place, Decimal(verified)))
        return right

    def add_special_licences(self) -> None:
        """Add the licences of the published stations, and that of the public supplier."""
        made, surface = self.made, self.made.source("surface")
        number = fiction.LICENCES
        for station, wanted, first in fiction.EXAMPLES:
            number += 1
            place, licensed = made.settle(made.townships(number), surface, made.industry("industry"), wanted)
            party = self.add_company(f"示例企业{number:04d}有限公司")
            right = self.add_right(made.code("L", number), party, place, licensed, licensed)
            intake = self.add_intake(f"示例企业{number:04d}取水口", "取水口", place, licensed)
            self.meters[SPECIAL].append(Meter(intake, Decimal(licensed), right, first, online=True, station=station))
        wanted = fiction.LARGEST * made.size_ppm // PPM // 100 * 100
        place, licensed = made.settle(made.policy.townships[::-1], surface, made.industry("urban_supply"), wanted)
        right = self.add_right(made.code("L", number + 1), self.add_company("示例供水有限公司"), place, licensed, licensed)
        intake = self.add_intake("示例水厂取水口", "取水口", place, licensed)
        self.meters[SPECIAL].append(Meter(intake, Decimal(licensed), right, 120_000, online=True))

    def add_scheme(self, scheme: int) -> None:
        """Add an irrigation scheme: certificates of villages, associations and households behind one metered head."""
        made = self.made
        basin = made.basins[scheme % len(made.basins)]
        towns = [town for town in made.policy.townships if made.home(town) == basin][:3]
        name = f"示例{'一二三四五'[scheme]}灌区"
        volumes: dict[str, Decimal] = {}
        for at in range(fiction.CERTIFICATES):
            number = scheme * fiction.CERTIFICATES + at + 1
            place = Place(made.source("surface"), basin, towns[at % len(towns)], made.industry("irrigation"), name)
            volumes[made.code("G", number)] = self.add_certificate(number, at, place)
        total = sum(volumes.values(), Decimal(0))
        head = place._replace(township=towns[0])
        intake = self.add_intake(f"{name}渠首", "渠首", head, total, fiction.HEADS_MU[scheme])
        shares = ";".join(f"{code}:0.{part:06d}" for code, part in zip(volumes, apportioned(list(volumes.values())), strict=True))
        self.meters[HEAD].append(Meter(intake, total, shares, made.draw(f"head {scheme}", 0, 500_000), online=True))

    def add_certificate(self, number: int, at: int, place: Place) -> Decimal:
        """Add the certificate and holder at a place of a scheme's list; gives its m³."""
        made = self.made
        key = f"certificate {number}"
        quota = 300 + 10 * made.draw(f"{key} quota", 0, 8)
        if at < fiction.VILLAGES:
            tenths = made.draw(key, 300, 1200) * 10 * made.size_ppm // PPM
            party = self.add_party("集体", f"{place.township.zh}示例村{number:04d}经济联合社", credit("N2", self.parties + 1))
        elif at < fiction.VILLAGES + fiction.ASSOCIATIONS:
            tenths = made.draw(key, 800, 2600) * 10 * made.size_ppm // PPM
            party = self.add_party("集体", f"示例农民用水协会{number:04d}", credit("51", self.parties + 1) if at % 2 else "")
        else:
            tenths = made.draw(key, 6, 40) * 5
            person = (f"农户{number:04d}", identity(number), f"{number:011d}", f"{number:019d}")
            party = self.add_party("个人", "", "", person)
        while not made.fits(place, Decimal(tenths * quota) / 10):
            tenths = tenths * 4 // 5
        volume = Decimal(tenths * quota) / 10
        right = made.code("G", number)
        made.add(
            sheets.CERTIFICATES, right, party, place.scheme, place.source.zh, place.basin.zh, place.township.zh,
            place.industry.zh, Decimal(tenths) / 10, quota, volume, date(made.year, 1, 1), date(made.year + 2, 12, 31),
            made.year, DOCUMENT,
        )  # fmt: skip
        made.issues.append(Issue(right, place, volume))
        return volume

    def add_network_users(self) -> None:
        """Add the users of the network: together they stay within the supplier's right less the loss on the way."""
        made, network = self.made, self.made.networks[0]
        towns = [town for town in made.policy.townships if made.home(town) == made.basins[0]] or made.policy.townships
        for number in range(1, fiction.NETWORK_USERS + 1):
            industry = made.industry("services" if number % 6 == 0 else "industry")
            place = Place(made.source("piped"), network, towns[number % len(towns)], industry)
            volume = made.spread(f"user {number}", 8_000, 70_000)
            while not made.fits(place, volume):
                volume = volume * 4 // 500 * 100
            right, party = made.code("N", number), self.add_company(f"示例园区企业{number:04d}有限公司")
            made.add(
                sheets.NETWORK_USERS, right, party, network.zh, place.source.zh, place.township.zh, industry.zh,
                Decimal(volume), date(made.year, 1, 1), date(made.year, 12, 31), made.year, DOCUMENT,
            )  # fmt: skip
            made.issues.append(Issue(right, place, Decimal(volume)))
            intake = self.add_intake(f"示例园区企业{number:04d}接水点", "管网", place, volume)
            first, lapsed = made.draw(f"user meter {number}", 0, 90_000), number in fiction.LAPSED_USERS
            self.meters[USER].append(
                Meter(intake, Decimal(volume), right, first, modulus=fiction.SMALL_MODULUS, lapsed=lapsed)
            )

    def add_regions(self) -> None:
        """Add the rights of regions, held by the governments of the last townships of the policy."""
        made = self.made
        for number, town in enumerate(made.policy.townships[-fiction.REGIONS :], start=1):
            wanted = made.draw(f"region {number}", 50, 120) * 10_000 * made.size_ppm // PPM // 100 * 100
            place, volume = made.settle([town], made.source("surface"), made.industry("regional", "ecology"), wanted)
            office = "办事处" if town.zh.endswith("街道") else "人民政府"
            party = self.add_party("政府", f"{made.policy.zh}{town.zh}{office}(示例)", credit("11", self.parties + 1))
            right = made.code("R", number)
            made.add(
                sheets.REGIONS, right, party, place.source.zh, place.basin.zh, town.zh, place.industry.zh,
                Decimal(volume), date(made.year, 1, 1), date(made.year, 12, 31), made.year, DOCUMENT,
            )  # fmt: skip
            made.issues.append(Issue(right, place, Decimal(volume)))

    # what follows from the rights

    def add_cells(self) -> None:
        """Add the cells that the rights are issued from, a little larger than what is issued."""
        made = self.made
        cells: dict[Place, Decimal] = defaultdict(Decimal)
        for issue in made.issues:
            cells[issue.place] += issue.volume
        for place, volume in cells.items():
            allocated = -(-int(volume * 102) // 1_000_000) * 10_000
            made.add(
                sheets.CELLS, made.year, place.source.zh, place.basin.zh, place.township.zh, place.industry.zh,
                place.scheme, Decimal(allocated), DOCUMENT,
            )  # fmt: skip

    def add_intake(self, name: str, kind: str, place: Place, licensed: Decimal | int, area_mu: int = 0) -> str:
        """Add an intake and give its code."""
        made = self.made
        code = made.code("Q", len(made.records[sheets.INTAKES.name]) + 1)
        area: str | int = area_mu or ""
        made.add(sheets.INTAKES, code, name, kind, place.source.zh, place.township.zh, Decimal(licensed), area)
        return code

    def add_meters(self) -> None:
        """Number the meters group by group and add them."""
        made, ordered = self.made, [meter for group in range(USER + 1) for meter in self.meters[group]]
        for number, meter in enumerate(ordered, start=1):
            station = meter.station or (f"{made.admin_code}-{100 + number}" if meter.online else "")
            largest = max(5, -int(-meter.yearly * 4 // fiction.HOURS))
            installed = date(made.year, 4, 15) if meter.online else date(made.year - 1 - number % 5, 6, 1 + number % 28)
            valid_until = date(made.year, 5, 20) if meter.lapsed else date(made.year + 2, 4, 14)
            made.add(
                sheets.METERS, made.code("M", number), meter.intake, station, "是" if meter.online else "否",
                "退水" if meter.back else "取水", Decimal(meter.modulus), largest, Decimal(meter.first), installed,
                "" if meter.online else date(made.year, 1, 1), valid_until, meter.shares,
            )  # fmt: skip


def licence_terms(made: Fiction, number: int) -> tuple[fiction.Label, int]:
    """Give the industry of an ordinary licence and the m³ a year that it asks for."""
    code = "services" if number % 12 == 0 else {54: "ecology", 65: "restricted", 66: "restricted"}.get(number, "industry")
    key = f"licence {number}"
    if number in fiction.EXACT:
        wanted = fiction.EXACT[number]
    elif number <= fiction.MAIN_SURFACE:
        wanted = made.spread(key, fiction.SCALE, fiction.MIDDLE)
    elif number <= fiction.ABOVE_SCALE:
        wanted = made.spread(key, fiction.SMALLEST, 60_000)
    elif number in fiction.GAPS:
        wanted = made.spread(key, 120_000, 300_000)
    else:
        wanted = made.spread(key, fiction.SMALLEST, fiction.SCALE - 100)
    return made.industry(code, "industry"), wanted if code == "industry" else min(wanted, 400_000)


def apportioned(volumes: Sequence[Decimal]) -> list[int]:
    """Share out a million parts by volume, remainders to the largest fractions, at least one each."""
    total = sum(volumes)
    parts = [max(1, int(volume * PPM // total)) for volume in volumes]
    order = sorted(range(len(volumes)), key=lambda at: (-(volumes[at] * PPM % total), at))
    for at in order[: PPM - sum(parts)]:
        parts[at] += 1
    return parts


def write_sample(
    folder: Path, policy: Policy, seed: int = 2024, *, prefix: str = "YC", admin_code: str = "500118"
) -> dict[str, int]:
    """Write the sample register of a district into a folder; gives the rows of each sheet by its name.

    `prefix` starts all codes, `admin_code` the stations of meters. Raises Refused (EXTRA_MISSING) without the library
    that writes .xlsx.
    """
    made = Fiction(policy, seed, prefix, admin_code)
    Sample(made).fill()
    folder.mkdir(parents=True, exist_ok=True)
    for sheet, style in STYLES:
        if made.records[sheet.name]:
            write_sheet(folder, sheet, made.records[sheet.name], style)
    return {sheet.name: len(made.records[sheet.name]) for sheet, _ in STYLES if made.records[sheet.name]}
