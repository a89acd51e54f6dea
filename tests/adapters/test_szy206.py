"""SZY206-2016: published frames, broken ones, any bytes, and the month that a time stamp leaves out."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.meters.frames import describe, parse_hex
from adapters.meters.szy206 import (
    MAX_FLOW_L_PER_H,
    MAX_MEASUREMENTS,
    MAX_STATION,
    REGISTER_MODULUS_M3,
    Answer,
    LinkAct,
    LinkTest,
    Measurement,
    Message,
    ReportTime,
    SelfReport,
    answer,
    crc8,
    decode,
    encode,
    measured_at_ns,
    station_key,
)
from ledger.codes import Code, Refused

DATA = Path(__file__).parents[1] / "data" / "frames.jsonl"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
PUBLISHED = [row for row in ROWS if row["protocol"] == "SZY206-2016" and row["role"] == "positive"]
VECTORS = [row for row in ROWS if row["role"] == "vector"]
OTHERS = [row for row in ROWS if row not in PUBLISHED and row not in VECTORS]
GOLDEN = bytes.fromhex("681A68B35303810D00C00059000000826110000001106000004508090A3516")
STATION_ZONE = timezone(timedelta(hours=8))

ADDRESS = "5303810D00"
FLOW, VOLUME = "0059000000", "8261100000"
STATUS = "01106000"
TP = "004508090A"


def framed(*parts: str) -> bytes:
    """Wrap hexadecimal text from C to the data into a frame whose marks, L and CS are right."""
    counted = bytes.fromhex("".join(parts))
    return bytes((0x68, len(counted), 0x68)) + counted + bytes((crc8(counted), 0x16))


def self_report(
    *, measurements: str = FLOW + VOLUME, control: str = "B3", address: str = ADDRESS, tp: str = TP
) -> bytes:
    """Exchange one part of the first published frame."""
    return framed(control, address, "C0", measurements, STATUS, tp)


def ns(text: str) -> int:
    """Nanoseconds since 1970 of a time by the station's clock."""
    since = datetime.fromisoformat(text).replace(tzinfo=STATION_ZONE) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(seconds=1) * 10**9


def stamp(text: str) -> ReportTime:
    """Give the time stamp of a time by the station's clock."""
    at = datetime.fromisoformat(text).replace(tzinfo=STATION_ZONE)
    return ReportTime(at.second, at.minute, at.hour, at.day)


# --- published frames


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row["hex"])
def test_published_frame_reads_as_published_and_comes_back(row: dict[str, Any]) -> None:
    """Every published value is found in the description, and encoding gives the published bytes."""
    frame, expected = bytes.fromhex(row["hex"]), row["decoded"]
    message, said = decode(frame), describe(frame)
    assert isinstance(message, SelfReport)
    assert (message.admin_code, message.station) == (expected["A1_admin_code"], expected["A2_station_LE"])
    assert said.station == station_key(expected["A1_admin_code"], expected["A2_station_LE"])
    assert (said.direction, message.fcb, message.div) == (expected["DIR"], expected["FCB"], None)
    assert said.function == "C0/3 self-report, flow and volume"
    assert (said.alarm, said.state) == (expected["alarm_LE"], expected["state_LE"])
    assert [(reading.value, reading.unit) for reading in said.readings] == [
        pair for meter in expected["meters"] for pair in zip(meter.values(), ("m3/h", "m3"), strict=True)
    ]
    tp = expected["Tp"]
    assert message.time == ReportTime(*(int(tp[name]) for name in ("sec", "min", "hour", "day", "delay_min")))
    assert encode(message) == frame


def test_first_published_frame_in_our_units() -> None:
    """5.900 m³/h is 5900 litres per hour."""
    assert decode(GOLDEN) == SelfReport(
        admin_code="530381",
        station=13,
        div=None,
        fcb=3,
        measurements=(Measurement(flow_l_per_h=5_900, cumulative_m3=106_182),),
        alarm=0x1001,
        state=0x0060,
        time=ReportTime(second=0, minute=45, hour=8, day=9, delay_min=10),
    )


