"""Frames of SZY206-2016, the national rule for reporting water-resource measurements: bytes to values and back.

    68 | L | 68 | C | [DIVS if C.D6] | A(5) | AFN | data | [Tp(5)] | CS | 16

L counts from C to the byte before CS. `decode` accepts exactly what `encode` gives back byte for byte and answers other
bytes with `Refused`. Handled are the self-report of flow and volume (AFN C0, function 3), the link test (AFN 02) and
the centre's answer to either. Flow is in litres per hour (on the wire m³/h with 3 decimals), the cumulative register in
whole m³. Whether a station reports flow alone is not in its frames: two flows look like a flow and a volume.
"""

from datetime import datetime, timedelta, timezone
from enum import IntEnum
from typing import ClassVar, Final

from msgspec import Struct

from ledger.codes import Code, Refused

REGISTER_MODULUS_M3: Final = 8_000_000_000  # the digit of 10⁹ has three bits
MAX_FLOW_L_PER_H: Final = 999_999_999
MAX_MEASUREMENTS: Final = 23  # as many as L, one byte, can count
MAX_STATION: Final = 65_534  # 65535 is broadcast

_UP: Final = 0x80
_DIV: Final = 0x40
_LINK_TEST: Final = 0x02
_SELF_REPORT: Final = 0xC0
_FLOW_AND_VOLUME: Final = 3
_PAIR: Final = 10  # bytes of one meter: flow 5, cumulative 5
_TAIL: Final = 9  # alarm 2, state 2, Tp 5
_FROM_BCD: Final = bytes(b // 16 * 10 + b % 16 if f"{b:02x}".isdecimal() else 255 for b in range(256))
_TO_BCD: Final = bytes(value // 10 % 10 * 16 + value % 10 for value in range(256))
_MISSING: Final = b"\xaa" * 5
_EPOCH: Final = datetime(1970, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))  # by a station's clock


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte << 1 ^ 0xE5 if byte & 0x80 else byte << 1) & 0xFF
    return byte


_CRC: Final = tuple(map(_crc_of_byte, range(256)))


class Measurement(Struct, frozen=True):
    """What one meter shows. None is a value the station reported as missing (AA), which is not zero."""

    flow_l_per_h: int | None
    cumulative_m3: int | None
    flow_minus_zero: bool = False  # a flow of zero that came with a minus: kept, to encode the same bytes


class ReportTime(Struct, frozen=True):
    """The time stamp Tp: the station's clock (UTC+8) without month and year, and the delay it allows, in minutes."""

    second: int
    minute: int
    hour: int
    day: int
    delay_min: int = 0


class Header(Struct, frozen=True):
    """What every message has: the station, and from C the countdown of a split message and the frame count bits."""

    admin_code: str  # six digits
    station: int  # 1 to 60000, relays to 65534
    div: int | None  # None for a message in one frame
    fcb: int


class SelfReport(Header, frozen=True):
    """Flow and volume reported by a station, with its alarm and state bits."""

    up: ClassVar[bool] = True
    afn: ClassVar[int] = _SELF_REPORT
    function: ClassVar[int] = _FLOW_AND_VOLUME
    measurements: tuple[Measurement, ...]
    alarm: int
    state: int
    time: ReportTime


class LinkAct(IntEnum):
    """What a link test says."""

    LOGIN = 0xF0
    LOGOUT = 0xF1
    KEEP_ALIVE = 0xF2


class LinkTest(Header, frozen=True):
    """A station logs in, logs out or keeps its connection open. It carries no time stamp."""

    up: ClassVar[bool] = True
    afn: ClassVar[int] = _LINK_TEST
    function: int
    act: LinkAct


class Answer(Header, frozen=True):
    """The centre confirms a message. `mode` is the working mode the station shall take; `time` sets its clock."""

    up: ClassVar[bool] = False
    function: int
    afn: int
    mode: int
    time: ReportTime | None


