"""The order book by itself: `shuiquan bench matching`. What each part measures and leaves out stands in its module.

`rates` messages a second beside C++ programs; `calls` one order a call; `scenes` auction, blocked orders, memory;
`peers` other packages; with `--plot`, the rates with fewer and more orders at rest.
"""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench import calls, peers, plot, rates, scenes, tables
from bench.calls import Calls
from bench.machine import conditions
from bench.measured import FULL, QUICK, Sizes
from bench.peers import PeerRate
from bench.programs import build
from bench.rates import Rates
from bench.scenes import Auction, Blocked, Memory


class Results(msgspec.Struct, frozen=True):
    """Everything that a run measured, each repetition of it, and under which conditions."""

    conditions: dict[str, Any]
    rates: list[Rates]
    calls: Calls
    auctions: list[Auction]
    blocked: Blocked
    memory: Memory
    peers: list[PeerRate]
    curve: list[Rates]  # empty unless asked for

    @property
    def same_trades(self) -> bool:
        """Whether no program made other trades than the book."""
        return all(found.same_trades is not False for found in (*self.rates, *self.curve))


def measure(sizes: Sizes, *, with_curve: bool) -> Results:
    """Measure everything, one after the other; says on the error output what is being measured."""
    told = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        told.print("building the C++ programs …")
        programs = build(Path(folder))
        told.print("messages a second …")
        found_rates = rates.measure(sizes, programs)
        told.print("one order a call …")
        found_calls = calls.measure(sizes)
        told.print("call auction, blocked orders, memory …")
        auctions, blocked, memory = scenes.measure(sizes)
        told.print("other packages …")
        found_peers = peers.measure(sizes)
        if with_curve:
            told.print("fewer and more orders at rest …")
        curve = rates.measure_curve(sizes, programs) if with_curve else []
        under = conditions(sizes, programs)
    return Results(under, found_rates, found_calls, auctions, blocked, memory, found_peers, curve)


def run(*, as_json: bool = False, quick: bool = False, plot_folder: Path | None = None) -> int:
    """Measure and print. Returns 1 if a C++ program made other trades than the book, otherwise 0."""
    matplotlib = plot.load_matplotlib() if plot_folder is not None else None
    results = measure(QUICK if quick else FULL, with_curve=plot_folder is not None)
    pictures = [] if plot_folder is None else plot.draw(results.curve, plot_folder, matplotlib)
    if as_json:
        print(msgspec.json.encode(results).decode())
    else:
        show(results, pictures)
    return 0 if results.same_trades else 1


def show(results: Results, pictures: list[Path]) -> None:
    """Print the results as tables."""
    under = results.conditions
    title = "Messages a second of processor time, millions"
    parts: list[Table | str] = [
        *tables.condition_lines(under),
        tables.rates_table(f"{title}; {under['messages']:,} messages", results.rates),
        tables.calls_table(results.calls),
        tables.auction_table(results.auctions),
        tables.blocked_table(results.blocked),
        tables.memory_line(results.memory),
        tables.peers_table(results.peers, under["peer_resting"]),
    ]
    if results.curve:
        parts.append(tables.rates_table(f"{title}; {under['curve_messages']:,} messages of `deep`", results.curve))
    tables.show([*parts, *(f"Drawn: {path}" for path in pictures)])
