"""A sample register: about 350 made-up holders of all four kinds, as a bureau would hand it in.

For trials, demonstrations and tests. The same seed gives the same content, and the same bytes of the CSV files.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final

from adapters.registry import fiction, sheets, works
from adapters.registry.fiction import DOCUMENT, Fiction, Issue, Place, credit, identity
from adapters.registry.works import Meter, Works
from adapters.registry.writing import Style, write_sheet
from ledger.policy import Label, Policy
from ledger.units import PPM

FULL_WIDTH: Final = "\uff08\uff09"
STYLES: Final = (  # GBK has no ³
    (sheets.CELLS, Style(volumes="万m³", title="初始水权分配表")),
    (sheets.HOLDERS, Style("gbk", title="取用水户名录")),
    (sheets.LICENCES, Style(volumes="万m³", title="取水许可台账", brackets=FULL_WIDTH)),
    (sheets.CERTIFICATES, Style("utf-8-sig", dates="%Y.%m.%d", brackets=FULL_WIDTH)),
    (sheets.NETWORK_USERS, Style("utf-8", dates="%Y/%m/%d")),
    (sheets.REGIONS, Style("gbk", dates="%Y年%m月%d日", volumes="万m3")),
    (sheets.INTAKES, Style("utf-8-sig", volumes="万m³")),
    (sheets.METERS, Style("gbk", dates="%Y.%m.%d", volumes="m3", title="计量设施清单")),
)


class Sample:
    """Holders and rights of a made-up district, and the works that measure them."""

    def __init__(self, made: Fiction) -> None:
        """Begin with nobody."""
        self.made = made
        self.works = Works(made)
        self.parties = 0

    def fill(self) -> None:
        """Make all rows. Regions take their room first: they cannot go to another township."""
        regions = self.settle_regions()
        for number in range(1, fiction.LICENCES + 1):
            self.add_licence(number)
        self.add_special_licences()
        for scheme in range(len(fiction.HEADS_MU)):
            self.add_scheme(scheme)
        for number in range(1, fiction.NETWORK_USERS + 1 if self.made.networks else 0):
            self.add_network_user(number)
        for number, (place, volume) in enumerate(regions, start=1):
            self.add_region(number, place, volume)
        self.add_cells()
        self.works.number_meters()

    def add_party(self, kind: str, name: str, code: str, person: Sequence[str] = ("", "", "", "")) -> str:
        """Add a holder and give his code."""
        self.parties += 1
        party = self.made.code("P", self.parties)
        self.made.add(sheets.HOLDERS, party, kind, name, code, *person)
        return party

    def add_company(self, name: str) -> str:
        """Add a company with a made-up credit code."""
        return self.add_party("企业", name, credit("91", self.parties + 1))

    def issue(self, right: str, place: Place, volume: Decimal | int) -> None:
        """Note what is issued to a right."""
        self.made.issues.append(Issue(right, place, Decimal(volume)))

    # licences

    def add_licence(self, number: int) -> None:
        """Add an ordinary licence with one intake or two, each with a meter."""
        made = self.made
        ground = fiction.MAIN_SURFACE < number <= fiction.ABOVE_SCALE
        source = made.source("ground" if ground else "surface")
        place, licensed = made.settle(made.townships(number), source, *licence_terms(made, number))
        verified = licensed
        if number not in fiction.EXACT:
            verified = licensed * made.draw(f"verified {number}", 18, 20) // 2000 * 100
        right = self.add_right(number, self.add_company(f"示例企业{number:04d}有限公司"), place, (licensed, verified))
        second = 0
        if number % 3 and number != fiction.AT_SCALE:
            second = fiction.SECOND_WELL if ground else min(licensed // 1000 * 100, fiction.SECOND_INTAKE)
        self.works.add_main(number, right, place, licensed - second)
        if second:
            self.works.add_second(number, right, place, second)

    def add_right(self, number: int, party: str, place: Place, volumes: tuple[int, int]) -> str:
        """Add a licence and its issue, and give its code. `volumes` are the m³ licensed and verified."""
        made = self.made
        right = made.code("L", number)
        licence = f"D{made.admin_code}{place.source.code[0].upper()}{made.year - 2}-{number:04d}"
        licensed, verified = Decimal(volumes[0]), Decimal(volumes[1])
        made.add(
            sheets.LICENCES, right, licence, party, place.source.zh, place.basin.zh, place.township.zh,
            place.industry.zh, licensed, verified, date(made.year - 2, 1, 1), date(made.year + 2, 12, 31), made.year,
            verified, DOCUMENT,
        )  # fmt: skip
        self.issue(right, place, verified)
        return right

    def add_special_licences(self) -> None:
        """Add the licences of the published stations, and that of the public supplier."""
        made, surface = self.made, self.made.source("surface")
        number = fiction.LICENCES
        for station, wanted, first in fiction.EXAMPLES:
            number += 1
            place, licensed = made.settle(made.townships(number), surface, made.industry("industry"), wanted)
            party = self.add_company(f"示例企业{number:04d}有限公司")
            right = self.add_right(number, party, place, (licensed, licensed))
            intake = self.works.add_intake(f"示例企业{number:04d}取水口", "取水口", place, licensed)
            self.works.add_meter(works.SPECIAL, Meter(intake, licensed, right, first, online=True, station=station))
        wanted = fiction.LARGEST * made.size_ppm // PPM // 100 * 100
        place, licensed = made.settle(made.policy.townships[::-1], surface, made.industry("urban_supply"), wanted)
        right = self.add_right(number + 1, self.add_company("示例供水有限公司"), place, (licensed, licensed))
        intake = self.works.add_intake("示例水厂取水口", "取水口", place, licensed)
        self.works.add_meter(works.SPECIAL, Meter(intake, licensed, right, 120_000, online=True))

    # irrigation

    def add_scheme(self, scheme: int) -> None:
        """Add an irrigation scheme: certificates of villages, associations and households behind one metered head."""
        made = self.made
        basin = made.basins[scheme % len(made.basins)]
        towns = [town for town in made.policy.townships if made.home(town) == basin][:3]
        head = Place(
            made.source("surface"), basin, towns[0], made.industry("irrigation"), f"示例{'一二三四五'[scheme]}灌区"
        )
        volumes: dict[str, Decimal] = {}
        for at in range(fiction.CERTIFICATES):
            number = scheme * fiction.CERTIFICATES + at + 1
            places = [head._replace(township=towns[(at + more) % len(towns)]) for more in range(len(towns))]
            volumes[made.code("G", number)] = self.add_certificate(number, at, places)
        total = sum(volumes.values(), Decimal(0))
        parts = zip(volumes, apportioned(list(volumes.values())), strict=True)
        shares = ";".join(f"{code}:0.{part:06d}" for code, part in parts)
        intake = self.works.add_head(head, total, fiction.HEADS_MU[scheme])
        first = made.draw(f"head {scheme}", 0, 500_000)
        self.works.add_meter(works.HEAD, Meter(intake, total, shares, first, online=True))

    def add_certificate(self, number: int, at: int, places: Sequence[Place]) -> Decimal:
        """Add the certificate and holder at a place of a scheme's list, where there is room; gives its m³."""
        made, key = self.made, f"area {number}"
        quota = 300 + 10 * made.draw(f"quota {number}", 0, 8)
        if at < fiction.VILLAGES:
            tenths = made.draw(key, 300, 1200) * 10 * made.size_ppm // PPM
        elif at < fiction.VILLAGES + fiction.ASSOCIATIONS:
            tenths = made.draw(key, 800, 2600) * 10 * made.size_ppm // PPM
        else:
            tenths = made.draw(key, 6, 40) * 5
        while not (fitting := [place for place in places if made.fits(place, Decimal(tenths * quota) / 10)]):
            tenths = tenths * 4 // 5
        place, volume, right = fitting[0], Decimal(tenths * quota) / 10, made.code("G", number)
        made.take(place, volume)
        made.add(
            sheets.CERTIFICATES, right, self.add_irrigator(number, at, place), place.scheme, place.source.zh,
            place.basin.zh, place.township.zh, place.industry.zh, Decimal(tenths) / 10, quota, volume,
            date(made.year, 1, 1), date(made.year + 2, 12, 31), made.year, DOCUMENT,
        )  # fmt: skip
        self.issue(right, place, volume)
        return volume

    def add_irrigator(self, number: int, at: int, place: Place) -> str:
        """Add a village, an association or a household, and give its code."""
        if at < fiction.VILLAGES:
            return self.add_party(
                "集体", f"{place.township.zh}示例村{number:04d}经济联合社", credit("N2", self.parties + 1)
            )
        if at < fiction.VILLAGES + fiction.ASSOCIATIONS:  # some of which have no credit code
            return self.add_party(
                "集体", f"示例农民用水协会{number:04d}", credit("51", self.parties + 1) if at % 2 else ""
            )
        return self.add_party(
            "个人", "", "", (f"农户{number:04d}", identity(number), f"{number:011d}", f"{number:019d}")
        )

    # the network and the regions

    def add_network_user(self, number: int) -> None:
        """Add a user of the network; all together stay within its cap, which is below the supplier's right."""
        made, network = self.made, self.made.networks[0]
        towns = [town for town in made.policy.townships if made.home(town) == made.basins[0]]
        industry = made.industry("services" if number % 6 == 0 else "industry", "industry")
        place = Place(made.source("piped"), network, towns[number % len(towns)], industry)
        volume = made.spread(f"user {number}", *fiction.USER_RANGE)
        while not made.fits(place, volume):
            volume = volume * 4 // 500 * 100
        made.take(place, volume)
        right, party = made.code("N", number), self.add_company(f"示例园区企业{number:04d}有限公司")
        made.add(
            sheets.NETWORK_USERS, right, party, network.zh, place.source.zh, place.township.zh, industry.zh,
            Decimal(volume), date(made.year, 1, 1), date(made.year, 12, 31), made.year, DOCUMENT,
        )  # fmt: skip
        self.issue(right, place, volume)
        intake = self.works.add_intake(f"示例园区企业{number:04d}接水点", "管网", place, volume)
        meter = Meter(intake, volume, right, made.draw(f"user meter {number}", 0, 90_000))
        lapsed = number in fiction.LAPSED_USERS
        self.works.add_meter(works.USER, meter._replace(modulus=fiction.SMALL_MODULUS, lapsed=lapsed))

    def settle_regions(self) -> list[tuple[Place, int]]:
        """Find room for the rights of regions, in the last townships of the policy."""
        made, source = self.made, self.made.source("surface")
        industry = made.industry("regional", "ecology")
        found = []
        for number, town in enumerate(made.policy.townships[-fiction.REGIONS :], start=1):
            wanted = made.draw(f"region {number}", 40, 90) * 10_000 * made.size_ppm // PPM // 100 * 100
            found.append(made.settle([town], source, industry, wanted))
        return found

    def add_region(self, number: int, place: Place, volume: int) -> None:
        """Add the right of a region, held by the government of its township."""
        made, town, right = self.made, place.township, self.made.code("R", number)
        office = "办事处" if town.zh.endswith("街道") else "人民政府"
        party = self.add_party("政府", f"{made.policy.zh}{town.zh}{office}(示例)", credit("11", self.parties + 1))
        made.add(
            sheets.REGIONS, right, party, place.source.zh, place.basin.zh, town.zh, place.industry.zh,
            Decimal(volume), date(made.year, 1, 1), date(made.year, 12, 31), made.year, DOCUMENT,
        )  # fmt: skip
        self.issue(right, place, volume)

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


