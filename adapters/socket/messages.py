"""What travels between a client and the writer's process: messages to bytes and back (`docs/clients.md`).

Pure functions: sockets are in `streams.py`. A message is its length, eight bytes, and a MessagePack array that begins
with its name. Arrays of orders, readings and facts travel as the bytes of their rows, so a batch is copied, not parsed.
"""

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Union

import msgspec
import numpy as np

from ledger.answers import Answer, Pages
from ledger.codes import Code, Refused, reason
from ledger.commands import AUTHORITY, Command, Role
from ledger.facts import TOPIC_OF, TOPICS, Stamped
from ledger.rows import ORDER, PAGE_DTYPES, READING
from ledger.submissions import Submission
from ledger.tables import Array

PROTOCOL: Final = 1
"""Changes with every layout below, and with those of `ledger.rows` and `ledger.facts` that are sent."""

LENGTH: Final = struct.Struct("<Q")
MAX_REQUEST_BYTES: Final = 128 * 2**20
"""Of a message to the server: two batches of the largest size. What a server says has no limit."""

if TYPE_CHECKING:
    AnyCommand = Command
else:
    AnyCommand = Union[tuple(AUTHORITY)]  # noqa: UP007 - the commands that there are


class Kind(IntEnum):
    """What a submission holds."""

    COMMANDS = 0
    ORDERS = 1
    READINGS = 2


LAYOUTS: Final = {Kind.ORDERS: ORDER, Kind.READINGS: READING}


class Message(msgspec.Struct, frozen=True, array_like=True):
    """Base of all that travels: an array of its fields in order."""


class Asked(Message, frozen=True):
    """One submission. `content` is a list of commands, or the rows of an array as bytes."""

    actor: str
    role: Role
    command_id: str
    approver: str
    linked: bool
    kind: Kind
    content: list[AnyCommand] | memoryview


class Hello(Message, frozen=True, tag="hello"):
    """The first message of a client, who may say which ledger it expects."""

    protocol: int
    ledger_id: str = ""


class Submit(Message, frozen=True, tag="submit"):
    """Submissions for one commit, under a number by which the client knows the answer again."""

    number: int
    submissions: list[Asked]


class AskLoad(Message, frozen=True, tag="load"):
    """Asks how much the writer has to do."""

    number: int


class Told(Message, frozen=True):
    """A refusal."""

    code: int
    field: str
    value: Any
    rule: str


class Refusal(Told, frozen=True, tag="refused"):
    """A submission was refused and left no fact."""


class Said(Message, frozen=True, tag="answer"):
    """The answer to a submission: the rows of its frequent facts as bytes, its rare facts by topic."""

    first_seq: int
    last_seq: int
    at_ns: int
    orders: memoryview
    trades: memoryview
    removals: memoryview
    readings: memoryview
    uses: memoryview
    acts: list[tuple[int, int, str, msgspec.Raw]]
    repeated: bool


class Welcome(Message, frozen=True, tag="welcome"):
    """The first message of a server."""

    protocol: int
    ledger_id: str


class Answers(Message, frozen=True, tag="answers"):
    """What became of each submission of a message."""

    number: int
    outcomes: list[Said | Refusal]


class Failed(Message, frozen=True, tag="failed"):
    """Why none of the submissions of a message was answered."""

    number: int
    refusal: Told


class Loaded(Message, frozen=True, tag="loaded"):
    """How much the writer has to do."""

    number: int
    load: dict[str, int]


class Ended(Message, frozen=True, tag="ended"):
    """The last message of a server: why it ends the connection. It took nothing that it has not answered."""

    refusal: Told


FromClient = Hello | Submit | AskLoad
FromServer = Welcome | Answers | Failed | Loaded | Ended

_ENCODER: Final = msgspec.msgpack.Encoder()
_FROM_CLIENT: Final = msgspec.msgpack.Decoder(FromClient)
_FROM_SERVER: Final = msgspec.msgpack.Decoder(FromServer)
_FACTS: Final = {topic: msgspec.msgpack.Decoder(fact) for topic, fact in TOPICS.items()}


def pack(message: Message) -> bytearray:
    """A message with its length before it."""
    packed = bytearray(LENGTH.size)
    _ENCODER.encode_into(message, packed, LENGTH.size)
    LENGTH.pack_into(packed, 0, len(packed) - LENGTH.size)
    return packed


def body_length(head: bytes | bytearray, limit: int) -> int:
    """The length of a message from its first eight bytes. Raises Refused (MESSAGE_TOO_LARGE)."""
    (length,) = LENGTH.unpack(head)
    if length > limit:
        raise Refused(Code.MESSAGE_TOO_LARGE, "bytes", length, f"at most {limit}")
    return int(length)


def unpack_from_client(body: bytearray) -> FromClient:
    """A client's message. Raises Refused (MESSAGE_MALFORMED)."""
    return _unpack(_FROM_CLIENT, body)  # type: ignore[no-any-return]