@pytest.mark.parametrize("row", VECTORS, ids=lambda row: row["hex"])
def test_checksum_vector(row: dict[str, Any]) -> None:
    """The check value other programs give."""
    assert crc8(bytes.fromhex(row["hex"])) == int(row["decoded"]["crc8"], 16)


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: f"{row['protocol']}-{row['role']}")
def test_other_protocols_are_refused(row: dict[str, Any]) -> None:
    """SL/T 427-2021 has the same frame and is recognised by its longer time stamp; SL651-2014 by its start mark."""
    with pytest.raises(Refused) as refusal:
        decode(bytes.fromhex(row["hex"]))
    successor = row["protocol"] == "SL/T 427-2021"
    assert refusal.value.code == (Code.FRAME_FUNCTION if successor else Code.FRAME_MARK)
    assert ("SL/T 427-2021" in refusal.value.rule) == successor


# --- what the fields can hold


@pytest.mark.parametrize(
    ("flow", "volume", "measurement"),
    [
        ("9999999909", "9999999979", Measurement(MAX_FLOW_L_PER_H, REGISTER_MODULUS_M3 - 1)),
        ("99999999F9", "99999999F9", Measurement(-MAX_FLOW_L_PER_H, -REGISTER_MODULUS_M3 + 1)),
        ("01000000F0", "0100000080", Measurement(-1, -1)),
        ("0000000000", "0000000000", Measurement(0, 0)),
        ("00000000F0", "0800000000", Measurement(0, 8, flow_minus_zero=True)),
        ("AAAAAAAAAA", "0800000000", Measurement(None, 8)),
        ("0059000000", "AAAAAAAAAA", Measurement(5_900, None)),
    ],
)
def test_limits_signs_and_missing_values(flow: str, volume: str, measurement: Measurement) -> None:
    """The largest and smallest values, a zero with a minus and AA; each comes back as the same bytes."""
    frame = self_report(measurements=flow + volume)
    message = decode(frame)
    assert isinstance(message, SelfReport)
    assert message.measurements == (measurement,)
    assert encode(message) == frame


def test_as_many_meters_as_fit() -> None:
    """L is one byte: 23 meters, in a split report as well, and no more."""
    for control in ("B3", "F301"):
        message = decode(self_report(measurements=(FLOW + VOLUME) * MAX_MEASUREMENTS, control=control))
        assert isinstance(message, SelfReport)
        assert len(message.measurements) == MAX_MEASUREMENTS
        more = msgspec.structs.replace(message, measurements=message.measurements * 2)
        with pytest.raises(Refused, match="measurements"):
            encode(more)


# --- link test and answer


@pytest.mark.parametrize("act", LinkAct)
def test_link_test(act: LinkAct) -> None:
    """Login, logout and keep-alive have one byte and no time stamp."""
    message = LinkTest("530381", 13, None, 3, 0, act)
    frame = framed("B0", ADDRESS, "02", f"{act:02X}")
    assert encode(message) == frame
    assert decode(frame) == message
    assert answer(message, 1, None) == framed("30", ADDRESS, "02", "01")


def test_answer_repeats_the_report() -> None:
    """C with DIR cleared, the same address and AFN, one byte of mode, then Tp."""
    report = decode(GOLDEN)
    assert isinstance(report, SelfReport)
    frame = answer(report, 2, ReportTime(30, 46, 8, 9))
    assert frame == framed("33", ADDRESS, "C0", "02", "30460809", "00")
    assert decode(frame) == Answer("530381", 13, None, 3, 3, 0xC0, 2, ReportTime(30, 46, 8, 9))
    assert answer(report, 2, None) == framed("33", ADDRESS, "C0", "02")
    split = msgspec.structs.replace(report, div=1)
    assert answer(split, 0, None) == framed("7301", ADDRESS, "C0", "00")


# --- broken frames

