"""From recorded facts to the leaves of the tree: canonical bytes of the versions in which they were written."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ledger.audit.merkle import BLOCK, hash_leaf, hash_leaves, salt, salts
from ledger.audit.sha256 import AT_ONCE, DIGEST
from ledger.codes import Code, Refused
from ledger.journal.columns import fill_rows
from ledger.journal.pages import canonical_matrices
from ledger.journal.records import Record, parse
from ledger.journal.seeking import entries_from_seq
from ledger.journal.store import Store
from ledger.tables import Array


def written_pages(group: Sequence[Record], first: int, last: int) -> Iterator[tuple[str, Array]]:
    """Topic and rows of the pages of some records, as written, from one sequence number to another."""
    alike: dict[tuple[str, tuple[tuple[str, str], ...]], list[Record]] = {}
    for record in group:
        if record.header.columns:
            alike.setdefault((record.header.topic, record.header.columns), []).append(record)
    for (topic, _), records in alike.items():
        rows = fill_rows(records[0].dtype, [(record.header.count, record.body) for record in records])
        if rows["seq"].min() < first or rows["seq"].max() > last:
            rows = rows[(rows["seq"] >= first) & (rows["seq"] <= last)]
        if len(rows):
            yield topic, rows


def leaf_hashes(group: Sequence[Record], first: int, last: int, key: bytes) -> Array:
    """The leaves from one sequence number to another, all of which the records hold: uint8 (count, 32)."""
    leaves = np.zeros((last - first + 1, DIGEST), np.uint8)
    for record in group:
        if not record.header.columns:
            for seq, packed in record.canonical():
                leaves[seq - first] = np.frombuffer(hash_leaf(salt(key, seq), packed), np.uint8)
    for topic, rows in written_pages(group, first, last):
        for at in range(0, len(rows), AT_ONCE):
            for seqs, matrix in canonical_matrices(topic, rows[at : at + AT_ONCE]):
                leaves[seqs - first] = hash_leaves(salts(key, seqs), matrix)
    return leaves


def records_between(store: Store, first: int, last: int) -> list[Record]:
    """The records with these sequence numbers, read by themselves: nothing vouches for them but their hashes."""
    found: list[Record] = []
    for entry in entries_from_seq(store, first):
        record = parse(entry.position, entry.state)
        if record.header.first_seq > last:
            break
        if record.header.last_seq >= first:
            found.append(record)
    return found


def read_block(store: Store, key: bytes, block: int) -> Array:
    """The leaves of a full block of the tree, from the journal again."""
    first = block * BLOCK + 1
    last = first + BLOCK - 1
    return leaf_hashes(records_between(store, first, last), first, last, key)


class Single(NamedTuple):
    """One fact as it goes into the tree."""

    seq: int
    salt: bytes
    canonical: bytes


def single_fact(store: Store, key: bytes, seq: int) -> Single:
    """One fact by its number. Raises Refused (NOT_RECORDED) where there is none."""
    group = records_between(store, seq, seq)
    packed = [fact for record in group if not record.header.columns for _, fact in record.canonical()]
    for topic, rows in written_pages(group, seq, seq):
        packed += [matrix[0].tobytes() for _, matrix in canonical_matrices(topic, rows)]
    if len(packed) != 1:
        raise Refused(Code.NOT_RECORDED, "seq", seq, "the number of a recorded fact")
    return Single(seq, salt(key, seq), packed[0])
