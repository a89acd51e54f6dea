"""One block of SHA-256 for many messages side by side: one definition, for numpy and for the processor's vectors.

A compiler that is left with loops over lanes moves all eight words of the hash through memory at every round. So its
instructions are written out here, on vectors that it keeps in registers.
"""

from collections.abc import Sequence
from functools import partialmethod
from math import isqrt
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

LANES: Final = 16  # words that a vector of 512 bits holds; other processors take several for one
FRACTION: Final = 0xFFFF_FFFF


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


ROUNDS: Final = [cube_root(prime << 96) & FRACTION for prime in primes(64)]
START: Final = np.array([isqrt(prime << 64) & FRACTION for prime in primes(8)], np.uint32)
"""First bits of the fractions of the roots of primes, as FIPS 180-4 defines them."""


def turned(x: Any, *counts: int) -> Any:
    """A word rotated to the right by each of some counts, taken together by XOR."""
    one, *rest = [x >> count | x << 32 - count for count in counts]
    for other in rest:
        one = one ^ other
    return one


def read(x: Any) -> Any:
    """A word from its bytes, the highest of which comes first."""
    return x << 24 | (x & 0xFF00) << 8 | x >> 8 & 0xFF00 | x >> 24


def hashed(words: Sequence[Any], before: Sequence[Any]) -> list[Any]:
    """The hash behind a block of 16 words, as its bytes lie there, from the one before it (FIPS 180-4, 6.2.2).

    A word is anything that knows + (modulo 2^32), &, |, ^, ~, >> and <<.
    """
    w = [read(word) for word in words]
    for t in range(16, 64):
        x, y = w[t - 15], w[t - 2]
        w.append(w[t - 16] + (turned(x, 7, 18) ^ x >> 3) + w[t - 7] + (turned(y, 17, 19) ^ y >> 10))
    a, b, c, d, e, f, g, h = before
    for word, constant in zip(w, ROUNDS, strict=True):
        first = h + turned(e, 6, 11, 25) + ((e & f) ^ (~e & g)) + (word + constant)
        second = turned(a, 2, 13, 22) + ((a & b) ^ (a & c) ^ (b & c))
        a, b, c, d, e, f, g, h = first + second, a, b, c, d + first, e, f, g
    return [old + new for old, new in zip(before, (a, b, c, d, e, f, g, h), strict=True)]


def take_block(words: Any, state: Any) -> None:
    """Take a block of each message into its hash: uint32 (16, LANES), as its bytes lie there, and (8, LANES)."""
    state[:] = hashed(list(words), list(state))


class Vector:
    """A vector of words, while the instructions on it are written."""

    def __init__(self, builder: Any, value: Any) -> None:
        """A value of the code that is built."""
        self.builder, self.value = builder, value

    def _with(self, instruction: str, other: "Vector | int") -> "Vector":
        value = other.value if isinstance(other, Vector) else ir.Constant(self.value.type, [other] * LANES)
        return Vector(self.builder, getattr(self.builder, instruction)(self.value, value))

    __add__ = partialmethod(_with, "add")
    __and__ = partialmethod(_with, "and_")
    __or__ = partialmethod(_with, "or_")
    __xor__ = partialmethod(_with, "xor")
    __rshift__ = partialmethod(_with, "lshr")
    __lshift__ = partialmethod(_with, "shl")
    __invert__ = partialmethod(_with, "xor", FRACTION)


@intrinsic
def _take_block(context: Any, words: Any, state: Any) -> Any:  # noqa: ARG001 - the signature is numba's
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), LANES)

        def rows(argument: int) -> list[Any]:
            made = context.make_array(signature.args[argument])(context, builder, value=arguments[argument])
            data = builder.bitcast(made.data, vector.as_pointer())
            return [builder.gep(data, [ir.IntType(32)(row)]) for row in range((16, 8)[argument])]

        def load(row: Any) -> Any:
            return builder.load(row, align=4)

        block = [Vector(builder, load(row)) for row in rows(0)]
        kept = rows(1)
        for row, hash_ in zip(kept, hashed(block, [Vector(builder, load(row)) for row in kept]), strict=True):
            builder.store(hash_.value, row, align=4)
        return context.get_dummy_value()

    return types.void(words, state), build


@overload(take_block)
def _take_block_overload(words: Any, state: Any) -> Any:  # noqa: ARG001
    def take(words: Any, state: Any) -> None:
        _take_block(words, state)  # type: ignore[call-arg] # numba passes the context

    return take
