"""The yardstick's workloads give the trades of its C++ programs, to the last one: in batches, with sparse ids too."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.flow import Flow, make_flow
from matching import OrderBook, ReferenceBook

EXPECTED = json.loads((Path(__file__).parents[1] / "data" / "yardstick.json").read_text("utf-8"))
FNV_START, FNV_PRIME, LOW_64 = 1469598103934665603, 1099511628211, 2**64 - 1
SPARSE = 1_000_003


def trade_hash(book: Any, flow: Flow, stride: int, batch: int) -> str:
    """FNV-1a over maker, taker, quantity and price of every trade, in order."""
    prefill, messages = flow.commands(stride)
    commands, value = np.concatenate([prefill, messages]), FNV_START
    for at in range(0, len(commands), batch):
        trades = book.process(commands[at : at + batch]).trades
        makers, takers = trades["maker_order_id"] // stride, trades["taker_order_id"] // stride
        for row in zip(
            makers.tolist(), takers.tolist(), trades["quantity"].tolist(), trades["price"].tolist(), strict=True
        ):
            for part in row:
                value = ((value ^ part) * FNV_PRIME) & LOW_64
    return f"{value:016x}"


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: f"{row['kind']}-{row['seed']}")
def test_the_trades_are_those_of_the_yardstick(row: dict[str, Any], tmp_path: Path) -> None:
    flow = make_flow(row["kind"], row["seed"], row["messages"], row["resting"])
    flow.write(tmp_path / "flow.bin")
    expected = row["trades"]
    if hashlib.sha256((tmp_path / "flow.bin").read_bytes()).hexdigest() != row["input"]:
        # another logarithm made other orders: then the reference says what they lead to
        expected = trade_hash(ReferenceBook(), flow, 1, 4_096)
    assert trade_hash(OrderBook(), flow, 1, 4_096) == expected
    assert trade_hash(OrderBook(), flow, SPARSE, 997) == expected