BROKEN: dict[str, tuple[bytes, Code, str]] = {
    "nothing": (b"", Code.FRAME_TRUNCATED, "frame"),
    "a start mark alone": (b"\x68", Code.FRAME_TRUNCATED, "frame"),
    "two bytes": (GOLDEN[:2], Code.FRAME_TRUNCATED, "frame"),
    "half a frame": (GOLDEN[:15], Code.FRAME_TRUNCATED, "frame"),
    "one byte short": (GOLDEN[:-1], Code.FRAME_TRUNCATED, "frame"),
    "a byte more": (GOLDEN + b"\x16", Code.FRAME_LENGTH, "length"),
    "two frames": (GOLDEN * 2, Code.FRAME_LENGTH, "length"),
    "L too small": (GOLDEN[:1] + b"\x19" + GOLDEN[2:], Code.FRAME_LENGTH, "length"),
    "L too large": (GOLDEN[:1] + b"\xff" + GOLDEN[2:], Code.FRAME_TRUNCATED, "frame"),
    "L of nothing": (bytes.fromhex("6800680016"), Code.FRAME_LENGTH, "length"),
    "no data": (framed("B3", ADDRESS, "C0"), Code.FRAME_LENGTH, "length"),
    "start mark": (b"\x67" + GOLDEN[1:], Code.FRAME_MARK, "start_mark"),
    "second start mark": (GOLDEN[:2] + b"\x67" + GOLDEN[3:], Code.FRAME_MARK, "second_start_mark"),
    "second start mark, truncated": (bytes.fromhex("681A67"), Code.FRAME_MARK, "second_start_mark"),
    "end mark": (GOLDEN[:-1] + b"\x17", Code.FRAME_MARK, "end_mark"),
    "checksum": (GOLDEN[:-2] + b"\x36\x16", Code.FRAME_CHECKSUM, "checksum"),
    "another byte": (GOLDEN[:10] + b"\x01" + GOLDEN[11:], Code.FRAME_CHECKSUM, "checksum"),
    "admin code": (self_report(address="53038A0D00"), Code.FRAME_BCD, "admin_code"),
    "station 0": (self_report(address="5303810000"), Code.FRAME_ADDRESS, "station"),
    "broadcast": (self_report(address="530381FFFF"), Code.FRAME_ADDRESS, "station"),
    "flow digit": (self_report(measurements="0A59000000" + VOLUME), Code.FRAME_BCD, "flow[1]"),
    "flow digit below zero": (self_report(measurements="0A590000F0" + VOLUME), Code.FRAME_BCD, "flow[1]"),
    "flow with a unit (SL/T 427)": (self_report(measurements="0059000030" + VOLUME), Code.FRAME_BCD, "flow[1]"),
    "flow sign": (self_report(measurements="0059000080" + VOLUME), Code.FRAME_BCD, "flow[1]"),
    "flow sign alone": (self_report(measurements="0000000080" + VOLUME), Code.FRAME_BCD, "flow[1]"),
    "flow partly missing": (self_report(measurements="AAAAAAAA00" + VOLUME), Code.FRAME_BCD, "flow[1]"),
    "flow FF": (self_report(measurements="FFFFFFFFFF" + VOLUME), Code.FRAME_BCD, "flow[1]"),
    "volume digit": (self_report(measurements=FLOW + "826110000A"), Code.FRAME_BCD, "cumulative[1]"),
    "volume of minus zero": (self_report(measurements=FLOW + "0000000080"), Code.FRAME_BCD, "cumulative[1]"),
    "volume partly missing": (self_report(measurements=FLOW + "82AAAAAAAA"), Code.FRAME_BCD, "cumulative[1]"),
    "second meter": (self_report(measurements=FLOW + VOLUME + FLOW + "8B61100000"), Code.FRAME_BCD, "cumulative[2]"),
    "no meter": (self_report(measurements=""), Code.FRAME_LENGTH, "measurements"),
    "flow alone": (self_report(measurements=FLOW), Code.FRAME_LENGTH, "measurements"),
    "cut short": (self_report(measurements=(FLOW + VOLUME)[:-2]), Code.FRAME_LENGTH, "measurements"),
    "cut into the time stamp": (framed("B3", ADDRESS, "C0", "00"), Code.FRAME_LENGTH, "measurements"),
    "second 60": (self_report(tp="604508090A"), Code.FRAME_TIME, "time"),
    "minute 61": (self_report(tp="006108090A"), Code.FRAME_TIME, "time"),
    "hour 24": (self_report(tp="004524090A"), Code.FRAME_TIME, "time"),
    "day 0": (self_report(tp="004508000A"), Code.FRAME_TIME, "time"),
    "day 32": (self_report(tp="004508320A"), Code.FRAME_TIME, "time"),
    "hour 0A": (self_report(tp="00450A090A"), Code.FRAME_BCD, "time"),
    "missing time": (self_report(tp="AAAAAAAAAA"), Code.FRAME_BCD, "time"),
    "water level": (self_report(control="B2"), Code.FRAME_FUNCTION, "function"),
    "an alarm report": (framed("BD", ADDRESS, "81", STATUS, TP), Code.FRAME_FUNCTION, "afn"),
    "a command to a station": (framed("30", ADDRESS, "B0", TP), Code.FRAME_FUNCTION, "afn"),
    "a report that goes down": (self_report(control="33"), Code.FRAME_LENGTH, "length"),
    "link test of two bytes": (framed("B0", ADDRESS, "02", "F0F0"), Code.FRAME_LENGTH, "length"),
    "unknown link test": (framed("B0", ADDRESS, "02", "F3"), Code.FRAME_FUNCTION, "act"),
    "link test without its byte": (framed("F001", ADDRESS, "02"), Code.FRAME_LENGTH, "length"),
    "split report without data": (framed("F301", ADDRESS, "C0"), Code.FRAME_LENGTH, "measurements"),
    "answer with half a time": (framed("33", ADDRESS, "C0", "00", "0045"), Code.FRAME_LENGTH, "length"),
    "answer at minute 61": (framed("33", ADDRESS, "C0", "00", "0061080900"), Code.FRAME_TIME, "time"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_frame_is_refused_with_its_cause(name: str) -> None:
    """Each cause has its code and names the field, and says what is allowed."""
    frame, code, field = BROKEN[name]
    with pytest.raises(Refused) as refusal:
        decode(frame)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert refusal.value.rule


def test_successor_with_flow_is_named() -> None:
    """A self-report with a time stamp of SL/T 427-2021 does not fit, and the refusal says why."""
    with pytest.raises(Refused, match="SL/T 427-2021") as refusal:
        decode(self_report(tp="00450809052600"))
    assert refusal.value.code == Code.FRAME_LENGTH
    with pytest.raises(Refused) as refusal:
        decode(framed("B3", ADDRESS, "C0", "00"))  # too short for either
    assert "SL/T 427-2021" not in refusal.value.rule


# --- values that do not fit into a frame

REPORT = SelfReport("530381", 13, None, 3, (Measurement(1, 1),), 0, 0, ReportTime(0, 0, 0, 1))
UNFIT: list[tuple[Message, Code, str]] = [
    (msgspec.structs.replace(REPORT, **{field: value}), code, named)
    for field, value, code, named in [
        ("admin_code", "53038", Code.FRAME_ADDRESS, "admin_code"),
        ("admin_code", "53038A", Code.FRAME_ADDRESS, "admin_code"),
        ("admin_code", "٥٣٠٣٨١", Code.FRAME_ADDRESS, "admin_code"),
        ("station", 0, Code.FRAME_ADDRESS, "station"),
        ("station", 65_535, Code.FRAME_ADDRESS, "station"),
        ("div", 256, Code.OUT_OF_RANGE, "div"),
        ("div", -1, Code.OUT_OF_RANGE, "div"),
        ("fcb", 4, Code.OUT_OF_RANGE, "fcb"),
        ("alarm", 65_536, Code.OUT_OF_RANGE, "alarm"),
        ("state", -1, Code.OUT_OF_RANGE, "state"),
        ("measurements", (), Code.OUT_OF_RANGE, "measurements"),
        ("measurements", (Measurement(MAX_FLOW_L_PER_H + 1, 1),), Code.OUT_OF_RANGE, "flow_l_per_h"),
        ("measurements", (Measurement(1, REGISTER_MODULUS_M3),), Code.OUT_OF_RANGE, "cumulative_m3"),
        ("measurements", (Measurement(1, -REGISTER_MODULUS_M3),), Code.OUT_OF_RANGE, "cumulative_m3"),
        ("measurements", (Measurement(1, 1, flow_minus_zero=True),), Code.OUT_OF_RANGE, "flow_minus_zero"),
        ("measurements", (Measurement(None, 1, flow_minus_zero=True),), Code.OUT_OF_RANGE, "flow_minus_zero"),
        ("time", ReportTime(60, 0, 0, 1), Code.FRAME_TIME, "time"),
        ("time", ReportTime(0, 0, 0, 32), Code.FRAME_TIME, "time"),
        ("time", ReportTime(0, 0, 0, 1, 256), Code.FRAME_TIME, "time"),
    ]
]
UNFIT += [
    (Answer("530381", 13, None, 3, 16, 0xC0, 0, None), Code.OUT_OF_RANGE, "function"),
    (Answer("530381", 13, None, 3, 3, 0xC0, 256, None), Code.OUT_OF_RANGE, "mode"),
    (Answer("530381", 13, None, 3, 3, 0x10, 0, None), Code.FRAME_FUNCTION, "afn"),
    (LinkTest("530381", 13, None, 3, 0, 0xF3), Code.OUT_OF_RANGE, "act"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("message", "code", "field"), UNFIT)
def test_value_that_does_not_fit_is_refused(message: Message, code: Code, field: str) -> None:
    """Nothing is cut to fit: the field is named instead."""
    with pytest.raises(Refused) as refusal:
        encode(message)
    assert (refusal.value.code, refusal.value.field) == (code, field)


# --- any message, any bytes

TIMES = st.builds(
    ReportTime, st.integers(0, 59), st.integers(0, 59), st.integers(0, 23), st.integers(1, 31), st.integers(0, 255)
)
FLOWS = st.none() | st.integers(-MAX_FLOW_L_PER_H, MAX_FLOW_L_PER_H)
VOLUMES = st.none() | st.integers(1 - REGISTER_MODULUS_M3, REGISTER_MODULUS_M3 - 1)
MEASUREMENTS = st.builds(Measurement, FLOWS, VOLUMES) | st.builds(Measurement, st.just(0), VOLUMES, st.just(value=True))
HEADER = (
    st.text("0123456789", min_size=6, max_size=6),
    st.integers(1, MAX_STATION),
    st.none() | st.integers(0, 255),
    st.integers(0, 3),
)
WORDS = st.integers(0, 0xFFFF)
REPORTS = st.builds(
    SelfReport, *HEADER, st.lists(MEASUREMENTS, min_size=1, max_size=MAX_MEASUREMENTS).map(tuple), WORDS, WORDS, TIMES
)
FUNCTIONS = st.integers(0, 15)
LINK_TESTS = st.builds(LinkTest, *HEADER, FUNCTIONS, st.sampled_from(LinkAct))
ANSWERS = st.builds(Answer, *HEADER, FUNCTIONS, st.sampled_from((0x02, 0xC0)), st.integers(0, 255), st.none() | TIMES)
MESSAGES = REPORTS | LINK_TESTS | ANSWERS


def decodes_to_itself_or_is_refused(frame: bytes) -> None:
    """Whatever is accepted encodes to the same bytes; nothing but Refused is raised."""
    refusal: Refused | None = None
    try:
        message = decode(frame)
    except Refused as error:
        refusal = error
    if refusal is None:
        assert encode(message) == frame
        assert msgspec.json.encode(describe(frame))
    else:
        assert Code.FRAME_TRUNCATED <= refusal.code <= Code.FRAME_ADDRESS
        assert refusal.field
        assert refusal.rule


@given(MESSAGES)
def test_any_message_comes_back(message: Message) -> None:
    """Decoding is the inverse of encoding."""
    assert decode(encode(message)) == message


@given(st.binary(max_size=300))
@example(b"\x68" * 300)
def test_any_bytes(frame: bytes) -> None:
    """Noise is refused, never an error."""
    decodes_to_itself_or_is_refused(frame)


@given(st.sampled_from((0xB3, 0xF3, 0x33, 0x73, 0xB0, 0xF0)), st.sampled_from((0xC0, 0x02)), st.binary(max_size=240))
def test_any_content_in_a_sound_frame(control: int, afn: int, data: bytes) -> None:
    """Right marks, length and checksum do not make the content right."""
    divs = b"\x01" if control & 0x40 else b""
    head = bytes((control,)) + divs + bytes.fromhex(ADDRESS) + bytes((afn,))
    decodes_to_itself_or_is_refused(framed((head + data).hex()))


@given(MESSAGES, st.data())
def test_one_byte_changed_in_a_sound_frame(message: Message, data: st.DataObject) -> None:
    """One byte of the content is exchanged and the checksum made right again."""
    counted = bytearray(encode(message)[3:-2])
    counted[data.draw(st.integers(0, len(counted) - 1))] = data.draw(st.integers(0, 255))
    decodes_to_itself_or_is_refused(framed(counted.hex()))


@given(MESSAGES, st.data())
def test_truncated_frame_is_refused(message: Message, data: st.DataObject) -> None:
    """No beginning of a frame is a frame, nor is a frame with more behind it."""
    frame = encode(message)
    for other in (frame[: data.draw(st.integers(0, len(frame) - 1))], frame + data.draw(st.binary(min_size=1))):
        with pytest.raises(Refused):
            decode(other)


@pytest.mark.parametrize("bit", range(len(GOLDEN) * 8))
def test_single_bit_flip_is_refused(bit: int) -> None:
    """CRC-8, marks and length leave no bit unguarded."""
    with pytest.raises(Refused):
        decode((int.from_bytes(GOLDEN) ^ 1 << bit).to_bytes(len(GOLDEN)))


@given(MESSAGES, st.data())
def test_single_bit_flip_of_any_frame_is_refused(message: Message, data: st.DataObject) -> None:
    """As above, for frames of every kind and length."""
    frame = encode(message)
    flipped = int.from_bytes(frame) ^ 1 << data.draw(st.integers(0, len(frame) * 8 - 1))
    with pytest.raises(Refused):
        decode(flipped.to_bytes(len(frame)))


# --- the month that Tp leaves out


@pytest.mark.parametrize(
    ("sent", "received", "measured"),
    [
        ("09 08:45:00", "2026-05-09 08:45:03", "2026-05-09 08:45:00"),
        ("09 08:45:00", "2026-05-09 08:45:00", "2026-05-09 08:45:00"),
        ("31 23:59:58", "2026-06-01 00:00:05", "2026-05-31 23:59:58"),
        ("30 12:00:00", "2026-05-01 00:00:05", "2026-04-30 12:00:00"),
        ("31 12:00:00", "2026-05-01 00:00:05", "2026-03-31 12:00:00"),
        ("31 12:00:00", "2026-05-30 23:00:00", "2026-03-31 12:00:00"),
        ("31 23:59:00", "2027-01-01 00:00:00", "2026-12-31 23:59:00"),
        ("15 00:00:00", "2027-01-10 00:00:00", "2026-12-15 00:00:00"),
        ("29 06:00:00", "2028-03-01 00:10:00", "2028-02-29 06:00:00"),
        ("29 06:00:00", "2026-03-01 00:10:00", "2026-01-29 06:00:00"),
        ("29 06:00:00", "2100-03-01 00:10:00", "2100-01-29 06:00:00"),
        ("30 06:00:00", "2028-03-01 00:10:00", "2028-01-30 06:00:00"),
        ("09 08:50:00", "2026-05-09 08:45:00", "2026-05-09 08:50:00"),
        ("09 08:50:01", "2026-05-09 08:45:00", "2026-04-09 08:50:01"),
        ("01 00:02:00", "2026-05-31 23:58:00", "2026-06-01 00:02:00"),
        ("01 00:02:00", "2026-12-31 23:58:00", "2027-01-01 00:02:00"),
        ("01 00:03:01", "2026-12-31 23:58:00", "2026-12-01 00:03:01"),
        ("10 08:45:00", "2026-05-09 08:45:00", "2026-04-10 08:45:00"),
        ("01 07:59:59", "1970-01-01 08:00:00", "1970-01-01 07:59:59"),
    ],
)
def test_month_of_a_time_stamp(sent: str, received: str, measured: str) -> None:
    """The last such day that is not after arrival and five minutes, over ends of months, leap days and years."""
    assert measured_at_ns(stamp(f"2026-01-{sent}"), ns(received)) == ns(measured)


def test_tolerance_counts_whole_seconds() -> None:
    """Fractions of a second of the arrival neither add to the tolerance nor take from it."""
    sent = stamp("2026-05-09 08:45:01")
    assert measured_at_ns(sent, ns("2026-05-09 08:45:00") + 999_999_999, 0) == ns("2026-04-09 08:45:01")
    assert measured_at_ns(sent, ns("2026-05-09 08:45:01"), 0) == ns("2026-05-09 08:45:01")


@given(
    st.datetimes(datetime(1970, 3, 1), datetime(2261, 12, 31)),  # noqa: DTZ001 - Hypothesis wants them without a zone
    st.timedeltas(timedelta(0), timedelta(days=27)),
)
def test_month_is_found_within_four_weeks(measured: datetime, delay: timedelta) -> None:
    """A report that comes within 27 days is dated to the second, whatever the month."""
    at = measured.replace(microsecond=0)
    received = ns(str(at)) + delay // timedelta(microseconds=1) * 1000
    assert measured_at_ns(stamp(str(at)), received) == ns(str(at))


@given(TIMES, st.integers(0, 2**63 - 1), st.integers(0, 86_400))
def test_every_time_stamp_has_a_date_within_62_days(time: ReportTime, received: int, tolerance_s: int) -> None:
    """Not after arrival + tolerance, not 62 days before, and by the station's clock what the stamp says."""
    measured = measured_at_ns(time, received, tolerance_s)
    latest = received + tolerance_s * 10**9
    assert latest - 62 * 86_400 * 10**9 < measured <= latest
    local = datetime(1970, 1, 1, 8, tzinfo=STATION_ZONE) + timedelta(seconds=measured // 10**9)
    assert (local.day, local.hour, local.minute, local.second) == (time.day, time.hour, time.minute, time.second)


@pytest.mark.parametrize(
    ("time", "received", "tolerance_s", "code"),
    [
        (ReportTime(0, 0, 0, 32), 0, 0, Code.FRAME_TIME),
        (ReportTime(0, 0, 0, 0), 0, 0, Code.FRAME_TIME),
        (ReportTime(0, 61, 0, 1), 0, 0, Code.FRAME_TIME),
        (ReportTime(0, 0, 0, 10**30), 0, 0, Code.FRAME_TIME),
        (ReportTime(0, 0, 0, 1), -1, 0, Code.OUT_OF_RANGE),
        (ReportTime(0, 0, 0, 1), 2**63, 0, Code.OUT_OF_RANGE),
        (ReportTime(0, 0, 0, 1), 0, -1, Code.OUT_OF_RANGE),
        (ReportTime(0, 0, 0, 1), 0, 86_401, Code.OUT_OF_RANGE),
    ],
)
def test_time_that_never_is(time: ReportTime, received: int, tolerance_s: int, code: Code) -> None:
    """No month has such a time; and arrival and tolerance have limits."""
    with pytest.raises(Refused) as refusal:
        measured_at_ns(time, received, tolerance_s)
    assert refusal.value.code == code


# --- for people


def test_description_of_every_kind() -> None:
    """What a person reads of a report with missing values, a link test and an answer."""
    frame = framed("F302", ADDRESS, "C0", "00000000F0", "AAAAAAAAAA", "AAAAAAAAAA", "01000000F0", STATUS, TP)
    assert json.loads(msgspec.json.encode(describe(frame))) == {
        "protocol": "SZY206-2016",
        "station": "530381-13",
        "direction": "up",
        "function": "C0/3 self-report, flow and volume",
        "readings": [
            {"channel": 1, "quantity": "flow", "value": "-0.000", "unit": "m3/h"},
            {"channel": 1, "quantity": "cumulative volume", "value": None, "unit": "m3"},
            {"channel": 2, "quantity": "flow", "value": None, "unit": "m3/h"},
            {"channel": 2, "quantity": "cumulative volume", "value": "-7000000001", "unit": "m3"},
        ],
        "alarm": "0x1001",
        "state": "0x0060",
        "time": {"second": 0, "minute": 45, "hour": 8, "day": 9, "delay_min": 10},
        "working_mode": None,
        "div": 2,
    }
    link = describe(framed("B0", ADDRESS, "02", "F2"))
    assert (link.function, link.direction, link.readings, link.time) == ("02/0 link test, keep-alive", "up", (), None)
    down = describe(framed("33", ADDRESS, "C0", "01", TP))
    assert (down.function, down.direction, down.working_mode) == ("C0/3 answer", "down", 1)
    assert down.time == ReportTime(0, 45, 8, 9, 10)


@pytest.mark.parametrize("text", ["681a16", "681A16", " 68 1a\n16 ", "0x681A16", "0X68 0x1A 0x16"])
def test_hexadecimal_text(text: str) -> None:
    """Spaces, either case and a prefix are allowed."""
    assert parse_hex(text) == b"\x68\x1a\x16"


@pytest.mark.parametrize("text", ["", "  ", "0x", "681", "68 1 A1 6", "6G", "68-1A", "六八", "٦٨", "0x0x68"])
def test_text_that_is_not_hexadecimal(text: str) -> None:
    """Anything else is refused, digits of other scripts too."""
    with pytest.raises(Refused) as refusal:
        parse_hex(text)
    assert refusal.value.code == Code.FRAME_HEX


@given(st.binary(min_size=1, max_size=64), st.sampled_from((" ", "\n", " 0x")))
def test_hexadecimal_text_of_any_bytes(data: bytes, separator: str) -> None:
    """Bytes written pair by pair come back."""
    assert parse_hex(separator.join(f"{byte:02X}" for byte in data)) == data
