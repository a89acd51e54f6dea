"""Compilation of kernels, and a cache that an edited kernel can never leave stale.

numba keys a cached function by its own source file alone, so an edited callee would leave its callers as they
were. Here the cache folder itself is named after everything a compiled kernel depends on: the source of all
kernel packages, the versions of the compiler and the processor (contract K28).
"""

import functools
import hashlib
import logging
import os
import platform
import re
from collections.abc import Callable
from operator import is_
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import llvmlite
import numba
import numpy as np
import platformdirs
from llvmlite import ir
from llvmlite.binding import get_host_cpu_name
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

config: Any = numba.config  # its settings are made at run time
Function = TypeVar("Function", bound=Callable[..., Any])
OPTIONS: Any = {
    "forceinline": True,  # a kernel is one function to the processor, many to the reader
    "error_model": "numpy",  # no check for division by zero: every divisor is known to be positive
    "_nrt": False,  # no reference counts on the arrays that every call hands on; kernels never allocate
}
KERNEL = re.compile(r"^@(short_)?kernel\b", re.MULTILINE)
IMPORT = re.compile(r"^from ([\w.]+) import", re.MULTILINE)


def kernel_sources(*packages: Path) -> list[Path]:
    """The modules of `packages` that define kernels, and whatever they import from there, in order of path."""
    found: set[Path] = set()
    modules = [path for package in packages for path in package.rglob("*.py")]
    waiting = [path for path in modules if KERNEL.search(path.read_text("utf-8"))]
    while waiting:
        path = waiting.pop()
        found.add(path)
        for module in IMPORT.findall(path.read_text("utf-8")):
            for package in packages:
                target = package.parent.joinpath(*module.split(".")).with_suffix(".py")
                if target.is_relative_to(package) and target.exists() and target not in found:
                    waiting.append(target)
    return sorted(found)


def source_digest(*packages: Path) -> str:
    """Digest of all kernel sources in `packages`, the compiler's versions and the processor, as 16 hex digits."""
    digest = hashlib.sha256()
    for source in kernel_sources(*packages):
        digest.update(f"{source.parent.name}/{source.name}\0".encode() + source.read_bytes() + b"\0")
    machine = (platform.python_version(), numba.__version__, llvmlite.__version__, np.__version__, get_host_cpu_name())
    digest.update(repr((*machine, os.environ.get("NUMBA_BOUNDSCHECK", "0"))).encode())
    return digest.hexdigest()[:16]


def cache_folder(*packages: Path) -> Path | None:
    """Folder of compiled kernels for these sources, made if need be; None where nothing can be written."""
    root = os.environ.get("NUMBA_CACHE_DIR") or platformdirs.user_cache_dir("shuiquan")
    folder = Path(root) / f"kernels-{source_digest(*packages)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


@functools.cache
def announce(folder: Path | None, what: str) -> None:
    """Say that kernels are being compiled where the cache holds none: it takes long, and happens once a machine."""
    if not config.DISABLE_JIT and (folder is None or not any(folder.rglob("*.nbi"))):
        logging.getLogger("matching").warning("compiling %s for this machine, once: up to a minute", what)


def compiler(folder: Path | None, *, nogil: bool = True) -> Callable[[Function], Function]:
    """A decorator that compiles kernels into a cache folder; with `nogil` other threads go on meanwhile."""

    def compiled(function: Function) -> Function:
        before, config.CACHE_DIR = config.CACHE_DIR, str(folder or "")
        try:
            return cast("Function", numba.njit(cache=folder is not None, nogil=nogil, **OPTIONS)(function))
        finally:
            config.CACHE_DIR = before

    return compiled


class Entry:
    """A kernel to be called often from Python, without its dispatcher looking at every field of every array each time.

    That costs ten times as much as the call. `held` are the structures that stay the same from call to call: whenever
    one is another than last time, all types are looked at anew. The rest must have types that never change.
    """

    def __init__(self, kernel: Any) -> None:
        """An entry to a kernel."""
        self._kernel, self._function = kernel, kernel
        self._held: tuple[Any, ...] = ()

    def __call__(self, held: tuple[Any, ...], *rest: Any) -> Any:
        """What the kernel gives for these arguments."""
        if len(held) != len(self._held) or not all(map(is_, held, self._held)):
            self._look_at(held, rest)
        return self._function(*held, *rest)

    def _look_at(self, held: tuple[Any, ...], rest: tuple[Any, ...]) -> None:
        """Find the function that was compiled for the types of these arguments."""
        if not config.DISABLE_JIT:
            types = tuple(map(cast("Any", numba).typeof, (*held, *rest)))
            self._kernel.compile(types)
            self._function = self._kernel.overloads[types].entry_point
        self._held = held


CACHE: Final = cache_folder(Path(__file__).parent)
kernel = compiler(CACHE)
"""Compiles the kernels of this room."""


def trailing_zeros(word: Any) -> int:
    """Index of the lowest bit set in a 64-bit word that is not zero."""
    return (int(word) & -int(word)).bit_length() - 1


def highest_bit(word: Any) -> int:
    """Index of the highest bit set in a 64-bit word that is not zero."""
    return int(word).bit_length() - 1


def low_product(one: Any, other: Any) -> Any:
    """The low 64 bits of a product."""
    return np.uint64((int(one) * int(other)) & 0xFFFFFFFFFFFFFFFF)


@intrinsic
def _cttz(context: Any, word: Any) -> Any:  # noqa: ARG001 - the signature is numba's
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.cttz(arguments[0], context.get_constant(types.boolean, 1))

    return types.uint64(types.uint64), build


@intrinsic
def _ctlz(context: Any, word: Any) -> Any:  # noqa: ARG001
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, 1))

    return types.uint64(types.uint64), build


@overload(low_product)
def _low_product(one: Any, other: Any) -> Any:  # noqa: ARG001
    def multiply(one: Any, other: Any) -> Any:
        return np.uint64(one) * np.uint64(other)

    return multiply


@overload(trailing_zeros)
def _trailing_zeros(word: Any) -> Any:  # noqa: ARG001
    def count(word: Any) -> Any:
        return np.int64(_cttz(np.uint64(word)))  # type: ignore[call-arg] # numba passes the context

    return count


@overload(highest_bit)
def _highest_bit(word: Any) -> Any:  # noqa: ARG001
    def count(word: Any) -> Any:
        return np.int64(63) - np.int64(_ctlz(np.uint64(word)))  # type: ignore[call-arg]

    return count


def prefetch(array: Any, at: Any) -> None:
    """Ask for a row of an array that will be needed soon. Compiled alone: it changes nothing but the time."""


@intrinsic
def _prefetch(context: Any, array: Any, at: Any) -> Any:  # noqa: ARG001
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, value=arguments[0]).data
        row = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        flag = ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [row.type, flag, flag, flag])
        insert: Any = cgutils.get_or_insert_function
        hint = insert(builder.module, shape, "llvm.prefetch.p0")
        builder.call(hint, [row, flag(1), flag(3), flag(1)])  # to be written, to be kept, data
        return context.get_dummy_value()

    return types.void(array, types.uint64), build


@overload(prefetch)
def _prefetch_overload(array: Any, at: Any) -> Any:  # noqa: ARG001
    def ask(array: Any, at: Any) -> None:
        _prefetch(array, np.uint64(at))  # type: ignore[call-arg]

    return ask
