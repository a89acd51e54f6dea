"""Deciding again: what was recorded as asked for goes through the deciding kernels once more, from the first fact on.

Exactly the recorded facts must come out, one by one: outcomes, trades, removals, use, expiries, accepted acts. So
price-time priority was honoured, and nothing was decided by any other rule than the program's.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from ledger import facts, rows
from ledger.acts import founding_facts
from ledger.audit.commands_again import command_again, orders_again, readings_again, were_linked
from ledger.audit.recorded import Recorded, submissions_of
from ledger.codes import Code, Refused
from ledger.commands import Role
from ledger.decider import Decider, know_actor
from ledger.expiry import expire, roll_sessions
from ledger.facts import TOPIC_OF
from ledger.journal.records import ALGORITHM, FORMAT, Decoded
from ledger.policy import Policy
from ledger.replay import Progress
from ledger.state import State
from ledger.statehash import state_hash
from ledger.tables import AT_NS, NEXT_SEQ, Array

OF_TIME: Final = (facts.RightEnded, facts.MeterLapsed)
"""Acts that nobody asked for: time leads to them."""

SHOWN_FIELDS: Final = 6


class Rematch(NamedTuple):
    """What deciding again has shown to be as recorded."""

    ledger_id: str
    facts: int
    submissions: int
    orders: int
    trades: int
    removals: int
    state_hash: str


def rematch(groups: Iterable[Decoded], progress: Progress | None = None) -> Rematch:
    """Decide every submission of a journal again. `groups` holds all its facts, dense and in order.

    Raises Refused: OUTCOME_DIFFERS naming the first `seq` that comes out otherwise, with both outcomes.
    """
    decider, counts, submissions = Decider(State()), dict.fromkeys(rows.PAGE_DTYPES, 0), 0
    for recorded in submissions_of(watched(groups, progress)):
        before, contradiction = decider.state.next_seq, None
        if recorded.row is None:
            found_again(decider, recorded)
        else:
            contradiction = decide_again(decider, recorded)
            submissions += 1
        compare(decider, recorded, before)
        if contradiction:
            raise contradiction
        for topic in counts:
            counts[topic] += len(recorded.rows_of(topic))
    state = decider.state
    return Rematch(
        state.ledger_id, state.next_seq - 1, submissions, counts[rows.ORDERS], counts[rows.TRADES],
        counts[rows.REMOVALS], state_hash(state),
    )  # fmt: skip


def watched(groups: Iterable[Decoded], progress: Progress | None) -> Iterable[Decoded]:
    """The same groups, while somebody is told how far they go."""
    for group in groups:
        yield group
        if progress:
            progress(group.position, group.last_seq)


def found_again(decider: Decider, recorded: Recorded) -> None:
    """The first facts of a ledger from the policy that it adopted. Raises Refused (OUTCOME_DIFFERS)."""
    found = [stamped.fact for stamped in recorded.acts]
    if recorded.columns or not found or not isinstance(found[0], facts.LedgerOpened) or found[0].format != FORMAT:
        raise Refused(Code.OUTCOME_DIFFERS, "seq", 1, f"{TOPIC_OF[facts.LedgerOpened]}, then what the policy says")
    decider.state.journal.clock[AT_NS] = recorded.acts[0].at_ns
    adopted = next((fact for fact in found if isinstance(fact, facts.PolicyAdopted)), None)
    decider.emit(msgspec.structs.replace(found[0], algorithm=ALGORITHM))
    if adopted:
        policy = msgspec.msgpack.decode(adopted.content, type=Policy)
        for fact in founding_facts(policy, adopted.content, adopted.digest):
            decider.emit(fact)
    decider.cut()


def decide_again(decider: Decider, recorded: Recorded) -> Refused | None:
    """Decide one submission as `Decider.decide` does, from what its facts say that it asked for.

    Returns the refusal of a submission that contradicts the facts behind it, which go first.
    """
    state, row = decider.state, recorded.row
    state.journal.clock[AT_NS] = max(state.at_ns, int(row["at_ns"]))
    first_seq = state.next_seq
    actor = know_actor(state, row["actor"].decode(), Role(int(row["role"])))
    state.journal.clock[NEXT_SEQ] += 1
    roll_sessions(state)
    expire(state, first_seq, decider.emit)
    orders, readings = recorded.rows_of(rows.ORDERS), recorded.rows_of(rows.READINGS)
    asked = [stamped.fact for stamped in recorded.acts if not isinstance(stamped.fact, OF_TIME)]
    if len(orders):
        again = orders_again(state, orders)
        if were_linked(orders):
            decider.decide_linked_orders(again, actor)
        else:
            decider.decide_array(again, actor)
    if len(readings):
        decider.decide_array(readings_again(readings), actor)
    for index, fact in enumerate(asked):
        ask_again(decider, fact, index)
    decider.cut()
    found = (state.at_ns, actor, len(orders) + len(readings) + len(asked), state.next_seq - first_seq)
    said = (int(row["at_ns"]), int(row["actor_number"]), int(row["commands"]), int(row["facts"]))
    rule = f"submission of (at_ns, actor, commands, facts) {found}, not {said}"
    return Refused(Code.OUTCOME_DIFFERS, "seq", int(row["seq"]), rule) if found != said else None


def ask_again(decider: Decider, fact: facts.Fact, index: int) -> None:
    """Give the command behind an act again; a refusal and what cannot be asked again are taken as they are."""
    try:
        command = command_again(decider.state, fact)
    except IndexError:
        raise Refused(
            Code.OUTCOME_DIFFERS, "seq", decider.state.next_seq, f"{TOPIC_OF[type(fact)]} of what is registered"
        ) from None
    if command is None:
        decider.emit(fact)
    else:
        decider.decide_command(command, index)


def compare(decider: Decider, recorded: Recorded, before: int) -> None:
    """Raise Refused (OUTCOME_DIFFERS) naming the first fact from `before` on that did not come out as recorded."""
    segments, decider.segments = decider.segments, []
    differing = [difference_of_acts([act for part in segments for act in part.rare], recorded.acts)]
    for topic, dtype in rows.PAGE_DTYPES.items():
        pieces = [part.pages[topic] for part in segments if topic in part.pages]
        decided = pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, dtype), *pieces])
        differing.append(difference_of_rows(topic, decided, recorded.rows_of(topic)))
    found = min((one for one in differing if one), default=None)
    if found:
        seq, rule = found
        raise Refused(Code.OUTCOME_DIFFERS, "seq", max(seq, before), rule)


def difference_of_acts(decided: list[facts.Stamped], recorded: list[facts.Stamped]) -> tuple[int, str] | None:
    """First number at which rare facts differ, and how; None where they do not."""
    for ours, theirs in zip(decided, recorded, strict=False):
        if ours != theirs:
            seq = min(ours.seq, theirs.seq)
            return seq, f"decided again {shown_act(ours)}; recorded {shown_act(theirs)}"
    both, more = min(len(decided), len(recorded)), len(decided) > len(recorded)
    rest = (decided if more else recorded)[both : both + 1]
    return first_beyond([(one.seq, shown_act(one)) for one in rest], more=more)


def shown_act(stamped: facts.Stamped) -> str:
    """A rare fact in words."""
    return f"{TOPIC_OF[type(stamped.fact)]} at {stamped.seq} {stamped.fact}"


def difference_of_rows(topic: str, decided: Array, recorded: Array) -> tuple[int, str] | None:
    """First number at which rows of a topic differ, and how; None where they do not."""
    both = min(len(decided), len(recorded))
    unequal = np.flatnonzero(decided[:both] != recorded[:both])
    if len(unequal):
        ours, theirs = decided[unequal[0]], recorded[unequal[0]]
        names = [name for name in ours.dtype.names if ours[name] != theirs[name]]
        figures = ", ".join(f"{name} {ours[name]}, not {theirs[name]}" for name in names[:SHOWN_FIELDS])
        return min(int(ours["seq"]), int(theirs["seq"])), f"{shown_row(topic, theirs)}: decided again {figures}"
    longer = decided if len(decided) > len(recorded) else recorded
    beyond = [(int(row["seq"]), shown_row(topic, row)) for row in longer[both : both + 1]]
    return first_beyond(beyond, more=len(decided) > len(recorded))


def first_beyond(rest: list[tuple[int, str]], *, more: bool) -> tuple[int, str] | None:
    """The first fact that only one of both sides has."""
    said = "decided again and not recorded" if more else "recorded and not decided again"
    return (rest[0][0], f"{rest[0][1]}: {said}") if rest else None


def shown_row(topic: str, row: Any) -> str:
    """A frequent fact by what it is about."""
    if topic == rows.TRADES:
        return f"{topic} of order {row['taker_order_id']} with order {row['maker_order_id']}"
    about = next(name for name in ("order_id", "meter", "right") if name in row.dtype.names)
    return f"{topic} of {about} {row[about]}"
