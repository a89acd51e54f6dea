"""A meter frame as people read it: hexadecimal text in, named readings with their units out."""

from msgspec import Struct

from adapters.meters.szy206 import Answer, LinkTest, Measurement, Message, ReportTime, SelfReport, decode, station_key
from ledger.codes import Code, Refused


class Reading(Struct, frozen=True):
    """One value of a frame. `value` has the decimals of the wire; None is a value reported as missing."""

    channel: int  # 1 is the first meter
    quantity: str  # "flow" or "cumulative volume"
    value: str | None
    unit: str  # "m3/h" or "m3"


class Description(Struct, frozen=True):
    """Everything a frame says. Fields its function does not have are empty or None."""

    protocol: str
    station: str  # 530381-13
    direction: str  # "up" from a station, "down" to it
    function: str
    readings: tuple[Reading, ...] = ()
    alarm: str | None = None  # 0x and four digits
    state: str | None = None
    time: ReportTime | None = None
    working_mode: int | None = None
    div: int | None = None  # the countdown of a split message


def parse_hex(text: str) -> bytes:
    """Read bytes written as pairs of hexadecimal digits in either case, with spaces between; a word may start with 0x.

    Raises Refused with FRAME_HEX for other text and for none.
    """
    try:
        data = b"".join(bytes.fromhex(word.removeprefix("0x").removeprefix("0X")) for word in text.split())
    except ValueError:
        data = b""
    if not data:
        raise Refused(Code.FRAME_HEX, "hex", text, "pairs of the digits 0-9, a-f or A-F, in words with or without 0x")
    return data


def describe(frame: bytes) -> Description:
    """Say what a frame of SZY206-2016 holds. Raises Refused, codes FRAME_*, for any other bytes."""
    message = decode(frame)
    report = message if isinstance(message, SelfReport) else None
    return Description(
        protocol="SZY206-2016",
        station=station_key(message.admin_code, message.station),
        direction="up" if message.up else "down",
        function=_function(message),
        readings=_readings(report.measurements) if report else (),
        alarm=f"0x{report.alarm:04X}" if report else None,
        state=f"0x{report.state:04X}" if report else None,
        time=None if isinstance(message, LinkTest) else message.time,
        working_mode=message.mode if isinstance(message, Answer) else None,
        div=message.div,
    )


def _function(message: Message) -> str:
    number = f"{message.afn:02X}/{message.function}"
    if isinstance(message, SelfReport):
        return f"{number} self-report, flow and volume"
    if isinstance(message, LinkTest):
        return f"{number} link test, {message.act.name.lower().replace('_', '-')}"
    return f"{number} answer"


def _readings(measurements: tuple[Measurement, ...]) -> tuple[Reading, ...]:
    readings: list[Reading] = []
    for channel, measurement in enumerate(measurements, start=1):
        volume = measurement.cumulative_m3
        readings += (
            Reading(channel, "flow", _cubic_metres_per_hour(measurement), "m3/h"),
            Reading(channel, "cumulative volume", None if volume is None else str(volume), "m3"),
        )
    return tuple(readings)


def _cubic_metres_per_hour(measurement: Measurement) -> str | None:
    flow = measurement.flow_l_per_h
    if flow is None:
        return None
    sign = "-" if flow < 0 or measurement.flow_minus_zero else ""
    return f"{sign}{abs(flow) // 1000}.{abs(flow) % 1000:03d}"
