"""Speed under pytest-benchmark: `make bench`. Nothing here asserts a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.meters.szy206 import decode, encode
from bench.world import OPERATOR, open_world, order_flow
from matching import COMMAND, Action, OrderBook, ReferenceBook, Side

FRAME = bytes.fromhex("681A68B35303810D00C00059000000826110000001106000004508090A3516")
RIGHTS = 500


def book_flow(count: int, seed: int) -> Any:
    """Limit orders around a price, half of them crossing, and cancels."""
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = np.zeros(count, COMMAND)
    rows["action"] = np.where(rng.random(count) < 0.8, Action.NEW, Action.CANCEL)
    rows["side"] = rng.integers(0, 2, count)
    away = rng.geometric(0.05, count) - 10
    rows["price"] = 30_000 + np.where(rows["side"] == Side.BUY, -away, away)
    rows["quantity"] = rng.integers(1, 100, count)
    rows["order_id"] = np.arange(1, count + 1)
    rows["order_id"] -= np.where(rows["action"] == Action.CANCEL, rng.integers(1, 200, count), 0)
    return rows


@pytest.mark.parametrize("kind", [OrderBook, ReferenceBook], ids=["compiled", "plain Python"])
def test_book(benchmark: Any, kind: Any) -> None:
    """4,096 commands a round on a book of its own."""
    flow = book_flow(4_096, 1)
    kind(capacity=8_192).process(flow[:16])
    benchmark.pedantic(lambda book: book.process(flow), setup=lambda: ((kind(capacity=8_192),), {}), rounds=20)


@pytest.mark.parametrize("batch", [1, 100, 8_192])
def test_whole_path(benchmark: Any, tmp_path: Path, batch: int) -> None:
    """Submit orders and wait for the durable answer."""
    with open_world(tmp_path / "bench.db", RIGHTS) as exchange:
        rng = np.random.Generator(np.random.PCG64(batch))
        count = iter(range(10**9))

        def prepare() -> tuple[tuple[Any, str], dict[str, Any]]:
            last = exchange.state.next_seq
            return (order_flow(rng, batch, RIGHTS, max(1, last - 20_000), last), f"{next(count)}"), {}

        benchmark.pedantic(
            lambda flow, name: exchange.submit(flow, command_id=name, **OPERATOR), setup=prepare, rounds=30
        )


def test_decode_frame(benchmark: Any) -> None:
    """One published self-report."""
    benchmark(decode, FRAME)


def test_encode_frame(benchmark: Any) -> None:
    """One published self-report."""
    benchmark(encode, decode(FRAME))
