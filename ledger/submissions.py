"""What arrives: a submission by one actor under one command id, its digest, and the checks before it leaves facts."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from ledger import rows
from ledger.codes import Code, Refused
from ledger.commands import AUTHORITY, ORDER_ROLES, READING_ROLES, Command, RegisterParty, Role
from ledger.tables import Array

MAX_BATCH: Final = 1_000_000
MAX_NAME: Final = 64
Content = Sequence[Command] | Array


class Submission(msgspec.Struct, frozen=True, gc=False):
    """Commands of one actor under one command id; an array of `rows.ORDER` or `rows.READING` is a batch of those."""

    content: Content
    actor: str
    role: Role
    command_id: str
    approver: str = ""
    linked: bool = False  # all of the commands or none


def are_orders(submission: Submission) -> bool:
    """Whether a submission is a batch of orders that stand each for itself."""
    content = submission.content
    return isinstance(content, np.ndarray) and content.dtype == rows.ORDER and not submission.linked


def check_submission(submission: Submission) -> None:
    """Raise Refused for a submission that is malformed or not authorised: it leaves no facts (K7, K29)."""
    check_names(submission)
    content = submission.content
    if isinstance(content, np.ndarray):
        if content.ndim != 1:
            raise Refused(Code.WRONG_TYPE, "commands", content.shape, "an array of one dimension")
    elif not isinstance(content, Sequence):
        raise Refused(Code.WRONG_TYPE, "commands", type(content).__name__, "a command, a list of them, or an array")
    if not len(content):
        raise Refused(Code.EMPTY, "commands", len(content), "at least one")
    if len(content) > MAX_BATCH:
        raise Refused(Code.BATCH_TOO_LARGE, "commands", len(content), f"at most {MAX_BATCH}")
    approved = bool(submission.approver) and submission.approver != submission.actor
    if isinstance(content, np.ndarray):
        check_array(content, submission, approved=approved)
        return
    for command in content:
        check_command(command, submission.role, approved=approved)


def check_names(submission: Submission) -> None:
    """Raise Refused for a role that is none, or an actor, approver or command id that is no short printable text."""
    if not isinstance(submission.role, Role):
        raise Refused(Code.WRONG_TYPE, "role", submission.role, "one of " + ", ".join(role.name for role in Role))
    if not isinstance(submission.linked, bool):  # it goes into the digest
        raise Refused(Code.WRONG_TYPE, "linked", submission.linked, "true or false")
    check_name("actor", submission.actor)
    check_name("command_id", submission.command_id)
    if submission.approver != "":
        check_name("approver", submission.approver)


def check_name(field: str, value: str) -> None:
    """Raise Refused for what is no short printable text."""
    if not isinstance(value, str):
        raise Refused(Code.WRONG_TYPE, field, value, "a text")
    if not value:
        raise Refused(Code.EMPTY, field, value, "")
    if not value.isprintable() or len(value.encode()) > MAX_NAME:
        raise Refused(Code.OUT_OF_RANGE, field, value, f"printable, at most {MAX_NAME} bytes")


def check_command(command: Command, role: Role, *, approved: bool) -> None:
    """Raise Refused for a command of a wrong type or out of its limits, or that the role may not give."""
    if type(command) not in AUTHORITY:
        raise Refused(Code.WRONG_TYPE, "command", type(command).__name__, "one of ledger.commands")
    roles, needs_approver = AUTHORITY[type(command)]
    if role not in roles:
        raise Refused(Code.NOT_AUTHORISED, "role", role.name, "one of " + ", ".join(r.name for r in roles))
    if needs_approver and not approved:
        raise Refused(Code.NEEDS_APPROVER, "approver", "", type(command).__name__)
    check_fields(command)
    if isinstance(command, RegisterParty):
        if command.person is not None:
            check_fields(command.person)
        if command.commitment:
            raise Refused(Code.WRONG_TYPE, "commitment", command.commitment, "left to the side register")


def check_fields(struct: msgspec.Struct) -> None:
    """Raise Refused naming the field of a struct whose value has a wrong type, is out of range or cannot be written."""
    name = type(struct).__name__
    try:
        msgspec.convert(msgspec.structs.asdict(struct), type(struct))
        msgspec.msgpack.encode(struct)
    except msgspec.ValidationError as problem:
        rule, _, path = str(problem).partition(" - at `$.")
        field = path.rstrip("`")
        code = Code.WRONG_TYPE if ", got `" in rule else Code.OUT_OF_RANGE
        raise Refused(code, f"{name}.{field}", getattr(struct, re.split(r"[.\[]", field)[0]), rule) from None
    except (UnicodeEncodeError, OverflowError, TypeError) as problem:
        raise Refused(Code.OUT_OF_RANGE, name, str(problem), "texts of whole characters, numbers of 64 bits") from None


def check_array(content: Array, submission: Submission, *, approved: bool) -> None:
    """Raise Refused for a batch of orders or readings of a wrong layout, or from a role that may not give it."""
    role = submission.role
    if content.dtype == rows.ORDER:
        allowed = ORDER_ROLES
    elif content.dtype == rows.READING:
        allowed = READING_ROLES
        if submission.linked:
            raise Refused(Code.WRONG_TYPE, "linked", submission.linked, "each reading stands for itself")
        if role == Role.BUREAU and not approved:
            raise Refused(Code.NEEDS_APPROVER, "approver", "", "manual readings")
    else:
        raise Refused(Code.WRONG_TYPE, "dtype", str(content.dtype), "ledger.rows.ORDER or READING")
    if role not in allowed:
        raise Refused(Code.NOT_AUTHORISED, "role", role.name, "one of " + ", ".join(r.name for r in allowed))
