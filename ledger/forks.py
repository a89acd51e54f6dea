"""A fork: how a ledger goes on after an older copy of it took its place.

A copy from a backup lacks what was written after it. Two histories of one ledger would come of it if it simply went on,
and nobody could tell later. So a store says when its journal is such a copy (`Store.fork_due`), opening it for writing
is refused, and the first fact that may be written names the place, the reason and who answers for it.
"""

from typing import NamedTuple

from ledger.codes import Code, Refused
from ledger.commands import ForkLedger, Role
from ledger.journal.store import RESTORED, ForkDue, Store
from ledger.submissions import Submission


class Fork(NamedTuple):
    """Who lets a ledger go on from a copy, who approved it, and the document (文号) that it rests on."""

    actor: str
    approver: str
    document: str


def fork_command(due: ForkDue, document: str) -> ForkLedger:
    """The command that settles a fork."""
    return ForkLedger(
        after_position=due.position,
        head=due.head,
        cause=due.cause,
        known_position=due.known_position,
        document=document,
    )


def fork_submission(due: ForkDue | None, fork: Fork) -> Submission:
    """The submission that settles a fork. Raises Refused (NO_FORK_DUE) where there is none to settle."""
    if due is None:
        raise Refused(Code.NO_FORK_DUE, "fork", fork.document, "open it without a fork")
    name = f"fork-{due.position}-{due.head.hex()[:8]}"
    return Submission([fork_command(due, fork.document)], fork.actor, Role.BUREAU, name, fork.approver)


def check_fork(submission: Submission, store: Store) -> None:
    """Raise Refused (NO_FORK_DUE) for a submission with a fork in it that the store does not ask for."""
    content = submission.content
    if not any(isinstance(command, ForkLedger) for command in content):
        return
    due, first = store.fork_due(), content[0]
    if due is None or not isinstance(first, ForkLedger) or list(content) != [fork_command(due, first.document)]:
        raise Refused(Code.NO_FORK_DUE, "command", ForkLedger.__name__, "given by opening a copy with a fork")


def refuse_copy(due: ForkDue | None) -> None:
    """Raise Refused (LEDGER_RESTORED or LEDGER_OLDER) for a journal that needs a fork before it is written on."""
    if due is None:
        return
    if due.cause == RESTORED:
        rule = "read it, or record with `shuiquan fork` that it goes on from here"
        raise Refused(Code.LEDGER_RESTORED, "position", due.position, rule)
    rule = f"position {due.known_position} is known: put that ledger back, or record its loss with `shuiquan fork`"
    raise Refused(Code.LEDGER_OLDER, "position", due.position, rule)
