"""A long run with a constant live state: memory must follow what is live, not what has happened.

Each step cancels what rests, every order by a submission of its own, enters as many anew, trades a little, and reads
the meters; read models follow. Time goes on, so that sessions end and identities of readings leave the window of late
ones.
`make soak` prints the table; `tests/test_soak.py` runs a short part of it.
"""

import argparse
import ctypes
import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

import shuiquan
from ledger.submissions import Submission
from shuiquan import Action, Role, SelfTrade, Side
from tests.districts import DAY_NS, HOUR_NS, START_NS
from tests.world import World

RESTING: Final = 2_000
STEPS_A_DAY: Final = 24


class Row(NamedTuple):
    """Where a run stands."""

    facts: int
    live_orders: int
    identities: int  # of readings that may still come again
    rss_mib: float


def soak(folder: Path, step_facts: int, rows: int) -> Iterator[Row]:
    """Go on for so many rows, each of so many facts or a few more."""
    world = World(folder / "ledger.db")
    for name in ("A", "B"):
        world.add_right(name, volume_m3=200_000, saved_m3=150_000, money_yuan=10_000_000)
    world.open_market("SW-A")
    step, live = 0, np.zeros(0, np.int64)
    for number in range(1, rows + 1):
        while world.exchange.state.next_seq <= number * step_facts:
            live = advance(world, step, live)
            step += 1
        yield measured(world)
    world.exchange.close()


def advance(world: World, step: int, live: Any) -> Any:
    """One step; returns the ids of the orders that rest after it."""
    world.clock.at_ns = START_NS + step // STEPS_A_DAY * DAY_NS + step % STEPS_A_DAY * HOUR_NS // 4
    gone, new = np.zeros(len(live), shuiquan.ORDER), np.zeros(RESTING, shuiquan.ORDER)
    gone["action"], gone["order_id"] = Action.CANCEL, live
    world.exchange.submit_many(
        [Submission(gone[at : at + 1], "platform", Role.OPERATOR, f"cancel-{step}-{at}") for at in range(len(gone))]
    )
    new["action"], new["quantity"], new["self_trade"] = Action.NEW, 1, SelfTrade.CANCEL_TAKER
    new["side"] = np.arange(RESTING) % 2
    sells = new["side"] == Side.SELL
    new["price"] = np.where(sells, 3_100, 2_900) + np.arange(RESTING) % 40
    new["price"][:2] = 3_000  # one trade, as long as there is something to sell
    new["right"] = np.where(sells, *(world.exchange.right(name) for name in ("AB" if step % 2 else "BA")))
    new["instrument"] = world.exchange.instrument("SW-A")
    answer = world.orders(new)
    world.read(*(world.reading(meter, step + 1) for meter in ("M-A", "M-B")))
    world.exchange.query("SELECT COUNT(*) AS trades FROM market")
    return answer.orders["order_id"][answer.orders["status"] == shuiquan.Status.RESTING]


def measured(world: World) -> Row:
    """What is held now, once what is free is given back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    state = world.exchange.state
    return Row(state.next_seq - 1, int(state.books.pool["live"][0]), int(state._limits[0]), pages * 4096 / 2**20)


def main() -> None:
    """Print the table of a run."""
    parser = argparse.ArgumentParser(description="memory of a long run with a constant live state")
    parser.add_argument("--facts", type=int, default=10_000_000)
    parser.add_argument("--rows", type=int, default=20)
    asked = parser.parse_args()
    print(f"{'facts':>12} {'live orders':>12} {'identities':>12} {'RSS MiB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for row in soak(Path(folder), asked.facts // asked.rows, asked.rows):
            print(f"{row.facts:>12,} {row.live_orders:>12,} {row.identities:>12,} {row.rss_mib:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
