"""The conditions of a measurement: what it ran on, with which versions."""

import os
import platform
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite.binding import get_host_cpu_name

from bench.measured import BATCH, Sizes
from bench.programs import OPTIONS, Programs


def processor() -> str:
    """The processor's name as the system gives it, and as the compiler knows its kind."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text("utf-8").splitlines() if listed.exists() else []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{named or platform.processor() or platform.machine()} ({get_host_cpu_name()})"


def file_system(folder: Path) -> str:
    """Kind and device of the file system that a folder lies in, where the system tells."""
    mounts, found = Path("/proc/mounts"), ("", "unknown")
    for line in mounts.read_text("utf-8").splitlines() if mounts.exists() else []:
        device, point, kind, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) >= len(found[0]):
            found = point, f"{kind} on {device}"
    return found[1]


def stolen_s() -> float:
    """Seconds of processors that a host gave to other machines since this one started; 0 where nobody tells."""
    counters = Path("/proc/stat")
    if not counters.exists():
        return 0.0
    _, _user, _nice, _system, _idle, _iowait, _irq, _softirq, stolen, *_ = counters.read_text("utf-8").split()
    return int(stolen) / os.sysconf("SC_CLK_TCK")


@contextmanager
def watched_host(conditions: dict[str, Any]) -> Iterator[None]:
    """Note among the conditions how much of the processors' time the host gave to others within the block."""
    started, before = time.perf_counter(), stolen_s()
    yield
    spent_s = (time.perf_counter() - started) * (os.cpu_count() or 1)
    conditions["time that the host gave to other machines"] = f"{(stolen_s() - before) / spent_s:.1%}"


def machine() -> dict[str, Any]:
    """The machine and what the code runs on."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
    }


def store_conditions(folder: Path) -> dict[str, Any]:
    """What a figure of the ledger depends on besides: where its files lie, and the versions below its store."""
    packages = ("eventsourcing", "msgspec", "psycopg")
    return {
        **machine(),
        "sqlite": sqlite3.sqlite_version,
        "file_system": file_system(folder),
        **{name: version_of(name) for name in packages},
    }


def version_of(package: str) -> str:
    """The version of a package, "none" where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def conditions(sizes: Sizes, programs: Programs) -> dict[str, Any]:
    """Everything that a figure of the order book depends on besides the code."""
    return {
        **machine(),
        "compiler": programs.compiler or programs.why,
        "compiler_options": " ".join(OPTIONS),
        "batch": BATCH,
        **sizes._asdict(),
    }
