"""A simulated season of metering: real frames from online stations, sheets of manual readings from the others.

All that is drawn comes from the seed, meter by meter, so that one more meter leaves the others as they were. Curves
of use are floats; registers, and therefore the water that passed, are whole cubic metres. Trouble is at least what
automatic groundwater stations show nationally: 6.39 % of values missing, 0.84 % anomalous.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import asdict, astuple

from adapters.meters import szy206
from adapters.meters.stream import Arrival, manual_readings
from adapters.meters.szy206 import Measurement, ReportTime, SelfReport, encode, station_key
from ledger.codes import Code, Refused
from ledger.tables import Array
from ledger.units import LITRES_PER_M3, NS, PPM, SECONDS_PER_HOUR

MAX_DAYS: Final = 3660
MIN_HOURS_ROUND: Final = 3000
"""Hours that a register must take to go round at full rate: a month's step can then be told from a step back."""

_HOUR_NS: Final = SECONDS_PER_HOUR * NS
_STATION_ZONE: Final = timezone(timedelta(hours=8))
_EPOCH: Final = datetime(1970, 1, 1, 8, tzinfo=_STATION_ZONE)
_DELAY_S: Final = (3, 120)  # from the measurement to its arrival
_AGAIN_S: Final = (2, 600)  # from a frame to its duplicate
_LATE_S: Final = (SECONDS_PER_HOUR, 72 * SECONDS_PER_HOUR)
_SPIKE: Final = (5, 50)  # an anomaly, in multiples of what can have passed since the last good report
_THURSDAY: Final = 3  # 1970-01-01, where Monday is 0
_SATURDAY: Final = 5
_TP_DELAY_MIN: Final = 10
_FCB: Final = 3

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class SimulatedMeter(Struct, frozen=True, kw_only=True):
    """A meter and how it is used. `first_l` is its register at the start; `number` its dense number in the ledger.

    Never more than `max_l_per_hour` passes. From hour `surge[0]` on, use is multiplied by `surge[1]`. Where
    `modulus_l` is above the 8·10⁹ m³ of a frame, what is reported goes round there, before the register does.
    """

    number: int
    station: str = ""  # "500118-101"; empty without telemetry
    online: bool = False
    sign: Literal[1, -1] = 1
    modulus_l: int
    first_l: int = 0
    max_l_per_hour: int
    mean_l_per_hour: int
    profile: Literal["industry", "irrigation", "supply"] = "industry"
    surge: tuple[int, float] | None = None


class Trouble(Struct, frozen=True):
    """How many of a million reports suffer what; a report suffers one kind at most."""

    missing: int = 63_900  # the values are AA
    anomalous: int = 8_400  # a register far ahead or back
    duplicate: int = 10_000  # the same frame twice
    late: int = 10_000  # 1 to 72 hours late
    damaged: int = 2_000  # one byte is another
    lost: int = 5_000  # never arrives


NATIONAL_TROUBLE: Final = Trouble()
NO_TROUBLE: Final = Trouble(0, 0, 0, 0, 0, 0)
_KINDS: Final = Trouble.__struct_fields__
_MISSING, _ANOMALOUS, _DUPLICATE, _LATE, _DAMAGED, _LOST, _SOUND = range(len(_KINDS) + 1)


class Season(Struct, frozen=True):
    """What a season sent, and what truly happened.

    `arrivals` and `manual` (dtype READING) are in order of arrival. `truth_l`, by meter, is the use to be booked once
    all have arrived: what passed from `first_l` to the last sound report, negative for return flow. `injected` counts
    reports by the kind of their trouble.
    """

    arrivals: list[Arrival]
    manual: Array
    truth_l: dict[int, int]
    injected: dict[str, int]


class _Course(NamedTuple):
    """What passes a meter over a season, and the generator for whatever else is drawn for it."""

    meter: SimulatedMeter
    rng: np.random.Generator
    start_ns: int
    flow: Ints  # litres, in each hour
    passed_m3: Ints  # since the start: 0, then after each hour


