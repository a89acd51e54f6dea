"""A client of the writer's process: submits as the exchange itself does, from another process of the machine.

Callers put their submissions into a queue and hold a future. One thread sends what waits, as many submissions in a
message as wait, so that callers side by side share messages and commits; another receives the answers. The client never
sends anything a second time: where the connection is lost, every caller that has no answer is told so, and repeating
the same command ids on a new connection tells the outcome.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import msgspec

from adapters.socket.messages import (
    MAX_REQUEST_BYTES,
    PROTOCOL,
    Answers,
    AskLoad,
    Ended,
    Failed,
    FromServer,
    Hello,
    Loaded,
    Welcome,
    load_of,
    malformed,
    outcome_of,
    pack,
    pack_submission,
    pack_submit,
    refused,
    unpack_from_server,
)
from adapters.socket.streams import GREETING_S, reach, receive, send
from ledger.answers import Answer
from ledger.codes import Code, Refused
from ledger.pipeline import Load
from ledger.promises import Promise, call_in, settle, settle_each
from ledger.submissions import Submission, check_submission
from ledger.submitting import Submitting, accepted

ANY_BYTES: Final = 2**63
MESSAGE_SUBMISSIONS: Final = 512
MESSAGE_BYTES: Final = 2**20
"""So much of what waits travels in one message; what a caller gave as one is never parted."""

WAITING_BYTES: Final = 64 * 2**20
"""So much may wait to be sent; callers wait for room."""

OVERHEAD: Final = 64
"""Bytes of a message besides its submissions, at most."""


class Request(NamedTuple):
    """Submissions of one caller that go into one commit, or a question for the load."""

    outcomes: list[Answer | Refused | None] | None  # refusals of what was malformed, at their places; None for the load
    packed: list[msgspec.Raw]  # the others
    size: int
    promise: Promise | Future[Load]


class Client(Submitting):
    """A connection to the process that serves a ledger. Use as a context manager, or call `close`."""

    def __init__(self, path: Path, ledger_id: str = "") -> None:
        """Connect to a socket; made by `shuiquan.connect`."""
        self._path = path
        self._peer, self.ledger_id = greet(path, ledger_id)
        self._change = threading.Condition()
        self._waiting: deque[Request] = deque()
        self._waiting_bytes = 0
        self._sent: dict[int, list[Request]] = {}
        self._number = 0
        self._closing = False
        self._ended: Refused | None = None
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    # callers

    def submit_ahead(self, submissions: Sequence[Submission]) -> Future[list[Answer | Refused]]:
        """As `submit_many`, but returns at once with the future of the answers: the caller may submit more meanwhile.

        Submissions of one thread are decided in the order in which it gave them. Raises Refused: MESSAGE_TOO_LARGE,
        and what ended the connection.
        """
        promise: Future[list[Answer | Refused]] = Future()
        promise.set_running_or_notify_cancel()  # what is submitted is not withdrawn
        self._enter(request_of(submissions, promise))
        return promise

    async def _ask(self, submission: Submission) -> Answer:
        loop = asyncio.get_running_loop()
        promise: asyncio.Future[list[Answer | Refused]] = loop.create_future()
        request = request_of([submission], promise)
        if not self._enter(request, wait=False):
            await loop.run_in_executor(None, partial(self._enter, request))
        (answer,) = await promise
        return accepted(answer)

    @property
    def load(self) -> Load:
        """How much waits at the writer, is on its way, was committed and was refused since the ledger was opened."""
        promise: Future[Load] = Future()
        self._enter(Request(None, [], 0, promise))
        return promise.result()

    def close(self) -> None:
        """Send what waits, wait for all answers, and end the connection."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()
        self._peer.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _enter(self, request: Request, *, wait: bool = True) -> bool:
        """Put a request into the queue, when there is room; False where it would have to wait."""
        if request.outcomes is not None and not request.packed:  # nothing that the writer must see
            tell([(request.promise, request.outcomes)])
            return True
        with self._change:
            while True:
                if self._closing:
                    raise Refused(Code.LEDGER_CLOSED, "client", str(self._path), "connect again")
                if self._ended:
                    raise self._ended
                if not self._waiting or self._waiting_bytes + request.size <= WAITING_BYTES:
                    break
                if not wait:
                    return False
                self._change.wait()
            self._waiting.append(request)
            self._waiting_bytes += request.size
            self._change.notify_all()
        return True

    # the thread that sends

    def _send(self) -> None:
        """Send what waits, until the client is closed; then say that nothing more comes."""
        with suppress(OSError):  # the other thread learns why
            while message := self._next():
                self._peer.sendall(message)
            self._peer.shutdown(socket.SHUT_WR)

    def _next(self) -> bytearray | None:
        """The next message, once there is one; None when there will be none."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closing or self._ended)
            if self._ended or not self._waiting:
                return None
            requests = self._take()
            self._number += 1
            self._sent[self._number] = requests
            number = self._number
        packed = [one for request in requests for one in request.packed]
        return pack_submit(number, packed) if packed else pack(AskLoad(number))

    def _take(self) -> list[Request]:
        """The requests of the next message: the first one, and those behind it that fit in."""
        requests = [self._waiting.popleft()]
        count, size = len(requests[0].packed), requests[0].size
        while self._waiting and count:
            request = self._waiting[0]
            count, size = count + len(request.packed), size + request.size
            if not request.packed or count > MESSAGE_SUBMISSIONS or size > MESSAGE_BYTES:
                break
            requests.append(self._waiting.popleft())
        self._waiting_bytes -= sum(request.size for request in requests)
        self._change.notify_all()  # there is room
        return requests

    # the thread that receives

    def _receive(self) -> None:
        """Settle what is answered; at the end, everything else."""
        reason = Refused(Code.CONNECTION_LOST, "socket", str(self._path), "connect again and repeat the command ids")
        try:
            while (body := receive(self._peer, ANY_BYTES)) is not None:
                message = unpack_from_server(body)
                if isinstance(message, Ended):
                    reason = refused(message.refusal)
                    break
                self._settle(message)
        except (OSError, Refused) as problem:
            reason.__cause__ = problem
        finally:
            self._end(reason)

    def _settle(self, message: FromServer) -> None:
        """Give callers what became of their requests. Raises Refused (MESSAGE_MALFORMED)."""
        if isinstance(message, Welcome | Ended):
            raise malformed("message", "welcome", "once")
        with self._change:
            requests = self._sent.get(message.number, [])
        results = results_of(message, requests)
        with self._change:
            self._sent.pop(message.number)
        tell([(request.promise, result) for request, result in zip(requests, results, strict=True)])

    def _end(self, reason: Refused) -> None:
        """Let nothing more in, and tell everybody who still waits why."""
        with self._change:
            self._ended = reason
            left = [request for requests in self._sent.values() for request in requests] + list(self._waiting)
            self._sent.clear()
            self._waiting.clear()
            self._change.notify_all()
        tell([(request.promise, reason) for request in left])


def greet(path: Path, ledger_id: str) -> tuple[socket.socket, str]:
    """A connection that was made welcome, and the id of the ledger behind it. Raises Refused."""
    peer = reach(path)
    try:
        peer.settimeout(GREETING_S)
        with suppress(OSError):  # a server that takes nobody has said so already
            send(peer, Hello(PROTOCOL, ledger_id))
        body = receive(peer, ANY_BYTES)
        answer = None if body is None else unpack_from_server(body)
        if isinstance(answer, Ended):
            raise refused(answer.refusal)
        if not isinstance(answer, Welcome):
            raise Refused(Code.NOT_SERVED, "socket", str(path), "a server that says welcome")
        peer.settimeout(None)
    except OSError as problem:
        peer.close()
        raise Refused(Code.NOT_SERVED, "socket", str(path), str(problem)) from None
    except BaseException:
        peer.close()
        raise
    return peer, answer.ledger_id


def tell(told: Iterable[tuple[Any, Any]]) -> None:
    """Settle futures; those of an event loop all at once, in the loop."""
    loops: dict[asyncio.AbstractEventLoop, tuple[list[Any], list[Any]]] = {}
    for promise, outcome in told:
        if isinstance(promise, Future):
            settle(promise, outcome)
        else:
            promises, outcomes = loops.setdefault(promise.get_loop(), ([], []))
            promises.append(promise)
            outcomes.append(outcome)
    for loop, theirs in loops.items():
        call_in(loop, settle_each, *theirs)


def request_of(submissions: Sequence[Submission], promise: Promise) -> Request:
    """The request of some submissions; what is malformed is refused here, by the rules of the writer.

    Raises Refused (MESSAGE_TOO_LARGE) for more than fits in a message.
    """
    outcomes: list[Answer | Refused | None] = []
    packed = []
    for submission in submissions:
        try:
            check_submission(submission)
            packed.append(pack_submission(submission))
            outcomes.append(None)
        except Refused as refusal:
            outcomes.append(refusal)
    size = sum(len(memoryview(one)) for one in packed) + OVERHEAD
    if size > MAX_REQUEST_BYTES:
        raise Refused(Code.MESSAGE_TOO_LARGE, "bytes", size, f"at most {MAX_REQUEST_BYTES}; submit fewer at a time")
    return Request(outcomes, packed, size, promise)


def results_of(message: Answers | Failed | Loaded, requests: Sequence[Request]) -> list[Any]:
    """What each of the requests of a message came to. Raises Refused (MESSAGE_MALFORMED)."""
    if isinstance(message, Failed):
        return [refused(message.refusal)] * len(requests)
    if isinstance(message, Loaded) != any(request.outcomes is None for request in requests):
        raise malformed("message", type(message).__name__, "an answer to what was asked")
    if isinstance(message, Loaded):
        return [load_of(message.load, Load)]
    outcomes = [outcome_of(said) for said in message.outcomes]
    if not outcomes or len(outcomes) != sum(len(request.packed) for request in requests):
        raise malformed("outcomes", len(outcomes), "one for each submission of a message that waits")
    settled = iter(outcomes)
    return [[one or next(settled) for one in request.outcomes or ()] for request in requests]
