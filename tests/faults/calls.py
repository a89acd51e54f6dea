"""System calls of a process, seen and answered by another: without a compiler, and without a change to the program.

A process puts a filter of the kernel (seccomp) on its calls to write, sync or send, and hands a listener to a
supervisor. From then on each such call waits until the supervisor lets it go on, fails it, carries out a part of it,
or kills the process. It needs Linux 5.5 and no privilege.
"""

import ctypes
import fcntl
import os
import platform
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

NUMBERS: Final = {
    "x86_64": {"write": 1, "pread64": 17, "pwrite64": 18, "fsync": 74, "fdatasync": 75, "ftruncate": 77, "sendto": 44,
               "recvfrom": 45, "seccomp": 317},
    "aarch64": {"write": 64, "pread64": 67, "pwrite64": 68, "fsync": 82, "fdatasync": 83, "ftruncate": 46,
                "sendto": 206, "recvfrom": 207, "seccomp": 277},
}[platform.machine()]  # fmt: skip
NAMES: Final = {number: name for name, number in NUMBERS.items()}
WRITES: Final = ("write", "pwrite64")
SYNCS: Final = ("fsync", "fdatasync")
FILE_CALLS: Final = (*WRITES, *SYNCS, "ftruncate")
READS: Final = ("pread64",)
SOCKET_CALLS: Final = ("sendto", "recvfrom")

NO_NEW_PRIVILEGES, SET_FILTER, NEW_LISTENER = 38, 1, 1 << 3
ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # instructions of the filter
RECEIVE, SEND = 0xC0502100, 0xC0182101  # requests to a listener
CALL: Final = struct.Struct("=QIIiIQ6Q")  # id, process, flags; number, architecture, instruction, arguments
VERDICT: Final = struct.Struct("=QqiI")  # id, value, error, flags
GO_ON: Final = 1


class Call(NamedTuple):
    """A call that waits: its name, the file or socket that it is about, and what it was given."""

    id: int
    process: int
    name: str
    file: str
    arguments: tuple[int, ...]


def watch(names: Sequence[str]) -> int:
    """Let calls of these names, in this thread and those it starts, wait for a supervisor; returns the listener."""
    libc = ctypes.CDLL(None, use_errno=True)
    jumps = [(JUMP_IF_EQUAL, len(names) - at, 0, NUMBERS[name]) for at, name in enumerate(names)]
    code = [(LOAD, 0, 0, 0), *jumps, (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, NOTIFY)]
    packed = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in code))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(packed)))
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    listener = libc.syscall(NUMBERS["seccomp"], SET_FILTER, NEW_LISTENER, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "this kernel lets no process supervise the calls of another")
    return int(listener)


def next_call(listener: int) -> Call | None:
    """The call that waits, or None when it was given up meanwhile."""
    buffer = bytearray(CALL.size)
    try:
        fcntl.ioctl(listener, RECEIVE, buffer)
    except FileNotFoundError:
        return None
    number, process, _, name, _, _, *arguments = CALL.unpack(buffer)
    file = ""
    with suppress(FileNotFoundError):  # of a process that is gone, or a file that is closed
        file = str(Path(f"/proc/{process}/fd/{arguments[0]}").readlink())
    return Call(number, process, NAMES[name], file, tuple(arguments))


def answer(listener: int, call: Call, *, value: int = 0, error: int = 0, go_on: bool = False) -> None:
    """Let a call go on, or give it a value or an error without carrying it out. Nothing if its process is gone."""
    try:
        fcntl.ioctl(listener, SEND, VERDICT.pack(call.id, value, -error, GO_ON if go_on else 0))
    except FileNotFoundError:
        return


def write_part(call: Call, share: float) -> int:
    """Carry out a part of a write, at least a byte and never all of it; returns how many bytes were written."""
    descriptor, address, size, offset = call.arguments[:4]
    part = min(max(1, int(size * share)), size - 1)
    with open(f"/proc/{call.process}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - of another process
        memory.seek(address)
        content = memory.read(part)
    file = os.open(f"/proc/{call.process}/fd/{descriptor}", os.O_WRONLY)
    try:
        return os.pwrite(file, content, offset)
    finally:
        os.close(file)
