"""Memory follows what is live, not what has happened: a short part of `make soak`, in a process of its own."""

import subprocess
import sys
from itertools import pairwise

NOISE_MIB = 8.0
"""More than the measure moves by itself, since the system gives memory in pieces; 14 bytes for each fact added."""


def test_memory_does_not_rise_with_facts() -> None:
    command = [sys.executable, "-m", "tests.soak", "--facts", "1200000", "--rows", "4"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.replace(",", "").split() for line in run.stdout.splitlines()[1:]]
    facts, live, memory = ([float(row[at]) for row in rows] for at in (0, 1, 3))
    assert all(later - earlier >= 290_000 for earlier, later in pairwise(facts))
    assert len(set(live)) == 1
    # at the second row the caches are full
    assert max(memory[1:]) - memory[1] < NOISE_MIB, run.stdout
