"""The ledger: `shuiquan bench ledger`. What each scene measures and leaves out stands in its module.

`durable` orders a second on SQLite beside raw SQLite and a row a fact, and the parts; `postgres` on PostgreSQL;
`awaiting` tasks that await single orders; `reading` replay, snapshots, chain and tree; `storage` bytes on disk.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench import awaiting, clients, durable, durable_server, reading, storage
from bench.figures import FULL, QUICK, Found, Scene, Size, missing
from bench.machine import store_conditions, watched_host
from bench.tables import number, show, table_of
from bench.world import INSTRUMENTS

SCENES: Final[tuple[Scene, ...]] = (
    durable.SCENE,
    durable_server.SCENE,
    awaiting.SCENE,
    clients.SCENE,
    reading.SCENE,
    storage.SCENE,
)
"""Every scene, in the order in which they are measured and shown. A new one is a module with a `SCENE`, and a line."""


FAILED: Final = "the scene failed"


class Results(msgspec.Struct, frozen=True):
    """Everything that a run measured, each turn of it, and under which conditions."""

    conditions: dict[str, Any]
    scenes: list[Found]


def chosen(only: Sequence[str]) -> list[Scene]:
    """The scenes of these names, all without any. Ends the program for a name that is none."""
    names = [scene.name for scene in SCENES]
    for name in only:
        if name not in names:
            raise SystemExit(f"no scene {name!r}: one of {', '.join(names)}")
    return [scene for scene in SCENES if not only or scene.name in only]


def measure(size: Size, scenes: Sequence[Scene]) -> Results:
    """Measure scenes, each in a folder of its own; says on the error output what is being measured."""
    told = Console(stderr=True, highlight=False)
    found = []
    for scene in scenes:
        told.print(f"{scene.title} …")
        try:
            host: dict[str, Any] = {}
            with tempfile.TemporaryDirectory() as folder, watched_host(host):
                one = scene.measure(size, Path(folder))
            found.append(msgspec.structs.replace(one, conditions=one.conditions | host))
        except Exception as failure:  # noqa: BLE001 - what the other scenes found is not lost
            told.print_exception()
            found.append(Found(scene.name, scene.title, [missing(FAILED, repr(failure))], {}, "everything"))
    under = store_conditions(Path(tempfile.gettempdir())) | {"instruments": INSTRUMENTS} | size._asdict()
    return Results(under, found)


def run(*, as_json: bool, quick: bool, only: Sequence[str] = ()) -> int:
    """Measure and print; returns the exit status, 1 where a scene failed."""
    results = measure(QUICK if quick else FULL, chosen(only))
    if as_json:
        print(msgspec.json.encode(results).decode())
    else:
        show([*condition_lines(results.conditions), *(part for found in results.scenes for part in shown(found))])
    return int(any(found.figures[0].subject == FAILED for found in results.scenes))


def condition_lines(under: dict[str, Any]) -> Iterator[str]:
    """The conditions in words."""
    versions = ("python", "numba", "numpy", "sqlite", "eventsourcing", "msgspec", "psycopg")
    yield f"{under['processor']}, {under['cores']} cores; {under['system']}, {under['file_system']}"
    yield ", ".join(f"{name} {under[name]}" for name in versions)
    yield (
        f"Medians of {under['turns']} turns, of {under['reading_turns']} for reading; batches of {under['batch']:,} "
        f"orders, {under['instruments']} instruments, {under['rights']:,} holders."
    )


def shown(found: Found) -> Iterator[Table | str]:
    """A scene as a table: each figure, how far it went in single turns, and its ratio to what stands beside it."""
    table = table_of(found.title, "figure|median|lowest|highest|unit|ratio|to|note")
    for figure in found.figures:
        low, high = (min(figure.values), max(figure.values)) if len(figure.values) > 1 else (None, None)
        table.add_row(
            figure.subject, *(number(value, form(value)) for value in (figure.median, low, high)), figure.unit,
            number(found.ratio(figure), ".2f"), figure.beside, figure.note,
        )  # fmt: skip
    yield table
    told = "; ".join(f"{name} {value}" for name, value in flat(found.conditions))
    yield f"Left out: {found.left_out}." + (f"\nHere: {told}." if told else "")


def form(value: float | None) -> str:
    """Digits by size: three that count, and no fractions of thousands."""
    return ",.0f" if value is None or abs(value) >= 1_000 else ".3g"


def flat(conditions: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values, those of groups too."""
    for name, value in conditions.items():
        if isinstance(value, dict):
            yield from value.items()
        else:
            yield name, f"{value:,}" if isinstance(value, int) else value
