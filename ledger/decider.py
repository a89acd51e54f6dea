"""One submission after the other: stamp it, let what is due expire, decide its commands, keep its facts."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ledger import facts, rows
from ledger.acts import ACTS, founding_facts
from ledger.answers import NOTHING, Answer, make_answer
from ledger.codes import Code, Refused
from ledger.commands import Command, Role
from ledger.decide import RUN, decide_orders, decide_run, refuse_orders
from ledger.expiry import expire, roll_sessions, withdraw_orders_of
from ledger.fold import apply_fact, ensure_holdings_of
from ledger.journal.records import ALGORITHM, FORMAT
from ledger.metering import decide_readings
from ledger.policy import Policy
from ledger.rows import SubmissionFact
from ledger.segments import Segment
from ledger.state import State
from ledger.submissions import Submission, plain
from ledger.tables import AT_NS, NEXT_SEQ, Array, copied
from matching.types import Status


class Decider:
    """Decides submissions on a state and keeps the facts of the commit that is being prepared."""

    def __init__(self, state: State) -> None:
        """A decider on `state`, which it changes in place."""
        self.state = state
        self.segments: list[Segment] = []
        self._submissions: list[SubmissionFact] = []

    # the life of a commit

    def found(self, ledger_id: str, policy: Policy, content: bytes, digest: bytes) -> None:
        """The first facts of a ledger."""
        self.emit(facts.LedgerOpened(ledger_id, ALGORITHM, FORMAT, policy.district))
        for fact in founding_facts(policy, content, digest):
            self.emit(fact)

    def decide(self, submission: Submission, digest: bytes, now_ns: int) -> Answer:
        """Decide one well-formed submission, of this content digest, at max(last, `now_ns`) (K2); returns its facts."""
        if are_orders(submission):
            return self.decide_orders([(submission, digest)], now_ns)[0]
        state = self.state
        state.journal.clock[AT_NS] = max(state.at_ns, now_ns)
        first_seq = state.next_seq
        start = len(self.segments)
        fact = self.open_submission(submission, digest)
        roll_sessions(state)
        expire(state, first_seq, self.emit)
        if isinstance(submission.content, np.ndarray) and submission.linked:
            self.decide_linked_orders(submission.content, fact.actor_number)
        elif isinstance(submission.content, np.ndarray):
            self.decide_array(submission.content, fact.actor_number)
        elif submission.linked:
            self.decide_linked(submission.content)
        else:
            for index, command in enumerate(submission.content):
                self.decide_command(command, index)
        fact.facts = state.next_seq - first_seq
        self.cut()
        return make_answer(first_seq, state.next_seq - 1, state.at_ns, self.segments[start:])

    def decide_orders(self, run: Sequence[tuple[Submission, bytes]], now_ns: int) -> list[Answer]:
        """Decide batches of orders with their content digests, one after the other, all at one time.

        The same facts as `decide` gives one by one, in one compiled call: it stops where an order of the run itself
        has run out before the next submission begins.
        """
        state = self.state
        state.journal.clock[AT_NS] = max(state.at_ns, now_ns)
        orders, table = joined_orders([submission.content for submission, _ in run]), self.number_run(run)
        answers: list[Answer] = []
        while len(answers) < len(run):
            at, start = len(answers), len(self.segments)
            fact = self.open_submission(*run[at])
            roll_sessions(state)
            expire(state, fact.seq, self.emit)
            table["seq"][at] = fact.seq
            state.reserve(orders=len(orders) - int(table["first"][at]))
            done = decide_run(
                state.books, state.tape, state.accounts, state.market, state.journal, orders, table, at
            )  # fmt: skip
            decided = table[at:done]
            self._submissions += facts_of(run[at + 1 : done], decided[1:], state.at_ns)
            fact.facts = int(decided["facts"][0])
            self.cut()
            answers += answers_of(decided, self.segments[-1], state.at_ns)
            if len(self.segments) > start + 1:  # something expired before
                answers[at] = whole(answers[at], self.segments[start:-1])
        return answers

    def number_run(self, run: Sequence[tuple[Submission, bytes]]) -> Array:
        """What the compiled loop is told of each submission of a run, as RUN rows; new actors get their numbers."""
        known: dict[tuple[str, Role], tuple[int, int]] = {}
        first, table = 0, []
        for submission, _ in run:
            name = submission.actor, submission.role
            if name not in known:
                known[name] = know_actor(self.state, *name), party_of(self.state, *name)
            table.append((*known[name], first, len(submission.content), 0, 0, 0, 0, 0))
            first += len(submission.content)
        return np.array(table, RUN)

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
        if pages or self._submissions:
            self.segments.append(Segment([], pages, self._submissions))
        self._submissions = []

    def emit(self, fact: facts.Fact) -> int:
        """Record and apply one rare fact; returns its `seq`."""
        self.cut()
        seq = self.state.next_seq
        self.state.journal.clock[NEXT_SEQ] += 1
        apply_fact(self.state, fact)
        self.segments.append(Segment([facts.Stamped(seq, self.state.at_ns, fact)], {}, []))
        return seq

    # parts of a submission

    def open_submission(self, submission: Submission, digest: bytes) -> SubmissionFact:
        """The fact of the submission itself; it knows how many facts follow once they are decided."""
        state = self.state
        actor = know_actor(state, submission.actor, submission.role)
        fact = submission_fact(submission, digest, state.next_seq, state.at_ns, 0, actor)
        state.journal.clock[NEXT_SEQ] += 1
        self._submissions.append(fact)
        return fact

    def decide_array(self, content: Array, actor: int) -> None:
        """Orders or readings of one submission: one compiled call, or a few where holdings come up."""
        state, content = self.state, plain(content)
        if content.dtype == rows.ORDER:
            state.reserve(orders=len(content))
            decide_orders(state.books, state.tape, state.accounts, state.market, state.journal, content, actor)
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
        before, start, submissions = copy.deepcopy(self.state), len(self.segments), list(self._submissions)
        accepted = [self.decide_command(command, index) for index, command in enumerate(content)]
        if all(accepted):
            return
        refusals = iter([f for s in self.segments[start:] for _, _, f in s.rare if isinstance(f, facts.CommandRefused)])
        del self.segments[start:]
        self._submissions = submissions
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


def are_orders(submission: Submission) -> bool:
    """Whether a submission is a batch of orders that stand each for itself."""
    content = submission.content
    return isinstance(content, np.ndarray) and content.dtype == rows.ORDER and not submission.linked


def joined_orders(contents: Sequence[Any]) -> Array:
    """The orders of several submissions in one array."""
    if len(contents) == 1:
        return plain(contents[0])
    packed = bytearray().join([content.tobytes() for content in contents])  # faster than joining many small arrays
    return np.frombuffer(packed, rows.ORDER)


def submission_fact(
    submission: Submission, digest: bytes, seq: int, at_ns: int, count: int, actor: int
) -> SubmissionFact:
    """The fact of a submission that is followed by `count` - 1 facts."""
    return SubmissionFact(
        seq, at_ns, count, len(submission.content), actor, int(submission.role), digest, submission.actor.encode(),
        submission.approver.encode(), submission.command_id.encode(),
    )  # fmt: skip


def facts_of(run: Sequence[tuple[Submission, bytes]], decided: Array, at_ns: int) -> list[SubmissionFact]:
    """The facts of submissions of a run, as RUN says how they were decided."""
    columns = (decided[name].tolist() for name in ("seq", "facts", "actor"))
    return [
        submission_fact(submission, digest, seq, at_ns, count, actor)
        for (submission, digest), seq, count, actor in zip(run, *columns, strict=True)
    ]


def answers_of(decided: Array, segment: Segment, at_ns: int) -> list[Answer]:
    """The answers of submissions of a run, as parts of the pages that they share."""
    orders, trades, removals, readings, uses = (segment.pages.get(topic, NOTHING[topic]) for topic in rows.PAGE_DTYPES)
    made, o, t, r = [], 0, 0, 0
    columns = (decided[name].tolist() for name in ("seq", "facts", "orders_end", "trades_end", "removals_end"))
    for seq, count, o_end, t_end, r_end in zip(*columns, strict=True):
        last = seq + count - 1
        made.append(Answer(seq, last, at_ns, orders[o:o_end], trades[t:t_end], removals[r:r_end], readings, uses, []))
        o, t, r = o_end, t_end, r_end
    return made


def whole(answer: Answer, before: Sequence[Segment]) -> Answer:
    """An answer with the facts of segments before its own."""
    own = (answer.orders, answer.trades, answer.removals, answer.readings, answer.uses)
    parts = [*before, Segment([], dict(zip(rows.PAGE_DTYPES, own, strict=True)), [])]
    return make_answer(answer.first_seq, answer.last_seq, answer.at_ns, parts)
