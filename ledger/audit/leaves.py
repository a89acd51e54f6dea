"""From recorded facts to the leaves of the tree."""

from typing import NamedTuple

import numpy as np

from ledger.audit.merkle import BLOCK, hash_leaf, hash_leaves, salt, salts
from ledger.audit.sha256 import AT_ONCE, DIGEST
from ledger.codes import Code, Refused
from ledger.journal.pages import canonical_fact, canonical_matrices
from ledger.journal.records import Decoded, parse
from ledger.journal.store import Store
from ledger.tables import Array


def check_dense(decoded: Decoded, next_seq: int) -> None:
    """Raise Refused (SEQUENCE_GAP) unless a group holds every sequence number from `next_seq` to its last once."""
    seqs = np.concatenate(
        [
            np.array([stamped.seq for stamped in decoded.facts], np.int64),
            *(page["seq"] for pages in decoded.pages.values() for page in pages),
        ]
    )
    seqs.sort()
    if len(seqs) != decoded.last_seq - next_seq + 1 or (seqs != np.arange(next_seq, decoded.last_seq + 1)).any():
        raise Refused(Code.SEQUENCE_GAP, "position", decoded.position, f"each number from {next_seq} on once")


def leaf_hashes(decoded: Decoded, next_seq: int, key: bytes) -> Array:
    """The leaves of a group of facts in order, uint8 (count, 32). Raises Refused (SEQUENCE_GAP)."""
    check_dense(decoded, next_seq)
    leaves = np.zeros((decoded.last_seq - next_seq + 1, DIGEST), np.uint8)
    for stamped in decoded.facts:
        leaf = hash_leaf(salt(key, stamped.seq), canonical_fact(stamped))
        leaves[stamped.seq - next_seq] = np.frombuffer(leaf, np.uint8)
    for topic, pages in decoded.pages.items():
        rows = np.concatenate(pages)
        for at in range(0, len(rows), AT_ONCE):
            for seqs, matrix in canonical_matrices(topic, rows[at : at + AT_ONCE]):
                leaves[seqs - next_seq] = hash_leaves(salts(key, seqs), matrix)
    return leaves


def facts_between(store: Store, first: int, last: int) -> Decoded:
    """The facts from one sequence number to another, read by themselves: nothing vouches for them but their hashes."""
    found = Decoded([], {}, 0, last, b"")
    for entry in store.entries_from_seq(first):
        record = parse(entry.position, entry.state)
        if record.header.first_seq > last:
            break
        if not record.header.columns:
            found.facts.append(record.fact)
            continue
        rows = record.rows
        rows = rows[(rows["seq"] >= first) & (rows["seq"] <= last)]
        if len(rows):
            found.pages.setdefault(record.header.topic, []).append(rows)
    return found


def read_block(store: Store, key: bytes, block: int) -> Array:
    """The leaves of a full block of the tree, from the journal again. Raises Refused (SEQUENCE_GAP)."""
    first = block * BLOCK + 1
    return leaf_hashes(facts_between(store, first, first + BLOCK - 1), first, key)


class Single(NamedTuple):
    """One fact as it goes into the tree."""

    seq: int
    salt: bytes
    canonical: bytes


def single_fact(store: Store, key: bytes, seq: int) -> Single:
    """One fact by its number. Raises Refused (NOT_RECORDED) where there is none."""
    decoded = facts_between(store, seq, seq)
    packed = [canonical_fact(stamped) for stamped in decoded.facts]
    packed += [
        matrix[0].tobytes()
        for topic, pages in decoded.pages.items()
        for page in pages
        for _, matrix in canonical_matrices(topic, page)
    ]
    if len(packed) != 1:
        raise Refused(Code.NOT_RECORDED, "seq", seq, "the number of a recorded fact")
    return Single(seq, salt(key, seq), packed[0])
