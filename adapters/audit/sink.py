"""The built-in sink: a folder of files that are never written again; best on another machine."""

import re
from collections.abc import Iterator
from pathlib import Path

from adapters.audit.files import write_whole
from ledger.codes import Code, Refused

NAME = re.compile(r"[0-9]{8}\.checkpoint")


class FolderSink:
    """Checkpoints as files `00000001.checkpoint` and so on."""

    def __init__(self, folder: Path) -> None:
        """A sink in a folder, which is made with the first checkpoint."""
        self._folder = folder

    def files(self) -> Iterator[str]:
        """All files in order. Raises Refused: SINK_FAILED where one is missing between, FILE_UNREADABLE."""
        names = sorted(path.name for path in self._folder.glob("*.checkpoint") if NAME.fullmatch(path.name))
        for number, name in enumerate(names, start=1):
            if name != checkpoint_name(number):
                raise Refused(Code.SINK_FAILED, "sink", checkpoint_name(number), f"missing before {name}")
            yield read_text(self._folder / name)

    def append(self, number: int, text: str) -> None:
        """Add a file. Raises Refused (SINK_FAILED) where there is one of its number, or it cannot be written."""
        path = self._folder / checkpoint_name(number)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode(), replace=False)
        except OSError as problem:
            raise Refused(Code.SINK_FAILED, "sink", str(path), str(problem)) from None


def checkpoint_name(number: int) -> str:
    """Name of a file in the folder."""
    return f"{number:08}.checkpoint"


def read_text(path: Path) -> str:
    """Text of a file that somebody handed in. Raises Refused (FILE_UNREADABLE)."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as problem:
        raise Refused(Code.FILE_UNREADABLE, "file", str(path), str(problem)) from None
