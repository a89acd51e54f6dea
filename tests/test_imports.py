"""What an embedder pays for: importing the package brings no compiler, no command line and no database."""

import subprocess
import sys

PROGRAM = """
import sys
import shuiquan, matching
brought = {"numba", "eventsourcing", "rich", "cyclopts", "openpyxl", "cryptography"}
heavy = brought & set(sys.modules)
assert not heavy, heavy
assert callable(shuiquan.open)
assert matching.OrderBook and matching.ReferenceBook and shuiquan.Exchange
"""


def test_the_package_imports_light() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
