"""Files beside a ledger, and writing them so that a crash leaves the old one or the new one."""

import os
from pathlib import Path

from ledger.codes import Code, Refused

SALT, SIGNING, NEXT_SIGNING, TREE = ".salt", ".signing", ".signing-next", ".tree"
AUDIT_FILES = (SALT, SIGNING, NEXT_SIGNING, TREE)


def beside(ledger: Path, suffix: str) -> Path:
    """A file that belongs to a ledger: its whole name and a suffix."""
    return Path(f"{ledger}{suffix}")


def write_whole(path: Path, content: bytes, *, mode: int = 0o644, replace: bool = True) -> None:
    """Write a file whole and durably, or not at all. Raises FileExistsError where it may not be replaced."""
    draft = Path(f"{path}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_out(path: Path, content: bytes) -> None:
    """Write a file that was asked for. Raises Refused (FILE_NOT_WRITTEN)."""
    try:
        write_whole(path, content)
    except OSError as problem:
        raise Refused(Code.FILE_NOT_WRITTEN, "file", str(path), str(problem)) from None
