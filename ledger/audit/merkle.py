"""The Merkle tree over facts (RFC 6962): hashes, roots, and proofs that a fact is in it and that it only ever grew.

    leaf = SHA-256(0x00 | salt | canonical bytes of the fact)     node = SHA-256(0x01 | left | right)

The leaf of the fact with sequence number `seq` has the index seq - 1. The salt, HMAC-SHA256 of `seq` as 8 bytes
little-endian under the ledger's key, keeps a neighbour in the tree from being guessed by its hash (contract K10).
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from ledger.audit.sha256 import BLOCK as HASH_BLOCK
from ledger.audit.sha256 import DIGEST, sha256_rows
from ledger.codes import Code, Refused
from ledger.tables import Array

BLOCK: Final = 1_024
"""Leaves under one kept hash. All else is made of these, or of the facts of one block."""

NODES: Final = 32_768
"""Hashes kept for the next proof: the first one takes those of a whole block and of all blocks, the next few more."""

EMPTY: Final = hashlib.sha256().digest()
"""The root of no facts."""


def hash_leaf(salt: bytes, canonical: bytes) -> bytes:
    """Hash of a fact."""
    return hashlib.sha256(b"\x00" + salt + canonical).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Hash of two neighbours."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def salt(key: bytes, seq: int) -> bytes:
    """Salt of one fact."""
    return hmac.digest(key, seq.to_bytes(8, "little"), "sha256")


def salts(key: bytes, seqs: Array) -> Array:
    """Salts of many facts: int64 (count,) to uint8 (count, 32). HMAC is a hash in a hash (RFC 2104)."""
    pad = np.frombuffer(key.ljust(HASH_BLOCK, b"\0"), np.uint8)
    numbers = np.ascontiguousarray(seqs, "<i8").view(np.uint8).reshape(-1, 8)
    return sha256_rows(sha256_rows(numbers, (pad ^ 0x36).tobytes()), (pad ^ 0x5C).tobytes())


def hash_leaves(salts: Array, canonical: Array) -> Array:
    """Hashes of facts whose canonical bytes have one length: uint8 (count, length) to uint8 (count, 32)."""
    return sha256_rows(behind(np.zeros(1, np.uint8), salts, canonical))


def behind(prefix: Array, *rows: Array) -> Array:
    """Rows of bytes, the same prefix before each."""
    return np.hstack([np.broadcast_to(prefix, (len(rows[0]), len(prefix))), *rows])


def block_hashes(leaves: Array) -> Array:
    """The hash of each block: uint8 (blocks, BLOCK, 32) to uint8 (blocks, 32)."""
    while leaves.shape[1] > 1:
        pairs = leaves.reshape(-1, 2 * DIGEST)
        leaves = sha256_rows(behind(np.ones(1, np.uint8), pairs)).reshape(len(leaves), leaves.shape[1] // 2, DIGEST)
    return leaves[:, 0]


def left_leaves(count: int) -> int:
    """How many of `count` leaves stand under the left half: the largest power of two below it."""
    return 1 << (count - 1).bit_length() - 1


class Tree:
    """A tree that grows at its right edge: the hashes of full blocks, and the leaves behind them.

    `read_block` gives the leaves of a full block again, uint8 (BLOCK, 32); only proofs and earlier roots ask for it.
    """

    def __init__(
        self, blocks: bytes = b"", edge: bytes = b"", read_block: Callable[[int], Array] | None = None
    ) -> None:
        """A tree of hashes kept before, empty without."""
        self.blocks, self.edge = bytearray(blocks), bytearray(edge)
        self._read_block = read_block
        self._full_leaves = lru_cache(maxsize=4)(self._check_leaves)
        self.subtree = lru_cache(maxsize=NODES)(self._subtree)

    @property
    def size(self) -> int:
        """Leaves in the tree."""
        return len(self.blocks) // DIGEST * BLOCK + len(self.edge) // DIGEST

    def extend(self, leaves: Array) -> None:
        """Add leaves, uint8 (count, 32)."""
        self.edge += leaves.tobytes()
        full = len(self.edge) // (BLOCK * DIGEST) * BLOCK * DIGEST
        if full:
            whole = np.frombuffer(bytes(self.edge[:full]), np.uint8)
            self.blocks += block_hashes(whole.reshape(-1, BLOCK, DIGEST)).tobytes()
            del self.edge[:full]

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` leaves, of all without."""
        size = self.size if size is None else size
        return self.subtree(0, size) if size else EMPTY

    def _subtree(self, begin: int, end: int) -> bytes:
        """Hash over the leaves from `begin` to before `end`, where RFC 6962 cuts a tree; it never changes."""
        block = begin // BLOCK
        if end - begin == BLOCK and end <= len(self.blocks) // DIGEST * BLOCK:
            return bytes(self.blocks[block * DIGEST : (block + 1) * DIGEST])
        if end - begin == 1:
            return self.leaf(begin)
        middle = begin + left_leaves(end - begin)
        return hash_node(self.subtree(begin, middle), self.subtree(middle, end))

    def leaf(self, index: int) -> bytes:
        """One leaf. Raises Refused (CHECKPOINT_DIFFERS) when the facts of its block are not those that were hashed."""
        block, at = divmod(index, BLOCK)
        if block * DIGEST < len(self.blocks):
            return self._full_leaves(block)[at]
        return bytes(self.edge[at * DIGEST : (at + 1) * DIGEST])

    def _check_leaves(self, block: int) -> list[bytes]:
        found = self._read_block(block) if self._read_block else np.zeros((0, DIGEST), np.uint8)
        kept = self.blocks[block * DIGEST : (block + 1) * DIGEST]
        if len(found) != BLOCK or block_hashes(found[None])[0].tobytes() != kept:
            raise Refused(Code.CHECKPOINT_DIFFERS, "seq", block * BLOCK + 1, f"the first of {BLOCK} with other hashes")
        return [leaf.tobytes() for leaf in found]

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The path from a leaf to the root of the first `size` leaves: its siblings, the lowest first."""
        begin, end, path = 0, size, []
        while end - begin > 1:
            middle = begin + left_leaves(end - begin)
            if index < middle:
                path.append(self.subtree(middle, end))
                end = middle
            else:
                path.append(self.subtree(begin, middle))
                begin = middle
        return path[::-1]

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the first `old` leaves are those of an earlier tree; empty where `old` is 0 or `size`."""
        if not 0 < old < size:
            return []
        begin, end, path = 0, size, []
        while old != end:
            middle = begin + left_leaves(end - begin)
            if old <= middle:
                path.append(self.subtree(middle, end))
                end = middle
            else:
                path.append(self.subtree(begin, middle))
                begin = middle
        return [*([self.subtree(begin, end)] if begin else []), *path[::-1]]


def consistent(old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether a proof shows that a tree of `size` leaves continues one of `old` (RFC 9162, 2.1.4.2)."""
    if old in {0, size}:
        return not path and (old_root == (root if old else EMPTY))
    if not (0 < old < size and path):
        return False
    first, *rest = path if old & (old - 1) else [old_root, *path]
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    older = newer = first
    for sibling in rest:
        if not last:
            return False
        if at & 1 or at == last:
            older, newer = hash_node(sibling, older), hash_node(sibling, newer)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            newer = hash_node(newer, sibling)
        at, last = at >> 1, last >> 1
    return not last and older == old_root and newer == root
