"""Taking in: what a caller hands over is checked, copied and digested before it waits, in the thread of the caller.

Whoever changes an array or a list after he handed it over changes nothing. What is malformed goes on with its refusal,
so that answers come in the order of the submissions.
"""

import functools
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from ledger.codes import Code, Refused
from ledger.commands import Role
from ledger.digests import begun, digest_of, packed_commands
from ledger.journal.columns import encode_columns, plan_of
from ledger.rows import ORDER
from ledger.submissions import Submission, are_orders, check_name, check_submission
from ledger.tables import Array, copied, plain

ANY_ORDER: Final = np.zeros(1, ORDER)
ORDER_BYTES: Final = plan_of(ORDER).row_size
"""Of the columns of one order, which are its row without the padding."""


class Weight(NamedTuple):
    """How much an intake is."""

    submissions: int
    commands: int
    bytes: int


class Intake(NamedTuple):
    """Submissions that are ready to be decided, in lists of one length."""

    submissions: list[Submission]
    digests: list[bytes | Refused]  # of the content, or why it is malformed
    orders: list[bytes | Array]  # rows of a batch of orders that stand each for itself, no bytes for others
    commands: list[int]
    sizes: list[int]  # of the content, in bytes

    @property
    def weight(self) -> Weight:
        """What the limits of the queue are compared with."""
        return Weight(len(self.submissions), sum(self.commands), sum(self.sizes))

    def part(self, begin: int, end: int) -> "Intake":
        """Some of them."""
        columns: Any = (column[begin:end] for column in self)
        return Intake(*columns)


def together(intakes: Sequence[Intake]) -> Intake:
    """Several intakes as one."""
    if len(intakes) == 1:
        return intakes[0]
    columns: Any = (list(chain.from_iterable(parts)) for parts in zip(*intakes, strict=True))
    return Intake(*columns)


def take_in(submissions: Sequence[Submission]) -> Intake:
    """Check, copy and digest submissions."""
    if not submissions:
        return Intake([], [], [], [], [])
    return Intake(*map(list, zip(*map(taken_in, submissions), strict=True)))


def taken_in(submission: Submission) -> tuple[Any, ...]:
    """What an intake holds of a submission."""
    content = submission.content
    if type(content) is np.ndarray and content.shape == (1,) and content.dtype == ORDER and submission.linked is False:
        try:
            return one_order(submission)
        except Exception:  # noqa: BLE001, S110 - the long way says why
            pass
    try:
        submission = with_own_list(submission)
        check_submission(submission)
        kept, rows, packed = copy_of(submission)
        return kept, digest_of(kept, packed), rows, len(kept.content), len(packed)
    except Refused as refusal:
        return submission, refusal, b"", 1, 0
    except Exception as failure:  # noqa: BLE001 - by an object that is not what it seems; others must not suffer from it
        name = type(submission.content).__name__
        return submission, Refused(Code.WRONG_TYPE, "commands", name, repr(failure)), b"", 1, 0


def one_order(submission: Submission) -> tuple[Any, ...]:
    """The same of a single order, as tasks give them: what one has in common with the next is not done again."""
    digest = begun_order(submission.actor, submission.role, submission.approver).copy()
    check_name("command_id", submission.command_id)
    order = submission.content.tobytes()  # type: ignore[union-attr]
    digest.update(order[:ORDER_BYTES])
    return submission, digest.digest(), order, 1, ORDER_BYTES


@functools.lru_cache(maxsize=4096, typed=True)
def begun_order(actor: str, role: Role, approver: str) -> Any:
    """The digest of an order of one who may give it as far as all his orders begin, to be copied. Raises Refused."""
    check_submission(Submission(ANY_ORDER, actor, role, "-", approver))
    return begun(role, approver, False, ORDER)


def with_own_list(submission: Submission) -> Submission:
    """The same submission with a list of commands that nobody else can change."""
    content = submission.content
    if isinstance(content, np.ndarray) or not isinstance(content, Sequence):
        return submission
    return msgspec.structs.replace(submission, content=[*content])


def copy_of(submission: Submission) -> tuple[Submission, bytes | Array, bytes | memoryview]:
    """A well-formed submission with rows that nobody else can change, those of a batch of orders, and all packed."""
    content: Any = submission.content
    if not isinstance(content, np.ndarray):
        return submission, b"", packed_commands(content)
    if not are_orders(submission):
        rows = copied(plain(content))
        return msgspec.structs.replace(submission, content=rows), b"", encode_columns(rows)
    rows = copied(plain(content))
    return submission, rows, encode_columns(rows)
