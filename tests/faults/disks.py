"""A small disk: a file system in memory, mounted for one process, where this machine lets a process mount one.

It needs the right to mount, as root or in a user namespace of the process. Where there is neither, a limit on the size
of files stands in for it, and the name of each test says so.
"""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000
PRIVATE: Final = 1 << 18 | 1 << 14  # mounts of the process stay its own, all the way down
AS_ROOT, AS_USER, LIMIT = "tmpfs", "tmpfs_of_a_user_namespace", "file_size_limit"


def offered() -> str:
    """How a disk can be made small on this machine."""
    if not shutil.which("unshare"):
        return LIMIT
    mount = ("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/tmp")  # noqa: S108 - for the tried process alone
    for kind, options in ((AS_ROOT, ("--mount",)), (AS_USER, ("--mount", "--user", "--map-root-user"))):
        tried = subprocess.run(["unshare", *options, *mount], capture_output=True, check=False)
        if tried.returncode == 0:
            return kind
    return LIMIT


KIND: Final = offered()


def mount_small(folder: Path, size: int) -> None:
    """Put a file system of so many bytes in the place of a folder, for this process alone, which has one thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()

    def done(result: int) -> None:
        if result:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))

    done(libc.unshare(NEW_MOUNTS | (NEW_USER if KIND == AS_USER else 0)))
    if KIND == AS_USER:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    done(libc.mount(b"none", b"/", None, PRIVATE, None))
    done(libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=%d" % size))
