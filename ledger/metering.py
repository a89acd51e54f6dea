"""The reading loop: judge each reading, turn register steps into use, debit rights, withdraw offers where water lacks.

Rules: identity, order, rollover and rate as in validation, estimation and editing of registers; use belongs to the
year in which it was measured (K18) and is booked even where nothing is left (K15).
"""

from typing import Any

import numpy as np

from ledger.accounts import FREE, OVER_USE, fee, holding_row, use_water
from ledger.codes import Code
from ledger.compiled import kernel
from ledger.offers import withdraw_for_use, withdraw_offers_of_owner
from ledger.rows import MISSING
from ledger.tables import AT_NS, FIRST_YEAR, N_READINGS, N_USES, NEXT_SEQ
from ledger.units import NS, PPM, SECONDS_PER_HOUR
from matching.index import spread

NONE = 0
UNKNOWN_METER, DUPLICATE_READING = int(Code.UNKNOWN_METER), int(Code.DUPLICATE_READING)
VALUE_MISSING, LATE_READING = int(Code.VALUE_MISSING), int(Code.LATE_READING)
READING_TOO_LATE, CLOCK_AHEAD = int(Code.READING_TOO_LATE), int(Code.CLOCK_AHEAD)
STEP_BACK, RATE_TOO_HIGH = int(Code.STEP_BACK), int(Code.RATE_TOO_HIGH)
BEYOND_MODULUS, WRAPPED = int(Code.BEYOND_MODULUS), int(Code.WRAPPED)
WITHDRAWN_FOR_USE = int(Code.WITHDRAWN_FOR_USE)
IN_SEEN, LATE_NS, AHEAD_NS = 0, 1, 2
MARGIN_NUMERATOR, MARGIN_DENOMINATOR = 6, 5  # a register may run 1.2 times its stated rate before it is doubted