Message = SelfReport | LinkTest | Answer


def crc8(data: bytes) -> int:
    """Compute CS: polynomial E5, initial value 0, most significant bit first; 00 01 02 gives A6 (SZY206-2016)."""
    register = 0
    for byte in data:
        register = _CRC[register ^ byte]
    return register


def station_key(admin_code: str, station: int) -> str:
    """Name a station as the register does: its administrative code and its number, as in 530381-13."""
    return f"{admin_code}-{station}"


def decode(frame: bytes) -> Message:
    """Read the message in one whole frame. Raises Refused, codes FRAME_*, for any other bytes."""
    _check_envelope(frame)
    control = frame[3]
    div, at = (frame[4], 5) if control & _DIV else (None, 4)
    admin_code, station = frame[at : at + 3].hex(), frame[at + 3] | frame[at + 4] << 8
    if not admin_code.isdecimal():
        raise Refused(Code.FRAME_BCD, "admin_code", admin_code, "six BCD digits")
    _within("station", station, 1, MAX_STATION, Code.FRAME_ADDRESS)
    fcb, function, afn, body = control >> 4 & 3, control & 15, frame[at + 5], frame[at + 6 : -2]
    if control & _UP and afn == _SELF_REPORT:
        _check_layout(function, len(body) - _TAIL)
        meters = [_decode_measurement(body[n : n + _PAIR], n) for n in range(0, len(body) - _TAIL, _PAIR)]
        alarm, state = body[-9] | body[-8] << 8, body[-7] | body[-6] << 8
        return SelfReport(admin_code, station, div, fcb, tuple(meters), alarm, state, _decode_time(body[-5:]))
    if afn not in (_SELF_REPORT, _LINK_TEST):
        raise Refused(Code.FRAME_FUNCTION, "afn", f"0x{afn:02X}", "C0 self-report, 02 link test, or an answer to one")
    if control & _UP:
        if len(body) != 1:
            raise Refused(Code.FRAME_LENGTH, "length", frame[1], "a link test has one byte of data")
        if not LinkAct.LOGIN <= body[0] <= LinkAct.KEEP_ALIVE:
            raise Refused(Code.FRAME_FUNCTION, "act", f"0x{body[0]:02X}", "F0 login, F1 logout, F2 keep-alive")
        return LinkTest(admin_code, station, div, fcb, function, LinkAct(body[0]))
    if len(body) not in (1, 6):
        raise Refused(Code.FRAME_LENGTH, "length", frame[1], "an answer has one byte of mode, or that and Tp")
    return Answer(admin_code, station, div, fcb, function, afn, body[0], _decode_time(body[1:]) if body[1:] else None)


def encode(message: Message) -> bytes:
    """Write the frame of a message, the inverse of `decode`. Raises Refused naming the field that does not fit."""
    if isinstance(message, SelfReport):
        _within("measurements", len(message.measurements), 1, MAX_MEASUREMENTS)
        _within("alarm", message.alarm, 0, 0xFFFF)
        _within("state", message.state, 0, 0xFFFF)
        status = (message.alarm | message.state << 16).to_bytes(4, "little")
        body = b"".join(map(_encode_measurement, message.measurements)) + status + _encode_time(message.time)
    elif isinstance(message, LinkTest):
        _within("act", message.act, LinkAct.LOGIN, LinkAct.KEEP_ALIVE)
        body = bytes((message.act,))
    else:
        if message.afn not in (_SELF_REPORT, _LINK_TEST):
            raise Refused(Code.FRAME_FUNCTION, "afn", message.afn, "a self-report C0 or a link test 02 is answered")
        _within("mode", message.mode, 0, 0xFF)
        body = bytes((message.mode,)) + (_encode_time(message.time) if message.time else b"")
    counted = _encode_head(message) + body
    return bytes((0x68, len(counted), 0x68)) + counted + bytes((crc8(counted), 0x16))