def unpack_from_server(body: bytearray) -> FromServer:
    """A server's message. Raises Refused (MESSAGE_MALFORMED)."""
    return _unpack(_FROM_SERVER, body)  # type: ignore[no-any-return]


def _unpack(decoder: Any, body: bytearray) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise malformed("message", str(problem)) from None


def malformed(field: str, value: Any, rule: str = "see docs/clients.md") -> Refused:
    """The refusal of what is no message."""
    return Refused(Code.MESSAGE_MALFORMED, field, value, rule)


# submissions


def pack_submission(submission: Submission) -> msgspec.Raw:
    """A submission that was checked, ready to be put in a `Submit`."""
    content = submission.content
    kind, packed = Kind.COMMANDS, content
    if isinstance(content, np.ndarray):
        kind, packed = Kind.ORDERS if content.dtype == ORDER else Kind.READINGS, memoryview(content.tobytes())
    asked = Asked(
        submission.actor, submission.role, submission.command_id, submission.approver, submission.linked, kind,
        packed,  # type: ignore[arg-type] # any sequence travels as a list
    )  # fmt: skip
    return msgspec.Raw(_ENCODER.encode(asked))


def pack_submit(number: int, submissions: Sequence[msgspec.Raw]) -> bytearray:
    """A `Submit` of submissions that are packed already."""
    return pack(Submit(number, submissions))  # type: ignore[arg-type]


def submission_of(asked: Asked) -> Submission:
    """What a client asked for. Raises Refused (MESSAGE_MALFORMED)."""
    content: Any = asked.content
    if isinstance(content, memoryview) == (asked.kind == Kind.COMMANDS):
        raise malformed("kind", int(asked.kind), "0 with commands, 1 or 2 with rows")
    if isinstance(content, memoryview):
        content = rows_of(LAYOUTS[asked.kind], content)
    return Submission(content, asked.actor, asked.role, asked.command_id, asked.approver, asked.linked)


def rows_of(dtype: Any, packed: memoryview) -> Array:
    """Rows from their bytes, at an address that kernels can use. Raises Refused (MESSAGE_MALFORMED)."""
    if len(packed) % dtype.itemsize:
        raise malformed("rows", len(packed), f"{dtype.itemsize} bytes a row")
    return np.ndarray(len(packed) // dtype.itemsize, dtype, bytearray(packed))  # a copy, ten times as fast as of rows


# answers


def pack_outcome(outcome: Answer | Refused) -> Said | Refusal:
    """An answer or a refusal, ready to be put in `Answers`."""
    if isinstance(outcome, Refused):
        return Refusal(*msgspec.structs.astuple(told(outcome)))
    orders, trades, removals, readings, uses = (memoryview(rows.tobytes()) for rows in outcome.own)
    acts = [(seq, at, TOPIC_OF[type(fact)], msgspec.Raw(_ENCODER.encode(fact))) for seq, at, fact in outcome.acts]
    return Said(
        outcome.first_seq, outcome.last_seq, outcome.at_ns, orders, trades, removals, readings, uses, acts,
        outcome.repeated,
    )  # fmt: skip


def outcome_of(said: Said | Refusal) -> Answer | Refused:
    """What became of a submission. Raises Refused (MESSAGE_MALFORMED)."""
    if isinstance(said, Refusal):
        return refused(said)
    packed = (said.orders, said.trades, said.removals, said.readings, said.uses)
    pages = Pages(*map(rows_of, PAGE_DTYPES.values(), packed))
    try:
        acts = [Stamped(seq, at, _FACTS[topic].decode(fact)) for seq, at, topic, fact in said.acts]
    except (KeyError, msgspec.DecodeError) as problem:
        raise malformed("acts", str(problem)) from None
    return Answer(said.first_seq, said.last_seq, said.at_ns, pages, acts=acts, repeated=said.repeated)


def told(refusal: Refused) -> Told:
    """A refusal to send; a value that cannot travel goes as the text that shows it."""
    value = refusal.value.item() if isinstance(refusal.value, np.generic) else refusal.value
    try:
        _ENCODER.encode(value)
    except (TypeError, OverflowError, UnicodeEncodeError):
        value = ascii(value)
    return Told(int(refusal.code), refusal.field, value, refusal.rule)


def refused(told: Told) -> Refused:
    """A refusal as it was raised at the server. Raises Refused (MESSAGE_MALFORMED) for a code that is none."""
    try:
        return Refused(reason(told.code), told.field, told.value, told.rule)
    except ValueError:
        raise malformed("code", told.code) from None


def load_of(fields: Mapping[str, int], kind: Any) -> Any:
    """A load from its counters. Raises Refused (MESSAGE_MALFORMED)."""
    try:
        return kind(**fields)
    except TypeError as problem:
        raise malformed("load", str(problem)) from None
