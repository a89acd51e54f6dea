"""SHA-256 of many messages of one length at once: a compiled kernel works on some of them side by side.

The tree takes five hashes a fact, and calling a library for each costs more than the hash itself.
"""

from functools import lru_cache
from typing import Any, Final

import numpy as np

from ledger.audit.lanes import LANES, START, take_block
from ledger.compiled import kernel
from ledger.tables import Array

DIGEST: Final = 32
AT_ONCE: Final = 2_048  # what fits into the processor's cache
BLOCK: Final = 64


@kernel
def compress(messages: Any, digests: Any, start: Any, block: Any, state: Any) -> None:
    """Hash messages.

    `messages` (count, 16 * blocks) are padded, as their bytes lie there, and `digests` (count, 8) words, a multiple of
    LANES; `start` (8,) is the hash before the first block; `block` (16, LANES) and `state` (8, LANES) are room to work
    in. All are uint32.
    """
    for at in range(0, len(messages), LANES):
        for k in range(8):
            state[k] = start[k]
        for first in range(0, messages.shape[1], 16):
            for i in range(LANES):
                for t in range(16):
                    block[t, i] = messages[at + i, first + t]
            take_block(block, state)
        for i in range(LANES):
            for k in range(8):
                digests[at + i, k] = state[k, i]


def sha256_rows(messages: Array, prefix: bytes = b"") -> Array:
    """SHA-256 of every row, uint8 (count, length) to uint8 (count, 32), behind a prefix of whole blocks of BLOCK."""
    count, length = messages.shape
    digests = np.empty((count, DIGEST), np.uint8)
    block, state = np.empty((16, LANES), np.uint32), np.empty((8, LANES), np.uint32)
    blocks = (length + 9 + BLOCK - 1) // BLOCK  # behind a message: a bit, zeros, and its length in 8 bytes
    bits = np.frombuffer((8 * (len(prefix) + length)).to_bytes(8, "big"), np.uint8)
    for at in range(0, count, AT_ONCE):
        part = messages[at : at + AT_ONCE]
        padded = np.zeros((-(-len(part) // LANES) * LANES, blocks * BLOCK), np.uint8)
        padded[: len(part), :length], padded[:, length], padded[:, -8:] = part, 0x80, bits
        hashes = np.empty((len(padded), 8), np.uint32)
        compress(padded.view(np.uint32), hashes, begun(prefix), block, state)
        digests[at : at + AT_ONCE] = hashes.byteswap().view(np.uint8)[: len(part)]
    return digests


@lru_cache(maxsize=64)
def begun(prefix: bytes) -> Array:
    """The hash behind whole blocks, as words: uint32 (8,)."""
    state = START[:, None].copy()
    for block in np.frombuffer(prefix, np.uint32).reshape(-1, 16, 1):
        take_block(block, state)
    return state[:, 0].copy()