def answer(to: SelfReport | LinkTest, mode: int, time: ReportTime | None) -> bytes:
    """Write the frame that confirms `to`: C with DIR cleared, same A and AFN, a working mode, Tp to set the clock."""
    return encode(Answer(to.admin_code, to.station, to.div, to.fcb, to.function, to.afn, mode, time))


def measured_at_ns(time: ReportTime, received_at_ns: int, tolerance_s: int = 300) -> int:
    """Date a report, in nanoseconds since 1970: the last such day and time not after arrival + tolerance.

    Tp has no month: it is that of the arrival or one of the two before, in which every day comes round (62 days).
    Raises Refused: FRAME_TIME, a time that never is; OUT_OF_RANGE, an arrival before 1970 or a tolerance over a day.
    """
    _within("received_at_ns", received_at_ns, 0, 2**63 - 1)
    _within("tolerance_s", tolerance_s, 0, 86_400)
    latest = _EPOCH + timedelta(seconds=received_at_ns // 10**9 + tolerance_s)
    for months_back in range(3):
        year, month = divmod(latest.year * 12 + latest.month - 1 - months_back, 12)
        try:
            candidate = datetime(year, month + 1, time.day, time.hour, time.minute, time.second, tzinfo=_EPOCH.tzinfo)
        except (ValueError, OverflowError):  # no such day in this month; a time that never is fails in all three
            continue
        if candidate <= latest:
            return (candidate - _EPOCH) // timedelta(seconds=1) * 10**9
    raise Refused(Code.FRAME_TIME, "time", str(time), "a day, hour, minute and second of the last 62 days")


def _check_envelope(frame: bytes) -> None:
    """Check marks, length and CS, so that C, A and AFN may be read."""
    size = len(frame)
    if size and frame[0] != 0x68:
        raise Refused(Code.FRAME_MARK, "start_mark", f"0x{frame[0]:02X}", "0x68")
    if size > 2 and frame[2] != 0x68:
        raise Refused(Code.FRAME_MARK, "second_start_mark", f"0x{frame[2]:02X}", "0x68")
    if size < 3 or size < frame[1] + 5:
        raise Refused(Code.FRAME_TRUNCATED, "frame", size, "L + 5 bytes, at least 13")
    if size > frame[1] + 5 or size < 13:
        raise Refused(Code.FRAME_LENGTH, "length", frame[1], f"{size} bytes less 5, and at least 8")
    if frame[-1] != 0x16:
        raise Refused(Code.FRAME_MARK, "end_mark", f"0x{frame[-1]:02X}", "0x16")
    if frame[-2] != crc8(frame[3:-2]):
        raise Refused(Code.FRAME_CHECKSUM, "checksum", f"0x{frame[-2]:02X}", f"0x{crc8(frame[3:-2]):02X} by CRC-8")


def _check_layout(function: int, size: int) -> None:
    """Check that a self-report with `size` bytes of measurements is one that is handled here."""
    if function == _FLOW_AND_VOLUME and size > 0 and not size % _PAIR:
        return
    item = {_FLOW_AND_VOLUME: 5, 4: 3}.get(function, 1)  # bytes of an item; 4 is velocity
    hint = "; looks like SL/T 427-2021 (Tp of 7 bytes)" if size > 2 and size % item and not (size - 2) % item else ""
    if function != _FLOW_AND_VOLUME:
        raise Refused(Code.FRAME_FUNCTION, "function", function, f"3, flow and volume{hint}")
    raise Refused(Code.FRAME_LENGTH, "measurements", size, f"10 bytes for each meter, at least one{hint}")


def _decode_measurement(raw: bytes, at: int) -> Measurement:
    flow = _decode_number("flow", raw[:5], MAX_FLOW_L_PER_H, 0xF0, at)
    cumulative = _decode_number("cumulative", raw[5:], REGISTER_MODULUS_M3 - 1, 0x80, at)
    return Measurement(flow, cumulative, flow == 0 and raw[4] != 0)


def _encode_measurement(measurement: Measurement) -> bytes:
    flow = _encode_number("flow_l_per_h", measurement.flow_l_per_h, MAX_FLOW_L_PER_H, 0xF0)
    if measurement.flow_minus_zero:
        _within("flow_minus_zero", measurement.flow_l_per_h, 0, 0)
        flow = b"\0\0\0\0\xf0"
    return flow + _encode_number("cumulative_m3", measurement.cumulative_m3, REGISTER_MODULUS_M3 - 1, 0x80)


def _decode_number(name: str, raw: bytes, limit: int, minus: int, at: int) -> int | None:
    """Read five bytes of little-endian BCD, `minus` set in the last one for a value below zero; AA is missing."""
    if raw == _MISSING:
        return None
    negative = raw[4] & 0x80
    text = f"{raw[4] ^ minus:02x}{raw[3::-1].hex()}" if negative else raw[::-1].hex()
    # A flow above the limit has a digit where SL/T 427-2021 has the unit. A register of minus zero never comes back.
    if not text.isdecimal() or int(text) > limit or raw == b"\0\0\0\0\x80":
        raise Refused(Code.FRAME_BCD, f"{name}[{at // _PAIR + 1}]", raw.hex(), f"BCD to {limit}, {minus:X} minus or AA")
    return -int(text) if negative else int(text)


def _encode_number(field: str, value: int | None, limit: int, minus: int) -> bytes:
    """Write what `_decode_number` reads."""
    if value is None:
        return _MISSING
    _within(field, value, -limit, limit)
    digits = bytes.fromhex(f"{abs(value):010d}")[::-1]
    return digits if value >= 0 else digits[:4] + bytes((digits[4] | minus,))


def _decode_time(raw: bytes) -> ReportTime:
    """Read Tp: the delay is binary, the others are BCD."""
    clock = raw[:4].translate(_FROM_BCD)
    if 255 in clock:
        raise Refused(Code.FRAME_BCD, "time", raw.hex(), "second, minute, hour and day are BCD")
    time = ReportTime(clock[0], clock[1], clock[2], clock[3], raw[4])
    _check_time(time)
    return time


def _encode_time(time: ReportTime) -> bytes:
    _check_time(time)
    return bytes((time.second, time.minute, time.hour, time.day)).translate(_TO_BCD) + bytes((time.delay_min,))


def _check_time(time: ReportTime) -> None:
    fits = 0 <= time.second <= 59 and 0 <= time.minute <= 59 and 0 <= time.hour <= 23 and 1 <= time.day <= 31
    if not (fits and 0 <= time.delay_min <= 0xFF):
        raise Refused(Code.FRAME_TIME, "time", str(time), "up to 59 s, 59 min, 23 h; day 1 to 31; delay up to 255 min")


def _encode_head(message: Message) -> bytes:
    """Write C, DIVS, A and AFN."""
    if not (len(message.admin_code) == 6 and message.admin_code.isascii() and message.admin_code.isdecimal()):
        raise Refused(Code.FRAME_ADDRESS, "admin_code", message.admin_code, "six digits")
    _within("station", message.station, 1, MAX_STATION, Code.FRAME_ADDRESS)
    _within("fcb", message.fcb, 0, 3)
    _within("function", message.function, 0, 15)
    control = (_UP if message.up else 0) | message.fcb << 4 | message.function
    _within("div", message.div or 0, 0, 0xFF)
    head = bytes((control,) if message.div is None else (control | _DIV, message.div))
    return head + bytes.fromhex(message.admin_code) + message.station.to_bytes(2, "little") + bytes((message.afn,))


def _within(field: str, value: int | None, low: int, high: int, code: Code = Code.OUT_OF_RANGE) -> None:
    if value is None or not low <= value <= high:
        raise Refused(code, field, value, f"{low} to {high}")
