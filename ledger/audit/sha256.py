"""SHA-256 of many messages of one length at once: a compiled kernel works on 16 of them side by side.

The tree takes five hashes a fact, and calling a library for each costs more than the hash itself.
"""

from math import isqrt
from typing import Any, Final

import numpy as np

from ledger.compiled import kernel
from ledger.tables import Array

DIGEST: Final = 32
LANES: Final = 16
AT_ONCE: Final = 2_048  # what fits into the processor's cache
BLOCK: Final = 64


def primes(count: int) -> list[int]:
    """The first primes."""
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def cube_root(number: int) -> int:
    """The integer below the cube root of a number."""
    low, high = 0, 1 << (number.bit_length() // 3 + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle)
    return low


FRACTION: Final = 0xFFFF_FFFF
ROUNDS: Final = np.array([cube_root(prime << 96) & FRACTION for prime in primes(64)], np.uint32)
START: Final = np.array([isqrt(prime << 64) & FRACTION for prime in primes(8)], np.uint32)
"""First bits of the fractions of the roots of primes, as FIPS 180-4 defines them."""


@kernel
def compress(words: Any, state: Any, rounds: Any, w: Any, v: Any) -> None:
    """Take messages into their hashes.

    `words` (blocks, 16, lanes) are padded messages as numbers, `state` (8, lanes) their hashes so far, the lanes a
    multiple of LANES; `w` (64, LANES) and `v` (8, LANES) are room to work in. All are uint32. The loops over lanes are
    the inner ones, so that the compiler makes each a few vector instructions.
    """
    for at in range(0, state.shape[1], LANES):
        for block in range(words.shape[0]):
            for t in range(16):
                for i in range(LANES):
                    w[t, i] = words[block, t, at + i]
            for t in range(16, 64):
                for i in range(LANES):
                    x, y = w[t - 15, i], w[t - 2, i]
                    s0 = (x >> 7 | x << 25) ^ (x >> 18 | x << 14) ^ x >> 3
                    s1 = (y >> 17 | y << 15) ^ (y >> 19 | y << 13) ^ y >> 10
                    w[t, i] = w[t - 16, i] + s0 + w[t - 7, i] + s1
            for k in range(8):
                for i in range(LANES):
                    v[k, i] = state[k, at + i]
            for t in range(64):
                constant = rounds[t]
                for i in range(LANES):
                    a, b, c, e, f, g = v[0, i], v[1, i], v[2, i], v[4, i], v[5, i], v[6, i]
                    s1 = (e >> 6 | e << 26) ^ (e >> 11 | e << 21) ^ (e >> 25 | e << 7)
                    t1 = v[7, i] + s1 + ((e & f) ^ (~e & g)) + constant + w[t, i]
                    s0 = (a >> 2 | a << 30) ^ (a >> 13 | a << 19) ^ (a >> 22 | a << 10)
                    v[7, i], v[6, i], v[5, i], v[4, i] = g, f, e, v[3, i] + t1
                    v[3, i], v[2, i], v[1, i], v[0, i] = c, b, a, t1 + s0 + ((a & b) ^ (a & c) ^ (b & c))
            for k in range(8):
                for i in range(LANES):
                    state[k, at + i] += v[k, i]


def sha256_rows(messages: Array) -> Array:
    """SHA-256 of every row: uint8 (count, length) to uint8 (count, 32)."""
    count, length = messages.shape
    digests = np.empty((count, DIGEST), np.uint8)
    w, v = np.empty((64, LANES), np.uint32), np.empty((8, LANES), np.uint32)
    blocks = (length + 9 + BLOCK - 1) // BLOCK  # behind a message: a bit, zeros, and its length in 8 bytes
    for at in range(0, count, AT_ONCE):
        part = messages[at : at + AT_ONCE]
        padded = np.zeros((-(-len(part) // LANES) * LANES, blocks * BLOCK), np.uint8)
        padded[: len(part), :length], padded[:, length] = part, 0x80
        padded[:, -8:] = np.frombuffer((length * 8).to_bytes(8, "big"), np.uint8)
        words = np.ascontiguousarray(padded.view(">u4").T.astype(np.uint32)).reshape(blocks, 16, len(padded))
        state = np.repeat(START[:, None], len(padded), 1)
        compress(words, state, ROUNDS, w, v)
        digests[at : at + AT_ONCE] = np.ascontiguousarray(state.T[: len(part)].astype(">u4")).view(np.uint8)
    return digests