def simulate_season(
    meters: Sequence[SimulatedMeter], *, start_ns: int, days: int = 30, seed: int, trouble: Trouble = NATIONAL_TROUBLE
) -> Season:
    """Simulate hourly reports, and monthly sheets of meters that are not online, from a whole hour on.

    The same arguments give the same bytes. Raises Refused naming what does not fit.
    """
    _check_season(start_ns, days, seed, trouble)
    _check_meters(meters)
    hours = 24 * days
    times = [_report_time(start_ns + hour * _HOUR_NS) for hour in range(1, hours + 1)]
    arrivals: list[Arrival] = []
    sheets: list[tuple[int, int, int, int]] = []
    truth_l: dict[int, int] = {}
    injected = np.zeros(len(_KINDS) + 1, np.int64)
    for meter in meters:
        course = _course(meter, start_ns, hours, seed)
        if not meter.online:
            sheets += _sheet(course)
            truth_l[meter.number] = meter.sign * LITRES_PER_M3 * int(course.passed_m3[-1])
            continue
        kinds = np.searchsorted(np.cumsum(astuple(trouble)), course.rng.integers(0, PPM, hours), side="right")
        arrivals += _reports(course, times, kinds)
        injected += np.bincount(kinds, minlength=len(injected))
        sound = np.flatnonzero(np.isin(kinds, (_DUPLICATE, _LATE, _SOUND)))
        truth_l[meter.number] = meter.sign * LITRES_PER_M3 * int(course.passed_m3[sound[-1] + 1] if len(sound) else 0)
    arrivals.sort(key=itemgetter(0))
    sheets.sort(key=itemgetter(3))
    counts = dict(zip(_KINDS, injected[:_SOUND].tolist(), strict=True))
    return Season(arrivals, manual_readings(sheets), truth_l, counts)


def _check_season(start_ns: int, days: int, seed: int, trouble: Trouble) -> None:
    """Raise Refused for a season that cannot be simulated."""
    if start_ns < 0 or start_ns % _HOUR_NS:
        raise Refused(Code.OUT_OF_RANGE, "start_ns", start_ns, "a whole hour since 1970")
    if not 1 <= days <= MAX_DAYS:
        raise Refused(Code.OUT_OF_RANGE, "days", days, f"1 to {MAX_DAYS}")
    if seed < 0:
        raise Refused(Code.OUT_OF_RANGE, "seed", seed, "0 or more")
    if min(astuple(trouble)) < 0 or sum(astuple(trouble)) > PPM:
        raise Refused(Code.OUT_OF_RANGE, "trouble", asdict(trouble), f"parts of {PPM}")


def _check_meters(meters: Sequence[SimulatedMeter]) -> None:
    """Raise Refused for a meter whose register could not be read as it is meant."""
    known: set[int | str] = set()
    for meter in meters:
        for field, low, high, unit in (
            ("number", 0, 2**31 - 1, 1),
            ("max_l_per_hour", LITRES_PER_M3, szy206.MAX_FLOW_L_PER_H, 1),
            ("mean_l_per_hour", 0, meter.max_l_per_hour, 1),
            ("modulus_l", MIN_HOURS_ROUND * meter.max_l_per_hour, 2**53, LITRES_PER_M3),
            ("first_l", 0, meter.modulus_l - 1, LITRES_PER_M3),
        ):
            value = getattr(meter, field)
            if not low <= value <= high or value % unit:
                raise Refused(Code.OUT_OF_RANGE, field, value, f"{low} to {high}, a multiple of {unit}")
        if meter.surge and min(meter.surge) < 0:
            raise Refused(Code.OUT_OF_RANGE, "surge", meter.surge, "an hour from 0 on, and a factor not below 0")
        for name in (meter.number, station_key(*_address(meter))) if meter.online else (meter.number,):
            if name in known:
                raise Refused(Code.ALREADY_EXISTS, "meters", name, "one meter for each number and station")
            known.add(name)


