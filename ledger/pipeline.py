"""The pipeline in front of the writer: what waits is decided together while the commit before is being written.

Callers put their submissions in a bounded queue and hold a future. Two threads do the same work in turn: take what
waits, decide it, make it durable, answer. One decides at a time and one records at a time, in the same order, so while
one records the other decides, and at most one commit is ahead of the disk (contract K3). Where a commit fails, its
callers and all behind it are told so and the writer is closed (K4).
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgspec

from ledger.answers import Answer
from ledger.codes import Code, Refused
from ledger.limits import REFUSE, Limits
from ledger.submissions import Content, Submission
from ledger.writer import Decided, Writer

COMMIT_COMMANDS: Final = 16_384
"""A commit takes no more submissions once it has so many commands: larger ones only make callers wait longer."""

Promise = Future[list[Answer | Refused]] | asyncio.Future[list[Answer | Refused]]


class Load(NamedTuple):
    """What the pipeline has to do and has done since the ledger was opened."""

    waiting: int  # submissions in the queue
    waiting_commands: int
    in_flight: int  # submissions taken from the queue and not answered yet
    answered: int  # submissions that got an answer or a refusal by the writer
    commits: int
    refused: int  # submissions refused because the queue or the disk was full


class Request(msgspec.Struct, frozen=True):
    """Submissions that go into one commit, and who waits for their answers."""

    submissions: Sequence[Submission]
    commands: int
    promise: Promise


class Pipeline:
    """The queue and both threads of a writer; they start with the first request."""

    def __init__(
        self, writer: Writer, clock: Callable[[], int], limits: Limits, free_bytes: Callable[[], int],
        decided: Callable[[], None], committed: Callable[[], None],
    ) -> None:  # fmt: skip
        """A pipeline that calls `decided` after deciding (in that thread) and `committed` after each commit."""
        self._writer, self._clock, self._limits, self._free_bytes = writer, clock, limits, free_bytes
        self._decided, self._committed = decided, committed
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # a condition for each who waits: nobody is woken in vain
        self._room = threading.Condition(self._lock)
        self._stillness = threading.Condition(self._lock)
        self._deciding, self._recording = threading.Lock(), threading.Lock()
        self._queue: deque[Request] = deque()
        self._waiting = self._waiting_commands = self._in_flight = self._refused = self._answered = self._commits = 0
        self._holds = 0
        self._closing = False
        self._threads: list[threading.Thread] = []
        self._for_room: list[asyncio.Future[None]] = []

    @property
    def load(self) -> Load:
        """Counters to look at."""
        with self._lock:
            return Load(
                self._waiting, self._waiting_commands, self._in_flight, self._answered, self._commits, self._refused
            )

    # callers

    def submit(self, submissions: Sequence[Submission]) -> list[Answer | Refused]:
        """Put submissions in the queue and wait for their answers. Raises Refused, also QUEUE_FULL."""
        return self.put(submissions).result()

    def put(self, submissions: Sequence[Submission]) -> Future[list[Answer | Refused]]:
        """Put submissions in the queue; the future gets their answers. Raises Refused, also QUEUE_FULL."""
        request = Request(submissions, count_commands(submissions), Future())
        request.promise.set_running_or_notify_cancel()  # type: ignore[union-attr] # what is submitted is not withdrawn
        with self._lock:
            while not self._enter(request):
                self._room.wait()
        return request.promise  # type: ignore[return-value]

    async def submit_async(self, submissions: Sequence[Submission]) -> list[Answer | Refused]:
        """The same for a task of asyncio: the event loop is woken once a commit, however many tasks wait.

        A task that is cancelled no longer waits for the answer; what it put in the queue is decided all the same.
        """
        loop = asyncio.get_running_loop()
        request = Request(submissions, count_commands(submissions), loop.create_future())
        while True:
            with self._lock:
                if self._enter(request):
                    break
                room: asyncio.Future[None] = loop.create_future()
                self._for_room.append(room)
            await room
        answers: list[Answer | Refused] = await request.promise  # type: ignore[misc]
        return answers

    def _enter(self, request: Request) -> bool:
        """Take a request into the queue; False when its caller has to wait for room."""
        if self._writer.closed or self._closing:
            raise self._writer.closed or Refused(Code.LEDGER_CLOSED, "ledger", self._writer.state.ledger_id)
        limits = self._limits
        many = self._waiting + len(request.submissions) > limits.submissions
        if self._queue and (many or self._waiting_commands + request.commands > limits.commands):
            if limits.when_full == REFUSE:
                self._refused += len(request.submissions)
                raise Refused(Code.QUEUE_FULL, "queue", self._waiting, "wait and submit the same command id again")
            return False
        if not self._threads:
            self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(2)]
            for thread in self._threads:
                thread.start()
        self._queue.append(request)
        self._waiting += len(request.submissions)
        self._waiting_commands += request.commands
        if len(self._queue) == 1:
            self._work.notify()
        return True

    @contextmanager
    def still(self) -> Iterator[None]:
        """While the block runs nothing is decided or recorded: state, position and head belong together."""
        with self._lock:
            self._holds += 1
            self._stillness.wait_for(lambda: not self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._holds -= 1
                self._work.notify()

    def close(self) -> None:
        """Let nothing more in, finish what waits, end both threads."""
        with self._lock:
            self._closing = True
            self._work.notify()
            self._room.notify_all()
        for thread in self._threads:
            thread.join()

    # the two threads

    def _run(self) -> None:
        """Commit after commit; each begins to be recorded before the next begins to be decided."""
        while True:
            with self._deciding:
                requests = self._next()
                if not requests:
                    return
                decided = self._decided_of(requests)
                self._recording.acquire()
            try:
                outcome = self._recorded(decided)
                self._count(requests, outcome)
                self._committed()
                tell(outcomes(requests, outcome))
            finally:
                self._recording.release()

    def _next(self) -> list[Request]:
        """The requests of the next commit once there are some, none when the pipeline is closed."""
        with self._lock:
            self._work.wait_for(lambda: not self._holds and (self._queue or self._closing))
            return self._take() if self._queue else []

    def _take(self) -> list[Request]:
        """The requests of the next commit, in order."""
        requests: list[Request] = []
        commands = 0
        while self._queue and (not requests or commands + self._queue[0].commands <= COMMIT_COMMANDS):
            request = self._queue.popleft()
            requests.append(request)
            commands += request.commands
            self._waiting -= len(request.submissions)
            self._in_flight += len(request.submissions)
        self._waiting_commands -= commands
        self._room.notify_all()
        rooms, self._for_room = self._for_room, []
        tell([(room, None) for room in rooms])
        return requests

    def _decided_of(self, requests: list[Request]) -> Decided | Refused:
        """Decide; a failure is handed over as what was decided, so that callers hear of it in order."""
        try:
            if self._writer.closed is None and (free := self._free_bytes()) < self._limits.free_bytes:
                raise Refused(Code.DISK_NEARLY_FULL, "free_bytes", free, f"at least {self._limits.free_bytes}")
            submissions = [submission for request in requests for submission in request.submissions]
            decided = self._writer.decide(submissions, self._clock())
            self._decided()
        except Refused as refusal:
            return refusal
        except Exception as failure:  # noqa: BLE001 - whatever it is, callers must hear of it
            return self._writer.fail(failure)
        return decided

    def _recorded(self, decided: Decided | Refused) -> Decided | Refused:
        """What was decided, once it is durable, or why it is not."""
        if isinstance(decided, Decided):
            try:
                self._writer.record(decided)
            except Refused as refusal:
                return refusal
        return decided

    def _count(self, requests: Sequence[Request], outcome: Decided | Refused) -> None:
        """Note that requests are no longer on their way."""
        count = sum(len(request.submissions) for request in requests)
        with self._lock:
            self._in_flight -= count
            if isinstance(outcome, Decided):
                self._commits += 1
                self._answered += count
            elif outcome.code == Code.DISK_NEARLY_FULL:
                self._refused += count
            if not self._in_flight:
                self._stillness.notify_all()


def count_commands(submissions: Sequence[Submission]) -> int:
    """Commands in submissions, as far as can be said before they are checked."""
    return sum([size_of(submission.content) for submission in submissions])


def size_of(content: Content) -> int:
    """How many commands; one for what is no batch, and refused when it is checked."""
    try:
        return len(content)
    except TypeError:
        return 1


def outcomes(requests: Sequence[Request], outcome: Decided | Refused) -> list[tuple[Promise, Any]]:
    """What each of the callers gets: the answers to his submissions, or the refusal of all."""
    if isinstance(outcome, Refused):
        return [(request.promise, outcome) for request in requests]
    told, at = [], 0
    for request in requests:
        told.append((request.promise, outcome.answers[at : at + len(request.submissions)]))
        at += len(request.submissions)
    return told


def tell(told: Sequence[tuple[Any, Any]]) -> None:
    """Settle futures; those of an event loop all at once, in the loop."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Any, Any]]] = {}
    for promise, outcome in told:
        if isinstance(promise, Future):
            settle(promise, outcome)
        else:
            loops.setdefault(promise.get_loop(), []).append((promise, outcome))
    for loop, theirs in loops.items():
        try:
            loop.call_soon_threadsafe(settle_all, theirs)
        except RuntimeError:  # the loop was closed: nobody waits any more
            continue


def settle_all(told: Sequence[tuple[Any, Any]]) -> None:
    """Settle the futures of an event loop, in the loop."""
    for promise, outcome in told:
        if not promise.done():  # its task may be cancelled
            settle(promise, outcome)


def settle(promise: Any, outcome: Any) -> None:
    """Give a future its result or its refusal."""
    if isinstance(outcome, Refused):
        promise.set_exception(outcome)
    else:
        promise.set_result(outcome)
