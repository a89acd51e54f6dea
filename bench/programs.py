"""The yardstick's C++ programs: built where there is a compiler, run on a workload, and done without where not."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

SOURCES: Final = Path(__file__).parent / "yardstick"
NAMES: Final = ("flat", "flat_hashed")
OPTIONS: Final = ("-O3", "-march=native", "-std=c++20", "-w")
COMPILERS: Final = ("g++", "c++", "clang++")


class Programs(NamedTuple):
    """The programs that could be built, by name; or none, and why."""

    paths: dict[str, Path]
    compiler: str = ""
    why: str = ""

    def measure(self, name: str, workload: Path) -> dict[str, Any]:
        """Run a program once on a workload. Gives what it prints: `mps` a second of CPU time, `hp` over its trades."""
        ran = subprocess.run([self.paths[name], workload, "1"], capture_output=True, check=True)
        found: dict[str, Any] = msgspec.json.decode(ran.stdout)
        return found


def build(folder: Path) -> Programs:
    """Compile the programs into a folder; the compiler is `$CXX`, or else the first that is found."""
    wanted = (os.environ["CXX"],) if os.environ.get("CXX") else COMPILERS
    compiler = next((found for name in wanted if (found := shutil.which(name))), None)
    if compiler is None:
        return Programs({}, why="no C++ compiler found")
    paths = {name: folder / name for name in NAMES}
    for name, path in paths.items():
        command = [compiler, *OPTIONS, str(SOURCES / f"{name}.cpp"), "-o", str(path)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return Programs({}, why=f"{name}.cpp does not compile on this machine")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    return Programs(paths, compiler=version.partition("\n")[0])
