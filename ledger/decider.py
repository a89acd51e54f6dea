"""One submission after the other: stamp it, let what is due expire, decide its commands, keep its facts."""

import copy
from collections.abc import Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from ledger import facts, rows
from ledger.acts import ACTS, founding_facts
from ledger.answers import Answer, Pages, make_answer, pages_of
from ledger.codes import Code, Refused
from ledger.commands import Command, Role
from ledger.decide import ACTOR, FIRST, ORDERS, PARTY, SEQ, decide_orders, decide_run, refuse_orders
from ledger.expiry import expire, roll_sessions, withdraw_orders_of
from ledger.fold import apply_fact, ensure_holdings_of
from ledger.journal.pages import submission_rows
from ledger.journal.records import ALGORITHM, FORMAT
from ledger.metering import decide_readings
from ledger.policy import Policy
from ledger.segments import Segment
from ledger.state import State
from ledger.submissions import Submission, are_orders
from ledger.tables import AT_NS, NEXT_SEQ, Array, copied, plain
from matching.compiled import Entry
from matching.types import Status

TEXTS: Final = tuple(map(attrgetter, rows.SUBMISSION_TEXTS))


class Submitted(NamedTuple):
    """Neighbouring submissions, and what their facts hold beside: sequences of one length."""

    run: Sequence[Submission]
    digests: Sequence[bytes]
    actors: Any  # their numbers
    seqs: Any
    facts: Any  # how many each left, its own included

    def rows(self, at_ns: int) -> Array:
        """Their facts."""
        run = self.run
        commands, roles = [len(submission.content) for submission in run], [submission.role for submission in run]
        names = [[text(submission).encode() for submission in run] for text in TEXTS]
        times = [at_ns] * len(run)
        return submission_rows([self.seqs, times, self.facts, commands, self.actors, roles, self.digests, *names])


