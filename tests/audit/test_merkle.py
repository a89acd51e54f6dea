"""The tree against the definition of RFC 6962, written down a second time, and its hashes against hashlib and hmac."""

import hashlib
import hmac
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit.check_proof import InvalidProof, root_of
from ledger.audit.merkle import BLOCK, EMPTY, Tree, consistent, hash_leaf, hash_leaves, salt, salts
from ledger.audit.sha256 import sha256_rows
from ledger.codes import Code, Refused
from ledger.journal.pages import canonical_rows, submission_rows
from ledger.rows import SUBMISSIONS

COUNT = 3 * BLOCK + 700
KEY = bytes(range(32))
LEAVES = np.random.Generator(np.random.PCG64(7)).integers(0, 256, (COUNT, 32), dtype=np.uint8)
DATA = [row.tobytes() for row in LEAVES]


def mth(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, over hashes of leaves."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], whole=whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], whole=False), mth(leaves[:k])]


@pytest.fixture(scope="module")
def tree() -> Tree:
    """The tree over all leaves, grown in uneven steps."""
    grown = Tree(read_block=lambda block: LEAVES[block * BLOCK : (block + 1) * BLOCK])
    rng, at = np.random.Generator(np.random.PCG64(3)), 0
    while at < COUNT:
        step = int(rng.choice([0, 1, 2, 300, BLOCK, 2 * BLOCK + 1]))
        grown.extend(LEAVES[at : at + step])
        at += step
    assert grown.size == COUNT
    return grown


sizes = st.one_of(st.integers(1, 40), st.sampled_from([BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK]), st.integers(1, COUNT))


@given(size=sizes, data=st.data())
def test_roots_and_paths_are_those_of_the_definition(tree: Tree, size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    assert tree.root(size) == mth(DATA[:size])
    found = tree.inclusion(index, size)
    assert found == path(index, DATA[:size])
    assert root_of(index, size, DATA[index], found) == tree.root(size)


@given(size=sizes, data=st.data())
def test_consistency_is_that_of_the_definition(tree: Tree, size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    proof = tree.consistency(old, size)
    assert proof == subproof(old, DATA[:size])
    assert consistent(old, tree.root(old), size, tree.root(size), proof)


@given(size=st.integers(2, 300), data=st.data())
def test_a_changed_proof_proves_nothing(tree: Tree, size: int, data: st.DataObject) -> None:
    old, index = data.draw(st.integers(1, size - 1)), data.draw(st.integers(0, size - 1))
    roots = tree.root(old), tree.root(size)
    for proof, holds in (
        (tree.consistency(old, size), lambda it: consistent(old, roots[0], size, roots[1], it)),
        (tree.inclusion(index, size), lambda it: leads(index, size, it) == roots[1]),
    ):
        at = data.draw(st.integers(0, len(proof) - 1))
        assert holds(proof)
        assert not holds([*proof[:at], bytes(32), *proof[at + 1 :]])
        assert not holds(proof[:at] + proof[at + 1 :])
        assert not holds([*proof[:at], DATA[-1], *proof[at:]])
        assert not holds([*proof, proof[-1]])
    other = data.draw(st.integers(0, size - 1).filter(lambda it: it != index))
    assert leads(other, size, tree.inclusion(index, size), DATA[index]) != roots[1]
    assert not consistent(old, roots[1], size, roots[1], tree.consistency(old, size))
    assert not consistent(old, roots[0], size, roots[0], tree.consistency(old, size))


def leads(index: int, size: int, proof: list[bytes], leaf: bytes | None = None) -> bytes | None:
    """The root that a path leads to, None where it has another length."""
    try:
        return root_of(index, size, leaf or DATA[index], proof)
    except InvalidProof:
        return None


@pytest.mark.parametrize("size", range(1, 18))
def test_every_small_tree(tree: Tree, size: int) -> None:
    for old in range(1, size + 1):
        assert consistent(old, mth(DATA[:old]), size, mth(DATA[:size]), tree.consistency(old, size))
    for index in range(size):
        assert root_of(index, size, DATA[index], tree.inclusion(index, size)) == mth(DATA[:size])


def test_borders_of_consistency() -> None:
    root = DATA[0]
    assert Tree().root() == EMPTY == mth([])
    assert consistent(0, EMPTY, 5, root, [])
    assert consistent(5, root, 5, root, [])
    assert not consistent(0, EMPTY, 5, root, [root])
    assert not consistent(0, root, 5, root, [])
    assert not consistent(5, root, 5, DATA[1], [])
    assert not consistent(5, root, 4, root, [root])
    assert not consistent(-1, root, 4, root, [root])


def test_a_block_of_other_facts_is_refused() -> None:
    changed = Tree(read_block=lambda block: LEAVES[block * BLOCK : (block + 1) * BLOCK][::-1])
    changed.extend(LEAVES[: 2 * BLOCK])
    with pytest.raises(Refused) as caught:
        changed.inclusion(BLOCK + 5, 2 * BLOCK)
    assert (caught.value.code, caught.value.field, caught.value.value) == (Code.CHECKPOINT_DIFFERS, "seq", BLOCK + 1)


@given(count=st.integers(0, 40), length=st.integers(0, 260), seed=st.integers(0, 99))
def test_many_hashes_are_those_of_hashlib(count: int, length: int, seed: int) -> None:
    messages = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (count, length), dtype=np.uint8)
    assert [row.tobytes() for row in sha256_rows(messages)] == [
        hashlib.sha256(row.tobytes()).digest() for row in messages
    ]


def test_many_hashes_beyond_what_is_hashed_at_once() -> None:
    messages = LEAVES.reshape(-1, 16)
    assert [row.tobytes() for row in sha256_rows(messages)] == [
        hashlib.sha256(row.tobytes()).digest() for row in messages
    ]


def test_leaves_are_salted_by_hmac_of_the_sequence_number() -> None:
    seqs = np.array([1, 2, 255, 2**40, 2**62], np.int64)
    facts = LEAVES[:5, :20]
    for seq, one, fact, leaf in zip(
        seqs.tolist(), salts(KEY, seqs), facts, hash_leaves(salts(KEY, seqs), facts), strict=True
    ):
        expected = hmac.new(KEY, struct.pack("<q", seq), "sha256").digest()
        assert one.tobytes() == salt(KEY, seq) == expected
        assert leaf.tobytes() == hash_leaf(expected, fact.tobytes())
        assert leaf.tobytes() == hashlib.sha256(b"\x00" + expected + fact.tobytes()).digest()


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=12))
def test_canonical_bytes_of_submissions_hold_texts_of_any_length(names: list[tuple[str, str, str]]) -> None:
    rows = submission_rows(
        list(
            zip(
                *(
                    (seq, 10**18 + seq, 1, 1, 0, 1, bytes(32), *(text.encode() for text in texts))
                    for seq, texts in enumerate(names, start=1)
                ),
                strict=True,
            )
        )
    )
    for seq, packed in sorted(canonical_rows(SUBMISSIONS, rows)):
        expected = b"\x0csubmission/1" + struct.pack("<qqqiiib", seq, seq, 10**18 + seq, 1, 1, 0, 1) + bytes(32)
        expected += b"".join(struct.pack("<H", len(one.encode())) + one.encode() for one in names[seq - 1])
        assert packed == expected
