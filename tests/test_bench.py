"""The benchmark of the book on tiny sizes: its figures are there and finite, its checks check. No time is asserted."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench import __main__ as bench
from bench import calls, matching, peers, plot, scenes
from bench.flow import KINDS, RECORD, make_flow
from bench.hashing import START, trade_hash
from bench.measured import BATCH, Measured, Sizes, ratio
from bench.programs import build
from bench.rates import DENSE_IDS, SPARSE_IDS, Rates, measure_flow, our_hash
from matching import TRADE, Action, ReferenceBook

TINY = Sizes(
    repetitions=2, messages=500, resting=60, calls=600, auction=2_000, small_auction=300, blocked=500, kept=1_500,
    peer_resting=60, peer_messages=300, curve=(30, 60), curve_messages=300,
)  # fmt: skip


def slow_hash(trades: Any) -> int:
    """FNV-1a by the book."""
    folded = 1469598103934665603
    for trade in trades:
        for name in ("maker_order_id", "taker_order_id", "quantity", "price"):
            folded = (folded ^ int(trade[name])) * 1099511628211 % 2**64
    return folded


@pytest.mark.parametrize("kind", KINDS)
def test_the_hash_is_that_of_the_trades_of_the_plain_book(kind: str) -> None:
    prefill, commands = make_flow(kind, 3, 400, 60).commands()
    book = ReferenceBook()
    trades = np.concatenate([book.process(prefill).trades, book.process(commands).trades])
    assert len(trades) > 10
    assert trade_hash(trades) == slow_hash(trades) == our_hash(prefill, commands)
    assert trade_hash(trades[5:], trade_hash(trades[:5])) == trade_hash(trades)
    assert trade_hash(trades[:0]) == START


@pytest.mark.parametrize("name", ["maker_order_id", "taker_order_id", "quantity", "price"])
def test_the_hash_sees_every_figure(name: str) -> None:
    trades = np.ones(2, TRADE)
    before = trade_hash(trades)
    trades[name][1] = 2
    assert trade_hash(trades) != before


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_is_the_same_for_a_seed_and_survives_its_file(kind: str, tmp_path: Path) -> None:
    flow, again, other = (make_flow(kind, seed, 300, 50) for seed in (5, 5, 6))
    assert flow.prefill.tobytes() + flow.messages.tobytes() == again.prefill.tobytes() + again.messages.tobytes()
    assert flow.messages.tobytes() != other.messages.tobytes()
    flow.write(tmp_path / "flow.bin")
    data = (tmp_path / "flow.bin").read_bytes()
    assert np.frombuffer(data[:16], "<u8").tolist() == [len(flow.prefill), 300]
    rows = np.frombuffer(data[16:], RECORD)
    assert np.array_equal(rows, np.concatenate([flow.prefill, flow.messages]))


def test_sparse_ids_are_multiples_and_change_nothing_else() -> None:
    flow = make_flow("mixed", 1, 300, 50)
    for dense, sparse in zip(flow.commands(), flow.commands(1_000_003), strict=True):
        assert np.array_equal(dense["order_id"] * 1_000_003, sparse["order_id"])
        for name in dense.dtype.names:
            assert name == "order_id" or np.array_equal(dense[name], sparse[name])
    assert set(flow.commands()[1]["action"].tolist()) == {Action.NEW, Action.CANCEL}


def figures(value: Any) -> Iterator[float]:
    """Every value that was measured, in whatever JSON."""
    if isinstance(value, dict):
        yield from value.get("values", ())
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(item, dict | list):
            yield from figures(item)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small sizes, and a machine without a compiler."""
    monkeypatch.setattr(matching, "FULL", TINY)
    monkeypatch.setattr(matching, "QUICK", TINY._replace(repetitions=1))
    monkeypatch.setattr(shutil, "which", lambda _: None)


