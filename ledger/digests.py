"""What a submission asks for, as a digest: by it a repetition is told from another use of the same command id (K1)."""

import functools
import hashlib
from typing import Any

import msgspec
import numpy as np

from ledger.commands import Command, RegisterParty
from ledger.journal.columns import encode_columns
from ledger.submissions import Submission
from ledger.tables import Array


def content_digest(submission: Submission) -> bytes:
    """SHA-256 over what a submission asks for, and as whom; personal data left out (K1, K12)."""
    content = submission.content
    digest = hashlib.sha256(msgspec.msgpack.encode((int(submission.role), submission.approver, submission.linked)))
    if isinstance(content, np.ndarray):
        digest.update(described(content.dtype))
        digest.update(encode_columns(plain(content)))
    else:
        digest.update(msgspec.msgpack.encode([impersonal(command) for command in content]))
    return digest.digest()


def plain(content: Array) -> Array:
    """The array as kernels are compiled for it."""
    return content if content.flags.c_contiguous and content.flags.writeable else content.copy()


@functools.lru_cache(maxsize=16)
def described(dtype: Any) -> bytes:
    """Names and dtypes of columns in a text."""
    return repr([(name, dtype[name].str) for name in dtype.names]).encode()


def impersonal(command: Command) -> Command:
    """A command without personal data."""
    if isinstance(command, RegisterParty):
        return msgspec.structs.replace(command, person=None, commitment=b"")
    return command
