"""From frames to readings, and the simulated season: what was injected is found again, and no arrival is lost."""

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.meters.simulate import (
    MIN_HOURS_ROUND,
    NATIONAL_TROUBLE,
    NO_TROUBLE,
    Season,
    SimulatedMeter,
    Trouble,
    simulate_season,
)
from adapters.meters.stream import Arrival, Decoded, manual_readings, readings_of
from adapters.meters.szy206 import (
    LinkAct,
    LinkTest,
    Measurement,
    ReportTime,
    SelfReport,
    answer,
    decode,
    encode,
    measured_at_ns,
)
from ledger.codes import Code, Refused
from ledger.rows import MISSING, READING, Quality, Source

HOUR = 3600 * 10**9
START = int(datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=8))).timestamp()) * 10**9  # a Sunday
RECEIVED = int(datetime(2026, 3, 9, 0, 46, tzinfo=UTC).timestamp()) * 10**9
MEASURED = RECEIVED - 60 * 10**9  # 08:45 by the station's clock
REPORT = SelfReport("530381", 13, None, 3, (Measurement(5_900, 106_182),), 0x1001, 0x60, ReportTime(0, 45, 8, 9, 10))
GOLDEN = bytes.fromhex("681A68B35303810D00C00059000000826110000001106000004508090A3516")
METERS = {"530381-13": 7, "530381-13/2": 8, "530381-13/4": 9}

FAST = SimulatedMeter(
    number=3,
    station="500118-101",
    online=True,
    modulus_l=10**9,
    first_l=10**9 - 2_000_000,  # goes round on the second day
    max_l_per_hour=150_000,
    mean_l_per_hour=60_000,
)
RETURN = replace(FAST, number=5, station="500118-102", sign=-1, modulus_l=10**11, first_l=12_000, profile="supply")
FIELD = replace(FAST, number=0, station="500227-7", mean_l_per_hour=30_000, profile="irrigation")
SMALL = replace(FAST, number=9, station="500227-8", max_l_per_hour=1_500, mean_l_per_hour=900, modulus_l=4_500_000)
SMALL = replace(SMALL, first_l=4_400_000)
OFFLINE = SimulatedMeter(
    number=12, modulus_l=10**9, first_l=10**9 - 5_000, max_l_per_hour=90_000, mean_l_per_hour=20_000
)
ALL = (FAST, RETURN, FIELD, SMALL, OFFLINE)
NUMBERS = {meter.station: meter.number for meter in ALL if meter.online}


def read(*frames: bytes) -> Decoded:
    """Read frames that all arrive at RECEIVED."""
    return readings_of([Arrival(RECEIVED, frame) for frame in frames], METERS.get)


def season(meters: tuple[SimulatedMeter, ...] = ALL, days: int = 30, seed: int = 1, **trouble: int) -> Season:
    """Simulate a season with the trouble that is given, or the national one."""
    kinds = replace(NO_TROUBLE, **trouble) if trouble else NATIONAL_TROUBLE
    return simulate_season(meters, start_ns=START, days=days, seed=seed, trouble=kinds)


# --- frames to readings


def test_a_report_becomes_a_reading() -> None:
    """Every column, in litres and nanoseconds."""
    readings, faults = read(GOLDEN)
    assert (faults, readings.dtype) == ([], READING)
    row = dict(zip(READING.names or (), readings[0].tolist(), strict=True))
    assert row == {
        "measured_at_ns": MEASURED,
        "received_at_ns": RECEIVED,
        "value_l": 106_182_000,
        "flow_l_per_h": 5_900,
        "sequence": 0,
        "meter": 7,
        "alarm": 0x1001,
        "source": Source.TELEMETRY,
        "quality": Quality.UNCHECKED,
    }


@pytest.mark.parametrize(
    ("measurement", "value_l", "flow_l_per_h", "quality"),
    [
        (Measurement(None, None), MISSING, MISSING, Quality.MISSING),
        (Measurement(5, None), MISSING, 5, Quality.MISSING),
        (Measurement(None, 0), 0, MISSING, Quality.UNCHECKED),
        (Measurement(-5, -6), -6_000, -5, Quality.UNCHECKED),
        (Measurement(0, 7_999_999_999, flow_minus_zero=True), 7_999_999_999_000, 0, Quality.UNCHECKED),
    ],
)
def test_missing_and_negative_values(
    measurement: Measurement, value_l: int, flow_l_per_h: int, quality: Quality
) -> None:
    """Missing is never zero, and below zero stays below zero."""
    readings, faults = read(encode(replace(REPORT, measurements=(measurement,))))
    assert not faults
    assert readings[["value_l", "flow_l_per_h", "quality"]].tolist() == [(value_l, flow_l_per_h, quality)]