@pytest.mark.usefixtures("tiny")
def test_the_whole_run_gives_every_repetition_and_the_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["matching", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    measured = list(figures(found))
    assert len(measured) >= 2 * (3 * 2 + 2 * 3 + 2 * 2 + 3 + 2)  # rates, calls, auctions, blocked, our peers
    assert all(math.isfinite(value) and value > 0 for value in measured)
    under = found["conditions"]
    assert under["processor"]
    assert (under["batch"], under["messages"], under["repetitions"]) == (BATCH, 500, 2)
    assert {"cores", "python", "numba", "numpy"} <= set(under)
    assert [one["workload"] for one in found["rates"]] == list(KINDS)
    assert [one["subject"] for one in found["rates"][0]["subjects"]] == [DENSE_IDS, SPARSE_IDS, "flat", "flat_hashed"]
    assert found["memory"]["orders"] == 1_500
    assert 40 <= sum(found["memory"]["bytes"].values()) / 1_500 <= 80
    assert found["curve"] == []


@pytest.mark.usefixtures("tiny")
def test_people_are_told_what_could_not_be_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["matching", "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "no C++ compiler found" in shown
    assert "sweep" in shown
    assert "Memory: " in shown


def test_without_a_compiler_the_programs_are_missing_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = measure_flow(make_flow("mixed", 1, 300, 50), build(tmp_path), 1, tmp_path)
    assert found.of("flat") == Measured("flat", (), "no C++ compiler found")
    assert found.same_trades is None
    assert ratio(found.of(DENSE_IDS), found.of("flat")) is None


@pytest.mark.parametrize(("shift", "same"), [(0, True), (1, False)])
def test_a_program_that_makes_other_trades_is_told_apart(tmp_path: Path, shift: int, same: bool) -> None:
    flow = make_flow("mixed", 1, 300, 50)
    hp = f"{our_hash(*flow.commands()) ^ shift:016x}"
    programs = SimpleNamespace(paths={"flat": tmp_path}, why="-", measure=lambda *_: {"mps": 1.0, "hp": hp})
    assert measure_flow(flow, programs, 1, tmp_path).same_trades is same  # type: ignore[arg-type]


def test_calls_trade_by_turns() -> None:
    found = calls.measure(TINY)
    assert [name for name, *_ in calls.pairs(found)] == ["p50", "p99", "p99.9"]
    assert all(submit.median > 0 and empty.median > 0 for _, submit, empty in calls.pairs(found))


def test_half_of_an_auction_trades_and_blocked_orders_stay() -> None:
    assert 0.3 < scenes.measure_auction(2_000, 1).traded < 0.7
    book = scenes.zoned_book(40, scenes.BETTER)
    scenes.taker_ns(book)
    assert len(book) == 40


def prepare_idle(_: Any, rows: list[Any]) -> peers.Prepared:
    return peers.Prepared([(int, ()) for _ in rows], lambda _: iter(()))


def test_a_package_that_makes_no_trades_does_not_make_the_same() -> None:
    *ours, idle = peers.measure(TINY, (peers.Peer("rich", "rich", prepare_idle, "fake"),))
    assert [one.rate.subject for one in ours] == [peers.OURS_BATCHED, peers.OURS_SINGLE]
    assert (idle.same_trades, idle.rate.note) == (False, "fake")
    assert idle.version


def test_a_package_that_fails_or_is_missing_is_shown_with_the_reason() -> None:
    def fails(_: Any, __: Any) -> Any:
        raise ValueError("not today")

    absent = peers.Peer("no-such-book", "no_such_book", prepare_idle, "")
    found = peers.measure(TINY, (peers.Peer("rich", "rich", fails, ""), absent))[2:]
    assert [(one.rate.values, one.rate.note) for one in found] == [((), "ValueError: not today"), ((), "not installed")]


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.package)
def test_a_package_that_is_there_makes_our_trades(peer: peers.Peer) -> None:
    pytest.importorskip(peer.module)
    assert peers.measure(TINY, (peer,))[-1].same_trades


def test_a_picture_needs_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(plot, "import_module", missing)
    with pytest.raises(SystemExit, match="extra `bench`"):
        bench.main(["matching", "--plot", str(tmp_path)])


def test_the_picture_is_drawn_twice(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    subjects = [Measured(name, (1e6, 2e6)) for name in (DENSE_IDS, "flat")] + [Measured("flat_hashed", (), "-")]
    curve = [Rates("deep", resting, 100, subjects, None) for resting in (100, 1_000)]
    paths = plot.draw(curve, tmp_path / "new", plot.load_matplotlib())
    assert [path.suffix for path in paths] == [".png", ".svg"]
    assert all(path.stat().st_size > 1_000 for path in paths)


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["pilot", "--plot", "x"]])
def test_what_is_no_benchmark_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        bench.main(arguments)
    assert refused.value.code == 2
    assert "usage: shuiquan bench" in capsys.readouterr().err