class Decider:
    """Decides submissions on a state and keeps the facts of the commit that is being prepared."""

    def __init__(self, state: State) -> None:
        """A decider on `state`, which it changes in place."""
        self.state = state
        self.segments: list[Segment] = []
        self._decide_run = Entry(decide_run)
        self._submitted: Submitted | None = None  # submissions whose facts are in the current segment

    # the life of a commit

    def found(self, ledger_id: str, policy: Policy, content: bytes, digest: bytes) -> None:
        """The first facts of a ledger."""
        self.emit(facts.LedgerOpened(ledger_id, ALGORITHM, FORMAT, policy.district))
        for fact in founding_facts(policy, content, digest):
            self.emit(fact)

    def decide(self, submission: Submission, digest: bytes, now_ns: int) -> Answer:
        """Decide one well-formed submission, of this content digest, at max(last, `now_ns`) (K2); returns its facts."""
        if are_orders(submission):
            orders: Any = submission.content
            return self.decide_orders([submission], [digest], [len(orders)], plain(orders), now_ns)[0]
        state = self.state
        state.journal.clock[AT_NS] = max(state.at_ns, now_ns)
        first_seq = state.next_seq
        start = len(self.segments)
        actor = know_actor(state, submission.actor, submission.role)
        self.open_submission(submission, digest, actor)
        roll_sessions(state)
        expire(state, first_seq, self.emit)
        if isinstance(submission.content, np.ndarray) and submission.linked:
            self.decide_linked_orders(submission.content, actor)
        elif isinstance(submission.content, np.ndarray):
            self.decide_array(submission.content, actor)
        elif submission.linked:
            self.decide_linked(submission.content)
        else:
            for index, command in enumerate(submission.content):
                self.decide_command(command, index)
        self.close_submission(start, state.next_seq - first_seq)
        self.cut()
        return make_answer(first_seq, state.next_seq - 1, state.at_ns, self.segments[start:])

    def decide_orders(
        self, run: Sequence[Submission], digests: Sequence[bytes], sizes: Sequence[int], orders: Array, now_ns: int
    ) -> list[Answer]:
        """Decide batches of so many of these orders, with their content digests, one after the other, all at one time.

        The same facts as `decide` gives one by one, in one compiled call: it stops where an order of the run itself
        has run out before the next submission begins.
        """
        state = self.state
        state.journal.clock[AT_NS] = max(state.at_ns, now_ns)
        table = self.number_run(run, sizes)
        made = np.zeros((len(run), 5), np.int64)
        answers: list[Answer] = []
        while (at := len(answers)) < len(run):
            start = len(self.segments)
            made[at, SEQ] = self.open_submission(run[at], digests[at], int(table[ACTOR, at]))
            roll_sessions(state)
            expire(state, int(made[at, SEQ]), self.emit)
            state.reserve(orders=len(orders) - int(table[FIRST, at]))
            tables = (state.books, state.tape, state.accounts, state.market, state.journal)
            done = self._decide_run(tables, orders, table, made, at)
            seqs, counts, *ends = made[at:done].T.tolist()
            if self._submitted:
                self._submitted = Submitted(run[at:done], digests[at:done], table[ACTOR, at:done], seqs, counts)
            else:  # something expired before, so that the first is in a segment already
                self.close_submission(start, counts[0])
                rest = slice(at + 1, done)
                if run[rest]:
                    self._submitted = Submitted(run[rest], digests[rest], table[ACTOR, rest], seqs[1:], counts[1:])
            self.cut()
            answers += answers_of(seqs, counts, ends, pages_of(self.segments[-1]), state.at_ns)
            if len(self.segments) > start + 1:
                answers[at] = whole(answers[at], self.segments[start:-1])
        return answers

    def number_run(self, run: Sequence[Submission], sizes: Sequence[int]) -> Array:
        """What the compiled loop is told of each submission of a run; new actors get numbers."""
        names = [(submission.actor, submission.role) for submission in run]
        numbers = {name: (know_actor(self.state, *name), party_of(self.state, *name)) for name in dict.fromkeys(names)}
        table = np.empty((4, len(run)), np.int64)
        table[ACTOR], table[PARTY] = zip(*[numbers[name] for name in names], strict=True)
        table[ORDERS] = sizes
        table[FIRST] = table[ORDERS].cumsum() - table[ORDERS]
        return table

    def take(self) -> list[Segment]:
        """The facts of the commit, which ends here."""
        self.cut()
        segments, self.segments = self.segments, []
        return segments

    def cut(self) -> None:
        """End the current segment of frequent facts, if there is one."""
        journal = self.state.journal
        pages = {
            topic: copied(column[:count])
            for topic, column, count in zip(rows.PAGE_DTYPES, journal, journal.counts.tolist(), strict=False)
            if count
        }
        journal.counts[:] = 0
        submitted, self._submitted = self._submitted, None
        if pages or submitted:
            self.segments.append(Segment([], pages, submitted.rows(self.state.at_ns) if submitted else None))

    def emit(self, fact: facts.Fact) -> int:
        """Record and apply one rare fact; returns its `seq`."""
        self.cut()
        seq = self.state.next_seq
        self.state.journal.clock[NEXT_SEQ] += 1
        apply_fact(self.state, fact)
        self.segments.append(Segment([facts.Stamped(seq, self.state.at_ns, fact)], {}, None))
        return seq

    # parts of a submission

    def open_submission(self, submission: Submission, digest: bytes, actor: int) -> int:
        """Number the fact of the submission itself, and keep it; returns its `seq`."""
        seq = self.state.next_seq
        self.state.journal.clock[NEXT_SEQ] += 1
        self._submitted = Submitted([submission], [digest], [actor], [seq], [0])
        return seq

    def close_submission(self, start: int, facts: int) -> None:
        """Note how many facts a submission left; where facts of expiry were cut off, its own is in segment `start`."""
        if self._submitted:
            self._submitted = self._submitted._replace(facts=[facts])
        else:
            self.segments[start].submissions["facts"][0] = facts  # type: ignore[index]

    def decide_array(self, content: Array, actor: int) -> None:
        """Orders or readings of one submission: one compiled call, or a few where holdings come up."""
        state, content = self.state, plain(content)
        if content.dtype == rows.ORDER:
            state.reserve(orders=len(content))
            tables = (state.books, state.tape, state.accounts, state.market, state.journal)
            decide_orders(*tables, content, 0, len(content), actor)
            return
        state.reserve(readings=len(content))
        done = 0
        while done < len(content):
            done = decide_readings(
                state.books, state.tape, state.accounts, state.market, state.metering, state.journal, content, actor,
                done,
            )  # fmt: skip
            if done < len(content):
                meter, measured_at_ns = int(content["meter"][done]), int(content["measured_at_ns"][done])
                state.reserve_uses(ensure_holdings_of(state, meter, measured_at_ns))

    def decide_command(self, command: Command, index: int) -> bool:
        """One command: its facts, or the fact of its refusal. Returns whether it was accepted."""
        try:
            decided = list(ACTS[type(command)](self.state, command))
        except Refused as refusal:
            self.emit(refusal_fact(command, index, refusal))
            return False
        for fact in decided:
            seq = self.emit(fact)
            if isinstance(fact, facts.PartySuspended):
                withdraw_orders_of(self.state, fact.party, seq)
        return True

    def decide_linked_orders(self, content: Array, actor: int) -> None:
        """All orders accepted or none: when one is refused, the others are refused with LINKED_REFUSED."""
        self.cut()
        content, before = plain(content), copy.deepcopy(self.state)
        self.decide_array(content, actor)
        decided = self.state.journal.orders[: len(content)]
        if (decided["status"] != Status.REJECTED).all():
            return
        codes = np.where(decided["status"] == Status.REJECTED, decided["code"], Code.LINKED_REFUSED)
        self.state.restore(before)
        self.state.reserve(orders=len(content))
        refuse_orders(self.state.journal, content, codes.astype(np.int64), actor)

    def decide_linked(self, content: Sequence[Command]) -> None:
        """All commands or none: when one is refused, the others leave a refusal that says so."""
        before, start, kept = copy.deepcopy(self.state), len(self.segments), self._submitted
        accepted = [self.decide_command(command, index) for index, command in enumerate(content)]
        if all(accepted):
            return
        refusals = iter([f for s in self.segments[start:] for _, _, f in s.rare if isinstance(f, facts.CommandRefused)])
        del self.segments[start:]
        self._submitted = kept
        self.state.restore(before)
        for index, (command, was_accepted) in enumerate(zip(content, accepted, strict=True)):
            linked = Refused(Code.LINKED_REFUSED, "linked", type(command).__name__)
            self.emit(refusal_fact(command, index, linked) if was_accepted else next(refusals))


