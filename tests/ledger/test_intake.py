"""What neighbours hand in never changes how a submission is taken in: together and one by one give the same."""

import itertools
import random
from typing import Any

import numpy as np
import pytest

from ledger.codes import Refused
from ledger.commands import OpenMarket, Role
from ledger.digests import content_digest
from ledger.intake import Intake, take_in
from ledger.rows import ORDER, READING
from ledger.submissions import Submission

ORDERS = np.zeros(5, ORDER)
ORDERS["price"] = range(5)
GOOD = (
    *(Submission(ORDERS[at : at + 1], f"actor {at % 2}", Role.OPERATOR, f"id {at}") for at in range(5)),
    Submission(ORDERS[:1], "actor 0", Role.HOLDER, "水权"),
    Submission(ORDERS[:1], "actor 0", Role.OPERATOR, "x" * 64, approver="another"),
    Submission(ORDERS[:1], "actor 0", Role.OPERATOR, "all or none", linked=True),
    Submission(ORDERS, "actor 1", Role.OPERATOR, "a batch"),
    Submission(np.zeros(1, READING), "gateway", Role.GATEWAY, "a reading"),
    Submission([OpenMarket(instrument="q")], "actor 0", Role.OPERATOR, "a command"),
)
WRONG: tuple[Any, ...] = (
    Submission(ORDERS[:1], "actor 0", Role.OPERATOR, ""),
    Submission(ORDERS[:1], "actor 0", Role.OPERATOR, "x" * 65),
    Submission(ORDERS[:1], "actor 0", Role.OPERATOR, "水" * 22),
    Submission(ORDERS[:1], "actor 0", Role.OPERATOR, "line\n"),
    Submission(ORDERS[:1], "actor 0", Role.OPERATOR, b"id"),  # type: ignore[arg-type]
    Submission(ORDERS[:1], "", Role.OPERATOR, "id"),
    Submission(ORDERS[:1], ["actor"], Role.OPERATOR, "id"),  # type: ignore[arg-type]
    Submission(ORDERS[:1], "actor 0", 2, "id"),  # type: ignore[arg-type]
    Submission(ORDERS[:1], "actor 0", Role.GATEWAY, "id"),
    Submission(ORDERS[:1], "actor 0", Role.OPERATOR, "id", linked=0),  # type: ignore[arg-type]
    Submission(ORDERS[:1].reshape(1, 1), "actor 0", Role.OPERATOR, "id"),
    Submission(ORDERS[:0], "actor 0", Role.OPERATOR, "id"),
    Submission(np.zeros(1, np.int64), "actor 0", Role.OPERATOR, "id"),
    Submission(7, "actor 0", Role.OPERATOR, "id"),  # type: ignore[arg-type]
)


def told(intake: Intake) -> list[tuple[Any, ...]]:
    """What an intake says of each submission, its orders as bytes."""
    ends = np.cumsum([0, *intake.rows]).tolist()
    orders = [intake.orders[begin:end].tobytes() for begin, end in itertools.pairwise(ends)]
    digests = [str(digest) if isinstance(digest, Refused) else digest for digest in intake.digests]
    names = [(one.actor, one.role, one.command_id) for one in intake.submissions]
    return [*zip(names, orders, digests, intake.rows, intake.commands, intake.sizes, strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_together_and_one_by_one_are_the_same(seed: int) -> None:
    rng = random.Random(seed)
    some = rng.choices(GOOD, k=40) + rng.choices(WRONG, k=3 * (seed % 3))
    rng.shuffle(some)
    whole, apart = take_in(some), [take_in([one]) for one in some]
    assert told(whole) == [told_of for intake in apart for told_of in told(intake)]
    assert [told(whole.part(at, at + 7)) for at in (0, 5)] == [told(whole)[at : at + 7] for at in (0, 5)]
    for one, digest in zip(some, whole.digests, strict=True):
        wrong = any(one is other for other in WRONG)
        assert isinstance(digest, Refused) if wrong else digest == content_digest(one)


def test_who_changes_an_array_later_changes_nothing() -> None:
    mine = ORDERS.copy()
    taken = take_in([Submission(mine[at : at + 1], "actor", Role.OPERATOR, f"id {at}") for at in range(5)])
    mine["price"] = -1
    assert taken.orders["price"].tolist() == [0, 1, 2, 3, 4]
