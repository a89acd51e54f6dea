"""What waits in the pipeline and who waits for it: requests, what they weigh, the futures that get their answers."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from ledger.answers import Answer
from ledger.codes import Refused
from ledger.submissions import Content, Submission
from ledger.writer import Decided

Promise = Future[list[Answer | Refused]] | asyncio.Future[list[Answer | Refused]]


class Request(msgspec.Struct, frozen=True):
    """Submissions that go into one commit, and who waits for their answers."""

    submissions: Sequence[Submission]
    promise: Promise
    commands: int
    bytes: int


def request_of(submissions: Sequence[Submission], promise: Promise) -> Request:
    """A request with what it weighs, as far as can be said before it is checked."""
    commands = sum([size_of(submission.content) for submission in submissions])
    return Request(submissions, promise, commands, sum([bytes_of(submission.content) for submission in submissions]))


def size_of(content: Content) -> int:
    """How many commands; one for what is no batch, and refused when it is checked."""
    try:
        return len(content)
    except TypeError:
        return 1


def bytes_of(content: Content) -> int:
    """How many bytes, as they would be written; none for what cannot be, and is refused when it is checked."""
    if isinstance(content, np.ndarray):
        return content.nbytes
    try:
        return len(msgspec.msgpack.encode(content))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return 0


def outcomes(requests: Sequence[Request], outcome: Decided | Refused) -> list[tuple[Promise, Any]]:
    """What each of the callers gets: the answers to his submissions, or the refusal of all."""
    if isinstance(outcome, Refused):
        return [(request.promise, outcome) for request in requests]
    told, at = [], 0
    for request in requests:
        told.append((request.promise, outcome.answers[at : at + len(request.submissions)]))
        at += len(request.submissions)
    return told


def tell(told: Sequence[tuple[Any, Any]]) -> None:
    """Settle futures; those of an event loop all at once, in the loop."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Any, Any]]] = {}
    for promise, outcome in told:
        if isinstance(promise, Future):
            settle(promise, outcome)
        else:
            loops.setdefault(promise.get_loop(), []).append((promise, outcome))
    for loop, theirs in loops.items():
        call_in(loop, settle_all, theirs)


def call_in(loop: asyncio.AbstractEventLoop, call: Callable[[Any], None], argument: Any) -> None:
    """Have something called in the thread of an event loop; not where it was closed, for nobody waits there."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, argument)


def settle_all(told: Sequence[tuple[Any, Any]]) -> None:
    """Settle the futures of an event loop, in the loop."""
    for promise, outcome in told:
        if not promise.done():  # its task may be cancelled
            settle(promise, outcome)


def settle(promise: Any, outcome: Any) -> None:
    """Give a future its result or its refusal."""
    if isinstance(outcome, Refused):
        promise.set_exception(outcome)
    else:
        promise.set_result(outcome)
