"""How submissions are made: the same for whoever holds the exchange and for a client of its process."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from concurrent.futures import Future

from ledger.answers import Answer
from ledger.codes import Refused
from ledger.commands import Command, Role
from ledger.pipeline import Load
from ledger.submissions import Content, Submission


class Submitting(ABC):
    """Something that takes submissions. What it answered is durable."""

    def submit(
        self,
        content: Command | Content,
        *,
        actor: str,
        role: Role,
        command_id: str,
        approver: str = "",
        linked: bool = False,
    ) -> Answer:
        """Submit one command, a list of them, or an array of `rows.ORDER` or `rows.READING`; returns its facts.

        The same `command_id` of the same actor with the same content gives the first answer again; with other
        content it is refused. Commands of a list are independent unless `linked`: then all or none. Orders name
        their right and instrument by number (`right`, `instrument`).

        Raises Refused when the submission is malformed or not authorised (nothing is recorded), and with
        COMMIT_FAILED when the store failed: reopen the ledger and repeat the command id to learn the outcome.
        A client's raises CONNECTION_LOST as well: connect again and repeat the command id.
        """
        (answer,) = self.submit_many([Submission(listed(content), actor, role, command_id, approver, linked)])
        return accepted(answer)

    async def submit_async(
        self,
        content: Command | Content,
        *,
        actor: str,
        role: Role,
        command_id: str,
        approver: str = "",
        linked: bool = False,
    ) -> Answer:
        """As `submit`, for a task of asyncio: what many tasks submit shares commits, and the loop runs on meanwhile.

        A cancelled task no longer waits, but what it submitted is decided: repeat the command id to learn the outcome.
        """
        submission = Submission(listed(content), actor, role, command_id, approver, linked)
        return await self._ask(submission)

    def submit_many(self, submissions: Sequence[Submission]) -> list[Answer | Refused]:
        """Submit what several callers have waiting, in order and in one durable commit.

        Gives an answer or a refusal for each. Raises Refused (COMMIT_FAILED, CONNECTION_LOST) as `submit` does.
        """
        return self.submit_ahead(submissions).result()

    @abstractmethod
    def submit_ahead(self, submissions: Sequence[Submission]) -> Future[list[Answer | Refused]]:
        """As `submit_many`, but returns at once with the future of the answers: the caller may submit more meanwhile.

        Submissions of one thread are decided in the order in which it gave them.
        """

    @abstractmethod
    def _ask(self, submission: Submission) -> Awaitable[Answer]:
        """The answer to a submission, for a task of asyncio; raises its refusal."""

    @property
    @abstractmethod
    def load(self) -> Load:
        """How much waits, is on its way, was committed and was refused since the ledger was opened."""


def listed(content: Command | Content) -> Content:
    """One command as a list of one."""
    return [content] if isinstance(content, Command) else content


def accepted(answer: Answer | Refused) -> Answer:
    """The answer, or its refusal raised."""
    if isinstance(answer, Refused):
        raise answer
    return answer
