"""What an export says of itself: which stretch of which journal it holds, in which files with which digests."""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.codes import Code, Refused

FORM: Final = "shuiquan-export/1"
NAME: Final = "manifest.json"
RECORDS_TOPIC: Final = "records"
FORMATS: Final = ("parquet", "arrow")

Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Number = Annotated[int, Meta(ge=1, le=2**62)]


class ExportedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its name, the topic whose facts it holds (`records` for the records), and what it must be."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z.]*(-[1-9][0-9]*)?\.(parquet|arrow)$")]
    topic: str
    rows: Annotated[int, Meta(ge=0)]
    bytes: Annotated[int, Meta(ge=0)]
    sha256: Hash


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole export. `previous` and `head` are hashes of the records before its first and at its last position."""

    form: Annotated[str, Meta(pattern=f"^{FORM}$")]
    program: str
    file_format: Annotated[str, Meta(pattern=f"^({'|'.join(FORMATS)})$")]
    ledger_id: str
    from_position: Number
    to_position: Number
    first_seq: Number
    last_seq: Number
    previous: Hash
    head: Hash
    files: tuple[ExportedFile, ...]


def file_name(topic: str, file_format: str) -> str:
    """Name of a topic's file: `trade-1.parquet` for trade/1."""
    return f"{topic.replace('/', '-')}.{file_format}"


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put_in_place(part: Path, path: Path) -> None:
    """Give a finished file its name, durably: whoever sees the name sees all of it."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an export whose files are what it says. Raises Refused (EXPORT_DAMAGED) naming the file."""
    path = folder / NAME
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise Refused(Code.EXPORT_DAMAGED, NAME, str(problem)[:200], "the manifest of a finished export") from None
    if [file.topic for file in manifest.files].count(RECORDS_TOPIC) != 1:
        raise Refused(Code.EXPORT_DAMAGED, NAME, len(manifest.files), "one file of records")
    for file in manifest.files:
        try:
            found, size = digest_of(folder / file.name), (folder / file.name).stat().st_size
        except OSError as problem:
            raise Refused(Code.EXPORT_DAMAGED, file.name, problem.strerror, "a file that can be read") from None
        if (found, size) != (file.sha256, file.bytes):
            raise Refused(Code.EXPORT_DAMAGED, file.name, found, f"SHA-256 {file.sha256}, {file.bytes} bytes")
    return manifest
