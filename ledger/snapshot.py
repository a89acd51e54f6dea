"""A snapshot: the whole state of a ledger at a position, in a described layout, so that opening need not read it all.

    snapshot = MAGIC | header length (u32, little-endian) | header (JSON) | parts | SHA-256 of all before it

Spaces behind the JSON let the parts begin at a multiple of eight bytes.
The header names each part with its dtype, shape and length in bytes. A snapshot is worth no more than the program that
made it and is never trusted further than a reader can check: it counts only where the journal holds its record, its
numbers are within bounds, the sums are zero and the state hash is the one it names. Everything in it can be had again
by reading the journal.
"""

import hashlib
import math
import struct
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from ledger.audit import check_state
from ledger.codes import Code, Refused
from ledger.journal.versions import VERSIONS
from ledger.snapshot_orders import LIVE_ORDER
from ledger.snapshot_parts import DTYPES, REGISTERS, Registers, parts_of, restored
from ledger.state import State
from ledger.statehash import state_hash
from ledger.tables import Array

MAGIC: Final = b"SQSTATE1"
VERSION: Final = 1
"""Goes up whenever the same bytes would mean something else, or a state gets something that they lack."""

LENGTH: Final = struct.Struct("<I")
MAX_HEADER: Final = 1 << 20
UNSOUND: Final = (ValueError, LookupError, TypeError, OverflowError, MemoryError, msgspec.MsgspecError)
ALIGNMENT: Final = 8
CHECKSUM: Final = hashlib.sha256().digest_size


class Part(msgspec.Struct, frozen=True):
    """A part of a snapshot, with numpy's description of its dtype; the registers are a MessagePack map."""

    name: str
    dtype: Any
    shape: tuple[int, ...]
    length: int


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a snapshot says of itself: of which state, behind which record of which journal."""

    version: int
    program: str  # digest of the layouts that a program of this version keeps
    ledger_id: str
    position: int
    digest: str  # of the record at this position, hexadecimal
    next_seq: int
    state_hash: str
    parts: tuple[Part, ...]


class Snapshot(NamedTuple):
    """A state as it was behind the record at a position."""

    state: State
    position: int
    digest: bytes


def program() -> str:
    """Digest of the layouts that a snapshot takes over from the code: it is of no use to a program with others."""
    structs = [(topic, fact.__struct_fields__) for topic, fact in sorted(VERSIONS.facts.items())]
    described = repr((structs, Registers.__struct_fields__, LIVE_ORDER.descr))
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def pack(state: State, position: int, digest: bytes) -> list[bytes]:
    """A state behind a record as the pieces of a snapshot, to be written one after the other."""
    parts = parts_of(state)
    described = tuple(
        Part(name, described_dtype(value.dtype), value.shape, value.nbytes)
        if isinstance(value, np.ndarray)
        else Part(name, "msgpack", (), len(value))
        for name, value in parts.items()
    )
    header = msgspec.json.encode(
        Header(
            VERSION, program(), state.ledger_id, position, digest.hex(), state.next_seq, state_hash(state), described
        )
    )
    header += b" " * (-(len(MAGIC) + LENGTH.size + len(header)) % ALIGNMENT)
    pieces = [MAGIC, LENGTH.pack(len(header)), header]
    pieces += [value.tobytes() if isinstance(value, np.ndarray) else value for value in parts.values()]
    checksum = hashlib.sha256()
    for piece in pieces:
        checksum.update(piece)
    return [*pieces, checksum.digest()]


def described_dtype(dtype: Any) -> Any:
    """How the header names a dtype: a text, or names and texts of its fields with their padding."""
    return dtype.str if dtype.names is None else [list(field) for field in dtype.descr]


def read_header(data: bytes | bytearray) -> Header:
    """The header of a snapshot, of which `data` is at least the beginning.

    Raises Refused (SNAPSHOT_UNUSABLE) for what is no snapshot, or was made by another version of this program.
    """
    if data[: len(MAGIC)] != MAGIC or len(data) < len(MAGIC) + LENGTH.size:
        raise unusable("begin", data[: len(MAGIC)], "it does not begin as a snapshot of this version")
    (length,) = LENGTH.unpack_from(data, len(MAGIC))
    if length > MAX_HEADER:
        raise unusable("header", length, f"at most {MAX_HEADER} bytes")
    start = len(MAGIC) + LENGTH.size
    try:
        header = msgspec.json.decode(data[start : start + length], type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise unusable("header", str(problem), "a header of this version") from None
    if (header.version, header.program) != (VERSION, program()):
        made = f"{header.version} {header.program}"
        raise unusable("version", made, f"{VERSION} {program()}: made by another version of this program")
    return header


def unpack(data: bytes | bytearray) -> Snapshot:
    """The state in a snapshot; less of it is copied where `data` may be changed.

    Raises Refused (SNAPSHOT_UNUSABLE) for whatever does not make a sound state.
    """
    header = read_header(data)
    start = len(MAGIC) + LENGTH.size + LENGTH.unpack_from(data, len(MAGIC))[0]
    if any(part.length < 0 or min(part.shape, default=0) < 0 for part in header.parts):
        raise unusable("parts", header.parts, "lengths of 0 and more")
    if len(data) != start + sum(part.length for part in header.parts) + CHECKSUM:
        raise unusable("length", len(data), "what its header says")
    if hashlib.sha256(memoryview(data)[:-CHECKSUM]).digest() != data[-CHECKSUM:]:
        raise unusable("checksum", data[-CHECKSUM:].hex(), "SHA-256 of all before it")
    try:
        state = restored(read_parts(header, data, start))
        check_state(state)
    except Refused as problem:
        raise unusable(problem.field, problem.value, problem.rule) from None
    except UNSOUND as problem:
        raise unusable("parts", repr(problem), "parts that make a state") from None
    found = (state.ledger_id, state.next_seq, state_hash(state))
    if found != (header.ledger_id, header.next_seq, header.state_hash):
        raise unusable("state", found, f"{header.ledger_id}, {header.next_seq}, {header.state_hash}")
    return Snapshot(state, header.position, bytes.fromhex(header.digest))


def read_parts(header: Header, data: bytes | bytearray, start: int) -> dict[str, Array | bytes]:
    """The parts by name. Raises ValueError for a dtype or a length that is not that of the part, or a part too many."""
    found: dict[str, Array | bytes] = {}
    for part in header.parts:
        if part.name in DTYPES:
            dtype = DTYPES[part.name]
            if part.dtype != described_dtype(dtype) or part.length != math.prod(part.shape) * dtype.itemsize:
                raise ValueError(part.name)
            found[part.name] = np.frombuffer(data, dtype, math.prod(part.shape), start).reshape(part.shape)
        elif part.name == REGISTERS:
            found[part.name] = bytes(data[start : start + part.length])
        else:
            raise ValueError(part.name)
        start += part.length
    return found


def unusable(field: str, value: Any, rule: str) -> Refused:
    """The refusal of a snapshot."""
    return Refused(Code.SNAPSHOT_UNUSABLE, field, value, rule)
