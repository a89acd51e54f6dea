"""The benchmark of the ledger on tiny sizes: every scene with its figures, finite, beside its baselines. No time."""

import json
import math
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as bench
from bench import durable_server, ledger
from bench.figures import Figure, Found, Scene, Size
from bench.measured import ratio

TINY = Size(
    turns=2, rights=6, batch=40, batches=2, row_batches=1, server_batches=1, tasks=4, rounds=2, alone=3, processes=2,
    client_batches=2, history=400, reading_turns=1, tree=100,
)  # fmt: skip

FIGURES = {
    "durable": {
        "pipelined (submit_ahead)", "plain", "raw SQLite, a commit a batch", "raw SQLite, commits as pipelined",
        "stock recorder, a row a fact", "deciding and all else", "encoding", "chain (SHA-256)", "commit (append)",
        "matching alone", "overlap",
    },
    "postgres": {"pipelined (submit_ahead)", "plain", "raw bytea, a commit a batch"},
    "awaiting": {
        "tasks that go on", "rounds of tasks of one order", "one task alone, p50", "one task alone, p99",
        "raw commit, p50",
    },
    "clients": {"batches over the socket", "tasks over the socket", "one caller alone over the socket, p50"},
    "reading": {
        "replay from pages", "opening by replay", "opening from a snapshot", "chain verification",
        "tree verification, a core",
    },
    "storage": {
        "rare facts, one a record", "order outcomes (order/1)", "trades (trade/1)", "readings (reading/1)",
        "submissions (submission/1)", "an order, batches of 40: file",
    },
}  # fmt: skip
"""What must be asked of each scene, at least."""

SIGNED = {"p50 above the raw p50", "overlap", "deciding and all else"}
"""Differences of two measurements, which may be below zero where all is tiny."""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "QUICK", TINY)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What `shuiquan bench ledger --quick --json` prints."""
    assert bench.main(["ledger", "--quick", "--json", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("tiny")
def test_every_scene_gives_its_figures_in_every_turn(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys)
    under = found["conditions"]
    assert {"processor", "cores", "python", "numba", "numpy", "sqlite", "eventsourcing", "file_system"} <= set(under)
    assert (under["batch"], under["instruments"], under["rights"], under["turns"]) == (40, 4, 6, 2)
    assert set(FIGURES) <= {scene["scene"] for scene in found["scenes"]}
    for scene in found["scenes"]:
        figures = {figure["subject"]: figure for figure in scene["figures"]}
        assert FIGURES.get(scene["scene"], set()) <= set(figures)
        assert scene["left_out"]
        for subject, figure in figures.items():
            assert figure["values"]
            signed = subject.removesuffix(", on uvloop") in SIGNED
            assert all(math.isfinite(value) and (value > 0 or signed) for value in figure["values"])
            assert not figure["beside"] or len(figures[figure["beside"]]["values"]) == len(figure["values"])
    durable = found["scenes"][0]
    assert durable["conditions"]["sqlite"].items() >= {"journal_mode": "wal", "synchronous": "FULL"}.items()
    assert [len(figure["values"]) for figure in durable["figures"]] == [2] * len(durable["figures"])


@pytest.mark.usefixtures("tiny")
def test_a_scene_that_fails_does_not_take_the_others_with_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_size: Size, _folder: Path) -> Found:
        raise OSError("no space left")

    scenes = (Scene("fails", "It fails", fails), *(scene for scene in ledger.SCENES if scene.name == "storage"))
    monkeypatch.setattr(ledger, "SCENES", scenes)
    assert bench.main(["ledger", "--quick", "--json"]) == 1
    failed, stored = json.loads(capsys.readouterr().out)["scenes"]
    assert ([figure["values"] for figure in failed["figures"]], failed["scene"]) == ([[]], "fails")
    assert all(figure["values"] for figure in stored["figures"])


@pytest.mark.usefixtures("tiny")
def test_one_scene_is_shown_as_a_table_with_what_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["ledger", "--quick", "--scene", "storage"]) == 0
    shown = capsys.readouterr().out
    assert "trades (trade/1)" in shown
    assert "Left out: " in shown
    assert "Durable orders" not in shown


@pytest.mark.usefixtures("tiny")
def test_without_its_packages_postgresql_is_left_out_with_the_way_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    (scene,) = told(capsys, "--scene", durable_server.NAME)["scenes"]
    assert all(figure["values"] == [] for figure in scene["figures"])
    assert all("pip install 'shuiquan[bench]'" in figure["note"] for figure in scene["figures"])


def test_a_scene_that_is_none_ends_the_program() -> None:
    with pytest.raises(SystemExit, match="one of durable"):
        bench.main(["ledger", "--quick", "--scene", "nothing"])


def test_a_ratio_is_that_of_the_same_turns() -> None:
    ours, theirs = Figure("ours", (1.0, 30.0, 4.0), beside="theirs"), Figure("theirs", (2.0, 10.0, 2.0))
    found = Found("s", "t", [ours, theirs], {}, "-")
    assert found.ratio(ours) == ratio(ours, theirs) == 2
    assert found.ratio(theirs) is None
