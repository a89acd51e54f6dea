"""The writer: decide, record, acknowledge. The one path by which a ledger changes."""

import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from ledger.answers import Answer, make_answer
from ledger.codes import Code, Refused
from ledger.decider import Decider, are_orders
from ledger.forks import check_fork
from ledger.journal.pages import MAX_PAGE_FACTS
from ledger.journal.records import GENESIS, Decoded, chain, parse
from ledger.journal.store import Key, Store
from ledger.policy import Policy
from ledger.replay import Progress, fold
from ledger.rows import SUBMISSIONS
from ledger.snapshot import Snapshot
from ledger.state import State
from ledger.submissions import Content, Submission, check_submission, content_digest
from ledger.tables import AT_NS

RECENT_KEYS: Final = 65_536


Known = Key | tuple[Key, Answer] | None
"""A submission that is recorded, one that is decided with its answer, or none."""


class Decided(NamedTuple):
    """What one commit will hold: answers for its submissions, records with their spans of `seq`, and keys."""

    answers: list[Answer | Refused]
    entries: list[tuple[str, bytes]]
    spans: list[tuple[int, int]]
    keys: list[Key]


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
        self._head = GENESIS
        self._recent: OrderedDict[tuple[str, str], Key] = OrderedDict()
        self._pending: dict[tuple[str, str], tuple[Key, Answer]] = {}  # decided, not yet durable
        self._deciding: list[Key] = []
        self._closed: Refused | None = None
        self._failed: Refused | None = None  # by a commit: nothing that was decided later may be recorded

    def found(self, policy: Policy, ledger_id: str, at_ns: int) -> None:
        """Write the first facts of a new ledger."""
        content = msgspec.msgpack.encode(policy)
        self.state.journal.clock[AT_NS] = at_ns
        self._decider.found(ledger_id or str(uuid.uuid4()), policy, content, policy_digest(policy))
        self.record(self._drafted([], []))

    def reopen(self, progress: Progress | None = None, start: Snapshot | None = None) -> None:
        """Fold the recorded facts, those behind a snapshot if there is one. Raises Refused for a damaged record."""
        if start:
            self.state.restore(start.state)
            self.position, self._head = start.position, start.digest
        self.position, self._head = fold(self.state, self._store, progress, self.position, self._head)

    def snapshot(self) -> Snapshot:
        """The state behind the last record, while nothing is decided or recorded. Raises Refused when it is closed."""
        if self._closed:
            raise self._closed
        return Snapshot(self.state, self.position, self._head)

    @property
    def closed(self) -> Refused | None:
        """Why nothing more is accepted, None while it is."""
        return self._closed

    def commit(self, submissions: Sequence[Submission], now_ns: int) -> list[Answer | Refused]:
        """Decide submissions in order and record them in one commit; an answer or a refusal for each.

        Raises Refused (COMMIT_FAILED) when the store failed: nothing is acknowledged and the writer is closed (K4).
        """
        decided = self.decide(submissions, now_ns)
        self.record(decided)
        return decided.answers

    def decide(self, submissions: Sequence[Submission], now_ns: int) -> Decided:
        """Decide submissions in order, all at one time; their answers hold once `record` has made them durable.

        May run while `record` writes the commit before (one thread each), so the state is at most one commit ahead of
        the disk (K3). Raises Refused (COMMIT_FAILED) and closes the writer when it fails, also in reading: a store that
        cannot say what it holds may let a command be done twice.
        """
        if self._closed:
            raise self._closed
        try:
            answers = self._answers(submissions, now_ns)
            keys, self._deciding = self._deciding, []
            return self._drafted(answers, keys)
        except BaseException as failure:
            raise self.fail(failure) from failure

    def record(self, decided: Decided) -> None:
        """Make what was decided durable, in the order in which it was decided.

        Raises Refused (COMMIT_FAILED), and for all that was decided on top of it too.
        """
        if self._failed:
            raise self._failed
        try:
            if decided.entries:
                self._store.append(self.position, decided.entries, decided.spans, decided.keys)
        except BaseException as failure:
            self._failed = self.fail(failure)
            raise self._failed from failure
        self.position += len(decided.entries)
        for key in decided.keys:
            self._remember(key)
            del self._pending[key.actor, key.command_id]

    def close(self) -> None:
        """Accept nothing more."""
        self._closed = self._closed or Refused(Code.LEDGER_CLOSED, "ledger", self.state.ledger_id)

    def fail(self, failure: BaseException) -> Refused:
        """Accept nothing more because of a failure; gives the refusal (COMMIT_FAILED) that callers get."""
        self._closed = Refused(Code.COMMIT_FAILED, "commit", str(failure), "reopen and repeat the command id")
        return self._closed

    def _answers(self, submissions: Sequence[Submission], now_ns: int) -> list[Answer | Refused]:
        """An answer or a refusal for each; neighbouring batches of orders are decided together."""
        answers: list[Answer | Refused] = []
        run: list[tuple[Submission, bytes]] = []
        names: set[tuple[str, str]] = set()

        def end_run() -> None:
            if run:
                decided = self._decider.decide_orders(run, now_ns)
                for (submission, digest), answer in zip(run, decided, strict=True):
                    self._pend(submission, digest, answer)
                answers.extend(decided)
                run.clear()
                names.clear()

        for submission, digest, known in self._looked_up(submissions):
            name = (submission.actor, submission.command_id)
            try:
                if isinstance(digest, Refused):
                    raise digest
                if name in names:
                    end_run()
                    known = self._pending[name]  # noqa: PLW2901
                if known is None:
                    check_fork(submission, self._store)
                    submission = submission._replace(content=self._seal(submission.content))  # noqa: PLW2901
                else:
                    check_repeat(submission, known if isinstance(known, Key) else known[0], digest)
            except Refused as refusal:
                end_run()
                answers.append(refusal)
                continue
            if known is None and are_orders(submission):
                run.append((submission, digest))
                names.add(name)
                continue
            end_run()
            if known is None:
                answer = self._decider.decide(submission, digest, now_ns)
                self._pend(submission, digest, answer)
            else:  # outside the block above: a store that cannot say what it recorded ends the writer (K4)
                answer = self._first_answer(known)
            answers.append(answer)
        end_run()
        return answers

    def _looked_up(self, submissions: Sequence[Submission]) -> Iterator[tuple[Submission, bytes | Refused, Known]]:
        """Each submission with its content digest, or why it is malformed, and what is known under its key."""
        digests: list[bytes | Refused] = []
        found: dict[tuple[str, str], Known] = {}
        for submission in submissions:
            name = (submission.actor, submission.command_id)
            try:
                check_submission(submission)
                digests.append(content_digest(submission))
            except Refused as refusal:
                digests.append(refusal)
                continue
            found[name] = self._pending.get(name) or self._recent.get(
                name
            )  # in this order: it moves from here to there
        unseen = [name for name, known in found.items() if known is None]
        found.update(self._store.keys(unseen) if unseen else {})
        for submission, digest in zip(submissions, digests, strict=True):
            if isinstance(digest, Refused):
                yield submission, digest, None
            else:
                name = (submission.actor, submission.command_id)
                yield submission, digest, found[name] or self._pending.get(name)  # since then, in this commit

    def _first_answer(self, known: Key | tuple[Key, Answer]) -> Answer:
        """The answer to a submission that is recorded or on its way, for who repeats it."""
        answer = read_answer(self._store, known) if isinstance(known, Key) else known[1]
        return answer._replace(repeated=True)

    def _pend(self, submission: Submission, digest: bytes, answer: Answer) -> None:
        key = Key(submission.actor, submission.command_id, digest, answer.first_seq, answer.last_seq)
        self._pending[key.actor, key.command_id] = key, answer
        self._deciding.append(key)

    def answer(self, actor: str, command_id: str) -> Answer | None:
        """What a recorded submission was answered, from its facts; None where there was none."""
        name = (actor, command_id)
        known = self._recent.get(name) or self._store.keys([name]).get(name)
        return read_answer(self._store, known)._replace(repeated=True) if known else None

    def _drafted(self, answers: list[Answer | Refused], keys: list[Key]) -> Decided:
        """The records of what was decided, linked into the chain."""
        policy = self.state.policy.version if self.state.policy else 0
        entries, spans = [], []
        drafts = list(self._decider.drafts(self._page_facts))
        for draft, (topic, state, digest) in zip(drafts, chain(drafts, self._head, policy), strict=True):
            entries.append((topic, state))
            spans.append((draft.first_seq, draft.last_seq))
            self._head = digest
        return Decided(answers, entries, spans, keys)

    def _remember(self, key: Key) -> None:
        self._recent[key.actor, key.command_id] = key
        while len(self._recent) > RECENT_KEYS:
            self._recent.popitem(last=False)


def policy_digest(policy: Policy) -> bytes:
    """SHA-256 of a policy's content."""
    return hashlib.sha256(msgspec.msgpack.encode(policy)).digest()


def check_repeat(submission: Submission, known: Key, digest: bytes) -> None:
    """Raise Refused (COMMAND_ID_REUSED) when a known command id comes with other content."""
    if known.content != digest:
        raise Refused(Code.COMMAND_ID_REUSED, "command_id", submission.command_id, f"used at seq {known.first_seq}")


def read_answer(store: Store, key: Key) -> Answer:
    """The facts of a recorded submission, as they were answered."""
    found = Decoded([], {}, 0, key.last_seq, b"")
    for entry in store.entries_from_seq(key.first_seq):
        record = parse(entry.position, entry.state)
        if record.header.first_seq > key.last_seq:
            break
        if record.header.columns:
            topic, rows = record.page
            found.pages.setdefault(topic, []).append(rows)
        else:
            found.facts.append(record.fact)
    times = [page["at_ns"][page["seq"] == key.first_seq] for page in found.pages[SUBMISSIONS]]
    return make_answer(key.first_seq, key.last_seq, int(np.concatenate(times)[0]), [found])