def test_channels_are_meters_of_their_own() -> None:
    """Channel n is "station/n"; one without a meter is a fault, and the others are read all the same."""
    channels = tuple(Measurement(n, n) for n in (1, 2, 3, 4))
    readings, faults = read(GOLDEN, encode(replace(REPORT, measurements=channels)))
    assert readings[["meter", "value_l", "sequence"]].tolist() == [
        (7, 106_182_000, 0),
        (7, 1_000, 0),
        (8, 2_000, 0),
        (9, 4_000, 0),
    ]
    assert [(fault.index, fault.code, fault.value) for fault in faults] == [(1, Code.UNKNOWN_METER, "530381-13/3")]


LINK = LinkTest("530381", 13, None, 3, 0, LinkAct.KEEP_ALIVE)
FAULTS: dict[str, tuple[bytes, Code, str, str]] = {
    "nothing": (b"", Code.FRAME_TRUNCATED, "frame", "0"),
    "half a frame": (GOLDEN[:15], Code.FRAME_TRUNCATED, "frame", "15"),
    "damaged": (GOLDEN[:12] + b"\x01" + GOLDEN[13:], Code.FRAME_CHECKSUM, "checksum", "0x35"),
    "noise": (b"\xff" * 300, Code.FRAME_MARK, "start_mark", "0xFF"),
    "unknown station": (encode(replace(REPORT, station=14)), Code.UNKNOWN_METER, "station", "530381-14"),
    "link test": (encode(LINK), Code.FRAME_FUNCTION, "afn", "0x02"),
    "answer": (answer(REPORT, 1, None), Code.FRAME_FUNCTION, "afn", "0xC0"),
    "part of a split report": (encode(replace(REPORT, div=2)), Code.FRAME_FUNCTION, "div", "2"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_no_reading_is_a_fault(name: str) -> None:
    """A fault names the arrival, the cause and what was there, between readings that it does not disturb."""
    frame, code, field, value = FAULTS[name]
    readings, (fault,) = read(GOLDEN, frame, GOLDEN)
    assert (fault.index, fault.received_at_ns, fault.code) == (1, RECEIVED, code)
    assert (fault.field, fault.value, fault.hex) == (field, value, frame[:64].hex())
    assert fault.rule
    assert readings["meter"].tolist() == [7, 7]


@pytest.mark.parametrize(
    ("first_ns", "time", "beyond_ns"),
    [(0, ReportTime(0, 0, 8, 1), -1), (2**63 - 1, ReportTime(0, 0, 7, 12), 2**63)],
)
def test_an_arrival_at_no_time_is_a_fault(first_ns: int, time: ReportTime, beyond_ns: int) -> None:
    """Times lie from 1970 to 2262, also for a report of a day that was dated just before."""
    frame = encode(replace(REPORT, time=time))
    readings, faults = readings_of([Arrival(at_ns, frame) for at_ns in (first_ns, beyond_ns, first_ns)], METERS.get)
    assert [(fault.index, fault.code) for fault in faults] == [(1, Code.OUT_OF_RANGE)]
    assert readings["received_at_ns"].tolist() == [first_ns, first_ns]


def test_nothing_arrived() -> None:
    """No arrivals give no readings, of the right layout."""
    readings, faults = readings_of(iter(()), METERS.get)
    assert (len(readings), readings.dtype, faults) == (0, READING, [])


TIMES = st.builds(ReportTime, st.integers(0, 59), st.integers(0, 59), st.integers(0, 23), st.integers(1, 31))
INSTANTS = st.integers(0, 400 * 86_400).map(lambda second: START + second * 10**9)


@given(st.lists(st.tuples(TIMES, INSTANTS), max_size=30))
def test_reports_are_dated_one_by_one(reports: list[tuple[ReportTime, int]]) -> None:
    """What was dated before changes nothing, in whatever order reports arrive."""
    arrivals = [Arrival(at_ns, encode(replace(REPORT, time=time))) for time, at_ns in reports]
    readings, faults = readings_of(arrivals, METERS.get)
    assert not faults
    assert readings["measured_at_ns"].tolist() == [measured_at_ns(time, at_ns) for time, at_ns in reports]


@pytest.mark.parametrize("early_s", [-1, 0, 299, 300, 301])
def test_a_clock_that_runs_ahead(early_s: int) -> None:
    """Up to five minutes ahead is today; beyond, it was last month, with and without a report of that day before."""
    arrival = Arrival(MEASURED - early_s * 10**9, GOLDEN)
    expected = MEASURED if early_s <= 300 else MEASURED - 28 * 24 * HOUR  # February 2026 has 28 days
    for before in ([], [Arrival(RECEIVED, GOLDEN)]):
        readings, _ = readings_of([*before, arrival], METERS.get)
        assert readings["measured_at_ns"][-1] == expected


@given(st.lists(st.binary(max_size=40) | st.sampled_from((GOLDEN, encode(LINK), encode(replace(REPORT, station=2))))))
def test_any_bytes_are_counted(frames: list[bytes]) -> None:
    """Each frame of one channel is a reading or a fault."""
    readings, faults = read(*frames)
    assert len(readings) == frames.count(GOLDEN)
    assert [fault.index for fault in faults] == [at for at, frame in enumerate(frames) if frame != GOLDEN]


def test_manual_readings() -> None:
    """A person's figures are good and have no flow."""
    readings = manual_readings([(4, START, 5_000, RECEIVED), (3, START + 1, 0, RECEIVED + 1)])
    assert readings.dtype == READING
    assert readings.tolist() == [
        (START, RECEIVED, 5_000, MISSING, 0, 4, 0, Source.MANUAL, Quality.GOOD),
        (START + 1, RECEIVED + 1, 0, MISSING, 0, 3, 0, Source.MANUAL, Quality.GOOD),
    ]
    assert len(manual_readings([])) == 0


# --- a plain model of judging


class Judged(NamedTuple):
    """What became of the readings of a season, by name of the code, and the litres booked by meter."""

    codes: Counter[str]
    booked_l: dict[int, int]
    last_l: dict[int, int]


def judge(readings: Any, meters: tuple[SimulatedMeter, ...]) -> Judged:
    """Judge readings in order: identity, value, order in time, then the step against 1.2 times the maximum rate."""
    known = {meter.number: meter for meter in meters}
    last = {meter.number: (meter.first_l, START) for meter in meters}
    booked, codes, seen = dict.fromkeys(known, 0), Counter[str](), set()
    for number, measured_ns, value_l in readings[["meter", "measured_at_ns", "value_l"]].tolist():
        meter, (last_l, last_ns) = known[number], last[number]
        most_l = meter.max_l_per_hour * (measured_ns - last_ns + 10**9) / HOUR * 1.2
        step_l = (value_l - last_l) % meter.modulus_l
        if (number, measured_ns) in seen:
            codes["DUPLICATE_READING"] += 1
        elif value_l == MISSING:
            codes["VALUE_MISSING"] += 1
        elif not 0 <= value_l < meter.modulus_l:
            codes["BEYOND_MODULUS"] += 1
        elif measured_ns <= last_ns:
            codes["LATE_READING"] += 1
        elif step_l > most_l:
            codes["STEP_BACK" if value_l < last_l else "RATE_TOO_HIGH"] += 1
        else:
            codes["WRAPPED" if value_l < last_l else "NONE"] += 1
            booked[number] += meter.sign * step_l
            last[number] = value_l, measured_ns
        seen.add((number, measured_ns))
    return Judged(codes, booked, {number: value_l for number, (value_l, _) in last.items()})


def check_season(simulated: Season, meters: tuple[SimulatedMeter, ...], hours: int) -> Judged:
    """Check that all trouble is found again and that booked use is the truth."""
    readings, faults = readings_of(simulated.arrivals, NUMBERS.get)
    assert len(readings) + len(faults) == len(simulated.arrivals)
    for fault in faults:
        with pytest.raises(Refused) as refusal:
            decode(simulated.arrivals[fault.index].frame)
        assert (fault.code, fault.field) == (refusal.value.code, refusal.value.field)
    judged = judge(np.concatenate([readings, simulated.manual]), meters)
    online = sum(meter.online for meter in meters)
    late = int((readings["received_at_ns"] - readings["measured_at_ns"] >= HOUR).sum())
    found = {
        "missing": judged.codes["VALUE_MISSING"],
        "anomalous": judged.codes["STEP_BACK"] + judged.codes["RATE_TOO_HIGH"],
        "duplicate": judged.codes["DUPLICATE_READING"],
        "late": late,
        "damaged": len(faults),
        "lost": online * hours + judged.codes["DUPLICATE_READING"] - len(simulated.arrivals),
    }
    assert found == simulated.injected
    sheets = len(meters) - online  # the first reading of a sheet is the register that is known
    assert judged.codes["LATE_READING"] <= late + sheets
    assert judged.booked_l == simulated.truth_l
    for meter in meters:
        passed_l = (judged.last_l[meter.number] - meter.first_l) * meter.sign
        assert (simulated.truth_l[meter.number] - passed_l) % meter.modulus_l == 0
    return judged


# --- the simulated season


def test_a_season_with_national_trouble() -> None:
    """Shares are those seen nationally, and each kind is found again."""
    simulated = season()
    judged = check_season(simulated, ALL, 720)
    for kind, expected in zip(Trouble.__struct_fields__, (184, 24, 29, 29, 6, 14), strict=True):
        assert expected / 2 < simulated.injected[kind] < expected * 2, kind
    assert judged.codes["WRAPPED"] >= 3  # FAST, SMALL and the meter without telemetry
    assert judged.codes["STEP_BACK"] > 0
    assert judged.codes["RATE_TOO_HIGH"] > 0
    assert judged.codes["LATE_READING"] > 1


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**64),
    days=st.integers(1, 40),
    shares=st.lists(st.sampled_from((0, 1_000, 50_000, 160_000)), min_size=6, max_size=6),
    meters=st.lists(st.sampled_from(ALL), unique_by=lambda meter: meter.number, max_size=5).map(tuple),
)
def test_any_season(seed: int, days: int, shares: list[int], meters: tuple[SimulatedMeter, ...]) -> None:
    """Much worse trouble than the national one is found again too."""
    simulated = simulate_season(meters, start_ns=START, days=days, seed=seed, trouble=Trouble(*shares))
    check_season(simulated, meters, 24 * days)


