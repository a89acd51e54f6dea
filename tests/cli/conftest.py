"""Ledgers that the command is run on: the demo's, a small one, and those that imports make."""

import csv
import io
import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.stores.sqlite import SQLiteStore
from ledger.journal.records import segments
from ledger.replay import read_chain
from ledger.rows import READINGS, TRADES
from tests.cli.commands import Demo, Imports, Small, run, together
from tests.ledger.scripts import random_script
from tests.stores.ledgers import filled, verified

IMPORT = ("--policy", "yongchuan", "--actor", "登记岗", "--approver", "审批岗")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One run of the demo."""
    out = tmp_path_factory.mktemp("demo")
    return Demo(run("demo", "--out", out), out / "yongchuan.db", out / "register")


@pytest.fixture(scope="module")
def told(demo: Demo) -> dict[str, Any]:
    """What the queries print as JSON, the journal as far as the registrations go."""
    commands = [
        ["holdings"], ["usage"], ["trades"], ["readings", "--meter", "YC-M-0101"], ["journal", "--limit", "1800"],
        ["audit", "verify"],
    ]  # fmt: skip
    *runs, text = together(
        *([*command, "--ledger", demo.ledger, "--json"] for command in commands),
        ["audit", "verify", "--ledger", demo.ledger],
    )
    return {command[0]: found.json for command, found in zip(commands, runs, strict=True)} | {"audit text": text}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A ledger of the test district after a random script."""
    path = tmp_path_factory.mktemp("small") / "small.db"
    world = filled(path, random_script(41, 40))
    topics = Counter(told.topic for told in world.exchange.facts())
    rows = {
        "holdings": len(world.exchange.holdings()), "usage": len(world.exchange.usage()),
        "trades": topics[TRADES] + topics["agreement.settled/1"], "readings": topics[READINGS],
    }  # fmt: skip
    world.exchange.close()
    with closing(SQLiteStore(path, writable=False)) as store:
        ends = {group.position for group in segments(read_chain(store))}
    inside = min(set(range(1, world.exchange.position)) - ends)
    return Small(path, rows, inside, world.exchange.position, topics.total())


@pytest.fixture(scope="module")
def imports(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Imports:
    """Every import, side by side where they do not wait for each other."""
    out = tmp_path_factory.mktemp("imports")
    folder = shutil.copytree(demo.register, out / "register")
    break_row(folder / "区域水权.csv")
    for name in ("rehearsed", "first", "broken"):
        (out / name).mkdir()

    def command(folder: Path, name: str, command_id: str, *options: str) -> list[object]:
        ledger = out / name / "new.db"
        return ["register", "import", folder, "--ledger", ledger, *IMPORT, "--command-id", command_id, *options]

    rehearsed, first, broken = together(
        command(demo.register, "rehearsed", "import-1", "--dry-run", "--json"),
        command(demo.register, "first", "import-1", "--json"),
        command(folder, "broken", "import-1"),
    )
    left = sorted(file.name for file in (out / "rehearsed").iterdir())
    shutil.copytree(out / "first", out / "other")
    before = verified(out / "first" / "new.db")
    again, other = together(
        command(demo.register, "first", "import-1", "--json"), command(demo.register, "other", "import-2", "--dry-run")
    )
    changed = verified(out / "first" / "new.db") != before or verified(out / "other" / "new.db") != before
    return Imports(rehearsed, left, first, again, other, changed, broken)


def break_row(sheet: Path) -> None:
    """Put a word where a figure should be, in row 5."""
    rows = list(csv.reader(io.StringIO(sheet.read_bytes().decode("gb18030"))))
    column = next(at for at, heading in enumerate(rows[0]) if heading.startswith("区域水量"))
    rows[4][column] = "若干"
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    sheet.write_bytes(text.getvalue().encode("gb18030"))
