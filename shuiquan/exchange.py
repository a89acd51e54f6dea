"""The exchange: what an embedder opens, submits to, queries and subscribes to. The composition root of the product."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from adapters.audit.notary import Notary, Reached
from adapters.socket.server import STOPPING_S, Server
from adapters.socket.streams import socket_path
from adapters.stores.parties import PartyRegister, sealed
from adapters.stores.snapshots import LOG, Snapshots
from adapters.stores.views import Views
from ledger import commands
from ledger.answers import Answer
from ledger.audit.checkpoints import Sink
from ledger.codes import Code, Refused
from ledger.commands import Command, Role
from ledger.decider import Decider
from ledger.digests import content_digest
from ledger.feed import Told, feed
from ledger.journal.records import canonical_facts
from ledger.journal.store import Store
from ledger.limits import Limits
from ledger.pipeline import Load, Pipeline
from ledger.replay import Progress, read_chain
from ledger.state import State
from ledger.statehash import state_hash
from ledger.submissions import Content, Submission, check_submission
from ledger.submitting import Submitting, listed
from ledger.writer import Writer
from shuiquan.asking import Asking, AsOf
from shuiquan.finding import whole

if TYPE_CHECKING:
    from adapters.export.manifest import Manifest

Clock = Callable[[], int]
"""Gives UTC nanoseconds. Nothing else in the product reads a clock (contract K2)."""


SNAPSHOT_FACTS: Final = 100_000
"""So many facts behind the last snapshot make a new one due: they are read in a second or two at most."""

POLL_S: Final = 0.1
"""How often a follower looks for records of another process."""


class Exchange(Asking, Submitting):
    """An open ledger: submit commands, orders and readings, ask what is, follow what happens.

    Everything submitted is durable when `submit` returns. Use as a context manager, or call `close`.
    """

    def __init__(
        self, store: Store, writer: Writer, views: Views, parties: PartyRegister, notary: Notary,
        snapshots: Snapshots, clock: Clock, *, writable: bool, snapshot_facts: int, limits: Limits,
        free_bytes: Callable[[], int], beside: Path,
    ) -> None:  # fmt: skip
        """Put together by `shuiquan.open`."""
        self._store, self._writer, self._views, self._parties = store, writer, views, parties
        self._notary = notary
        self._snapshots, self._snapshot_facts = snapshots, snapshot_facts
        self._clock, self._beside = clock, beside
        self._writable = writable
        self._committed = threading.Condition()
        self._pipeline = Pipeline(writer, clock, limits, free_bytes, self._settle_persons, self._tell_followers)

    # submitting

    def submit_ahead(self, submissions: Sequence[Submission]) -> Future[list[Answer | Refused]]:
        """As `submit_many`, but returns at once with the future of the answers: the caller may submit more meanwhile.

        Submissions of one thread are decided in the order in which it gave them.
        """
        self._check_writable()
        return self._pipeline.put(submissions)

    def _ask(self, submission: Submission) -> Awaitable[Answer]:
        self._check_writable()
        return self._pipeline.ask(submission)

    @property
    def load(self) -> Load:
        """How much waits, is on its way, was committed and was refused since the ledger was opened."""
        return self._pipeline.load

    def serve(self, *, stopping_s: float = STOPPING_S) -> Server:
        """A context manager: while its block runs, other local processes submit through this exchange.

        They connect with `shuiquan.connect`. At its end, what was taken is answered, and `stopping_s` seconds long
        clients may read their answers. Raises Refused: SOCKET_UNUSABLE, LEDGER_CLOSED.
        """
        self._check_writable()
        return Server(self, self.state.ledger_id, socket_path(self._beside), stopping_s)

    def _settle_persons(self) -> None:
        """Drop personal data of registrations that were refused; called when their facts are decided."""
        if self._parties.unsettled:
            self._parties.keep_only(commitments(self.state))

    def _tell_followers(self) -> None:
        with self._committed:
            self._committed.notify_all()

    def preview(self, content: Command | Content, *, actor: str, role: Role, approver: str = "") -> Answer:
        """What a submission would lead to, decided on a copy of the state: nothing is recorded or changed."""
        submission = Submission(listed(content), actor, role, "preview", approver)
        check_submission(submission)
        with self._still():
            state = copy.deepcopy(self.state)
        digest = content_digest(submission)
        submission = Submission(sealed(submission.content), actor, role, "preview", approver)
        return Decider(state).decide(submission, digest, self._clock())

    def _check_writable(self) -> None:
        """Raise Refused (LEDGER_CLOSED) when the ledger was opened for reading."""
        if not self._writable:
            raise Refused(Code.LEDGER_CLOSED, "ledger", self.state.ledger_id, "it was opened for reading")

    # asking

    @property
    def state(self) -> State:
        """The state, to be read only, and not while submissions wait for answers: it may be ahead of the disk."""
        return self._writer.state

    @property
    def position(self) -> int:
        """Position of the last record."""
        return self._writer.position

    def answer(self, actor: str, command_id: str) -> Answer | None:
        """What a submission was answered, None when no such command id of this actor is recorded."""
        with self._still():
            return self._writer.answer(actor, command_id)

    def _still(self) -> AbstractContextManager[None]:
        """Submissions wait meanwhile, once those on their way are durable."""
        return self._pipeline.still()

    def _catch_up(self) -> None:
        """Bring the read models up to the last durable position."""
        self._views.catch_up(self._store)

    def as_of(self, at_ns: int, progress: Progress | None = None) -> AsOf:
        """The ledger as it was known at a time, with the same questions: `holdings`, `usage`, `query`, `facts`, ...

        It holds the facts of all submissions up to `at_ns`, UTC nanoseconds, and nothing that came later. Close it,
        or use it as a context manager. Raises Refused (NOT_YET) for a time before the first fact.
        """
        return AsOf(self._store, whole("at_ns", at_ns), self.policy, progress)

    def person(self, party: str) -> commands.Person | None:
        """Personal data of a holder from the side register, None for a body or when erased."""
        number = self.state.number("party", party, Code.UNKNOWN_PARTY)
        return self._parties.reveal(self.state.parties[number].commitment)

    def erase_person(self, party: str) -> bool:
        """Erase the personal data of a holder for good; facts, chain and proofs stay valid (contract K12)."""
        self._check_writable()
        number = self.state.number("party", party, Code.UNKNOWN_PARTY)
        return self._parties.erase(self.state.parties[number].commitment)

    def rebuild_views(self, progress: Progress | None = None) -> int:
        """Drop the read models and project the journal from zero; returns the position reached."""
        return self._views.rebuild(self._store, progress)

    def export(self, folder: str | Path, **options: Any) -> Manifest:
        """Write facts by topic, and the records behind them, as tables into a new folder (`docs/export.md`).

        Options and what is refused are those of `adapters.export.writing.export`.
        """
        from adapters.export.writing import export  # noqa: PLC0415 - an optional part

        return export(self._store, Path(folder), **options)

    # following

    def subscribe(self, after: int = 0, wait_s: float | None = None, *, after_seq: int = 0) -> Iterator[Told]:
        """Follow the facts behind a position or a `seq`, each once and in order, as they become durable.

        Waits up to `wait_s` seconds for more when all are told, and ends when none come; without it, ends at once.
        Use it in a thread of its own. Another process follows with a ledger opened `readonly`.
        """
        after = self._before(after, after_seq)
        while True:
            before = after
            for told in feed(self._store, after):
                after = told.position
                if told.seq > after_seq:
                    yield told
            if after == before and not self._more(after, wait_s):
                return

    def _more(self, after: int, wait_s: float | None) -> bool:
        """Whether records follow a position, after waiting for them if need be."""
        deadline_s = time.monotonic() + (wait_s or 0.0)
        while self._head_position() <= after:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            with self._committed:  # woken by every commit, of which some record nothing
                self._committed.wait(min(left_s, POLL_S))
        return True

    def _head_position(self) -> int:
        """Position of the last durable record, whoever wrote it."""
        head = self._store.head()
        return head.position if head else 0

    def canonical_facts(self) -> Iterator[bytes]:
        """Canonical bytes of every durable fact in order: the same however the facts were paged (contract K8)."""
        return canonical_facts(read_chain(self._store))

    # auditing

    def checkpoint(self, sink: Sink, progress: Progress | None = None) -> str:
        """Seal all facts up to the position of this exchange in a sink (`docs/audit.md`); returns the signed note.

        Raises Refused: JOURNAL_SHORTER or CHECKPOINT_DIFFERS when the sink has another history of this ledger,
        SINK_FAILED, KEY_INVALID.
        """
        with self._still():
            reached = Reached(self.position, self.state.next_seq - 1, state_hash(self.state))
        return self._notary.checkpoint(sink, self._clock(), reached, progress)

    def receipt(self, actor: str, command_id: str) -> str:
        """A signed note that says where a submission of this actor is recorded; verified by `verifier_key`.

        Raises Refused (NOT_RECORDED) where no such command id of this actor is recorded.
        """
        return self._notary.receipt(actor, command_id)

    @property
    def verifier_key(self) -> str:
        """The public key with which this ledger's checkpoints and receipts are verified."""
        return self._notary.verifier

    # ending

    def snapshot(self) -> Path:
        """Write a snapshot of the state, from which the ledger opens next time; returns its file.

        Submissions wait while it is packed. Raises Refused (SNAPSHOT_NOT_WRITTEN).
        """
        with self._still():
            return self._snapshots.write(self._writer.snapshot(), self._store)

    def snapshot_if_due(self) -> None:
        """Write a snapshot when enough facts stand behind the last one; a failure is said in the log only."""
        if not self._writable or self.state.next_seq - 1 - self._snapshots.facts < self._snapshot_facts:
            return
        try:
            self.snapshot()
        except Refused as refusal:
            if refusal.code == Code.SNAPSHOT_NOT_WRITTEN:
                LOG.warning("no snapshot: %s", refusal)

    def close(self) -> None:
        """Close the ledger once all that waits is answered; the next writer may open it."""
        self._pipeline.close()
        self.snapshot_if_due()
        self._writer.close()
        self._views.close()
        self._store.close()

    def __enter__(self) -> Self:
        """The exchange itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def commitments(state: State) -> set[bytes]:
    """The commitments that facts refer to."""
    return {fact.commitment for fact in state.parties if fact.commitment}
