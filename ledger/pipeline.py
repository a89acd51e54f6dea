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
from typing import Final, NamedTuple

from ledger.answers import Answer
from ledger.codes import Code, Refused
from ledger.intake import Intake, take_in, together
from ledger.limits import REFUSE, Limits
from ledger.promises import Request, call_in, settle_each, settle_requests
from ledger.submissions import Submission
from ledger.writer import Decided, Writer

COMMIT_COMMANDS: Final = 8_192
"""A commit takes no more submissions once it has so many commands: larger ones only make callers wait longer."""


Asked = tuple[Submission, asyncio.Future[Answer]]
"""What a task asks, and the future that it awaits."""


class Load(NamedTuple):
    """What the pipeline has to do and has done since the ledger was opened."""

    waiting: int  # submissions in the queue
    waiting_commands: int
    waiting_bytes: int
    in_flight: int  # submissions taken from the queue and not answered yet
    answered: int  # submissions that got an answer or a refusal by the writer
    commits: int
    refused: int  # submissions refused because the queue or the disk was full


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
        self._recording = threading.Lock()
        self._queue: deque[Request] = deque()
        self._waiting = self._waiting_commands = self._waiting_bytes = 0
        self._in_flight = self._refused = self._answered = self._commits = 0
        self._holds = 0
        self._deciding = self._closing = False
        self._threads: list[threading.Thread] = []
        self._gathered: dict[asyncio.AbstractEventLoop, list[Asked]] = {}  # each touched by its loop alone
        self._for_room: list[asyncio.AbstractEventLoop] = []

    @property
    def load(self) -> Load:
        """Counters to look at."""
        with self._lock:
            return Load(
                self._waiting, self._waiting_commands, self._waiting_bytes, self._in_flight, self._answered,
                self._commits, self._refused,
            )  # fmt: skip

    # callers

    def put(self, submissions: Sequence[Submission]) -> Future[list[Answer | Refused]]:
        """Put submissions in the queue; the future gets their answers. Raises Refused, also QUEUE_FULL."""
        promise: Future[list[Answer | Refused]] = Future()
        promise.set_running_or_notify_cancel()  # what is submitted is not withdrawn
        request = Request(take_in(submissions), promise)
        with self._lock:
            while not self._enter(request):
                self._room.wait()
        return promise

    def ask(self, submission: Submission) -> asyncio.Future[Answer]:
        """The same for a task of asyncio, in the thread of its loop: a future of the loop gets the answer.

        What tasks ask in one turn of the loop enters together at its end, so that the pipeline begins when the loop has
        nothing else to do, and the loop is woken once a commit. A task that is cancelled no longer waits for the
        answer; what it asked is decided all the same.
        """
        loop = asyncio.get_running_loop()
        promise: asyncio.Future[Answer] = loop.create_future()
        gathered = self._gathered.get(loop)
        if gathered is None:
            gathered = self._gathered[loop] = []
            loop.call_soon(self._admit, loop)
        gathered.append((submission, promise))
        return promise

    def _admit(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let what tasks of a loop asked enter, as far as there is room; the rest is tried again when there is."""
        asked = self._gathered.pop(loop)
        for at in range(0, len(asked), COMMIT_COMMANDS):
            submissions, promises = zip(*asked[at : at + COMMIT_COMMANDS], strict=True)
            intake = take_in(submissions)
            with self._lock:
                entered = self._enter_asked(intake, promises)
                if entered < len(promises):
                    self._gathered[loop] = asked[at + entered :]
                    self._for_room.append(loop)
                    return

    def _enter_asked(self, intake: Intake, promises: Sequence[asyncio.Future[Answer]]) -> int:
        """Take what tasks asked into the queue, in halves where it is too much at once; gives how many have entered."""
        request, count = Request(intake, promises), len(promises)
        if count > 1 and (sum(intake.commands) > COMMIT_COMMANDS or not self._room_for(intake)):
            middle = count // 2
            entered = self._enter_asked(intake.part(0, middle), promises[:middle])
            if entered < middle:
                return entered
            return middle + self._enter_asked(intake.part(middle, count), promises[middle:])
        try:
            return count if self._enter(request) else 0
        except Refused as refusal:
            settle_each(promises, refusal)
            return count

    def _enter(self, request: Request) -> bool:
        """Take a request into the queue; False when its caller has to wait for room."""
        if self._writer.closed or self._closing:
            raise self._writer.closed or Refused(Code.LEDGER_CLOSED, "ledger", self._writer.state.ledger_id)
        if self._queue and not self._room_for(request.intake):
            if self._limits.when_full == REFUSE:
                self._refused += request.intake.weight.submissions
                raise Refused(Code.QUEUE_FULL, "queue", self._waiting, "wait and submit the same command id again")
            return False
        if not self._threads:
            self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(2)]
            for thread in self._threads:
                thread.start()
        self._queue.append(request)
        submissions, commands, size = request.intake.weight
        self._waiting += submissions
        self._waiting_commands += commands
        self._waiting_bytes += size
        if not self._deciding:
            self._work.notify()
        return True

    def _room_for(self, intake: Intake) -> bool:
        """Whether submissions fit behind what waits."""
        limits = self._limits
        submissions, commands, size = intake.weight
        return (
            self._waiting + submissions <= limits.submissions
            and self._waiting_commands + commands <= limits.commands
            and self._waiting_bytes + size <= limits.bytes
        )

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
        while requests := self._next():
            decided = self._decided_of(requests)
            with self._recording:
                self._let_decide()
                outcome = self._recorded(decided)
                self._count(requests, outcome)
                self._committed()
                settle_requests(requests, outcome)

    def _next(self) -> list[Request]:
        """The requests of the next commit once there are some and nobody decides, none when the pipeline is closed."""
        with self._lock:
            self._work.wait_for(lambda: not self._deciding and not self._holds and (self._queue or self._closing))
            if not self._queue:
                self._work.notify()  # the other thread ends too
                return []
            self._deciding = True
            return self._take()

    def _let_decide(self) -> None:
        """Let the other thread decide what waits."""
        with self._lock:
            self._deciding = False
            if self._queue or self._closing:
                self._work.notify()

    def _take(self) -> list[Request]:
        """The requests of the next commit, in order."""
        requests: list[Request] = []
        taken = 0
        while self._queue and (not requests or taken + self._queue[0].intake.weight.commands <= COMMIT_COMMANDS):
            requests.append(self._queue.popleft())
            submissions, commands, size = requests[-1].intake.weight
            taken += commands
            self._waiting -= submissions
            self._waiting_commands -= commands
            self._waiting_bytes -= size
            self._in_flight += submissions
        self._room.notify_all()
        loops, self._for_room = self._for_room, []
        for loop in loops:
            call_in(loop, self._admit, loop)
        return requests

    def _decided_of(self, requests: list[Request]) -> Decided | Refused:
        """Decide; a failure is handed over as what was decided, so that callers hear of it in order."""
        try:
            if self._writer.closed is None and (free := self._free_bytes()) < self._limits.free_bytes:
                raise Refused(Code.DISK_NEARLY_FULL, "free_bytes", free, f"at least {self._limits.free_bytes}")
            decided = self._writer.decide(together([request.intake for request in requests]), self._clock())
            self._decided()
            if self._recording.locked():  # what must be done before writing is done while the commit before is written
                self._writer.chain(decided)
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
        count = sum(request.intake.weight.submissions for request in requests)
        with self._lock:
            self._in_flight -= count
            if isinstance(outcome, Decided):
                self._commits += 1
                self._answered += count
            elif outcome.code == Code.DISK_NEARLY_FULL:
                self._refused += count
            if not self._in_flight:
                self._stillness.notify_all()
