"""From frames to readings: what stations sent becomes an array of `ledger.rows.READING`, ready to submit.

Nothing is judged here: duplicates, late and odd values are the ledger's to refuse, each with its fact. What cannot
become a reading (a broken frame, an unknown station, a frame that is no report) is a `Fault`, never dropped.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from adapters.meters.szy206 import ReportTime, SelfReport, decode, measured_at_ns, station_key
from ledger.codes import Code, Refused
from ledger.rows import MISSING, READING, Quality, Source
from ledger.tables import Array
from ledger.units import LITRES_PER_M3, NS

SHOWN_BYTES: Final = 64  # of a frame in a fault: two of the usual frames
SHOWN_TEXT: Final = 200
AHEAD_S: Final = 300  # how far a station's clock may run ahead of the arrival

_LATEST_NS: Final = 2**63 - 1
_SHORTEST_MONTH_NS: Final = 28 * 86_400 * NS

MeterOf = Callable[[str], int | None]
"""Dense number of the meter behind a station: "530381-13", and "530381-13/2" for its second channel."""


class Arrival(NamedTuple):
    """One frame as it came in, and when, in nanoseconds since 1970."""

    received_at_ns: int
    frame: bytes


class Fault(Struct, frozen=True):
    """An arrival, or one channel of it, that gave no reading: which one, and why. `index` counts arrivals from 0."""

    index: int
    received_at_ns: int
    code: int  # of ledger.codes.Code
    field: str
    value: str
    rule: str
    hex: str  # of the first 64 bytes


class Decoded(NamedTuple):
    """Readings (dtype READING) and faults, each in the order of arrival."""

    readings: Array
    faults: list[Fault]


class _Columns(NamedTuple):
    """Columns of READING that differ from row to row: appending to lists is much cheaper than writing into an array."""

    measured_at_ns: list[int]
    received_at_ns: list[int]
    value_l: list[int]
    flow_l_per_h: list[int]
    meter: list[int]
    alarm: list[int]


class _Calendar:
    """Dates reports as `measured_at_ns` does, which is slow, and is asked but once for each day of the month."""

    def __init__(self) -> None:
        self._midnight_ns: list[int | None] = [None] * 32

    def date(self, time: ReportTime, received_at_ns: int) -> int:
        """Date a report in nanoseconds since 1970. Raises Refused as `measured_at_ns` does."""
        of_day_ns = (time.hour * 3600 + time.minute * 60 + time.second) * NS
        midnight_ns = self._midnight_ns[time.day]
        if midnight_ns is not None and 0 <= received_at_ns <= _LATEST_NS:
            # The next month's day of this number is no nearer than 28 days, so within them this one is the last.
            since_ns = received_at_ns + AHEAD_S * NS - midnight_ns - of_day_ns
            if 0 <= since_ns < _SHORTEST_MONTH_NS:
                return midnight_ns + of_day_ns
        at_ns = measured_at_ns(time, received_at_ns, AHEAD_S)
        self._midnight_ns[time.day] = at_ns - of_day_ns
        return at_ns


def readings_of(arrivals: Iterable[Arrival], meter_of: MeterOf) -> Decoded:
    """Read self-reports of SZY206-2016 into readings, in order of arrival. Raises nothing for what a station sends.

    Channel 1 of a frame is the station's register; channel n is the meter known as "station/n". Each channel gives
    a reading or a fault UNKNOWN_METER, every other frame one fault with the code of its refusal. Registers below
    zero stay below zero. A value reported as AA is MISSING; a register that is, has quality MISSING.
    """
    columns = _Columns([], [], [], [], [], [])
    calendar = _Calendar()
    faults: list[Fault] = []
    for index, arrival in enumerate(arrivals):
        received_at_ns, frame = arrival
        try:
            report = _report(frame)
            measured_ns = calendar.date(report.time, received_at_ns)
        except Refused as refusal:
            faults.append(_fault(index, arrival, refusal))
            continue
        station = key = station_key(report.admin_code, report.station)
        for channel, measurement in enumerate(report.measurements, start=1):
            if channel > 1:
                key = f"{station}/{channel}"
            meter = meter_of(key)
            if meter is None:
                faults.append(_fault(index, arrival, Refused(Code.UNKNOWN_METER, "station", key, "register its meter")))
                continue
            volume_m3, flow_l_per_h = measurement.cumulative_m3, measurement.flow_l_per_h
            columns.measured_at_ns.append(measured_ns)
            columns.received_at_ns.append(received_at_ns)
            columns.value_l.append(MISSING if volume_m3 is None else volume_m3 * LITRES_PER_M3)
            columns.flow_l_per_h.append(MISSING if flow_l_per_h is None else flow_l_per_h)
            columns.meter.append(meter)
            columns.alarm.append(report.alarm)
    return Decoded(_telemetry(columns), faults)


def manual_readings(rows: Sequence[tuple[int, int, int, int]]) -> Array:
    """Make manual readings (dtype READING) of rows (meter, measured_at_ns, value_l, received_at_ns), in their order."""
    given = np.array(rows, np.int64).reshape(-1, 4)
    readings = np.zeros(len(given), READING)
    for at, name in enumerate(("meter", "measured_at_ns", "value_l", "received_at_ns")):
        readings[name] = given[:, at]
    readings["flow_l_per_h"] = MISSING  # a register shows none
    readings["source"] = Source.MANUAL
    readings["quality"] = Quality.GOOD
    return readings


def _report(frame: bytes) -> SelfReport:
    """Read a frame that is a whole report. Raises Refused for any other."""
    message = decode(frame)
    if not isinstance(message, SelfReport):
        raise Refused(Code.FRAME_FUNCTION, "afn", f"0x{message.afn:02X}", "a self-report C0 from a station")
    if message.div is not None:
        # Its channels number on from parts that are not here: the first one may be any meter.
        raise Refused(Code.FRAME_FUNCTION, "div", message.div, "a report in one frame")
    return message


def _telemetry(columns: _Columns) -> Array:
    """Make an array of the columns. `sequence` stays 0: channels of one frame are different meters."""
    readings = np.zeros(len(columns.meter), READING)
    for name, column in zip(columns._fields, columns, strict=True):
        readings[name] = column
    readings["source"] = Source.TELEMETRY
    readings["quality"] = np.where(readings["value_l"] == MISSING, Quality.MISSING, Quality.UNCHECKED)
    return readings


def _fault(index: int, arrival: Arrival, refusal: Refused) -> Fault:
    """Say what was wrong with an arrival, in words short enough for a list of many."""
    return Fault(
        index=index,
        received_at_ns=arrival.received_at_ns,
        code=int(refusal.code),
        field=refusal.field,
        value=str(refusal.value)[:SHOWN_TEXT],
        rule=refusal.rule,
        hex=arrival.frame[:SHOWN_BYTES].hex(),
    )
