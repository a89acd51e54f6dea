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
from ledger.rows import MISSING, Quality, Source
from ledger.tables import AT_NS, FIRST_YEAR, N_READINGS, N_REMOVALS, N_USES, NEXT_SEQ
from ledger.units import NS, PPM, SECONDS_PER_HOUR

NONE = 0
UNKNOWN_METER, DUPLICATE_READING = int(Code.UNKNOWN_METER), int(Code.DUPLICATE_READING)
VALUE_MISSING, LATE_READING = int(Code.VALUE_MISSING), int(Code.LATE_READING)
READING_TOO_LATE, CLOCK_AHEAD = int(Code.READING_TOO_LATE), int(Code.CLOCK_AHEAD)
STEP_BACK, RATE_TOO_HIGH = int(Code.STEP_BACK), int(Code.RATE_TOO_HIGH)
BEYOND_MODULUS, WRAPPED = int(Code.BEYOND_MODULUS), int(Code.WRAPPED)
OUT_OF_RANGE = int(Code.OUT_OF_RANGE)
WITHDRAWN_FOR_USE = int(Code.WITHDRAWN_FOR_USE)
FACTOR = 0x1E3779B1  # odd, 29 bits: a product with 32 bits stays within a signed 64-bit integer
IN_SEEN, LATE_NS, AHEAD_NS = 0, 1, 2
LAST_SOURCE, LAST_QUALITY = int(max(Source)), int(max(Quality))
MARGIN_NUMERATOR, MARGIN_DENOMINATOR = 6, 5  # a register may run 1.2 times its stated rate before it is doubted


@kernel
def spread(value: int) -> int:
    """A number of 41 bits that differs all over for neighbouring values (multiplicative hashing)."""
    return (((value ^ (value >> 32)) & 0xFFFFFFFF) * FACTOR) >> 20


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
def is_known(metering: Any, reading: Any) -> bool:
    """Whether the identity of a reading is known already."""
    at = place_of(metering, np.int64(reading["meter"]), reading["measured_at_ns"], np.int64(reading["sequence"]))
    return metering.seen[at]["meter"] >= 0


@kernel
def remember(metering: Any, meter: int, measured_at_ns: int, sequence: int) -> None:
    """Note the identity of a reading."""
    place = metering.seen[place_of(metering, meter, measured_at_ns, sequence)]
    place["meter"] = meter
    place["measured_at_ns"] = measured_at_ns
    place["sequence"] = sequence
    metering.limits[IN_SEEN] += 1


@kernel
def remember_all(metering: Any, identities: Any) -> None:
    """Note identities (rows of SEEN) in a table made anew."""
    for at in range(len(identities)):
        identity = identities[at]
        remember(metering, np.int64(identity["meter"]), identity["measured_at_ns"], np.int64(identity["sequence"]))


@kernel
def years_between(metering: Any, from_ns: int, to_ns: int) -> tuple[int, int]:
    """First and last year of an interval, counted from the ledger's first; a boundary belongs to the one before it."""
    first = np.searchsorted(metering.year_starts, from_ns, side="right") - 1
    return np.int64(first), np.int64(np.searchsorted(metering.year_starts, to_ns, side="left")) - 1


@kernel
def holdings_exist(accounts: Any, metering: Any, meter: Any, to_ns: int) -> bool:
    """Whether each right of a meter has a holding in every year from its last reading to `to_ns`."""
    first, last = years_between(metering, meter["last_at_ns"], to_ns)
    for at in range(meter["shares_at"], meter["shares_at"] + meter["shares"]):
        for year in range(first, last + 1):
            if holding_row(accounts, np.int64(metering.share[at]["right"]), year + accounts.scalars[FIRST_YEAR]) < 0:
                return False
    return True


@kernel
def has_room(books: Any, metering: Any, journal: Any, meter: Any, to_ns: int) -> bool:
    """Whether the journal can take all that booking a meter's water up to `to_ns` may write."""
    first, last = years_between(metering, meter["last_at_ns"], to_ns)
    parts = np.int64(meter["shares"]) * (last - first + 1)
    removals = books.pool[0]["live"] + parts  # every offer whole, or one a part reduced
    counts = journal.counts
    return counts[N_USES] + parts <= len(journal.uses) and counts[N_REMOVALS] + removals <= len(journal.removals)


@kernel
def is_remembered(code: int) -> bool:
    """Whether a reading with this code is one that later ones may repeat."""
    return code in (NONE, WRAPPED, VALUE_MISSING, BEYOND_MODULUS, LATE_READING, STEP_BACK, RATE_TOO_HIGH)


