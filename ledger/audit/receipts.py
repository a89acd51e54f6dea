"""Receipts: what a ledger signs about one submission, so that its omission or a later place can be proved."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.audit.checkpoints import malformed
from ledger.audit.notes import opened
from ledger.codes import Code, Refused
from ledger.tables import Array

FORM: Final = re.compile(
    r"receipt (?P<origin>\S+)\n"
    r"actor (?P<actor>[^\n]+)\n"
    r"command (?P<command_id>[^\n]+)\n"
    r"content (?P<content>[0-9a-f]{64})\n"
    r"facts (?P<first_seq>[1-9][0-9]{0,17}) (?P<last_seq>[1-9][0-9]{0,17})\n"
    r"at_ns (?P<at_ns>[0-9]{1,19})\n"
)


class Receipt(NamedTuple):
    """One submission as it was recorded. `content` is the SHA-256 of what it asked for (`docs/journal-format.md`)."""

    origin: str
    actor: str
    command_id: str
    content: bytes
    first_seq: int
    last_seq: int
    at_ns: int

    @property
    def text(self) -> str:
        """The text to sign."""
        return (
            f"receipt {self.origin}\nactor {self.actor}\ncommand {self.command_id}\ncontent {self.content.hex()}\n"
            f"facts {self.first_seq} {self.last_seq}\nat_ns {self.at_ns}\n"
        )


def open_receipt(note: str, key: str) -> Receipt:
    """The receipt in a signed note. Raises Refused: SIGNATURE_INVALID, KEY_INVALID, NOTE_MALFORMED."""
    text = opened(note, key)
    found = FORM.fullmatch(text)
    if not found or found["origin"] != key.strip().split("+")[0]:
        raise malformed(text, "the lines of a receipt, from the ledger of the key")
    numbers = (int(found[name]) for name in ("first_seq", "last_seq", "at_ns"))
    return Receipt(found["origin"], found["actor"], found["command_id"], bytes.fromhex(found["content"]), *numbers)


class ReceiptCheck:
    """Looks for the submissions of receipts while a journal is read."""

    def __init__(self, receipts: Sequence[Receipt]) -> None:
        """None is found yet."""
        self._missing = list(receipts)

    def look(self, submissions: Array) -> None:
        """Look at a page of submissions. Raises Refused (RECEIPT_DIFFERS) for one that is recorded otherwise."""
        for receipt in self._missing[:]:
            keys = (submissions["actor"] == receipt.actor.encode()) & (
                submissions["command_id"] == receipt.command_id.encode()
            )
            for row in submissions[keys]:
                compare(receipt, row)
                self._missing.remove(receipt)

    def finish(self) -> None:
        """Raise Refused (RECEIPT_OMITTED) for a receipt whose submission was not there."""
        for receipt in self._missing:
            name = f"{receipt.actor} {receipt.command_id}"
            raise Refused(Code.RECEIPT_OMITTED, "receipt", name, f"facts {receipt.first_seq} to {receipt.last_seq}")


def compare(receipt: Receipt, row: Array) -> None:
    """Raise Refused (RECEIPT_DIFFERS) naming what a recorded submission has otherwise than its receipt."""
    first_seq = int(row["seq"])
    recorded = {
        "first_seq": first_seq, "last_seq": first_seq + int(row["facts"]) - 1, "at_ns": int(row["at_ns"]),
        "content": row["content"].tobytes(),
    }  # fmt: skip
    for field, value in recorded.items():
        promised = getattr(receipt, field)
        if value != promised:
            promised = promised.hex() if isinstance(promised, bytes) else promised
            raise Refused(Code.RECEIPT_DIFFERS, field, value, f"{promised} by the receipt for {receipt.command_id}")
