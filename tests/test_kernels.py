"""Kernels in other ways of running: with bounds checking, without compilation, and with an edited callee (K27, K28)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from matching.compiled import announce, kernel_sources, source_digest

ROOT = Path(__file__).parent.parent

PROGRAM = """
import sys
from pathlib import Path
from tests.ledger.scripts import populate, random_script
from tests.world import World
world = World(Path(sys.argv[1]))
populate(world)
for at_ns, submission in random_script(int(sys.argv[2]), int(sys.argv[3]), 25):
    world.clock.at_ns = at_ns
    world.exchange.submit_many([submission])
world.check()
print(world.exchange.state_hash())
"""


def run_script(path: Path, seed: int, length: int, **environment: str) -> str:
    """State hash after a seeded script, run by another process."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(path), str(seed), str(length)],
        env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("mode", [{"NUMBA_BOUNDSCHECK": "1"}, {"NUMBA_DISABLE_JIT": "1"}], ids=["bounds", "plain"])
def test_the_ledger_does_the_same_in_every_mode(tmp_path: Path, mode: dict[str, str]) -> None:
    length = 12 if "NUMBA_DISABLE_JIT" in mode else 60
    compiled = run_script(tmp_path / "compiled.db", 5, length)
    assert run_script(tmp_path / "mode.db", 5, length, **mode) == compiled


@pytest.mark.parametrize("mode", [{"NUMBA_BOUNDSCHECK": "1"}, {"NUMBA_DISABLE_JIT": "1"}], ids=["bounds", "plain"])
def test_the_order_book_does_the_same_in_every_mode(mode: dict[str, str]) -> None:
    names = ("rules", "changes", "effects", "auction", "uncross", "zones_change", "netting", "snapshot", "index")
    files = [f"tests/matching/test_{name}.py" for name in names]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not Reference", *files],
        env=os.environ | mode, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2_000:]


def test_a_compilation_is_announced_where_nothing_is_cached(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    announce(tmp_path, "this test")
    assert "compiling this test" in caplog.text
    caplog.clear()
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "kernel.nbi").touch()
    announce(tmp_path, "this test again")
    assert not caplog.text


def test_an_edited_callee_changes_the_cache_of_its_callers(tmp_path: Path) -> None:
    for room in ("matching", "ledger"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    rooms = (tmp_path / "matching", tmp_path / "ledger")
    before = source_digest(*rooms)
    assert before == source_digest(*rooms)
    callee = tmp_path / "matching" / "queue.py"
    callee.write_text(callee.read_text("utf-8") + "\n# edited\n", "utf-8")
    assert source_digest(*rooms) != before


def test_what_is_no_kernel_does_not_cost_a_compilation() -> None:
    names = {path.name for path in kernel_sources(ROOT / "matching")}
    assert {"book.py", "queue.py", "types.py", "compiled.py"} <= names
    assert not names & {"reference.py", "report.py", "engine.py"}
