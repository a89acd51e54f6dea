"""The codec alone: what was packed comes back, and any other bytes are refused by code, never otherwise."""

import hashlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.socket.messages import (
    LENGTH,
    MAX_REQUEST_BYTES,
    PROTOCOL,
    Answers,
    AskLoad,
    Failed,
    Hello,
    Loaded,
    Submit,
    body_length,
    outcome_of,
    pack,
    pack_outcome,
    pack_submission,
    pack_submit,
    refused,
    submission_of,
    told,
    unpack_from_client,
    unpack_from_server,
)
from ledger.rows import ORDER, PAGE_DTYPES, READING
from ledger.submissions import Submission
from shuiquan import Code, Reason, Refused, Role
from tests.ledger.test_malformed import EXAMPLES
from tests.socket.peers import shown
from tests.stores.test_pipeline import at_one_time
from tests.world import World

EVERY_COMMAND = [Submission([kind(**fields)], "a", Role.BUREAU, "c", "b") for kind, fields in EXAMPLES.items()]
SUBMISSIONS = [*at_one_time(430, 60), *EVERY_COMMAND]
PACKED = [
    bytes(pack(Hello(PROTOCOL))), bytes(pack(AskLoad(3))),
    *(bytes(pack_submit(at, [pack_submission(one)])) for at, one in enumerate(SUBMISSIONS)),
]  # fmt: skip


def body(packed: Any) -> bytearray:
    """A message without its length, which must be right."""
    assert body_length(bytes(packed[: LENGTH.size]), MAX_REQUEST_BYTES) == len(packed) - LENGTH.size
    return bytearray(packed[LENGTH.size :])


def read(packed: bytearray) -> list[Submission]:
    """What a server makes of the body of a message."""
    message = unpack_from_client(packed)
    return [submission_of(asked) for asked in message.submissions] if isinstance(message, Submit) else []


@pytest.mark.parametrize("submission", SUBMISSIONS, ids=lambda one: f"{type(one.content[0]).__name__}-{one.command_id}")
def test_a_submission_comes_back_as_it_was(submission: Submission) -> None:
    (back,) = read(body(pack_submit(1, [pack_submission(submission)])))
    assert replace(back, content=[]) == replace(submission, content=[])
    if not isinstance(submission.content, np.ndarray):
        assert back.content == submission.content
        return
    assert back.content.dtype == submission.content.dtype
    assert back.content.flags.aligned
    assert back.content.flags.writeable
    assert (back.content == submission.content).all()


def test_answers_of_every_kind_come_back_as_they_were(world: World) -> None:
    world.add_right("A", money_yuan=9_000, saved_m3=9_000)
    outcomes = world.exchange.submit_many([*SUBMISSIONS, *SUBMISSIONS])
    assert {type(outcome) for outcome in outcomes} > {Refused}
    message = unpack_from_server(body(pack(Answers(7, [pack_outcome(one) for one in outcomes]))))
    assert isinstance(message, Answers)
    assert message.number == 7
    assert [shown(outcome_of(said)) for said in message.outcomes] == [shown(one) for one in outcomes]


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (5, 5), (-(2**63), -(2**63)), ("文号", "文号"), (None, None), (b"x", b"x"), (1.5, 1.5), ([1, "a"], [1, "a"]),
        (np.int32(7), 7), (2**70, str(2**70)), (chr(0xD800), "'\\ud800'"), (1j, "1j"),
    ],
)  # fmt: skip
def test_a_refusal_comes_back_with_its_value_or_the_text_that_shows_it(value: Any, back: Any) -> None:
    for code in (Code.OUT_OF_RANGE, Reason.UNKNOWN_ORDER):
        message = unpack_from_server(body(pack(Failed(1, told(Refused(code, "field", value, "rule"))))))
        assert isinstance(message, Failed)
        again = refused(message.refusal)
        assert (again.code, again.field, again.value, again.rule) == (code, "field", back, "rule")


def refusal_of(act: Any) -> Code | None:
    """The code of a refusal, None where there is none; anything else is a failure of the program."""
    try:
        act()
    except Refused as refusal:
        return Code(refusal.code)
    return None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused_by_code(said: bytes) -> None:
    assert refusal_of(lambda: read(bytearray(said))) in {None, Code.MESSAGE_MALFORMED}
    assert refusal_of(lambda: unpack_from_server(bytearray(said))) in {None, Code.MESSAGE_MALFORMED}


@given(st.sampled_from(PACKED), st.data())
def test_a_changed_message_is_a_message_or_refused_by_code(packed: bytes, data: st.DataObject) -> None:
    changed = bytearray(packed[LENGTH.size :])
    for at in data.draw(st.lists(st.integers(0, len(changed) - 1), max_size=4)):
        changed[at] = data.draw(st.integers(0, 255))
    del changed[data.draw(st.integers(0, len(changed))) :]
    assert refusal_of(lambda: read(changed)) in {None, Code.MESSAGE_MALFORMED}


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_a_length_is_within_the_limit_or_refused(length: int, limit: int) -> None:
    expected = None if length <= limit else Code.MESSAGE_TOO_LARGE
    assert refusal_of(lambda: body_length(LENGTH.pack(length), limit)) == expected


def test_deep_nests_and_wrong_answers_are_refused_by_code() -> None:
    nest = bytearray(b"\x93\xa6failed\x01\x94\x01\xa0" + b"\x91" * 100_000)
    assert refusal_of(lambda: unpack_from_server(nest)) == Code.MESSAGE_MALFORMED
    for said in (
        msgspec.msgpack.encode(["answer", 1, 2, 3, b"x", b"", b"", b"", b"", [], False]),
        msgspec.msgpack.encode(["answer", 1, 2, 3, b"", b"", b"", b"", b"", [[1, 1, "no.topic/1", []]], False]),
        msgspec.msgpack.encode(["answer", 1, 2, 3, b"", b"", b"", b"", b"", [[1, 1, "index.set/1", []]], False]),
        msgspec.msgpack.encode(["refused", 99_999, "", 1, ""]),
    ):
        message = msgspec.msgpack.encode(["answers", 1, [msgspec.Raw(said)]])
        found = unpack_from_server(bytearray(message))
        assert isinstance(found, Answers)
        assert refusal_of(lambda found=found: outcome_of(found.outcomes[0])) == Code.MESSAGE_MALFORMED


def test_an_older_client_can_be_told_apart_whatever_follows_its_version() -> None:
    said = msgspec.msgpack.encode(["hello", 99, "", "more", {"than": "now"}])
    assert unpack_from_client(bytearray(said)) == Hello(99)
    assert unpack_from_server(body(pack(Loaded(1, {"waiting": 1})))) == Loaded(1, {"waiting": 1})


def test_rows_have_the_layout_of_this_version_of_the_protocol() -> None:
    dtypes = {"ORDER": ORDER, "READING": READING, **PAGE_DTYPES}.items()
    layouts = [(name, [(one, kind.str, at) for one, (kind, at) in dtype.fields.items()]) for name, dtype in dtypes]
    digest = hashlib.sha256(repr(layouts).encode()).hexdigest()[:16]
    assert (PROTOCOL, digest) == (1, "ec4f4fbd9d316186"), "a changed layout needs a new PROTOCOL, and its line here"
