"""`python -m bench NAME`: what `shuiquan bench` runs."""

import argparse
import sys
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The benchmarks and their options."""
    made = argparse.ArgumentParser(prog="shuiquan bench", description="Measure speed on this machine.")
    names = made.add_subparsers(dest="name", required=True, metavar="NAME")
    pilot = names.add_parser("pilot", help="the whole path against raw SQLite, and replay")
    matching = names.add_parser("matching", help="the order book by itself, beside C++ programs and other packages")
    ledger = names.add_parser("ledger", help="durable orders a second and reading them again, beside raw stores")
    for one in (pilot, matching, ledger):
        one.add_argument("--json", action="store_true", help="print JSON for programs, every repetition")
    ledger.add_argument("--quick", action="store_true", help="smaller sizes, under a minute")
    ledger.add_argument("--scene", action="append", metavar="NAME", help="only this scene; may be given again")
    matching.add_argument("--quick", action="store_true", help="three repetitions instead of seven")
    matching.add_argument("--plot", type=Path, metavar="FOLDER", help="draw the rate against the orders at rest")
    return made


def main(arguments: list[str]) -> int:
    """Run one benchmark by name; returns the exit status."""
    asked = parser().parse_args(arguments)
    if asked.name == "pilot":
        from bench import pilot  # noqa: PLC0415 - each loads what it needs

        pilot.run(as_json=asked.json)
        return 0
    if asked.name == "ledger":
        from bench import ledger  # noqa: PLC0415

        return ledger.run(as_json=asked.json, quick=asked.quick, only=asked.scene or ())
    from bench import matching  # noqa: PLC0415

    return matching.run(as_json=asked.json, quick=asked.quick, plot_folder=asked.plot)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
