"""The notary of a ledger: seals its journal by checkpoints, proves single facts, and signs receipts."""

import hashlib
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from adapters.audit.files import TREE, beside
from adapters.audit.keys import Keys
from adapters.audit.reports import make_report
from adapters.audit.tree import grown_tree
from ledger.answers import recorded
from ledger.audit.check_proof import InvalidProof, decode_fact, parse_checkpoint, parted, root_of
from ledger.audit.checkpoints import (
    START,
    Checkpoint,
    Sealed,
    Sink,
    malformed,
    mark,
    open_checkpoint,
    origin,
    parse_sealed,
)
from ledger.audit.leaves import single_fact
from ledger.audit.merkle import Tree, hash_leaf
from ledger.audit.notes import SigningKey, sign
from ledger.audit.receipts import Receipt
from ledger.codes import Code, Refused
from ledger.facts import LedgerOpened
from ledger.journal.records import parse
from ledger.journal.store import Store
from ledger.replay import Progress

TRADES = ("trade/1", "agreement.settled/1")


class Reached(NamedTuple):
    """How far an exchange has come: records, facts, and the state hash after them."""

    position: int
    size: int
    state_hash: str


class Notary:
    """Works on the journal as it is stored, beside a writer or without one."""

    def __init__(self, store: Store, ledger: Path) -> None:
        """A notary for the ledger at a path, whose side files bear its name."""
        self._store, self._keys, self._tree = store, Keys(ledger), beside(ledger, TREE)

    @cached_property
    def origin(self) -> str:
        """The name of the ledger in checkpoints, receipts and keys. Raises Refused (RECORD_DAMAGED)."""
        first = next(self._store.entries(), None)
        fact = parse(first.position, first.state).fact.fact if first else None
        if not isinstance(fact, LedgerOpened):
            raise Refused(Code.RECORD_DAMAGED, "position", 1, "ledger.opened")
        return origin(fact.ledger_id)

    @property
    def verifier(self) -> str:
        """The verifier key with which receipts and checkpoints are checked now."""
        return self._keys.signing(self.origin).verifier

    def checkpoint(
        self, sink: Sink, at_ns: int, reached: Reached | None = None, progress: Progress | None = None
    ) -> str:
        """Seal the journal, as far as an exchange has reached or to its end, in a sink; returns the signed note.

        Where nothing was recorded since the last checkpoint, that one is returned. Raises Refused: JOURNAL_SHORTER or
        CHECKPOINT_DIFFERS when the sink has another history of this ledger; SIGNATURE_INVALID when it has another
        ledger's; SINK_FAILED; KEY_INVALID; RECORD_DAMAGED or SEQUENCE_GAP for a damaged journal.
        """
        return self._seal(sink, at_ns, reached, None, progress)

    def change_key(self, sink: Sink, at_ns: int) -> str:
        """Introduce a new signing key by a checkpoint that both keys sign; returns the signed note.

        The old key is forgotten; what it signed is verified as before. Raises Refused as `checkpoint` does.
        """
        following = self._keys.next_signing(self.origin)
        note = self._seal(sink, at_ns, None, following, None)
        self._keys.change(self.origin, following.verifier)
        return note

    def _seal(
        self, sink: Sink, at_ns: int, reached: Reached | None, following: SigningKey | None, progress: Progress | None
    ) -> str:
        files = list(sink.files())
        key, salt_key = self._keys.signing(self.origin), self._keys.salt()
        last = open_checkpoint(files[-1], key.verifier) if files else START
        if last.next_key:
            key = self._keys.change(self.origin, last.next_key)
        end, tree = grown_tree(self._tree, self._store, salt_key, progress)
        position, size, state_hash = reached or Reached(end, tree.size, "")
        self._check_continues(last, position, size, tree)
        if files and not following and position == last.position:
            return parse_sealed(files[-1]).note
        entries = takewhile(lambda entry: entry.position <= position, self._store.entries(last.position))
        marks = [mark(salt_key, hashlib.sha256(entry.state).digest()) for entry in entries]
        checkpoint = Checkpoint(
            key.name, size, tree.root(size), position, self._store.digest(position),
            hashlib.sha256(b"".join(marks)).digest(), at_ns, state_hash, following.verifier if following else "",
        )  # fmt: skip
        note = sign(checkpoint.text, key, *([following] if following else []))
        path = tree.consistency(last.size, size)
        sink.append(len(files) + 1, Sealed(last.size, path, last.position + 1, marks, note).text)
        return note

    def _check_continues(self, last: Checkpoint, position: int, size: int, tree: Tree) -> None:
        """Raise Refused where the journal does not continue the last checkpoint: it is not signed over then."""
        if position < last.position or size < last.size:
            rule = f"the {last.position} records and {last.size} facts of the last checkpoint"
            raise Refused(Code.JOURNAL_SHORTER, "position", position, rule)
        if last.position and (self._store.digest(last.position), tree.root(last.size)) != (last.head, last.root):
            raise Refused(
                Code.CHECKPOINT_DIFFERS, "position", last.position, "the last checkpoint, or the salt key changed"
            )

    def prove(self, seq: int, note: str = "", *, trade: bool = False) -> dict[str, Any]:
        """The proof that a fact is among those under a checkpoint (or, without one, among all): the content of a file.

        `trade` says that it must be a trade. Raises Refused: NOT_RECORDED; CHECKPOINT_DIFFERS, NOTE_MALFORMED for a
        checkpoint of another history, and for one that is none.
        """
        key = self._keys.salt()
        _, tree = grown_tree(self._tree, self._store, key)
        size, root = self._sealed_root(note, tree) if note else (tree.size, tree.root())
        if not 0 < seq <= size:
            raise Refused(Code.NOT_RECORDED, "seq", seq, f"1 to {size}")
        fact = single_fact(self._store, key, seq)
        topic, _, fields = decode_fact(fact.canonical)
        if trade and topic not in TRADES:
            raise Refused(Code.NOT_RECORDED, "trade", seq, f"the seq of a trade, not of {topic}")
        path = tree.inclusion(seq - 1, size)
        if root_of(seq - 1, size, hash_leaf(fact.salt, fact.canonical), path) != root:
            raise Refused(Code.CHECKPOINT_DIFFERS, "seq", seq, "the fact that was hashed into the tree")
        return {
            "origin": self.origin, "size": size, "seq": seq, "topic": topic, "fields": fields,
            "fact": fact.canonical.hex(), "salt": fact.salt.hex(), "path": [node.hex() for node in path],
        }  # fmt: skip

    def report(self, about: dict[str, str], note: str, progress: Progress | None = None) -> dict[str, Any]:
        """Signed evidence about a holder, a meter or a period, under a checkpoint: the content of a file.

        `about` has holder, meter, from and to. Raises Refused as `make_report` does; SIGNATURE_INVALID for a checkpoint
        that is not signed by the key in force, as who checks the file has but one.
        """
        salt_key, signing = self._keys.salt(), self._keys.signing(self.origin)
        open_checkpoint(note, signing.verifier)
        _, tree = grown_tree(self._tree, self._store, salt_key)
        return make_report(
            self._store, tree, salt_key, signing, self._sealed_root(note, tree), about, progress
        )  # fmt: skip

    def _sealed_root(self, note: str, tree: Tree) -> tuple[int, bytes]:
        """Size and root of a checkpoint, whoever signed it, once they are those of this journal."""
        try:
            name, size, root = parse_checkpoint(parted(note)[0])
        except InvalidProof as problem:
            raise malformed(note, problem.rule) from None
        if name != self.origin or size > tree.size or tree.root(size) != root:
            raise Refused(Code.CHECKPOINT_DIFFERS, "size", size, f"a checkpoint of {self.origin}, at most {tree.size}")
        return size, root

    def receipt(self, actor: str, command_id: str) -> str:
        """A signed note on a recorded submission. Raises Refused (NOT_RECORDED) where there is none."""
        known = recorded(self._store, [(actor, command_id)])
        if not known:
            raise Refused(Code.NOT_RECORDED, "command_id", command_id, f"one of {actor}")
        ((content, answer),) = known.values()
        signing = self._keys.signing(self.origin)
        receipt = Receipt(signing.name, actor, command_id, content, answer.first_seq, answer.last_seq, answer.at_ns)
        return sign(receipt.text, signing)
