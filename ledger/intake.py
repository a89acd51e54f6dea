"""Taking in: what a caller hands over is checked, copied and digested before it waits, in the thread of the caller.

Whoever changes an array or a list after he handed it over changes nothing. What is malformed goes on with its refusal,
so that answers come in the order of the submissions.
"""

import functools
from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from operator import methodcaller
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from ledger.codes import Code, Refused
from ledger.commands import Role
from ledger.digests import begun, digest_of, packed_commands
from ledger.journal.columns import encode_columns, plan_of
from ledger.rows import ORDER
from ledger.submissions import MAX_NAME, Submission, are_orders, check_submission
from ledger.tables import Array, copied, joined, plain

COPY: Final = methodcaller("copy")
NO_ORDERS, ANY_ORDER = np.zeros(0, ORDER), np.zeros(1, ORDER)
ORDER_BYTES: Final = plan_of(ORDER).row_size
"""Of the columns of one order, which are its row without the padding."""


class Weight(NamedTuple):
    """How much an intake is."""

    submissions: int
    commands: int
    bytes: int


class Intake(NamedTuple):
    """Submissions that are ready to be decided, in lists of one length, and the rows of their orders."""

    orders: Array
    rows: list[int]  # of `orders` that belong to each: all of a batch of orders that stand each for itself, or none
    submissions: list[Submission]
    digests: list[bytes | Refused]  # of the content, or why it is malformed
    commands: list[int]
    sizes: list[int]  # of the content, in bytes

    @property
    def weight(self) -> Weight:
        """What the limits of the queue are compared with."""
        return Weight(len(self.submissions), sum(self.commands), sum(self.sizes))

    def part(self, begin: int, end: int) -> "Intake":
        """Some of them."""
        first, count = sum(self.rows[:begin]), sum(self.rows[begin:end])
        columns: Any = (column[begin:end] for column in self[1:])
        return Intake(self.orders[first : first + count], *columns)


def together(intakes: Sequence[Intake]) -> Intake:
    """Several intakes as one."""
    if len(intakes) == 1:
        return intakes[0]
    orders, *lists = zip(*intakes, strict=True)
    columns: Any = (list(chain.from_iterable(parts)) for parts in lists)
    return Intake(joined(orders), *columns)


def take_in(submissions: Sequence[Submission]) -> Intake:
    """Check, copy and digest submissions."""
    if not submissions:
        return Intake(NO_ORDERS, [], [], [], [], [])
    runs = groupby(submissions, is_single_order)
    return together([single_orders([*run]) if single else one_by_one(run) for single, run in runs])


def is_single_order(submission: Submission) -> bool:
    """Whether it is one order that stands for itself, as tasks give them."""
    content = submission.content
    return (
        type(content) is np.ndarray and content.shape == (1,) and content.dtype == ORDER and submission.linked is False
    )


def single_orders(run: list[Submission]) -> Intake:
    """An intake of single orders, by column; what is malformed is looked for one by one."""
    count = len(run)
    try:
        check_command_ids([submission.command_id for submission in run])
        begun = [begun_order(submission.actor, submission.role, submission.approver) for submission in run]
    except Exception:  # noqa: BLE001 - the other way says of which and why
        return one_by_one(run)
    contents: Any = [submission.content for submission in run]
    content = bytearray().join(contents)  # faster than to join arrays
    orders, digests = memoryview(content), []
    for at, digest in zip(range(0, len(content), ORDER.itemsize), map(COPY, begun), strict=True):
        digest.update(orders[at : at + ORDER_BYTES])
        digests.append(digest.digest())
    return Intake(np.frombuffer(content, ORDER), [1] * count, run, digests, [1] * count, [ORDER_BYTES] * count)


def check_command_ids(command_ids: list[str]) -> None:
    """Raise an error unless all are short printable texts of ASCII, as nearly all are."""
    text = "".join(command_ids)
    if not (text.isascii() and text.isprintable() and all(command_ids) and max(map(len, command_ids)) <= MAX_NAME):
        raise ValueError(text)


@functools.lru_cache(maxsize=4096, typed=True)
def begun_order(actor: str, role: Role, approver: str) -> Any:
    """The digest of an order of one who may give it as far as all his orders begin, to be copied. Raises Refused."""
    check_submission(Submission(ANY_ORDER, actor, role, "-", approver))
    return begun(role, approver, False, ORDER)


def one_by_one(run: Iterable[Submission]) -> Intake:
    """An intake of any submissions."""
    orders, *lists = zip(*map(taken_in, run), strict=True)
    columns: Any = map(list, lists)
    return Intake(joined(orders), *columns)


def taken_in(submission: Submission) -> tuple[Any, ...]:
    """What an intake holds of a submission."""
    try:
        submission = with_own_list(submission)
        check_submission(submission)
        kept, orders, packed = copy_of(submission)
        return orders, len(orders), kept, digest_of(kept, packed), len(kept.content), len(packed)
    except Refused as refusal:
        return NO_ORDERS, 0, submission, refusal, 1, 0
    except Exception as failure:  # noqa: BLE001 - by an object that is not what it seems; others must not suffer from it
        name = type(submission.content).__name__
        return NO_ORDERS, 0, submission, Refused(Code.WRONG_TYPE, "commands", name, repr(failure)), 1, 0


def with_own_list(submission: Submission) -> Submission:
    """The same submission with a list of commands that nobody else can change."""
    content = submission.content
    if isinstance(content, np.ndarray) or not isinstance(content, Sequence):
        return submission
    return msgspec.structs.replace(submission, content=[*content])


def copy_of(submission: Submission) -> tuple[Submission, Array, bytes | memoryview]:
    """A well-formed submission with rows that nobody else can change, those of a batch of orders, and all packed."""
    content: Any = submission.content
    if not isinstance(content, np.ndarray):
        return submission, NO_ORDERS, packed_commands(content)
    if not are_orders(submission):
        rows = copied(plain(content))
        return msgspec.structs.replace(submission, content=rows), NO_ORDERS, encode_columns(rows)
    rows = copied(plain(content))
    return submission, rows, encode_columns(rows)