def licence_terms(made: Fiction, number: int) -> tuple[Label, int]:
    """Give the industry of an ordinary licence and the m³ a year that it asks for."""
    code = "services" if number % 12 == 0 else fiction.SPECIAL_INDUSTRIES.get(number, "industry")
    key = f"licence {number}"
    if number in fiction.EXACT:
        wanted = fiction.EXACT[number]
        wanted = max(min(wanted, fiction.SCALE), wanted * made.size_ppm // PPM // 100 * 100)
    elif number <= fiction.MAIN_SURFACE:
        wanted = made.spread(key, fiction.SCALE, fiction.MIDDLE)
    elif number <= fiction.ABOVE_SCALE:
        wanted = made.spread(key, *fiction.WELL_RANGE)
    elif number in fiction.GAPS:
        wanted = made.spread(key, *fiction.GAP_RANGE)
    else:
        wanted = made.spread(key, fiction.SMALLEST, fiction.SCALE - 100)
    return made.industry(code, "industry"), wanted if code == "industry" else min(wanted, fiction.MINOR)


def apportioned(volumes: Sequence[Decimal]) -> list[int]:
    """Share out a million parts by volume, remainders to the largest fractions, at least one each."""
    total = sum(volumes)
    parts = [max(1, int(volume * PPM // total)) for volume in volumes]
    order = sorted(range(len(volumes)), key=lambda at: (-(volumes[at] * PPM % total), at))
    for at in order[: max(0, PPM - sum(parts))]:
        parts[at] += 1
    parts[parts.index(max(parts))] -= max(0, sum(parts) - PPM)  # what the smallest were lifted by
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
    written = [(sheet, style, made.records[sheet.name]) for sheet, style in STYLES if made.records[sheet.name]]
    for sheet, style, records in written:
        write_sheet(folder, sheet, records, style)
    return {sheet.name: len(records) for sheet, _, records in written}
