"""The rate against the number of orders at rest, as a picture. matplotlib is loaded only when one is drawn."""

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bench.programs import NAMES
from bench.rates import DENSE_IDS, Rates

FILE: Final = "rate-by-resting-orders"
LABELS: Final = {
    DENSE_IDS: ("shuiquan", "o", "#0b5fa5"),
    NAMES[0]: ("C++: orders found by position", "s", "#8a8a8a"),
    NAMES[1]: ("C++: orders found by hash", "^", "#c2571a"),
}
"""Name, marker and colour of each line."""


def load_matplotlib() -> Any:
    """matplotlib, or an end of the program that says how to get it."""
    try:
        import_module("matplotlib.figure")
        return import_module("matplotlib")
    except ImportError as error:
        raise SystemExit("matplotlib is not installed; the extra `bench` has it: pip install '.[bench]'") from error


def draw(curve: list[Rates], folder: Path, matplotlib: Any) -> list[Path]:
    """Write the picture as PNG and SVG into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = matplotlib.figure.Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for subject, (label, marker, colour) in LABELS.items():
        points = [(rates.resting, rate) for rates in curve if (rate := rates.of(subject).median) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), marker=marker, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("Orders resting in the book")
    axes.set_ylabel("Messages per second of processor time, millions")
    axes.xaxis.set_major_formatter(lambda resting, _: f"{resting:,.0f}")
    for formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        formatter(lambda rate, _: f"{rate / 1e6:g}" if f"{rate:.0e}"[0] in "125" else "")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(frameon=False)
    paths = [folder / f"{FILE}.png", folder / f"{FILE}.svg"]
    with matplotlib.rc_context({"svg.hashsalt": FILE}):
        figure.savefig(paths[0], dpi=160)
        figure.savefig(paths[1], metadata={"Date": None})
    return paths