@kernel
def place_of(metering: Any, meter: int, measured_at_ns: int, sequence: int) -> int:
    """Where the identity of a reading stands in `seen`, or the empty place where it belongs."""
    mask = len(metering.seen) - 1
    at = spread(measured_at_ns // NS * 1_000_003 + meter * 7_919 + sequence) & mask
    while metering.seen[at]["meter"] >= 0:
        place = metering.seen[at]
        if place["meter"] == meter and place["measured_at_ns"] == measured_at_ns and place["sequence"] == sequence:
            return at
        at = (at + 1) & mask
    return at


@kernel
def remember(metering: Any, meter: int, measured_at_ns: int, sequence: int) -> bool:
    """Note the identity of a reading. Returns False when it was known."""
    at = place_of(metering, meter, measured_at_ns, sequence)
    place = metering.seen[at]
    if place["meter"] >= 0:
        return False
    place["meter"] = meter
    place["measured_at_ns"] = measured_at_ns
    place["sequence"] = sequence
    metering.limits[IN_SEEN] += 1
    return True


@kernel
def remember_all(metering: Any, identities: Any) -> None:
    """Note identities (rows of SEEN) in a table made anew."""
    for at in range(len(identities)):
        identity = identities[at]
        remember(metering, np.int64(identity["meter"]), identity["measured_at_ns"], np.int64(identity["sequence"]))


@kernel
def year_at(metering: Any, accounts: Any, at_ns: int) -> int:
    """The year in which an instant lies; an instant on a boundary still belongs to the interval that ends there."""
    return np.int64(np.searchsorted(metering.year_starts, at_ns, side="left")) - 1 + accounts.scalars[FIRST_YEAR]


@kernel
def holdings_missing(accounts: Any, metering: Any, readings: Any) -> bool:
    """Whether a reading may book use to a right and year that has no holding yet."""
    for at in range(len(readings)):
        number = readings[at]["meter"]
        if number < 0 or number >= len(metering.meter):
            continue
        meter = metering.meter[number]
        first, last = (
            year_at(metering, accounts, meter["last_at_ns"] + 1),
            year_at(metering, accounts, readings[at]["measured_at_ns"]),
        )
        for share in range(meter["shares_at"], meter["shares_at"] + meter["shares"]):
            for year in range(first, last + 1):
                if holding_row(accounts, np.int64(metering.share[share]["right"]), year) < 0:
                    return True
    return False


@kernel
def judge(metering: Any, journal: Any, reading: Any) -> tuple[int, int]:
    """Code of a reading, and the litres that it adds to the meter's register when the code is NONE or WRAPPED."""
    zero = np.int64(0)
    number, measured, value = np.int64(reading["meter"]), reading["measured_at_ns"], reading["value_l"]
    if number < 0 or number >= len(metering.meter):
        return UNKNOWN_METER, zero
    meter = metering.meter[number]
    if measured > journal.clock[AT_NS] + metering.limits[AHEAD_NS]:
        return CLOCK_AHEAD, zero
    if measured < journal.clock[AT_NS] - metering.limits[LATE_NS]:
        return READING_TOO_LATE, zero
    if not remember(metering, number, measured, np.int64(reading["sequence"])):
        return DUPLICATE_READING, zero
    if value == MISSING:
        return VALUE_MISSING, zero
    if value < 0 or value >= meter["modulus_l"]:
        return BEYOND_MODULUS, zero
    if measured <= meter["last_at_ns"]:
        return LATE_READING, zero
    step = value - meter["last_l"]
    elapsed_s = (measured - meter["last_at_ns"]) // NS + 1
    most = meter["max_l_per_hour"] * elapsed_s // SECONDS_PER_HOUR * MARGIN_NUMERATOR // MARGIN_DENOMINATOR
    if step < 0:
        step += meter["modulus_l"]
        return (WRAPPED, step) if step <= most else (STEP_BACK, zero)
    return (RATE_TOO_HIGH, zero) if step > most else (NONE, step)


@kernel
def decide_readings(
    books: Any, tape: Any, accounts: Any, market: Any, metering: Any, journal: Any, readings: Any, actor: int
) -> None:
    """Decide a batch of READING in order. Facts go to `journal`, whose columns must be long enough.

    Every holding that use may fall on must exist: a right of a share, in each year from the meter's last reading on.
    """
    for at in range(len(readings)):
        reading = readings[at]
        fact = start_reading(journal, reading, actor)
        code, step = judge(metering, journal, reading)
        fact["code"] = code
        if code not in (NONE, WRAPPED):
            continue
        meter = metering.meter[reading["meter"]]
        fact["volume_l"] = meter["sign"] * step
        from_ns = meter["last_at_ns"]
        move_register(meter, reading["value_l"], reading["measured_at_ns"])
        if step > 0:
            book_interval(
                books, tape, accounts, market, metering, journal, meter, meter["sign"] * step, from_ns,
                reading["measured_at_ns"], fact["seq"],
            )  # fmt: skip


@kernel
def start_reading(journal: Any, reading: Any, actor: int) -> Any:
    """The fact of a reading, filled with what was reported and numbered next."""
    at = journal.counts[N_READINGS]
    fact = journal.readings[at]
    fact["seq"] = journal.clock[NEXT_SEQ]
    fact["at_ns"] = journal.clock[AT_NS]
    fact["measured_at_ns"] = reading["measured_at_ns"]
    fact["received_at_ns"] = reading["received_at_ns"]
    fact["value_l"] = reading["value_l"]
    fact["flow_l_per_h"] = reading["flow_l_per_h"]
    fact["volume_l"] = 0
    fact["sequence"] = reading["sequence"]
    fact["meter"] = reading["meter"]
    fact["alarm"] = reading["alarm"]
    fact["actor"] = actor
    fact["source"] = reading["source"]
    fact["quality"] = reading["quality"]
    journal.counts[N_READINGS] = at + 1
    journal.clock[NEXT_SEQ] += 1
    return fact


@kernel
def move_register(meter: Any, value_l: int, measured_at_ns: int) -> None:
    """Set a meter's register to an accepted reading."""
    meter["last_l"] = value_l
    meter["last_at_ns"] = measured_at_ns


@kernel
def book_interval(
    books: Any, tape: Any, accounts: Any, market: Any, metering: Any, journal: Any, meter: Any, volume_l: int,
    from_ns: int, to_ns: int, cause: int,
) -> None:  # fmt: skip
    """Book a register step to the rights of a meter, split at year boundaries by time, remainder to the later part."""
    starts = metering.year_starts
    year = np.int64(np.searchsorted(starts, from_ns, side="right")) - 1
    while from_ns < to_ns:
        end_ns = min(to_ns, starts[year + 1]) if year + 1 < len(starts) else to_ns
        part = volume_l
        if end_ns < to_ns:
            total_s, part_s = (to_ns - from_ns) // NS, (end_ns - from_ns) // NS
            size = abs(volume_l)
            part = (size // total_s) * part_s + (size % total_s) * part_s // total_s
            part = part if volume_l > 0 else -part
        book_shares(
            books, tape, accounts, market, metering, journal, meter, part, from_ns, end_ns,
            year + accounts.scalars[FIRST_YEAR], cause,
        )  # fmt: skip
        volume_l -= part
        from_ns = end_ns
        year += 1


@kernel
def share_of(metering: Any, meter: Any, at: int, volume_l: int) -> int:
    """Litres of one share: the floor of its part, and a left-over litre if its fraction is among the largest."""
    first, count = meter["shares_at"], meter["shares"]
    left = volume_l
    rank = np.int64(0)
    mine = (volume_l % PPM) * metering.share[first + at]["ppm"] % PPM
    for other in range(count):
        ppm = metering.share[first + other]["ppm"]
        left -= fee(volume_l, ppm)
        fraction = (volume_l % PPM) * ppm % PPM
        if fraction > mine or (fraction == mine and other < at):
            rank += 1
    return fee(volume_l, metering.share[first + at]["ppm"]) + (1 if rank < left else 0)


@kernel
def book_shares(
    books: Any, tape: Any, accounts: Any, market: Any, metering: Any, journal: Any, meter: Any, volume_l: int,
    from_ns: int, to_ns: int, year: int, cause: int,
) -> None:  # fmt: skip
    """Book the water of one year to each right of a meter by its share, remainders by largest fraction."""
    for at in range(meter["shares"]):
        part = share_of(metering, meter, at, abs(volume_l))
        if part == 0:
            continue
        right = np.int64(metering.share[meter["shares_at"] + at]["right"])
        row = holding_row(accounts, right, year)
        before = accounts.party[accounts.account[row]["owner"]]["over_l"]
        if volume_l > 0:
            lacking = part - accounts.balance[row, FREE]
            if lacking > 0:
                withdraw_for_use(books, tape, accounts, market, journal, row, lacking, WITHDRAWN_FOR_USE, cause)
            over = max(np.int64(0), part - accounts.balance[row, FREE])
        else:
            over = -min(part, -accounts.balance[row, OVER_USE])
            part = -part
        use_water(accounts, row, part, over)
        write_use(journal, right, year, part, over, from_ns, to_ns, cause)
        owner = np.int64(accounts.account[row]["owner"])
        if before == 0 and accounts.party[owner]["over_l"] > 0:
            withdraw_offers_of_owner(books, tape, accounts, market, journal, owner, cause)


@kernel
def write_use(
    journal: Any, right: int, year: int, volume_l: int, over_l: int, from_ns: int, to_ns: int, cause: int
) -> None:
    """Write the fact of booked use, numbered next."""
    at = journal.counts[N_USES]
    fact = journal.uses[at]
    fact["seq"] = journal.clock[NEXT_SEQ]
    fact["at_ns"] = journal.clock[AT_NS]
    fact["cause"] = cause
    fact["from_ns"] = from_ns
    fact["to_ns"] = to_ns
    fact["volume_l"] = volume_l
    fact["over_l"] = over_l
    fact["right"] = right
    fact["year"] = year
    journal.counts[N_USES] = at + 1
    journal.clock[NEXT_SEQ] += 1
