"""The witness: what an auditor keeps of a ledger, so that nobody can show him another history later."""

from collections.abc import Iterable
from typing import NamedTuple

from ledger.audit.checkpoints import START, Checkpoint, follow, malformed, open_checkpoint
from ledger.audit.notes import check_key
from ledger.codes import Code, Refused


class Kept(NamedTuple):
    """The last checkpoint that was seen, the key that signed it, and the key that the next must be signed by."""

    signed_by: str
    key: str
    note: str

    @property
    def text(self) -> str:
        """The file in which it is kept."""
        return f"{self.signed_by}\n{self.key}\n\n{self.note}"

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint itself."""
        return START if not self.note else open_checkpoint(self.note, self.signed_by)


def parse_kept(text: str) -> Kept:
    """What was kept. Raises Refused: NOTE_MALFORMED, SIGNATURE_INVALID, KEY_INVALID."""
    keys, _, note = text.partition("\n\n")
    if keys.count("\n") != 1:
        raise malformed(text, "two keys, an empty line, and a note")
    signed_by, key = keys.split("\n")
    kept = Kept(signed_by, key, note)
    if kept.key != (kept.checkpoint.next_key or kept.signed_by):
        raise malformed(text, "the key that the kept checkpoint names")
    return kept


def newcomer(key: str) -> Kept:
    """What a witness keeps who has seen no checkpoint yet, only the key of the first. Raises Refused (KEY_INVALID)."""
    return Kept(check_key(key), key.strip(), "")


def witnessed(files: Iterable[str], kept: Kept) -> tuple[Kept, int]:
    """Follow a sink from what was kept to its end. Returns what to keep now, and how many checkpoints are new.

    Raises Refused: CHECKPOINT_FORKED, JOURNAL_SHORTER, NOT_CONSISTENT, and as `follow` does.
    """
    texts = list(files)
    if not texts:
        raise Refused(Code.JOURNAL_SHORTER, "sink", 0, "a checkpoint")
    known = 0
    if kept.note:
        known = next((n for n, text in enumerate(texts, start=1) if text.endswith(f"\n\n{kept.note}")), 0)
        if not known:
            raise contradiction(texts, kept)
    for _, sealed, following in follow(texts[known:], kept.key, kept.checkpoint):
        kept = Kept(kept.key, following, sealed.note)
    return kept, len(texts) - known


def contradiction(texts: list[str], kept: Kept) -> Refused:
    """Why a sink does not hold the checkpoint that was kept."""
    last = kept.checkpoint
    shown = [found for text in texts if (found := readable(text, kept))]
    for other in shown:
        if other.size == last.size and other.root != last.root:
            return Refused(
                Code.CHECKPOINT_FORKED, "size", last.size, f"root {last.root.hex()}, as kept, not {other.root.hex()}"
            )
    if shown and max(other.size for other in shown) < last.size:
        return Refused(Code.JOURNAL_SHORTER, "size", shown[-1].size, f"at least {last.size}, of the kept checkpoint")
    return Refused(Code.NOT_CONSISTENT, "size", last.size, "the kept checkpoint is one of the sink's")


def readable(text: str, kept: Kept) -> Checkpoint | None:
    """A checkpoint signed by a key that was in force at the kept one, None for any other text."""
    for key in (kept.key, kept.signed_by):
        try:
            return open_checkpoint(text, key)
        except Refused:
            continue
    return None
