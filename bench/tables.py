"""What `shuiquan bench matching` prints for people: a table a question, and the conditions."""

from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import calls
from bench.calls import Calls
from bench.measured import Measured, ratio
from bench.peers import OURS_BATCHED, OURS_SINGLE, PeerRate
from bench.programs import NAMES
from bench.rates import DENSE_IDS, SPARSE_IDS, Rates
from bench.scenes import Auction, Blocked, Memory

DASH = "–"
SAME = {True: "yes", False: "NO", None: DASH}


def number(value: float | None, form: str = ",.0f") -> str:
    """A figure, or a dash."""
    return DASH if value is None else format(value, form)


def millions(found: Measured) -> str:
    """A rate in millions, or a dash."""
    return DASH if found.median is None else f"{found.median / 1e6:,.2f}"


def table_of(title: str, headings: str, caption: str = "") -> Table:
    """An empty table; the headings are parted by bars."""
    table = Table(title=title, caption=caption or None, caption_justify="left")
    for place, heading in enumerate(headings.split("|")):
        table.add_column(heading, justify="right" if place else "left")
    return table


def rates_table(title: str, all_rates: list[Rates]) -> Table:
    """Rates on workloads, and what part of the programs' they are."""
    flat, hashed = NAMES
    why = {found.note for rates in all_rates for found in rates.subjects if found.note}
    table = table_of(
        title,
        "workload|resting|dense ids|sparse ids|flat|flat_hashed|dense / flat_hashed|dense / flat|sparse / dense"
        "|same trades",
        "; ".join(why),
    )
    for rates in all_rates:
        dense, sparse = rates.of(DENSE_IDS), rates.of(SPARSE_IDS)
        table.add_row(
            rates.workload, f"{rates.resting:,}", millions(dense), millions(sparse), millions(rates.of(flat)),
            millions(rates.of(hashed)), number(ratio(dense, rates.of(hashed)), ".2f"),
            number(ratio(dense, rates.of(flat)), ".2f"), number(ratio(sparse, dense), ".2f"), SAME[rates.same_trades],
        )  # fmt: skip
    return table


def calls_table(found: Calls) -> Table:
    """Times of single calls."""
    table = table_of(
        f"One order a call: ns of {found.calls:,} calls, {found.resting:,} orders at rest, every other order trades",
        "quantile|submit|empty compiled call|submit / empty",
    )
    for name, submit, empty in calls.pairs(found):
        table.add_row(name, number(submit.median), number(empty.median), number(ratio(submit, empty), ".2f"))
    return table


def auction_table(auctions: list[Auction]) -> Table:
    """Call auctions."""
    table = table_of(
        "Call auction: processor time",
        "orders|traded|collect and uncross, ns an order|uncross, ns an order|uncross, ms",
    )
    for one in auctions:
        uncross = one.uncross_ns.median or 0.0
        table.add_row(
            f"{one.orders:,}", f"{one.traded:.0%}", number(one.whole_ns.median), number(uncross / one.orders),
            number(uncross / 1e6, ",.2f"),
        )  # fmt: skip
    return table


def peers_table(found: list[PeerRate], resting: int) -> Table:
    """Rates of other packages."""
    table = table_of(
        f"Messages a second of processor time, thousands: {resting:,} orders at rest, `mixed`, a call a message",
        "book|version|thousands|batches / it|a call / it|same trades|note",
    )
    ours = {one.rate.subject: one.rate for one in found}
    for one in found:
        median = one.rate.median
        table.add_row(
            one.rate.subject, one.version or DASH, DASH if median is None else f"{median / 1e3:,.1f}",
            number(ratio(ours[OURS_BATCHED], one.rate), ".3g"), number(ratio(ours[OURS_SINGLE], one.rate), ".3g"),
            SAME[one.same_trades], one.rate.note,
        )  # fmt: skip
    return table


def blocked_table(found: Blocked) -> Table:
    """Takers among orders with which they may not trade."""
    table = table_of(
        f"An order that trades with one order, and {found.blocked:,} with which it may not: processor time",
        "these stand|ns|times nowhere|times at a worse price",
    )
    for one in (found.nowhere, found.worse, found.better):
        table.add_row(
            one.subject, number(one.median), *(number(ratio(one, to), ".2f") for to in (found.nowhere, found.worse))
        )
    return table


def memory_line(memory: Memory) -> str:
    """Bytes an order."""
    each = {name: size / memory.orders for name, size in memory.bytes.items()}
    parts = ", ".join(f"{name} {size:.1f}" for name, size in each.items())
    return f"Memory: {sum(each.values()):.1f} bytes an order with {memory.orders:,} at rest ({parts})."


def condition_lines(conditions: dict[str, Any]) -> Iterator[str]:
    """The conditions in words."""
    told: Callable[[str], Any] = conditions.__getitem__
    yield (
        f"{told('processor')}, {told('cores')} cores; Python {told('python')}, numba {told('numba')}, "
        f"numpy {told('numpy')}; {told('compiler')} {told('compiler_options')}"
    )
    yield f"Medians of {told('repetitions')} repetitions in turn; batches of {told('batch'):,} commands."


def show(parts: list[Table | str]) -> None:
    """Print tables and sentences."""
    console = Console(width=132, highlight=False)
    for part in parts:
        if isinstance(part, Table):  # a title of its own line is not broken to the width of its table
            console.print(f"\n[bold]{part.title}[/]")
            part.title = None
        console.print(part)
