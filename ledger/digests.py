"""What a submission asks for, as a digest: by it a repetition is told from another use of the same command id (K1)."""

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ledger.commands import Command, RegisterParty, Role
from ledger.journal.columns import encode_columns
from ledger.submissions import Submission


def content_digest(submission: Submission) -> bytes:
    """SHA-256 over what a submission asks for, and as whom; personal data left out (K1, K12)."""
    content = submission.content
    packed = encode_columns(content) if isinstance(content, np.ndarray) else packed_commands(content)
    return digest_of(submission, packed)


def digest_of(submission: Submission, packed: bytes | memoryview) -> bytes:
    """The content digest of a submission whose content is packed already."""
    dtype = submission.content.dtype if isinstance(submission.content, np.ndarray) else None
    digest = begun(submission.role, submission.approver, submission.linked, dtype).copy()
    digest.update(packed)
    whole: bytes = digest.digest()
    return whole


def packed_commands(commands: Sequence[Command]) -> bytes:
    """Commands as bytes, without personal data."""
    return msgspec.msgpack.encode([impersonal(command) for command in commands])


@functools.lru_cache(maxsize=4096)
def begun(role: Role, approver: str, linked: bool, dtype: Any = None) -> Any:
    """A digest that has taken what many submissions begin with: to be copied, not changed."""
    digest = hashlib.sha256(msgspec.msgpack.encode((int(role), approver, linked)))
    if dtype is not None:  # names and dtypes of the columns
        digest.update(repr([(name, dtype[name].str) for name in dtype.names]).encode())
    return digest


def impersonal(command: Command) -> Command:
    """A command without personal data."""
    if isinstance(command, RegisterParty):
        return msgspec.structs.replace(command, person=None, commitment=b"")
    return command
