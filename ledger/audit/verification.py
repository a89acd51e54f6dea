"""Verification of a journal by somebody who trusts nobody: the chain, the numbering, and a fold of every fact.

The tables for look-up beside the records are read along with them.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from ledger.audit.checkpoints import Checkpoint, mark, origin
from ledger.audit.leaves import leaf_hashes
from ledger.audit.lookups import LookupCheck
from ledger.audit.merkle import Tree
from ledger.audit.receipts import Receipt, ReceiptCheck
from ledger.codes import Code, Refused
from ledger.journal.records import GENESIS, Decoded, decoded, groups
from ledger.journal.store import Store
from ledger.replay import Progress, joined, read_chain, replay
from ledger.rows import SUBMISSIONS
from ledger.state import State
from ledger.statehash import state_hash
from ledger.tables import CONTRA, Kind


class Verification(NamedTuple):
    """What a verification found to be true."""

    ledger_id: str
    records: int
    facts: int
    head: str  # hash of the last record, hexadecimal
    state_hash: str
    totals: dict[int, int]  # the trial balance: zero in every unit
    caps: int
    root: str = ""  # of the tree over all facts, where the key of its salts was given
    checkpoints: int = 0  # compared
    receipts: int = 0  # found kept


class Evidence(NamedTuple):
    """What is held against a ledger: checkpoints and receipts whose signatures were verified.

    `salt_key` is the ledger's, without which no root can be made; `marks` stand for records, by position.
    """

    salt_key: bytes = b""
    checkpoints: Sequence[Checkpoint] = ()
    marks: Mapping[int, bytes] = MappingProxyType({})
    receipts: Sequence[Receipt] = ()


NOTHING: Final = Evidence()


def verify(store: Store, progress: Progress | None = None, evidence: Evidence = NOTHING) -> Verification:
    """Check chain and numbering, fold all facts, compare with the evidence, and check what must hold afterwards.

    Raises Refused naming the first bad position (RECORD_DAMAGED, SEQUENCE_GAP, TOPIC_UNKNOWN, CHECKPOINT_DIFFERS,
    JOURNAL_SHORTER) or the first wrong row of a table for look-up (LOOKUP_DIFFERS), what does not hold
    (CONSERVATION_BROKEN, ABOVE_INDEX), or a broken promise (RECEIPT_OMITTED, RECEIPT_DIFFERS).
    """
    state, tree, receipts = State(), Tree(), ReceiptCheck(evidence.receipts)
    waiting = sorted(evidence.checkpoints, key=lambda one: one.position)
    if waiting and not evidence.salt_key:
        raise Refused(Code.KEY_INVALID, "salt", None, "NAME.salt beside the ledger: without it no root can be made")
    records, head = 0, GENESIS
    with LookupCheck.of(store) as lookups:
        stops = {lookups.position, *(one.position for one in waiting)}
        for group in joined(groups(read_chain(store, watch=partial(check_mark, evidence)), 1), stops):
            facts = decoded(group)
            if evidence.salt_key:
                tree.extend(leaf_hashes(group, state.next_seq, facts.last_seq, evidence.salt_key))
            replay(state, facts)
            for page in facts.pages.get(SUBMISSIONS, ()):
                receipts.look(page)
            while waiting and facts.position >= waiting[0].position:
                compare(waiting.pop(0), state, tree, facts)
            lookups.look(facts)
            records, head = facts.position, facts.digest
            if progress:
                progress(records, facts.last_seq)
        lookups.finish()
    for checkpoint in waiting:
        rule = f"checkpoint of {checkpoint.position} records, {checkpoint.size} facts"
        raise Refused(Code.JOURNAL_SHORTER, "position", records + 1, rule)
    check_state(state)
    receipts.finish()
    return Verification(
        state.ledger_id, records, state.next_seq - 1, head.hex(), state_hash(state), state.totals(), len(state.caps),
        tree.root().hex() if evidence.salt_key else "", len(evidence.checkpoints), len(evidence.receipts),
    )  # fmt: skip


def check_mark(evidence: Evidence, position: int, digest: bytes) -> None:
    """Raise Refused (CHECKPOINT_DIFFERS) for a record other than the one that was sealed at its position."""
    if position in evidence.marks and mark(evidence.salt_key, digest) != evidence.marks[position]:
        raise Refused(Code.CHECKPOINT_DIFFERS, "position", position, "the record that was sealed")


def compare(checkpoint: Checkpoint, state: State, tree: Tree, group: Decoded) -> None:
    """Raise Refused (CHECKPOINT_DIFFERS) unless the facts up to a group are those that a checkpoint sealed."""
    found = {
        "origin": (origin(state.ledger_id), checkpoint.origin),
        "size": (group.last_seq, checkpoint.size),
        "head": (group.digest.hex(), checkpoint.head.hex()),
        "root": (tree.root().hex(), checkpoint.root.hex()),
        "state": (state_hash(state) if checkpoint.state_hash else "", checkpoint.state_hash),
    }
    for name, (ours, sealed) in found.items():
        if group.position != checkpoint.position or ours != sealed:
            rule = f"{name} {sealed} sealed, {ours} found; facts 1 to {checkpoint.size}"
            raise Refused(Code.CHECKPOINT_DIFFERS, "position", checkpoint.position, rule)


def check_state(state: State) -> None:
    """Raise Refused when accounts do not sum to zero, a balance is negative that may not be, or a cap is exceeded."""
    for unit, total in state.totals().items():
        if total:
            raise Refused(Code.CONSERVATION_BROKEN, "unit", unit, f"the sum is {total}, not 0")
    accounts = state.accounts
    kinds = accounts.account["kind"]
    own = ~np.isin(kinds, [int(kind) for kind in CONTRA])
    negative = np.flatnonzero((own & (accounts.balance[:, 0] < 0)) | (accounts.balance[:, 1] < 0))
    if len(negative):
        row = int(negative[0])
        kind = Kind(int(kinds[row])).name
        raise Refused(Code.CONSERVATION_BROKEN, kind, int(accounts.balance[row, :2].min()), "free and escrowed >= 0")
    caps = accounts.cap
    index = caps["limit_l"] + caps["imported_l"] - caps["exported_l"] + caps["over_allocated_l"]
    above = np.flatnonzero(caps["held_l"] + caps["used_l"] > index)
    if len(above):
        cap = int(above[0])
        held = int(caps["held_l"][cap] + caps["used_l"][cap])
        raise Refused(Code.ABOVE_INDEX, "cap", cap, f"{held} l held and used, index {int(index[cap])} l")
