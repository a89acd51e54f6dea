"""Processes that serve and submit, and a client that speaks byte by byte."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from typing import Any, Self

from adapters.socket.messages import LENGTH, PROTOCOL, Hello, Message, pack, unpack_from_server
from adapters.socket.streams import receive
from ledger.answers import Answer
from shuiquan import Refused
from tests.stores.ledgers import acknowledged, finished, start
from tests.world import seen

SERVING = """
import sys
from tests.stores.ledgers import resumed
world = resumed(sys.argv[1])
with world.exchange.serve() as server:
    print("serving", server.path, flush=True)
    sys.stdin.readline()
world.exchange.close()
"""

SUBMITTING = """
import sys
import threading
import shuiquan
from tests.stores.test_pipeline import at_one_time

target, seed, length, at, step = sys.argv[1], *map(int, sys.argv[2:])
client = shuiquan.connect(target)
said = threading.Lock()

def run(share):
    for submission in share:
        try:
            (answer,) = client.submit_many([submission])
        except shuiquan.Refused as refusal:
            line = f"unanswered {submission.command_id} {refusal.code.name}"
        else:
            line = f"acknowledged {submission.command_id} {answer.first_seq} {answer.last_seq}"
        with said:
            print(line, flush=True)

mine = at_one_time(seed, length)[at::step]
threads = [threading.Thread(target=run, args=(mine[part::4],)) for part in range(4)]
print("ready", flush=True)
sys.stdin.readline()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@contextmanager
def serving(ledger: object) -> Iterator[Popen[str]]:
    """A process that serves a ledger of the test district; told to stop at the end of the block."""
    process = start(SERVING, ledger)
    try:
        assert process.stdout
        assert process.stdout.readline().startswith("serving ")
        yield process
        if process.poll() is None:
            assert finished(process)[0] == 0
    finally:
        process.kill()
        process.communicate()


class Submitters:
    """Processes that submit shares of a script side by side, each with four threads, and say what they are told.

    They begin together, once all are ready.
    """

    def __init__(self, ledger: Path, seed: int, length: int, count: int) -> None:
        self.processes = [start(SUBMITTING, ledger, seed, length, at, count) for at in range(count)]
        self.lines: list[str] = []
        for process in self.processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in self.processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()

    def hear(self, lines: int) -> None:
        """Hear some lines of each."""
        for process in self.processes:
            assert process.stdout
            self.lines += [process.stdout.readline() for _ in range(lines)]

    def finish(self) -> None:
        """Hear all the rest."""
        for process in self.processes:
            with process:  # its lines are read here: `communicate` would lose those that `hear` has in its buffer
                assert process.stdout
                self.lines += process.stdout.readlines()
            assert process.returncode == 0

    @property
    def acknowledged(self) -> dict[str, tuple[int, int]]:
        """First and last `seq` of what was answered, by command id."""
        return acknowledged(self.lines)

    @property
    def unanswered(self) -> dict[str, str]:
        """The codes that callers got without an answer, by command id."""
        words = [line.split() for line in self.lines if line.startswith("unanswered")]
        return {name: code for _, name, code in words}


class Raw:
    """A client that sends any bytes."""

    def __init__(self, path: Path, *first: Message) -> None:
        self.peer = socket.socket(socket.AF_UNIX)
        self.peer.connect(str(path))
        self.say(*first)

    def say(self, *said: Message | bytes) -> None:
        """Send messages, or bytes as they are; the other side may have ended by then."""
        with suppress(OSError):
            for one in said:
                self.peer.sendall(one if isinstance(one, bytes) else pack(one))

    def end(self) -> None:
        """Say that nothing more comes."""
        with suppress(OSError):
            self.peer.shutdown(socket.SHUT_WR)

    def hear(self) -> Any:
        """The next message; None at the end."""
        with suppress(ConnectionResetError):  # what it had not read yet
            body = receive(self.peer, 2**40)
            return None if body is None else unpack_from_server(body)
        return None

    def hear_all(self) -> list[Any]:
        """All messages to the end; nothing more is sent."""
        self.end()
        with self:
            return list(iter(self.hear, None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.peer.close()


HELLO = Hello(PROTOCOL)


def framed(body: bytes) -> bytes:
    """A body with its length before it."""
    return LENGTH.pack(len(body)) + body


def shown(outcome: Answer | Refused) -> Any:
    """All that a caller can see of an answer or a refusal."""
    if isinstance(outcome, Refused):
        return type(outcome.code), str(outcome)
    return (*seen(outcome), outcome.repeated, [type(act.fact) for act in outcome.acts])


def all_shown(outcomes: Sequence[Answer | Refused]) -> list[Any]:
    """The same of several."""
    return [shown(outcome) for outcome in outcomes]
