"""Bytes that are no protocol, clients that die or do not read, and whatever else must not harm the others."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import shuiquan
from adapters.socket import server as serving
from adapters.socket.messages import LENGTH, PROTOCOL, Answers, AskLoad, Ended, Hello, Welcome, pack_submit
from adapters.socket.messages import pack_submission as packed
from adapters.socket.server import Server
from ledger.submissions import Submission
from shuiquan import Code, OpenMarket, Refused
from tests.ledger.scripts import random_orders
from tests.socket.peers import HELLO, Raw, framed
from tests.stores.ledgers import recorded, resumed
from tests.world import OPERATOR, World

GOOD = Submission([OpenMarket(instrument="SW-A")], command_id="good", **OPERATOR)
ORDERS = Submission(random_orders(np.random.default_rng(1), 3, 60), command_id="orders", **OPERATOR)


def said(*fields: Any) -> bytes:
    """A message of any fields."""
    return framed(msgspec.msgpack.encode(fields))


def asked(**changes: Any) -> bytes:
    """A submission of one order with some fields changed."""
    fields = {
        "actor": "platform", "role": 2, "command_id": "x", "approver": "", "linked": False, "kind": 1,
        "content": bytes(64),
    } | changes  # fmt: skip
    return said("submit", 1, [list(fields.values())])


TOO_LARGE, MALFORMED = Code.MESSAGE_TOO_LARGE, Code.MESSAGE_MALFORMED
STRANGERS: dict[str, tuple[bytes, Code]] = {
    # before or instead of a hello
    "another protocol": (b"GET / HTTP/1.1\r\nHost: ledger\r\n\r\n", TOO_LARGE),
    "a hello without end": (LENGTH.pack(1_025), TOO_LARGE),
    "nothing in it": (framed(b""), MALFORMED),
    "half a length": (b"\x05\x00\x00", MALFORMED),
    "half a hello": (LENGTH.pack(20) + b"\x93\xa5hel", MALFORMED),
    "another version": (said("hello", 2, ""), Code.PROTOCOL_DIFFERS),
    "another ledger": (said("hello", PROTOCOL, "other"), Code.LEDGER_DIFFERS),
    "a version in words": (said("hello", "1", ""), MALFORMED),
    "no hello": (said("load", 1), MALFORMED),
}
IMPOSTORS: dict[str, tuple[bytes, Code]] = {
    # behind a hello
    "hello again": (said("hello", PROTOCOL, ""), MALFORMED),
    "garbage": (framed(b"\xc1\xff\x00"), MALFORMED),
    "an unknown name": (said("steal", 1, []), MALFORMED),
    "what a server says": (said("answers", 1, []), MALFORMED),
    "larger than all limits": (LENGTH.pack(2**64 - 1), TOO_LARGE),
    "a little too large": (LENGTH.pack(128 * 2**20 + 1), TOO_LARGE),
    "cut off": (LENGTH.pack(2**20) + b"\x93" * 1_000, MALFORMED),
    "no list": (said("submit", 1, 5), MALFORMED),
    "a number in words": (said("submit", "1", []), MALFORMED),
    "no role": (asked(role=9), MALFORMED),
    "a number for an actor": (asked(actor=5), MALFORMED),
    "linked by a number": (asked(linked=1), MALFORMED),
    "no kind": (asked(kind=7), MALFORMED),
    "rows as commands": (asked(kind=0), MALFORMED),
    "commands as rows": (asked(kind=1, content=[]), MALFORMED),
    "part of a row": (asked(content=bytes(65)), MALFORMED),
    "an unknown command": (asked(kind=0, content=[{"type": "Steal"}]), MALFORMED),
    "a command with too much": (
        asked(kind=0, content=[{"type": "OpenMarket", "instrument": "SW-A", "x": 1}]), MALFORMED,
    ),
    "a volume below zero": (
        asked(kind=0, content=[{"type": "DepositMoney", "party": "P", "amount_fen": -1, "reference": "r"}]), MALFORMED,
    ),
    "a text that is none": (framed(b"\x93\xa6submit\x01\x91\x97\xa1\xff\x02\xa1x\xa0\xc2\x01\xc4\x00"), MALFORMED),
}  # fmt: skip


@pytest.fixture
def world(ledger: Path) -> Iterator[World]:
    """A ledger with holders and open markets."""
    made = resumed(ledger)
    yield made
    made.exchange.close()


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    """Its server."""
    with world.exchange.serve() as server:
        yield server


def check_unharmed(world: World, *names: str) -> None:
    """Others still get their answers, and only these submissions were recorded."""
    with shuiquan.connect(world.path) as client:
        assert client.submit(GOOD.content, command_id="others", **OPERATOR).acts
    assert [name for name in recorded(world.exchange) if not name.startswith(("filled", "c"))] == [*names, "others"]
    world.check()


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_is_told_a_code_and_let_go(world: World, server: Server, name: str) -> None:
    sent, code = STRANGERS[name]
    raw = Raw(server.path)
    raw.say(sent)
    (ended,) = raw.hear_all()
    assert (type(ended), ended.refusal.code) == (Ended, code)
    check_unharmed(world)
    assert server.served.greeted == 1


@pytest.mark.parametrize("name", IMPOSTORS)
def test_a_broken_message_ends_its_client_behind_what_it_asked_before(world: World, server: Server, name: str) -> None:
    sent, code = IMPOSTORS[name]
    raw = Raw(server.path, HELLO)
    raw.say(bytes(pack_submit(1, [packed(GOOD), packed(ORDERS)])) + sent + bytes(pack_submit(2, [packed(ORDERS)])))
    welcome, answers, ended = raw.hear_all()
    assert (type(welcome), type(answers), type(ended)) == (Welcome, Answers, Ended)
    assert (answers.number, len(answers.outcomes), ended.refusal.code) == (1, 2, code)
    check_unharmed(world, "good", "orders")


def test_a_client_that_dies_in_a_message_leaves_nothing_of_it(world: World, server: Server) -> None:
    whole = bytes(pack_submit(1, [packed(ORDERS)]))
    for cut in (3, 8, 30, len(whole) - 1):
        raw = Raw(server.path, HELLO)
        raw.say(whole[:cut])
        raw.peer.close()
    check_unharmed(world)


def test_a_client_that_dies_behind_a_message_has_it_recorded_once(world: World, server: Server) -> None:
    raw = Raw(server.path, HELLO)
    raw.say(bytes(pack_submit(1, [packed(ORDERS)])))
    raw.peer.close()
    with shuiquan.connect(world.path) as client:
        assert len(client.submit(ORDERS.content, command_id="orders", **OPERATOR).orders) == 3
    assert list(recorded(world.exchange)).count("orders") == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(st.lists(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(framed)), max_size=4), st.booleans())
def test_no_bytes_stop_a_server(server: Server, pieces: list[bytes], greeted: bool) -> None:
    raw = Raw(server.path, *([HELLO] if greeted else []))
    raw.say(*pieces)
    assert all(isinstance(one, Welcome | Ended) for one in raw.hear_all())
    assert [one.number for one in Raw(server.path, HELLO, AskLoad(5)).hear_all()[1:]] == [5]
    assert server.failure is None


def test_a_client_that_does_not_read_is_not_read_either_and_stalls_nobody(world: World, server: Server) -> None:
    count = 3_000
    with Raw(server.path, HELLO) as raw:
        slow = threading.Thread(target=raw.say, args=(many_messages(count),))
        slow.start()
        with shuiquan.connect(world.path) as client:
            for number in range(100):
                client.submit(ORDERS.content, command_id=f"fast-{number}", **OPERATOR)
            assert slow.is_alive(), "all was read, though no answer was"
            assert client.load.answered < count
        assert isinstance(raw.hear(), Welcome)
        assert [raw.hear().number for _ in range(count)] == list(range(count))
        slow.join()
    assert len([name for name in recorded(world.exchange) if name.startswith("slow-")]) == count


def many_messages(count: int) -> bytes:
    """Messages of a few orders each, one behind the other."""
    submissions = (replace(ORDERS, command_id=f"slow-{at}") for at in range(count))
    return b"".join(pack_submit(at, [packed(one)]) for at, one in enumerate(submissions))


def test_a_client_that_does_not_read_does_not_keep_a_server_from_stopping(world: World) -> None:
    with world.exchange.serve(stopping_s=0.1) as server:
        raw = Raw(server.path, HELLO)
        raw.peer.setblocking(False)
        raw.say(many_messages(3_000))
    with raw:
        assert not server.path.exists()
        assert server.served.clients == 0


def test_only_so_many_clients_are_let_in(world: World, server: Server) -> None:
    raws = [Raw(server.path, HELLO) for _ in range(serving.MAX_CLIENTS)]
    assert all(isinstance(raw.hear(), Welcome) for raw in raws)
    with pytest.raises(Refused) as refused:
        shuiquan.connect(world.path)
    assert refused.value.code == Code.TOO_MANY_CLIENTS
    for raw in raws[:2]:
        assert raw.hear_all() == []
    check_unharmed(world)
    for raw in raws:
        raw.peer.close()


def test_a_client_tells_a_server_of_another_protocol_or_ledger(world: World, server: Server) -> None:
    with pytest.raises(Refused) as refused:
        shuiquan.connect(world.path, ledger_id="other")
    assert refused.value.code == Code.LEDGER_DIFFERS
    with shuiquan.connect(world.path, ledger_id=server.ledger_id) as client:
        assert client.ledger_id == "test"
    raw = Raw(server.path, Hello(PROTOCOL + 1))
    (ended,) = raw.hear_all()
    assert (ended.refusal.code, ended.refusal.rule) == (Code.PROTOCOL_DIFFERS, str(PROTOCOL))
