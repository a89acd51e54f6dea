"""The tree of a ledger in the file `NAME.tree`: 32 bytes for every 1,024 facts, made anew whenever it does not fit.

position, size (u64, little-endian) | hash of the record at that position | hashes of full blocks
| leaves behind them | HMAC-SHA256 of all of this under the ledger's salt key
"""

import hmac
import struct
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from adapters.audit.files import write_whole
from ledger.audit.leaves import leaf_hashes, read_block
from ledger.audit.merkle import BLOCK, Tree
from ledger.audit.sha256 import DIGEST
from ledger.journal.records import GENESIS, groups
from ledger.journal.store import Store
from ledger.replay import Progress, joined, read_chain

HEAD = struct.Struct("<QQ32s")


class Grown(NamedTuple):
    """A tree over all facts up to a position, and the hash of the record there."""

    position: int
    head: bytes
    tree: Tree


def grown_tree(path: Path, store: Store, key: bytes, progress: Progress | None = None) -> tuple[int, Tree]:
    """The last position and the tree over the whole journal: what the file holds, and the facts behind that.

    Raises Refused: RECORD_DAMAGED or SEQUENCE_GAP for a damaged journal.
    """
    start = read_tree(path, store, key) or Grown(0, GENESIS, Tree(read_block=partial(read_block, store, key)))
    position, head, tree = start
    for group in joined(groups(read_chain(store, position, head), tree.size + 1)):
        last = max(record.header.last_seq for record in group)
        tree.extend(leaf_hashes(group, tree.size + 1, last, key))
        position, head = group[-1].position, group[-1].digest
        if progress:
            progress(position, last)
    if position != start.position:
        with suppress(OSError):  # nothing is lost if the file lags, or cannot be written
            write_whole(path, packed(Grown(position, head, tree), key), mode=0o600)
    return position, tree


def packed(grown: Grown, key: bytes) -> bytes:
    """The content of the file."""
    content = HEAD.pack(grown.position, grown.tree.size, grown.head) + bytes(grown.tree.blocks + grown.tree.edge)
    return content + hmac.digest(key, content, "sha256")


def read_tree(path: Path, store: Store, key: bytes) -> Grown | None:
    """The tree in the file; None where it is missing, damaged, or of a journal that is not this one any more."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    content, seal = content[:-DIGEST], content[-DIGEST:]
    if len(content) < HEAD.size or not hmac.compare_digest(hmac.digest(key, content, "sha256"), seal):
        return None
    position, size, head = HEAD.unpack_from(content)
    blocks = HEAD.size + size // BLOCK * DIGEST
    tree = Tree(content[HEAD.size : blocks], content[blocks:], partial(read_block, store, key))
    return Grown(position, head, tree) if tree.size == size and store.digest(position) == head else None