def _address(meter: SimulatedMeter) -> tuple[str, int]:
    """Split a station into its administrative code and number. Raises Refused for what is no station."""
    admin_code, _, number = meter.station.partition("-")
    if not (number.isascii() and number.isdecimal() and station_key(admin_code, int(number)) == meter.station):
        raise Refused(Code.FRAME_ADDRESS, "station", meter.station, "like 500118-101 for an online meter")
    return admin_code, int(number)


def _course(meter: SimulatedMeter, start_ns: int, hours: int, seed: int) -> _Course:
    """Draw what passes a meter in each hour, and what of it the register has counted."""
    rng = np.random.Generator(np.random.PCG64([seed, meter.number]))
    flow = _flow(meter, rng, start_ns, hours)
    passed_l = np.concatenate([np.zeros(1, np.int64), np.cumsum(flow)])
    return _Course(meter, rng, start_ns, flow, passed_l // LITRES_PER_M3)


def _report_time(at_ns: int) -> ReportTime:
    local = _EPOCH + timedelta(seconds=at_ns // NS)
    return ReportTime(local.second, local.minute, local.hour, local.day, _TP_DELAY_MIN)


def _local_hours(start_ns: int, count: int) -> Ints:
    """Count hours by a station's clock, from 1970 on."""
    return np.arange(count) + (start_ns // _HOUR_NS + 8)


def _flow(meter: SimulatedMeter, rng: np.random.Generator, start_ns: int, hours: int) -> Ints:
    """Draw litres in each hour: the profile at the stated mean, as far as the maximum lets it, then the surge."""
    most_l = meter.max_l_per_hour // LITRES_PER_M3 * LITRES_PER_M3  # so that no step of whole m³ is above the maximum
    local_hours = _local_hours(start_ns, hours)
    curve = _PROFILES[meter.profile](meter, rng, local_hours) * rng.uniform(0.95, 1.05, hours)
    for _ in range(4):  # what the maximum cuts off goes to other hours
        curve = np.minimum(curve * (meter.mean_l_per_hour / max(curve.mean(), 1e-9)), most_l)
    if meter.surge:
        from_hour, factor = meter.surge
        curve[from_hour:] *= factor
    return np.minimum(np.rint(curve), most_l).astype(np.int64)


def _industry(_meter: SimulatedMeter, _rng: np.random.Generator, local_hours: Ints) -> Floats:
    """Run flat round the clock, less on Saturday and Sunday."""
    weekday = (local_hours // 24 + _THURSDAY) % 7
    return np.where(weekday < _SATURDAY, 1.0, 0.6)


def _supply(_meter: SimulatedMeter, _rng: np.random.Generator, local_hours: Ints) -> Floats:
    """Follow a town's day: little at night, peaks at 8 and 19 o'clock."""
    hour = local_hours % 24
    return 0.5 + np.exp(-(((hour - 8) / 2.5) ** 2)) + 0.9 * np.exp(-(((hour - 19) / 3) ** 2))


def _irrigation(meter: SimulatedMeter, rng: np.random.Generator, local_hours: Ints) -> Floats:
    """Pump nothing on most days, then some hours near full rate: as many days and hours as the mean needs."""
    day = local_hours // 24 - local_hours[0] // 24
    days = int(day[-1]) + 1
    duty = meter.mean_l_per_hour / (0.8 * meter.max_l_per_hour)
    pumping = rng.random(days) < min(1.0, max(0.35, 2 * duty))
    pumping[rng.integers(days)] = True
    length = int(np.clip(np.ceil(24 * duty / pumping.mean()), 6, 24))
    begins = rng.integers(0, 25 - length, days)[day]
    hour = local_hours % 24
    runs = pumping[day] & (hour >= begins) & (hour < begins + length)
    return np.where(runs, 1.0, 0.0) if runs.any() else np.ones(len(day))


_PROFILES: Final = {"industry": _industry, "irrigation": _irrigation, "supply": _supply}


def _register(meter: SimulatedMeter, passed_m3: Ints) -> Ints:
    """Give what the register shows, in m³, after so much has passed."""
    shown: Ints = (meter.first_l // LITRES_PER_M3 + passed_m3) % (meter.modulus_l // LITRES_PER_M3)
    return shown


def _anomalies(meter: SimulatedMeter, rng: np.random.Generator, kinds: Ints) -> Ints:
    """Draw how far each hour's report is off if it is anomalous, in m³.

    Each is many times what can have passed since the last report that surely counted, ahead or back, and at most
    half way round: so no report can pass for a true one.
    """
    reports = np.arange(1, len(kinds) + 1)
    counted = np.maximum.accumulate(np.where((kinds == _SOUND) | (kinds == _DUPLICATE), reports, 0))
    hours_since = reports - np.concatenate([np.zeros(1, np.int64), counted[:-1]])
    size = (meter.max_l_per_hour * hours_since * rng.uniform(*_SPIKE, len(kinds)) / LITRES_PER_M3).astype(np.int64)
    off: Ints = np.minimum(size, meter.modulus_l // LITRES_PER_M3 // 2) * rng.choice([-1, 1], len(kinds))
    return off


def _reports(course: _Course, times: list[ReportTime], kinds: Ints) -> list[Arrival]:
    """Encode the reports of one station over the season, with their trouble, in order of measurement."""
    meter, rng, start_ns, flow, passed_m3 = course
    hours = len(times)
    off_m3 = np.where(kinds == _ANOMALOUS, _anomalies(meter, rng, kinds), 0)
    shown_m3 = _register(meter, passed_m3[1:] + off_m3) % szy206.REGISTER_MODULUS_M3  # the field may be shorter
    delay_ns = rng.integers(_DELAY_S[0] * NS, _DELAY_S[1] * NS, hours)
    delay_ns += np.where(kinds == _LATE, rng.integers(_LATE_S[0] * NS, _LATE_S[1] * NS, hours), 0)
    received_ns = start_ns + np.arange(1, hours + 1) * _HOUR_NS + delay_ns
    again_ns = rng.integers(_AGAIN_S[0] * NS, _AGAIN_S[1] * NS, hours).tolist()
    noise = rng.integers([0, 1], [2**16, 256], (hours, 2)).tolist()  # where a frame is damaged, and how
    admin_code, station = _address(meter)
    columns = (kinds.tolist(), received_ns.tolist(), flow.tolist(), shown_m3.tolist())
    arrivals: list[Arrival] = []
    for at, (kind, received_at_ns, flow_l_per_h, register_m3) in enumerate(zip(*columns, strict=True)):
        if kind == _LOST:
            continue
        measurement = Measurement(None, None) if kind == _MISSING else Measurement(flow_l_per_h, register_m3)
        frame = encode(SelfReport(admin_code, station, None, _FCB, (measurement,), 0, 0, times[at]))
        if kind == _DAMAGED:
            place = noise[at][0] % len(frame)
            frame = frame[:place] + bytes((frame[place] ^ noise[at][1],)) + frame[place + 1 :]
        arrivals.append(Arrival(received_at_ns, frame))
        if kind == _DUPLICATE:
            arrivals.append(Arrival(received_at_ns + again_ns[at], frame))
    return arrivals


def _sheet(course: _Course) -> list[tuple[int, int, int, int]]:
    """Read a meter by hand at the start, at midnight after each month and at the end; typed in within two days."""
    meter, rng, start_ns, _, passed_m3 = course
    days = _local_hours(start_ns, len(passed_m3)) // 24
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    ends = np.flatnonzero(np.diff(months, prepend=months[0]))
    read = sorted({0, *ends.tolist(), len(passed_m3) - 1})
    values_l = (_register(meter, passed_m3[read]) * LITRES_PER_M3).tolist()
    typed_ns = rng.integers(2 * _HOUR_NS, 48 * _HOUR_NS, len(read)).tolist()
    return [
        (meter.number, start_ns + hour * _HOUR_NS, value_l, start_ns + hour * _HOUR_NS + later_ns)
        for hour, value_l, later_ns in zip(read, values_l, typed_ns, strict=True)
    ]
