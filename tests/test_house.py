"""The house rules, as tests: linters, types, arrows between the rooms, sizes of files and functions, words."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("matching", "ledger", "projections", "adapters", "shuiquan", "bench")
SOURCES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
MAX_FILE, MAX_FUNCTION = 400, 70
ALLOWED_TOP = {
    "matching", "ledger", "projections", "adapters", "bench", "tests", "shuiquan", "docs", "pyproject.toml",
    "README.md", "Makefile", ".ci", ".gitignore",
}  # fmt: skip
BIN = Path(sys.executable).parent


def tracked() -> list[str]:
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")[
        :-1
    ]


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["lint-imports"], ["mypy"]],
    ids=["ruff", "format", "arrows", "types"],
)
def test_the_workshop_is_clean(command: list[str]) -> None:
    run = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_files_and_functions_stay_readable() -> None:
    long_files = {
        str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text("utf-8").split("\n"))) > MAX_FILE
    }
    long_functions = {
        f"{path.relative_to(ROOT)}:{node.name}": length
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not any(isinstance(child, ast.FunctionDef) for child in ast.walk(node) if child is not node)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION
    }
    assert not long_files
    assert not long_functions


def test_only_the_planned_rooms_stand_at_the_top_level() -> None:
    assert {name.split("/")[0] for name in tracked()} <= ALLOWED_TOP


def test_a_clock_is_read_and_chance_taken_only_where_it_is_allowed() -> None:
    banned = re.compile(r"time\.time|datetime\.now|utcnow|perf_counter|import random|random\.random|uuid4|secrets\.")
    allowed = {
        "shuiquan/opening.py",  # the composition root hands the clock in
        "shuiquan/__main__.py", "shuiquan/demo/story.py",  # seconds shown to people
        "ledger/writer.py",  # the id of a new ledger
        "adapters/stores/parties.py", "adapters/stores/views.py",  # salts; the name of a database in memory
        "adapters/audit/keys.py",  # secrets
    }  # fmt: skip
    found = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] != "bench" and banned.search(path.read_text("utf-8"))
    }
    assert found <= allowed


def test_the_project_speaks_of_itself_alone() -> None:
    machine = re.compile("/(?:wo" + "rk|fa" + "rm|ro" + r"ot|home)/\w|py" + r"pi\.org|registry\.npm")
    texts = [
        name for name in tracked() if Path(name).suffix in {".py", ".md", ".toml", ".svg", ""} or name == "Makefile"
    ]
    found = {name for name in texts if (ROOT / name).is_file() and machine.search((ROOT / name).read_text("utf-8"))}
    assert not found


def test_every_room_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT)) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not silent
