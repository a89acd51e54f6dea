"""What a submission asks for, as a digest: by it a repetition is told from another use of the same command id (K1)."""

import functools
import hashlib
from typing import Any

import msgspec
import numpy as np

from ledger.commands import Command, RegisterParty, Role
from ledger.journal.columns import encode_columns
from ledger.submissions import Submission
from ledger.tables import Array


def content_digest(submission: Submission) -> bytes:
    """SHA-256 over what a submission asks for, and as whom; personal data left out (K1, K12)."""
    content = submission.content
    if isinstance(content, np.ndarray):
        digest = begun(submission.role, submission.approver, submission.linked, content.dtype).copy()
        digest.update(encode_columns(plain(content)))
    else:
        digest = begun(submission.role, submission.approver, submission.linked).copy()
        digest.update(msgspec.msgpack.encode([impersonal(command) for command in content]))
    whole: bytes = digest.digest()
    return whole


@functools.lru_cache(maxsize=4096)
def begun(role: Role, approver: str, linked: bool, dtype: Any = None) -> Any:
    """A digest that has taken what many submissions begin with: to be copied, not changed."""
    digest = hashlib.sha256(msgspec.msgpack.encode((int(role), approver, linked)))
    if dtype is not None:  # names and dtypes of the columns
        digest.update(repr([(name, dtype[name].str) for name in dtype.names]).encode())
    return digest


def plain(content: Array) -> Array:
    """The array as kernels are compiled for it."""
    return content if content.flags.c_contiguous and content.flags.writeable else content.copy()


def impersonal(command: Command) -> Command:
    """A command without personal data."""
    if isinstance(command, RegisterParty):
        return msgspec.structs.replace(command, person=None, commitment=b"")
    return command
