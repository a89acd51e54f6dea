"""The writer: decide, record, acknowledge. The one path by which a ledger changes."""

import hashlib
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import msgspec
import numpy as np

from ledger.answers import Answer, Recorded, recorded
from ledger.codes import Code, Refused
from ledger.decider import Decider
from ledger.forks import check_fork
from ledger.intake import Intake, take_in
from ledger.journal.pages import MAX_PAGE_FACTS
from ledger.journal.records import GENESIS, Draft, chain
from ledger.journal.seeking import Beginnings
from ledger.journal.store import Name, Store
from ledger.policy import Policy
from ledger.replay import Progress, fold
from ledger.segments import Segment, drafts
from ledger.snapshot import Snapshot
from ledger.state import State
from ledger.submissions import Content, Submission
from ledger.tables import AT_NS


class Decided(msgspec.Struct, eq=False):
    """What one commit will hold: answers for its submissions, facts, the policy in force, and new submissions."""

    answers: list[Answer | Refused]
    segments: list[Segment]
    policy: int
    new: dict[Name, Recorded]
    records: list[tuple[Draft, bytes, bytes]] | None = None  # each with its bytes and hash, once they are chained


class Writer:
    """Holds the state of a ledger and the head of its chain. One writer a ledger (contract K5)."""

    def __init__(self, store: Store, seal: Callable[[Content], Content], page_facts: int = MAX_PAGE_FACTS) -> None:
        """A writer on an open store; `found` or `reopen` makes it ready.

        `seal` puts commitments in the place of personal data, once a submission is known to leave facts (K12).
        """
        self.state = State()
        self.position = 0
        self._store = store
        self._seal = seal
        self._page_facts = page_facts
        self._decider = Decider(self.state)
        self._head = self._chained = GENESIS  # the hash of the last record that is durable, and of the last there is
        self._unchained: deque[Decided] = deque()
        self._chaining = threading.Lock()
        self._beginnings = Beginnings()
        self._pending: list[dict[Name, Recorded]] = []  # by commit, what is decided and not yet durable
        self._closed: Refused | None = None
        self._failed: Refused | None = None  # by a commit: nothing that was decided later may be recorded

    def found(self, policy: Policy, ledger_id: str, at_ns: int) -> None:
        """Write the first facts of a new ledger."""
        content = msgspec.msgpack.encode(policy)
        self.state.journal.clock[AT_NS] = at_ns
        self._decider.found(ledger_id or str(uuid.uuid4()), policy, content, policy_digest(policy))
        self._pending.append({})
        self.record(self._taken([]))

    def reopen(self, progress: Progress | None = None, start: Snapshot | None = None) -> None:
        """Fold the recorded facts, those behind a snapshot if there is one. Raises Refused for a damaged record."""
        if start:
            self.state.restore(start.state)
            self.position, self._head = start.position, start.digest
        self.position, self._head = fold(self.state, self._store, progress, self.position, self._head)
        self._chained = self._head

    def snapshot(self) -> Snapshot:
        """The state behind the last record, while nothing is decided or recorded. Raises Refused when it is closed."""
        if self.closed:
            raise self.closed
        return Snapshot(self.state, self.position, self._head)

    @property
    def closed(self) -> Refused | None:
        """Why nothing more is accepted, None while it is; without what it went through when it was raised before."""
        return self._closed and self._closed.with_traceback(None)

    def commit(self, submissions: Sequence[Submission], now_ns: int) -> list[Answer | Refused]:
        """Decide submissions in order and record them in one commit; an answer or a refusal for each.

        Raises Refused (COMMIT_FAILED) when the store failed: nothing is acknowledged and the writer is closed (K4).
        """
        decided = self.decide(take_in(submissions), now_ns)
        self.record(decided)
        return decided.answers

    def decide(self, intake: Intake, now_ns: int) -> Decided:
        """Decide submissions in order, all at one time; their answers hold once `record` has made them durable.

        May run while `record` writes the commit before (one thread each), so the state is at most one commit ahead of
        the disk (K3). Raises Refused (COMMIT_FAILED) and closes the writer when it fails, also in reading: a store that
        cannot say what it holds may let a command be done twice.
        """
        if self.closed:
            raise self.closed
        try:
            self._pending.append({})
            return self._taken(self._answers(intake, now_ns))
        except BaseException as failure:
            raise self.fail(failure) from failure

    def chain(self, decided: Decided) -> list[tuple[Draft, bytes, bytes]]:
        """The records of what was decided, made after those of all that was decided before, if they are not there yet.

        `record` does it. Who has to wait until the commit before is written may do it meanwhile.
        """
        with self._chaining:
            while decided.records is None:
                commit = self._unchained.popleft()
                commit.records = list(chain(drafts(commit.segments, self._page_facts), self._chained, commit.policy))
                if commit.records:
                    self._chained = commit.records[-1][2]
        return decided.records

    def record(self, decided: Decided) -> None:
        """Make what was decided durable, in the order in which it was decided.

        Raises Refused (COMMIT_FAILED), and for all that was decided on top of it too.
        """
        if self._failed:
            raise self._failed
        try:
            records = self.chain(decided)
            if records:
                entries = [(draft.topic, state) for draft, state, _ in records]
                extents, sizes = [draft.extent for draft, _, _ in records], [len(state) for _, state in entries]
                begins = self._beginnings.kept(self.position, extents, sizes)
                self._store.append(self.position, entries, begins, keys_of(decided.new))
        except BaseException as failure:
            self._failed = self.fail(failure)
            raise self._failed from failure
        if records:
            self.position, self._head = self.position + len(records), records[-1][2]
        del self._pending[0]

    def close(self) -> None:
        """Accept nothing more."""
        self._closed = self._closed or Refused(Code.LEDGER_CLOSED, "ledger", self.state.ledger_id)

    def fail(self, failure: BaseException) -> Refused:
        """Accept nothing more because of a failure; gives the refusal (COMMIT_FAILED) that callers get."""
        self._closed = Refused(Code.COMMIT_FAILED, "commit", str(failure), "reopen and repeat the command id")
        return self._closed

    def _answers(self, intake: Intake, now_ns: int) -> list[Answer | Refused]:
        """An answer or a refusal for each; neighbouring batches of orders go together."""
        submissions, digests, counts, begin = intake.submissions, intake.digests, intake.rows, 0
        names = [(submission.actor, submission.command_id) for submission in submissions]
        known = self._known(names, digests)
        fits = fit_together(names, counts, known)
        answers: list[Answer | Refused] = []
        while (at := len(answers)) < len(submissions):
            end = fits.index(False, at)
            if end == at:
                answers.append(self._alone(submissions[at], digests[at], known, now_ns))
                begin += counts[at]
                continue
            run, theirs, some = submissions[at:end], cast("list[bytes]", digests[at:end]), counts[at:end]
            orders = intake.orders[begin : (begin := begin + sum(some))]
            decided = self._decider.decide_orders(run, theirs, some, orders, now_ns)
            self._pend(names[at:end], theirs, decided)
            answers += decided
        return answers

    def _alone(
        self, submission: Submission, digest: bytes | Refused, known: dict[Name, Recorded], now_ns: int
    ) -> Answer | Refused:
        """The answer to one submission, or its refusal."""
        if isinstance(digest, Refused):
            return digest
        name = submission.actor, submission.command_id
        before = self._pending[-1].get(name) or known.get(name)
        try:
            if before is not None:
                return repeated(submission, before, digest)
            if not isinstance(submission.content, np.ndarray):
                check_fork(submission, self._store)
                submission = msgspec.structs.replace(submission, content=self._seal(submission.content))
        except Refused as refusal:
            return refusal
        answer = self._decider.decide(submission, digest, now_ns)
        self._pend([name], [digest], [answer])
        return answer

    def _known(self, names: Sequence[Name], digests: Sequence[bytes | Refused]) -> dict[Name, Recorded]:
        """Those of well-formed submissions that came before this commit."""
        new = {name for name, digest in zip(names, digests, strict=True) if type(digest) is bytes}
        pending = {name: commit[name] for commit in list(self._pending) for name in new & commit.keys()}
        new.difference_update(pending)  # asked later: a submission moves from there to the store
        return pending | (recorded(self._store, list(new)) if new else {})

    def _pend(self, names: Sequence[Name], digests: Sequence[bytes], answers: Sequence[Answer]) -> None:
        """Remember decided submissions by their keys until they are durable."""
        self._pending[-1].update(zip(names, zip(digests, answers, strict=True), strict=True))

    def answer(self, actor: str, command_id: str) -> Answer | None:
        """What a recorded submission was answered, from its facts; None where there was none."""
        for _, answer in recorded(self._store, [(actor, command_id)]).values():
            return msgspec.structs.replace(answer, repeated=True)
        return None

    def _taken(self, answers: list[Answer | Refused]) -> Decided:
        """What was decided, as the commit that it becomes."""
        policy = self.state.policy.version if self.state.policy else 0
        decided = Decided(answers, self._decider.take(), policy, self._pending[-1])
        self._unchained.append(decided)
        return decided


def fit_together(names: Sequence[Name], rows: Sequence[int], known: Iterable[Name]) -> list[bool]:
    """Which are new batches of orders, which can be decided together with their neighbours; False at the end."""
    fits, seen = [], set(known)
    for name, count in zip(names, rows, strict=True):
        fits.append(count > 0 and name not in seen)
        if fits[-1]:
            seen.add(name)
    return [*fits, False]


def keys_of(new: dict[Name, Recorded]) -> list[tuple[str, str, int]]:
    """The keys of new submissions."""
    return [(actor, command_id, answer.first_seq) for (actor, command_id), (_, answer) in new.items()]


def policy_digest(policy: Policy) -> bytes:
    """SHA-256 of a policy's content."""
    return hashlib.sha256(msgspec.msgpack.encode(policy)).digest()


def repeated(submission: Submission, known: Recorded, digest: bytes) -> Answer:
    """The answer to a known submission. Raises Refused (COMMAND_ID_REUSED) when it comes with other content."""
    content, answer = known
    if content != digest:
        raise Refused(Code.COMMAND_ID_REUSED, "command_id", submission.command_id, f"used at seq {answer.first_seq}")
    return msgspec.structs.replace(answer, repeated=True)
