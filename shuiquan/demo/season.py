"""The meters of the ledger through a season: published frames first, then hourly telemetry and monthly sheets."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal

from adapters.meters.simulate import Season, SimulatedMeter, simulate_season
from adapters.meters.stream import Arrival, Decoded, readings_of
from shuiquan.exchange import Exchange

PUBLISHED_FRAMES: Final = (
    "681A68B35303810D00C00059000000826110000001106000004508090A3516",
    "681A68B31237899876C000000000000800000000000000000057172800F116",
)
"""Two SZY206-2016 self-reports published with open-source decoders; their stations stand in the sample register."""

HOUR_NS: Final = 3_600 * 10**9
HOURS_A_YEAR: Final = 8_760
Profile = Literal["industry", "irrigation", "supply"]
PROFILES: Final[dict[str, Profile]] = {
    "irrigation": "irrigation",
    "licence": "industry",
    "network": "supply",
    "regional": "supply",
}


def meter_of(exchange: Exchange) -> Any:
    """The number of the meter that reports as a station, or None."""
    numbers = exchange.state.numbers
    return lambda key: numbers.get(("station", key))


def published(exchange: Exchange, received_at_ns: int) -> Decoded:
    """The published frames, as they would arrive."""
    arrivals = [Arrival(received_at_ns, bytes.fromhex(frame)) for frame in PUBLISHED_FRAMES]
    return readings_of(arrivals, meter_of(exchange))


def simulated_meters(exchange: Exchange) -> list[SimulatedMeter]:
    """Every meter of the ledger as it stands now, using about what its rights allow: some hold back, some take more."""
    state = exchange.state
    meters = []
    for fact in state.meter_facts:
        register = state.metering.meter[fact.meter]
        yearly_l = 0
        for right, part in fact.shares:
            rows = state.accounts.right_rows[right]
            issued = state.accounts.account["issued_l"][rows[rows >= 0]].sum()
            yearly_l += int(issued) * part // 1_000_000 if len(fact.shares) == 1 else int(issued)
        appetite = (55, 70, 85, 100, 115)[fact.meter % 5]
        meters.append(
            SimulatedMeter(
                number=fact.meter, station=fact.station, online=fact.online, sign=1 if fact.sign > 0 else -1,
                modulus_l=fact.modulus_l, first_l=int(register["last_l"]), max_l_per_hour=fact.max_l_per_hour,
                mean_l_per_hour=min(yearly_l * appetite // 100 // HOURS_A_YEAR, fact.max_l_per_hour // 3),
                profile=PROFILES[state.rights[fact.shares[0][0]].kind],
            )
        )  # fmt: skip
    return meters


def season_of(exchange: Exchange, start: datetime, days: int, seed: int) -> Season:
    """A simulated season of all meters from a local midnight on."""
    start_ns = int(start.timestamp()) * 10**9
    return simulate_season(simulated_meters(exchange), start_ns=start_ns, days=days, seed=seed)


def windows(arrivals: list[Arrival], hours: int) -> Iterator[tuple[int, list[Arrival]]]:
    """Arrivals in windows of so many hours: the end of each window and what came in it."""
    part: list[Arrival] = []
    end_ns = 0
    for arrival in arrivals:
        if arrival.received_at_ns >= end_ns:
            if part:
                yield end_ns, part
            part, end_ns = [], (arrival.received_at_ns // (hours * HOUR_NS) + 1) * hours * HOUR_NS
        part.append(arrival)
    if part:
        yield end_ns, part
