"""`python -m bench pilot [--json]`: what `shuiquan bench` runs."""

import sys

from bench import pilot

USAGE = "usage: shuiquan bench pilot [--json]   the whole path against raw SQLite, and replay"


def main(arguments: list[str]) -> int:
    """Run one benchmark by name; returns the exit status."""
    names = [argument for argument in arguments if not argument.startswith("-")]
    if names != ["pilot"]:
        print(USAGE, file=sys.stderr)
        return 2
    pilot.run(as_json="--json" in arguments)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
