"""The conditions of a measurement: what it ran on, with which versions."""

import os
import platform
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


def conditions(sizes: Sizes, programs: Programs) -> dict[str, Any]:
    """Everything that a figure depends on besides the code."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
        "compiler": programs.compiler or programs.why,
        "compiler_options": " ".join(OPTIONS),
        "batch": BATCH,
        **sizes._asdict(),
    }
