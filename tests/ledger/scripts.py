"""Seeded scripts of submissions on the test district: orders, readings and commands that hit every path.

A script depends on its seed alone, so it can be fed twice: batch by batch, joined into one commit, or by a process
with another hash seed.
"""

from typing import Any

import numpy as np

import shuiquan
from ledger.submissions import Submission
from shuiquan import Action, OrderType, Role, SelfTrade, TimeInForce
from tests.districts import DAY_NS, HOUR_NS, START_NS
from tests.world import DOCUMENT, World

RIGHTS = ("A", "B", "C", "D", "E", "F")
METERS = tuple(f"M-{name}" for name in RIGHTS)


def populate(world: World) -> None:
    """Six rights of four holders in three zones, with water, savings, money and meters."""
    world.add_right("A", basin="east", saved_m3=20_000, money_yuan=20_000)
    world.add_right("B", basin="west", saved_m3=30_000, money_yuan=50_000)
    world.add_right("C", basin="east", kind="irrigation", industry="farming", money_yuan=5_000)
    world.add_right("D", basin="west", kind="irrigation", industry="farming", party="P-C", money_yuan=5_000)
    world.add_right("E", basin="far", kind="regional", industry="farming", money_yuan=50_000)
    world.add_right("F", basin="east", saved_m3=40_000, party="P-A")
    world.open_market("SW-A", "SW-B")


def random_orders(rng: np.random.Generator, count: int, known: int) -> Any:
    """Orders of every sort, many of them crossing, some of them bad."""
    rows = np.zeros(count, shuiquan.ORDER)
    rows["action"] = rng.choice(
        [Action.NEW, Action.NEW, Action.NEW, Action.NEW, Action.CANCEL, Action.REPLACE, Action.REDUCE, 9],
        count,
        p=[0.18, 0.18, 0.18, 0.18, 0.09, 0.12, 0.06, 0.01],
    )
    rows["side"] = rng.choice([0, 1, 3], count, p=[0.49, 0.5, 0.01])
    rows["price"] = rng.integers(2_900, 3_100, count)
    rows["quantity"] = rng.integers(1, 60, count)
    rows["right"] = rng.integers(0, len(RIGHTS), count)
    rows["instrument"] = rng.choice([0, 1, 2, 7], count, p=[0.6, 0.35, 0.03, 0.02])
    rows["time_in_force"] = rng.choice(list(TimeInForce), count, p=[0.6, 0.1, 0.1, 0.1, 0.1])
    rows["order_type"] = np.where(
        (rows["time_in_force"] >= TimeInForce.IOC) & (rng.random(count) < 0.5), OrderType.MARKET, OrderType.LIMIT
    )
    rows["self_trade"] = rng.choice(list(SelfTrade), count)
    rows["post_only"] = rng.random(count) < 0.1
    dated = rows["time_in_force"] == TimeInForce.GTD
    rows["expires_at_ns"] = np.where(dated, START_NS + rng.integers(0, 200, count) * HOUR_NS, 0)
    rows["max_amount_fen"] = np.where(
        (rows["order_type"] == OrderType.MARKET) & (rng.random(count) < 0.5), rng.integers(1, 900_000, count), 0
    )
    change = rows["action"] != Action.NEW
    rows["order_id"] = np.where(change, rng.integers(max(1, known - 400), known + 1, count), 0)
    rows["price"] = np.where(change & (rng.random(count) < 0.4), 0, rows["price"])
    odd = rng.random(count) < 0.03
    rows["quantity"] = np.where(odd, rng.choice([0, -5, 2**40, 2**62], count), rows["quantity"])
    rows["price"] = np.where(rng.random(count) < 0.02, rng.choice([-1, 0, 1, 9_999, 2**50], count), rows["price"])
    return rows


