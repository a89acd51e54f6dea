"""What arrives: a submission by one actor under one command id, its digest, and the checks before it leaves facts."""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from ledger import commands, rows
from ledger.codes import Code, Refused
from ledger.commands import AUTHORITY, ORDER_ROLES, READING_ROLES, Command, Role
from ledger.tables import Array

MAX_BATCH: Final = 1_000_000
MAX_NAME: Final = 64
Content = Sequence[Command] | Array


class Submission(NamedTuple):
    """Commands of one actor under one command id; an array of `rows.ORDER` or `rows.READING` is a batch of those."""

    content: Content
    actor: str
    role: Role
    command_id: str
    approver: str = ""
    linked: bool = False  # all of the commands or none


def content_digest(content: Content) -> bytes:
    """SHA-256 over the commands of a submission, personal data left out (K1, K12)."""
    if isinstance(content, np.ndarray):
        described = repr([(name, content.dtype[name].str) for name in content.dtype.names or ()]).encode()
        columns = b"".join(np.ascontiguousarray(content[name]).tobytes() for name in content.dtype.names or ())
        return hashlib.sha256(described + columns).digest()
    public = [
        msgspec.structs.replace(command, person=None, commitment=b"")
        if isinstance(command, commands.RegisterParty)
        else command
        for command in content
    ]
    return hashlib.sha256(msgspec.msgpack.encode(public)).digest()


def check_submission(submission: Submission) -> None:
    """Raise Refused for a submission that is malformed or not authorised: it leaves no facts (K7, K29)."""
    check_names(submission)
    content = submission.content
    if not isinstance(content, Sequence | np.ndarray):
        raise Refused(Code.WRONG_TYPE, "commands", type(content).__name__, "a command, a list of them, or an array")
    if not len(content):
        raise Refused(Code.EMPTY, "commands", len(content), "at least one")
    if len(content) > MAX_BATCH:
        raise Refused(Code.BATCH_TOO_LARGE, "commands", len(content), f"at most {MAX_BATCH}")
    approved = bool(submission.approver) and submission.approver != submission.actor
    if isinstance(content, np.ndarray):
        check_array(content, submission.role, approved=approved)
        return
    for command in content:
        check_command(command, submission.role, approved=approved)


def check_names(submission: Submission) -> None:
    """Raise Refused for an actor, approver or command id that is no short printable text."""
    for field in ("actor", "command_id", "approver"):
        value = getattr(submission, field)
        if not isinstance(value, str):
            raise Refused(Code.WRONG_TYPE, field, value, "a text")
        if len(value.encode()) > MAX_NAME or not value.isprintable():
            raise Refused(Code.OUT_OF_RANGE, field, value, f"printable, at most {MAX_NAME} bytes")
        if not value and field != "approver":
            raise Refused(Code.EMPTY, field, value, "")


def check_command(command: Command, role: Role, *, approved: bool) -> None:
    """Raise Refused for a command of a wrong type or out of its limits, or that the role may not give."""
    if type(command) not in AUTHORITY:
        raise Refused(Code.WRONG_TYPE, "command", type(command).__name__, "one of ledger.commands")
    roles, needs_approver = AUTHORITY[type(command)]
    if role not in roles:
        raise Refused(Code.NOT_AUTHORISED, "role", role.name, "one of " + ", ".join(r.name for r in roles))
    if needs_approver and not approved:
        raise Refused(Code.NEEDS_APPROVER, "approver", "", type(command).__name__)
    try:
        msgspec.convert(msgspec.to_builtins(command), type(command))
    except msgspec.ValidationError as problem:
        raise Refused(Code.OUT_OF_RANGE, type(command).__name__, str(problem), "see ledger.commands") from None


def check_array(content: Array, role: Role, *, approved: bool) -> None:
    """Raise Refused for a batch of orders or readings of a wrong layout, or from a role that may not give it."""
    if content.ndim != 1:
        raise Refused(Code.WRONG_TYPE, "commands", content.shape, "an array of one dimension")
    if content.dtype == rows.ORDER:
        allowed = ORDER_ROLES
    elif content.dtype == rows.READING:
        allowed = READING_ROLES
        if role == Role.BUREAU and not approved:
            raise Refused(Code.NEEDS_APPROVER, "approver", "", "manual readings")
    else:
        raise Refused(Code.WRONG_TYPE, "dtype", str(content.dtype), "ledger.rows.ORDER or READING")
    if role not in allowed:
        raise Refused(Code.NOT_AUTHORISED, "role", role.name, "one of " + ", ".join(r.name for r in allowed))
