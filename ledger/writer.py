"""The writer: decide, record, acknowledge. The one path by which a ledger changes."""

import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np

from ledger.answers import Answer, make_answer
from ledger.codes import Code, Refused
from ledger.decider import Decider
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
        self._closed: Refused | None = None

    def found(self, policy: Policy, ledger_id: str, at_ns: int) -> None:
        """Write the first facts of a new ledger."""
        content = msgspec.msgpack.encode(policy)
        self.state.journal.clock[AT_NS] = at_ns
        self._decider.found(ledger_id or str(uuid.uuid4()), policy, content, policy_digest(policy))
        self._record([])

    def reopen(self, progress: Progress | None = None, start: Snapshot | None = None) -> None:
        """Fold the recorded facts, those behind a snapshot if there is one. Raises Refused for a damaged record."""
        if start:
            self.state.restore(start.state)
            self.position, self._head = start.position, start.digest
        self.position, self._head = fold(self.state, self._store, progress, self.position, self._head)

    def snapshot(self) -> Snapshot:
        """The state behind the last record, between commits. Raises Refused when a failed commit closed the writer."""
        if self._closed:
            raise self._closed
        return Snapshot(self.state, self.position, self._head)

    def commit(self, submissions: Sequence[Submission], now_ns: int) -> list[Answer | Refused]:
        """Decide submissions in order and record them in one commit; an answer or a refusal for each.

        Raises Refused (COMMIT_FAILED) when the store failed: nothing is acknowledged and the writer is closed (K4).
        """
        if self._closed:
            raise self._closed
        answers: list[Answer | Refused] = []
        keys: list[Key] = []
        pending: dict[tuple[str, str], tuple[Key, Answer]] = {}
        try:
            answers.extend(self._decide(submission, now_ns, pending) for submission in submissions)
            keys = [key for key, _ in pending.values()]
            if keys:
                self._record(keys)
        except BaseException as failure:
            self._closed = Refused(Code.COMMIT_FAILED, "commit", str(failure), "reopen and repeat the command id")
            raise self._closed from failure
        for key in keys:
            self._remember(key)
        return answers

    def close(self) -> None:
        """Accept nothing more."""
        self._closed = self._closed or Refused(Code.LEDGER_CLOSED, "ledger", self.state.ledger_id)

    def _decide(
        self, submission: Submission, now_ns: int, pending: dict[tuple[str, str], tuple[Key, Answer]]
    ) -> Answer | Refused:
        try:
            check_submission(submission)
            digest = content_digest(submission)
            name = (submission.actor, submission.command_id)
            if name in pending:
                key, answer = pending[name]
                check_repeat(submission, key, digest)
                return answer._replace(repeated=True)
            known = self._recent.get(name) or self._store.key(*name)
            if known:
                check_repeat(submission, known, digest)
                return read_answer(self._store, known)._replace(repeated=True)
            check_fork(submission, self._store)
            content = self._seal(submission.content)
        except Refused as refusal:
            return refusal
        answer = self._decider.decide(submission._replace(content=content), digest, now_ns)
        pending[name] = (Key(*name, digest, answer.first_seq, answer.last_seq), answer)
        return answer

    def answer(self, actor: str, command_id: str) -> Answer | None:
        """What a recorded submission was answered, from its facts; None where there was none."""
        known = self._recent.get((actor, command_id)) or self._store.key(actor, command_id)
        return read_answer(self._store, known)._replace(repeated=True) if known else None

    def _record(self, keys: Sequence[Key]) -> None:
        policy = self.state.policy.version if self.state.policy else 0
        drafts = list(self._decider.drafts(self._page_facts))
        entries, head = [], self._head
        for topic, state, digest in chain(drafts, head, policy):
            entries.append((topic, state))
            head = digest
        spans = [(draft.first_seq, draft.last_seq) for draft in drafts]
        self._store.append(self.position, entries, spans, keys)
        self.position += len(entries)
        self._head = head

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