@kernel
def arrival_refusal(metering: Any, journal: Any, reading: Any) -> int:
    """Why a reading is refused outright, whatever it shows, or NONE: no meter, no time, no first arrival."""
    number, measured = np.int64(reading["meter"]), reading["measured_at_ns"]
    if number < 0 or number >= len(metering.meter):
        return UNKNOWN_METER
    if not (0 <= reading["source"] <= LAST_SOURCE and 0 <= reading["quality"] <= LAST_QUALITY):
        return OUT_OF_RANGE
    if measured > journal.clock[AT_NS] + metering.limits[AHEAD_NS]:
        return CLOCK_AHEAD
    if measured < journal.clock[AT_NS] - metering.limits[LATE_NS]:
        return READING_TOO_LATE
    if measured > metering.year_starts[-1]:
        return OUT_OF_RANGE
    return DUPLICATE_READING if is_known(metering, reading) else NONE


@kernel
def judge(metering: Any, journal: Any, reading: Any) -> tuple[int, int]:
    """Code of a reading, and the litres that it adds to the meter's register when the code is NONE or WRAPPED."""
    zero = np.int64(0)
    code = arrival_refusal(metering, journal, reading)
    if code != NONE:
        return code, zero
    meter, measured, value = metering.meter[reading["meter"]], reading["measured_at_ns"], reading["value_l"]
    if value == MISSING:
        return VALUE_MISSING, zero
    if value < 0 or value >= meter["modulus_l"]:
        return BEYOND_MODULUS, zero
    if measured <= meter["last_at_ns"]:
        return LATE_READING, zero
    step, most = value - meter["last_l"], most_since(meter, measured)
    if step < 0:
        step += meter["modulus_l"]
        return (WRAPPED, step) if step <= most else (STEP_BACK, zero)
    return (RATE_TOO_HIGH, zero) if step > most else (NONE, step)


@kernel
def most_since(meter: Any, measured_at_ns: int) -> int:
    """Litres that a register may have run since its last reading, a second's tolerance included."""
    elapsed_s = (measured_at_ns - meter["last_at_ns"]) // NS + 1
    hourly = meter["max_l_per_hour"] * MARGIN_NUMERATOR // MARGIN_DENOMINATOR
    return hourly * (elapsed_s // SECONDS_PER_HOUR) + hourly * (elapsed_s % SECONDS_PER_HOUR) // SECONDS_PER_HOUR


@kernel
def decide_readings(
    books: Any, tape: Any, accounts: Any, market: Any, metering: Any, journal: Any, readings: Any, actor: int,
    start: int,
) -> int:  # fmt: skip
    """Decide READING rows in order from `start` on; their facts go to `journal`. Returns how many are decided.

    Stops before a reading whose water falls on a holding that does not exist or outgrows the journal's columns: the
    caller makes both (`ledger.decider`) and goes on.
    """
    for at in range(start, len(readings)):
        reading = readings[at]
        code, step = judge(metering, journal, reading)
        measured_at_ns = reading["measured_at_ns"]
        if step > 0:
            meter = metering.meter[reading["meter"]]
            if not holdings_exist(accounts, metering, meter, measured_at_ns):
                return at
            if not has_room(books, metering, journal, meter, measured_at_ns):
                return at
        fact = start_reading(journal, reading, actor)
        fact["code"] = code
        if is_remembered(code):
            remember(metering, np.int64(reading["meter"]), measured_at_ns, np.int64(reading["sequence"]))
        if code not in (NONE, WRAPPED):
            continue
        meter = metering.meter[reading["meter"]]
        fact["volume_l"] = meter["sign"] * step
        from_ns = meter["last_at_ns"]
        move_register(meter, reading["value_l"], measured_at_ns)
        if step > 0:
            book_interval(
                books, tape, accounts, market, metering, journal, meter, meter["sign"] * step, from_ns,
                measured_at_ns, fact["seq"],
            )  # fmt: skip
    return len(readings)


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
    first, last = years_between(metering, from_ns, to_ns)
    for year in range(first, last + 1):
        end_ns = min(to_ns, metering.year_starts[year + 1])
        part = volume_l
        if end_ns < to_ns:
            total_s, part_s = max((to_ns - from_ns) // NS, 1), (end_ns - from_ns) // NS
            size = abs(volume_l)
            part = (size // total_s) * part_s + (size % total_s) * part_s // total_s
            part = part if volume_l > 0 else -part
        book_shares(
            books, tape, accounts, market, metering, journal, meter, part, from_ns, end_ns,
            year + accounts.scalars[FIRST_YEAR], cause,
        )  # fmt: skip
        volume_l -= part
        from_ns = end_ns


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
