"""Importing a register: read a folder of sheets, report every fault by row, submit all or nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from adapters.registry.faults import Fault, Spot, refused_fault
from adapters.registry.reader import STEPS, Origin, Progress, Register, read_register
from ledger.answers import Answer
from ledger.codes import Code
from ledger.commands import AllocateCell, Command, IssueRight, RegisterRight, Role
from ledger.facts import CommandRefused
from ledger.policy import Policy
from ledger.state import State

__all__ = ["Exchange", "Fault", "ImportReport", "Origin", "Register", "import_register", "read_register"]

UNKNOWN: Final = (Code.UNKNOWN_PARTY, Code.UNKNOWN_RIGHT, Code.UNKNOWN_INTAKE, Code.UNKNOWN_CELL)


class Exchange(Protocol):
    """What importing needs of an exchange."""

    @property
    def policy(self) -> Policy:
        """The policy in force."""

    @property
    def state(self) -> State:
        """The state, to be read only."""

    def preview(self, content: Sequence[Command], *, actor: str, role: Role, approver: str = "") -> Answer:
        """Decide without recording."""

    def submit(
        self,
        content: Sequence[Command],
        *,
        actor: str,
        role: Role,
        command_id: str,
        approver: str = "",
        linked: bool = False,
    ) -> Answer:
        """Decide and record."""

    def answer(self, actor: str, command_id: str) -> Answer | None:
        """Give what a recorded submission was answered, None where there was none."""


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did. Nothing was recorded unless `changed` or `repeated`; then the facts have these numbers."""

    counts: dict[str, int]
    commands: int
    faults: tuple[Fault, ...]
    dry_run: bool
    changed: bool = False
    repeated: bool = False
    first_seq: int = 0
    last_seq: int = 0


def import_register(
    exchange: Exchange,
    folder: Path,
    *,
    actor: str,
    approver: str,
    command_id: str,
    opening: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a folder as one linked submission of the bureau, or report all faults and change nothing.

    The same command id with the same folder again gives the first answer (`repeated`). Raises Refused as `submit`
    does: without an approver who is not the actor, or for a command id that was used for something else.
    """
    known = exchange.state.numbers.keys()
    register = read_register(folder, exchange.policy, opening=opening, known=known, progress=progress)
    report = ImportReport(
        counts=register.counts, commands=len(register.commands), faults=register.faults, dry_run=dry_run
    )
    if register.faults or not register.commands:
        return report
    faults = refused_rows(
        register, exchange.preview(register.commands, actor=actor, role=Role.BUREAU, approver=approver)
    )
    if progress:
        progress(STEPS - 1, STEPS)
    # What a first import registered exists when it is repeated: then its command id says that this is the same one.
    if dry_run or (faults and not (registered_before(faults) and exchange.answer(actor, command_id))):
        return msgspec.structs.replace(report, faults=faults)
    answer = exchange.submit(
        register.commands, actor=actor, role=Role.BUREAU, command_id=command_id, approver=approver, linked=True
    )
    if progress:
        progress(STEPS, STEPS)
    done = not answer.refused  # unless something changed between preview and submission
    return msgspec.structs.replace(
        report,
        faults=refused_rows(register, answer),
        changed=done and not answer.repeated,
        repeated=answer.repeated,
        first_seq=answer.first_seq,
        last_seq=answer.last_seq,
    )


def refused_rows(register: Register, answer: Answer) -> tuple[Fault, ...]:
    """Give a fault for each refused command, without those that only follow from another refusal.

    Every command of a register leaves one fact, after those of what expired before it.
    """
    faults: list[Fault] = []
    lacking: set[object] = set()  # codes and cells that were refused
    refused: set[tuple[str, int]] = set()
    rights = {command.code: command for command in register.commands if isinstance(command, RegisterRight)}
    outcomes = [act[-1] for act in answer.acts][-len(register.commands) :]
    for command, origin, fact in zip(register.commands, register.origins, outcomes, strict=True):
        if not isinstance(fact, CommandRefused):
            continue
        row = (origin.file, origin.row)
        needed: object = fact.value
        if isinstance(command, IssueRight) and command.right in rights:
            needed = cell_of(rights[command.right], command.year)
        follows = row in refused or (fact.code in UNKNOWN and needed in lacking)
        refused.add(row)
        lacking.add(
            cell_of(command, command.year) if isinstance(command, AllocateCell) else getattr(command, "code", "")
        )
        if follows or fact.code == Code.LINKED_REFUSED:
            continue
        column = origin.sheet.fields.get(fact.field)
        faults.append(refused_fault(Spot(*row, column.name if column else ""), fact))
    return tuple(faults)


def cell_of(command: AllocateCell | RegisterRight, year: int) -> tuple[object, ...]:
    """Give what names a cell: source, year and the attributes that a right shares with it."""
    c = command
    return (c.source, year, c.basin, c.township, c.industry, c.network, c.scheme)


def registered_before(faults: Sequence[Fault]) -> bool:
    """Tell whether rows were refused because what they define exists."""
    return any(fault.code == Code.ALREADY_EXISTS for fault in faults)