@pytest.mark.parametrize(
    "trouble", [{"missing": 900_000, "anomalous": 100_000}, {"missing": 600_000, "anomalous": 100_000, "late": 290_000}]
)
def test_anomalies_after_long_gaps(trouble: dict[str, int]) -> None:
    """However long nothing came, a wrong register never passes for a true one, even one that soon goes round."""
    check_season(season((SMALL, FAST), **trouble), (SMALL, FAST), 720)


@pytest.mark.parametrize("kind", Trouble.__struct_fields__)
def test_nothing_but_one_trouble(kind: str) -> None:
    """Every report suffers it, and a season of nothing else has nothing to book."""
    simulated = season((FAST, RETURN), days=3, **{kind: 1_000_000})
    assert simulated.injected == {name: 144 * (name == kind) for name in Trouble.__struct_fields__}
    check_season(simulated, (FAST, RETURN), 72)
    assert any(simulated.truth_l.values()) == (kind in {"duplicate", "late"})


def test_frames_show_the_registers() -> None:
    """Without trouble a frame comes each hour, dated by the station's clock, and its register goes round."""
    simulated = season((FAST,), days=5, lost=0)
    reports = [decode(arrival.frame) for arrival in simulated.arrivals]
    shown = []
    for hour, (report, arrival) in enumerate(zip(reports, simulated.arrivals, strict=True), start=1):
        assert isinstance(report, SelfReport)
        assert encode(report) == arrival.frame
        assert (report.admin_code, report.station) == ("500118", 101)
        assert report.time == ReportTime(0, 0, hour % 24, 1 + hour // 24, 10)
        assert 3 * 10**9 <= arrival.received_at_ns - (START + hour * HOUR) < 120 * 10**9
        shown.append((report.measurements[0].cumulative_m3 or 0, report.measurements[0].flow_l_per_h or 0))
    registers, flows = np.array(shown).T
    steps = np.diff(registers, prepend=FAST.first_l // 1000)
    assert np.count_nonzero(steps < 0) == 1
    assert np.abs(steps % 10**6 * 1000 - flows).max() < 1000  # a register in whole m³ lags behind the flow
    assert simulated.truth_l[FAST.number] == steps.sum() * 1000 + FAST.modulus_l


def test_the_field_goes_round_before_a_longer_register() -> None:
    """A frame holds no more than 8·10⁹ m³."""
    long = replace(FAST, modulus_l=9 * 10**12, first_l=8 * 10**12 - 1_000)
    readings, _ = readings_of(season((long,), days=1, lost=0).arrivals, NUMBERS.get)
    assert readings["value_l"].max() < 10**9


def test_frames_of_late_and_duplicate_reports() -> None:
    """A duplicate is the same bytes, soon after; a late report comes within three days."""
    doubled = Counter(arrival.frame for arrival in season((FAST,), days=3, duplicate=1_000_000).arrivals)
    assert len(doubled) == 72
    assert set(doubled.values()) == {2}
    late = season((FAST,), late=1_000_000)
    received = [arrival.received_at_ns for arrival in late.arrivals]
    assert received == sorted(received)
    readings, _ = readings_of(late.arrivals, NUMBERS.get)
    delay_s = (readings["received_at_ns"] - readings["measured_at_ns"]) // 10**9
    assert (delay_s.min() >= 3_600, delay_s.max() <= 72 * 3_600 + 120, delay_s.max() > 60 * 3_600) == (True, True, True)


def test_the_seed_decides_everything() -> None:
    """The same seed gives the same bytes, another one others, and a meter does not depend on its neighbours."""
    first, again, other, alone = season(), season(), season(seed=2), season((RETURN, OFFLINE))
    assert (first.arrivals, first.truth_l, first.injected) == (again.arrivals, again.truth_l, again.injected)
    assert first.manual.tobytes() == again.manual.tobytes()
    assert first.arrivals != other.arrivals
    assert first.manual.tobytes() != other.manual.tobytes()
    assert set(alone.arrivals) < set(first.arrivals)
    assert alone.manual.tobytes() == first.manual.tobytes()
    assert alone.truth_l.items() <= first.truth_l.items()


def test_manual_sheets() -> None:
    """Read at the start, after each month and at the end, and typed in later, in the order of typing."""
    others = [replace(OFFLINE, number=number) for number in range(20, 24)]
    simulated = season((OFFLINE, FAST, *others), days=70, lost=0)
    assert (np.diff(simulated.manual["received_at_ns"]) > 0).all()
    readings = simulated.manual[simulated.manual["meter"] == OFFLINE.number]
    assert len(simulated.manual) == 5 * len(readings)
    assert ((readings["measured_at_ns"] - START) // HOUR).tolist() == [0, 31 * 24, 61 * 24, 70 * 24]
    assert (readings["received_at_ns"] > readings["measured_at_ns"]).all()
    assert (readings["value_l"][0], set(readings["source"])) == (OFFLINE.first_l, {Source.MANUAL})
    assert (readings["value_l"][-1] - OFFLINE.first_l) % 10**9 == simulated.truth_l[OFFLINE.number] % 10**9


# --- how water is used


def hourly_flow(meter: SimulatedMeter, days: int = 28) -> Any:
    """Litres in each hour of each day (days x 24), as reported."""
    readings, _ = readings_of(season((meter,), days=days, lost=0).arrivals, NUMBERS.get)
    return readings["flow_l_per_h"].reshape(days, 24)


@pytest.mark.parametrize("meter", [FAST, RETURN, FIELD, replace(FIELD, mean_l_per_hour=100_000)])
def test_the_mean_is_as_stated(meter: SimulatedMeter) -> None:
    """Within two per cent, and never above the maximum."""
    flow = hourly_flow(meter)
    assert abs(flow.mean() / meter.mean_l_per_hour - 1) < 0.02
    assert flow.max() <= meter.max_l_per_hour


def test_profiles() -> None:
    """Industry rests at weekends, a town sleeps at night, fields are pumped on some days only."""
    industry = hourly_flow(FAST).mean(axis=1)
    assert industry.reshape(4, 7)[:, [0, 6]].max() < 0.8 * industry.reshape(4, 7)[:, 1:6].min()
    supply = hourly_flow(RETURN).mean(axis=0)
    assert supply[8] > 2 * supply[2]
    irrigation = hourly_flow(FIELD)
    assert 3 <= np.count_nonzero(irrigation.sum(axis=1)) <= 20
    assert (hourly_flow(replace(FIELD, mean_l_per_hour=0)) == 0).all()


def test_a_surge() -> None:
    """From its hour on a meter uses a multiple, up to what it can pass; before, nothing is changed."""
    calm, doubled, flooded = (hourly_flow(replace(FAST, surge=surge)) for surge in (None, (240, 2.0), (240, 9.0)))
    assert (doubled[:10] == calm[:10]).all()
    assert np.abs(doubled[10:] - 2 * calm[10:]).max() <= 1
    assert (flooded[10:] == FAST.max_l_per_hour).all()
    meters = (replace(FAST, surge=(240, 9.0)),)
    check_season(season(meters), meters, 720)


UNFIT: dict[str, tuple[dict[str, Any], Code, str]] = {
    "half past": ({"start_ns": START + HOUR // 2}, Code.OUT_OF_RANGE, "start_ns"),
    "before 1970": ({"start_ns": -HOUR}, Code.OUT_OF_RANGE, "start_ns"),
    "no days": ({"days": 0}, Code.OUT_OF_RANGE, "days"),
    "seed": ({"seed": -1}, Code.OUT_OF_RANGE, "seed"),
    "negative trouble": ({"trouble": Trouble(-1)}, Code.OUT_OF_RANGE, "trouble"),
    "too much trouble": ({"trouble": Trouble(1_000_000)}, Code.OUT_OF_RANGE, "trouble"),
    "number": ({"number": -1}, Code.OUT_OF_RANGE, "number"),
    "no station": ({"station": ""}, Code.FRAME_ADDRESS, "station"),
    "two names of a station": ({"station": "500118-0101"}, Code.FRAME_ADDRESS, "station"),
    "other digits": ({"station": "500118-\u0661"}, Code.FRAME_ADDRESS, "station"),
    "short code": ({"station": "50011-1"}, Code.FRAME_ADDRESS, "admin_code"),
    "register below m³": ({"first_l": 1}, Code.OUT_OF_RANGE, "first_l"),
    "register beyond": ({"first_l": FAST.modulus_l}, Code.OUT_OF_RANGE, "first_l"),
    "modulus below m³": ({"modulus_l": 10**9 + 1}, Code.OUT_OF_RANGE, "modulus_l"),
    "soon round": ({"modulus_l": (MIN_HOURS_ROUND - 1) * 150_000}, Code.OUT_OF_RANGE, "modulus_l"),
    "slow": ({"max_l_per_hour": 999}, Code.OUT_OF_RANGE, "max_l_per_hour"),
    "mean above": ({"mean_l_per_hour": 150_001}, Code.OUT_OF_RANGE, "mean_l_per_hour"),
    "surge": ({"surge": (-1, 2.0)}, Code.OUT_OF_RANGE, "surge"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_cannot_be_simulated_is_refused(name: str) -> None:
    """The refusal names the argument or the field of a meter."""
    changes, code, field = UNFIT[name]
    fields = {key: value for key, value in changes.items() if key in SimulatedMeter.__struct_fields__}
    arguments = {key: value for key, value in changes.items() if key not in fields}
    with pytest.raises(Refused) as refusal:
        simulate_season((replace(FAST, **fields),), **{"start_ns": START, "days": 1, "seed": 1, **arguments})
    assert (refusal.value.code, refusal.value.field) == (code, field)


@pytest.mark.parametrize("second", [replace(FAST, station="500118-9"), replace(FAST, number=1)])
def test_one_meter_a_number_and_station(second: SimulatedMeter) -> None:
    """Two meters cannot share either."""
    with pytest.raises(Refused) as refusal:
        season((FAST, second))
    assert refusal.value.code == Code.ALREADY_EXISTS
