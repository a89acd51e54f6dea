"""Verification of a journal by somebody who trusts nobody: the chain, the numbering, and a fold of every fact."""

from typing import NamedTuple

import numpy as np

from ledger.codes import Code, Refused
from ledger.journal.store import Store
from ledger.replay import Progress, fold
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


def verify(store: Store, progress: Progress | None = None) -> Verification:
    """Check chain and numbering, fold all facts, and check what must hold afterwards.

    Raises Refused naming the first bad position (RECORD_DAMAGED, SEQUENCE_GAP, TOPIC_UNKNOWN), or what does not hold
    (CONSERVATION_BROKEN, ABOVE_INDEX).
    """
    state = State()
    records, head = fold(state, store, progress)
    check_state(state)
    return Verification(
        state.ledger_id, records, state.next_seq - 1, head.hex(), state_hash(state), state.totals(), len(state.caps)
    )


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