def refusal_fact(command: Command, index: int, refusal: Refused) -> facts.CommandRefused:
    """The fact of a refused command."""
    value = str(refusal.value)[:200]
    return facts.CommandRefused(type(command).__name__, index, int(refusal.code), refusal.field, value, refusal.rule)


def know_actor(state: State, name: str, role: Role) -> int:
    """Dense number of an actor, given at his first submission. A holder acts for himself alone."""
    number = state.actor_number(name)
    if number is None:
        number = len(state.actors)
        state.actors.append(name)
        state.register("actor", name, number)
        state.grow_registers()
    state.market.actor["party"][number] = party_of(state, name, role)
    return number


def party_of(state: State, name: str, role: Role) -> int:
    """The holder as whom alone an actor may act, -1 for any, -2 for none."""
    return state.numbers.get(("party", name), -2) if role == Role.HOLDER else -1


def answers_of(
    seqs: Sequence[int], counts: Sequence[int], ends: Sequence[Sequence[int]], pages: Pages, at_ns: int
) -> list[Answer]:
    """The answers of submissions of a run, which share their pages and reach up to these ends in them."""
    parts = zip(*(part for end in ends for part in ([0, *end], end)), strict=False)
    last_seqs = [seq + count - 1 for seq, count in zip(seqs, counts, strict=True)]
    return list(map(Answer, seqs, last_seqs, repeat(at_ns), repeat(pages), parts))


def whole(answer: Answer, before: Sequence[Segment]) -> Answer:
    """An answer with the facts of segments before its own."""
    parts = [*before, Segment([], dict(zip(rows.PAGE_DTYPES, answer.own, strict=True)), None)]
    return make_answer(answer.first_seq, answer.last_seq, answer.at_ns, parts)