def random_readings(rng: np.random.Generator, count: int, at_ns: int) -> Any:
    """Readings that rise over time, with steps back, spikes, duplicates, gaps and strangers."""
    rows = np.zeros(count, shuiquan.READING)
    rows["meter"] = rng.choice([0, 1, 2, 3, 4, 5, 99], count, p=[0.16, 0.17, 0.16, 0.16, 0.17, 0.17, 0.01])
    rows["measured_at_ns"] = at_ns - rng.integers(0, 40, count) * HOUR_NS // 8
    rows["received_at_ns"] = at_ns
    hours = (rows["measured_at_ns"] - START_NS) // HOUR_NS + 48
    rows["value_l"] = hours * rng.integers(120_000, 400_000, count)
    rows["value_l"] = np.where(rng.random(count) < 0.05, rng.choice([-(2**63), -1, 10**13, 0], count), rows["value_l"])
    rows["sequence"] = rng.choice([0, 1], count, p=[0.95, 0.05])
    return rows


def random_commands(rng: np.random.Generator, count: int) -> list[shuiquan.SettleAgreement | Any]:
    """Commands of the bureau that succeed or fail by chance."""
    made: list[Any] = []
    for _ in range(count):
        right = str(rng.choice(RIGHTS))
        party = str(rng.choice(["P-A", "P-B", "P-C", "P-E", "P-X"]))
        made.append(
            [
                shuiquan.SuspendParty(party=party, document=DOCUMENT),
                shuiquan.ReinstateParty(party=party, document=DOCUMENT),
                shuiquan.VerifySaving(
                    right=right, year=2024, volume_l=int(rng.integers(0, 3_000_000)), measure="", document=DOCUMENT
                ),
                shuiquan.IssueRight(
                    right=right, year=2024, volume_l=int(rng.integers(0, 100_000)), document=DOCUMENT, opening=True
                ),
                shuiquan.CloseMarket(instrument="SW-B"),
            ][int(rng.choice(5, p=[0.3, 0.4, 0.15, 0.1, 0.05]))]
        )
    return made


def random_script(seed: int, length: int, batch: int = 40) -> list[tuple[int, Submission]]:
    """Submissions with their times: (at_ns, submission)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    at_ns, known, script = START_NS, 60, []
    for number in range(length):
        at_ns += int(rng.integers(0, 3 * HOUR_NS // 4))
        if (at_ns - START_NS) % DAY_NS > 6 * HOUR_NS:
            at_ns += DAY_NS - (at_ns - START_NS) % DAY_NS
        kind, size, name = rng.random(), int(rng.integers(1, batch)), f"s{number}"
        if kind < 0.6:
            script.append((at_ns, Submission(random_orders(rng, size, known), "platform", Role.OPERATOR, name)))
            known += 2 * size
        elif kind < 0.9:
            script.append((at_ns, Submission(random_readings(rng, size, at_ns), "gateway", Role.GATEWAY, name)))
        elif kind < 0.97:
            commands = random_commands(rng, 1 + size // 10)
            linked = bool(rng.random() < 0.3)
            script.append((at_ns, Submission(commands, "clerk", Role.BUREAU, name, "head", linked)))
        else:
            opened = [shuiquan.OpenMarket(instrument="SW-B")]
            deal = shuiquan.SettleAgreement(
                instrument="SW-A", seller=str(rng.choice(RIGHTS)), buyer=str(rng.choice(RIGHTS)),
                volume_l=int(rng.integers(1, 3_000_000)), amount_fen=int(rng.integers(0, 200_000)), document=DOCUMENT,
            )  # fmt: skip
            script.append((at_ns, Submission([*opened, deal], "platform", Role.OPERATOR, name)))
    return script


def play(world: World, script: list[tuple[int, Submission]], join: int = 1) -> None:
    """Feed a script, `join` submissions to a commit (of one time: the last of them)."""
    for at in range(0, len(script), join):
        part = script[at : at + join]
        world.clock.at_ns = part[-1][0]
        world.exchange.submit_many([submission for _, submission in part])
