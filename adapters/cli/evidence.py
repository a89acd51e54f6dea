"""What an auditor holds against a ledger: options of the commands that compare with it, and reading what they name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from adapters.audit.sink import FolderSink, read_text
from ledger.audit import Evidence
from ledger.audit.checkpoints import follow, open_checkpoint
from ledger.audit.notes import check_key
from ledger.audit.receipts import open_receipt
from ledger.codes import Code, Refused

Key = Annotated[str, Parameter(name="--key", help="verifier key NAME+ID+BASE64, as the bureau published it")]


def files(text: str) -> Parameter:
    """An option that is given once for each file."""
    return Parameter(negative="", show_default=False, help=text)


@Parameter(name="*")
@dataclass(frozen=True)
class Seals:
    """Checkpoints in a sink or in files, and the key that they are signed with."""

    sink: Annotated[Path | None, Parameter(help="compare with every checkpoint in this folder")] = None
    checkpoint: Annotated[Sequence[Path], files("compare with the checkpoint in this file")] = ()
    key: Key = ""

    def evidence(self, receipts: Sequence[Path] = ()) -> Evidence:
        """All of it and the receipts, signatures verified. Raises Refused as `follow` and `open_receipt` do."""
        if not (self.sink or self.checkpoint or receipts):
            return Evidence()
        if not self.key:
            raise Refused(Code.KEY_INVALID, "key", self.key, "--key with the verifier key that the bureau published")
        keys = [check_key(self.key)]
        followed = list(follow(FolderSink(self.sink).files(), self.key)) if self.sink else []
        if self.sink and not followed:
            raise Refused(Code.SINK_FAILED, "sink", str(self.sink), "a folder with checkpoints")
        keys += [one.checkpoint.next_key for one in followed if one.checkpoint.next_key]
        marks = {
            position: mark
            for one in followed
            for position, mark in enumerate(one.sealed.marks, one.sealed.first_position)
        }
        sealed = [one.checkpoint for one in followed]
        sealed += [by_any(open_checkpoint, read_text(path), keys) for path in self.checkpoint]
        promised = [by_any(open_receipt, read_text(path), keys) for path in receipts]
        return Evidence(b"", sealed, marks, promised)


NO_SEALS: Final = Seals()


def by_any(opened: Any, note: str, keys: Iterable[str]) -> Any:
    """A note signed by one of several keys, the newest tried first. Raises Refused as with the first of all."""
    refusal: Refused | None = None
    for key in list(keys)[::-1]:
        try:
            return opened(note, key)
        except Refused as refused:
            refusal = refused
    raise refusal or Refused(Code.KEY_INVALID, "key", "", "at least one")
