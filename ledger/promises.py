"""What waits in the pipeline and who waits for it: requests, what they weigh, the futures that get their answers."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import repeat
from typing import Any, NamedTuple

from ledger.answers import Answer
from ledger.codes import Refused
from ledger.intake import Intake
from ledger.writer import Decided

Promise = Future[list[Answer | Refused]] | asyncio.Future[list[Answer | Refused]]


class Request(NamedTuple):
    """Submissions that go into one commit, and who waits: one for all their answers, or tasks for one answer each."""

    intake: Intake
    promise: Future[list[Answer | Refused]] | Sequence[asyncio.Future[Answer]]


def settle_requests(requests: Sequence[Request], outcome: Decided | Refused) -> None:
    """Give each who waits the answers to his submissions, or the refusal of all; tasks in the thread of their loop."""
    at = 0
    for request in requests:
        end = at + len(request.intake.submissions)
        answers = outcome if isinstance(outcome, Refused) else outcome.answers[at:end]
        if isinstance(request.promise, Future):
            settle(request.promise, answers)
        else:
            call_in(request.promise[0].get_loop(), settle_each, request.promise, answers)
        at = end


def call_in(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: Any) -> None:
    """Have something called in the thread of an event loop; not where it was closed, for nobody waits there."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)


def settle_each(promises: Sequence[asyncio.Future[Any]], outcomes: Sequence[Any] | Refused) -> None:
    """Settle futures of an event loop, in the loop, each with its outcome or all with a refusal."""
    for promise, outcome in zip(promises, repeat(outcomes) if isinstance(outcomes, Refused) else outcomes):  # noqa: B905
        if not promise.done():  # its task may be cancelled
            settle(promise, outcome)


def settle(promise: Any, outcome: Any) -> None:
    """Give a future its result or its refusal."""
    if isinstance(outcome, Refused):
        promise.set_exception(outcome)
    else:
        promise.set_result(outcome)
