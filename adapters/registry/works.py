"""The works of the made-up district: intakes and the meters that stand at them."""

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from adapters.registry import fiction, sheets
from adapters.registry.fiction import Fiction, Place

MAIN, SPECIAL, HEAD, RETURN, OFFLINE, SECOND, USER = range(7)
"""Groups of meters in the order of their numbers."""


class Meter(NamedTuple):
    """A meter before it has its number. `yearly` is the m³ that pass it in a mean year."""

    intake: str
    yearly: Decimal | int
    shares: str
    first: int
    online: bool = False
    modulus: int = fiction.MODULUS
    station: str = ""
    back: bool = False
    lapsed: bool = False


class Works:
    """Intakes and meters of a made-up district."""

    def __init__(self, made: Fiction) -> None:
        """Begin with no works."""
        self.made = made
        self.meters: dict[int, list[Meter]] = defaultdict(list)

    def add_intake(self, name: str, kind: str, place: Place, licensed: Decimal | int) -> str:
        """Add an intake and give its code."""
        code = self.made.code("Q", len(self.made.records[sheets.INTAKES.name]) + 1)
        self.made.add(sheets.INTAKES, code, name, kind, place.source.zh, place.township.zh, Decimal(licensed), "")
        return code

    def add_head(self, place: Place, licensed: Decimal, area_mu: int) -> str:
        """Add the head of an irrigation scheme and give its code."""
        code = self.add_intake(f"{place.scheme}渠首", "渠首", place, licensed)
        self.made.records[sheets.INTAKES.name][-1] = (*self.made.records[sheets.INTAKES.name][-1][:-1], area_mu)
        return code

    def add_meter(self, group: int, meter: Meter) -> None:
        """Add a meter to a group; one that reports online has the register of the published frames."""
        modulus = fiction.ONLINE_MODULUS if meter.online else meter.modulus
        self.meters[group].append(meter._replace(modulus=modulus))

    def add_main(self, number: int, right: str, place: Place, licensed: int) -> None:
        """Add the main intake of a licence, its meter, and that of its return flow where it has one."""
        intake = self.add_intake(f"示例企业{number:04d}取水口", "取水口", place, licensed)
        first = self.made.draw(f"main {number}", 0, 500_000)
        if number > fiction.ONLINE:
            self.add_meter(OFFLINE, Meter(intake, licensed, right, first))
            return
        first = fiction.ONLINE_MODULUS - 1_000 if number == fiction.WRAPPING else first
        lapsed = number in fiction.LAPSED_LICENCES
        self.add_meter(MAIN, Meter(intake, licensed, right, first, online=True, lapsed=lapsed))
        if number in fiction.RETURNING:
            self.add_meter(RETURN, Meter(intake, licensed * 3 // 10, right, 0, online=True, back=True))

    def add_second(self, number: int, right: str, place: Place, licensed: int) -> None:
        """Add the second intake of a licence; one of them serves the neighbour as well."""
        intake = self.add_intake(f"示例企业{number:04d}备用取水口", "取水口", place, licensed)
        neighbour = self.made.code("L", number - 1)
        shares = f"{right}:0.6;{neighbour}:0.4" if number == fiction.SHARED else right
        self.add_meter(SECOND, Meter(intake, licensed, shares, self.made.draw(f"second {number}", 0, 90_000)))

    def number_meters(self) -> None:
        """Give all meters their numbers and stations, group by group."""
        made, ordered = self.made, [meter for group in range(USER + 1) for meter in self.meters[group]]
        for number, meter in enumerate(ordered, start=1):
            station = meter.station or (f"{made.admin_code}-{100 + number}" if meter.online else "")
            largest = max(5, -int(-meter.yearly * 4 // fiction.HOURS))
            installed = date(made.year - 1 - number % 5, 6, 1 + number % 28)
            read_on: date | str = date(made.year, 1, 1)
            if meter.online:
                installed, read_on = date(made.year, 4, 15), ""
            valid_until = date(made.year, 5, 20) if meter.lapsed else date(made.year + 2, 4, 14)
            made.add(
                sheets.METERS, made.code("M", number), meter.intake, station, "是" if meter.online else "否",
                "退水" if meter.back else "取水", Decimal(meter.modulus), largest, Decimal(meter.first), installed,
                read_on, valid_until, meter.shares,
            )  # fmt: skip
