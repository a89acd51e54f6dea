"""Running the command in processes of their own, and what a run of it gives."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


class Run(NamedTuple):
    """How a command ended and what it printed."""

    status: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        """What it printed as JSON."""
        assert self.status == 0, self.error
        return json.loads(self.out)


def together(*commands: Sequence[object]) -> list[Run]:
    """Run commands side by side."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "shuiquan", *map(str, command)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )
        for command in commands
    ]  # fmt: skip
    return [Run(child.returncode, out, error) for child in children for out, error in [child.communicate()]]


def run(*command: object) -> Run:
    """Run one command."""
    return together(command)[0]


class Demo(NamedTuple):
    """What the demo printed and left."""

    run: Run
    ledger: Path
    register: Path


class Small(NamedTuple):
    """A small ledger, what it holds, and its last position and fact."""

    path: Path
    rows: dict[str, int]
    inside: int  # a position inside a group of pages
    position: int
    facts: int


class Imports(NamedTuple):
    """Imports of the demo's register: rehearsed, in earnest, repeated, and with a broken row."""

    rehearsed: Run
    left: list[str]  # names of the files that the rehearsal left
    first: Run
    again: Run
    other: Run
    changed: bool  # whether repeating it changed the ledger
    broken: Run
