"""A ledger, the sink of its checkpoints, and what an auditor does with both."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from adapters.audit.sink import FolderSink
from adapters.cli.evidence import Seals
from ledger.audit import Verification
from ledger.audit.checkpoints import Checkpoint, follow
from ledger.audit.witness import Kept, newcomer, witnessed
from ledger.codes import Code, Refused
from shuiquan.__main__ import verify_ledger
from tests.stores.ledgers import database
from tests.world import World


class Sealed(NamedTuple):
    """A folder with a ledger and a sink, and the verifier key that was published first."""

    folder: Path
    key: str

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def sink(self) -> Path:
        return self.folder / "sink"

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """All checkpoints of the sink, followed."""
        return [one.checkpoint for one in follow(FolderSink(self.sink).files(), self.key)]

    def copied(self, folder: Path) -> "Sealed":
        """The same in another folder."""
        return Sealed(Path(shutil.copytree(self.folder, folder)), self.key)

    def verify(self, *receipts: Path, checkpoints: tuple[Path, ...] = (), sink: bool = True) -> Verification:
        """What `audit verify` does."""
        evidence = Seals(self.sink if sink else None, checkpoints, self.key).evidence(receipts)
        return verify_ledger(self.ledger, None, evidence)

    def witnessed(self, kept: Kept | None = None) -> Kept:
        """What `audit witness` does."""
        return witnessed(FolderSink(self.sink).files(), kept or newcomer(self.key))[0]

    def truncate(self, position: int, seq: int) -> None:
        """Cut the journal behind a position, with all that the program wrote beside it and what knew better."""
        Path(f"{self.ledger}.head").unlink(missing_ok=True)
        with database(self.ledger) as connection:
            connection.execute("DELETE FROM stored_events WHERE originator_version > ?", (position,))
            connection.execute("DELETE FROM begins WHERE position > ?", (position,))
            connection.execute("DELETE FROM submissions WHERE first_seq > ?", (seq,))


def seal(world: World, folder: Path) -> str:
    """Make a checkpoint in the sink of a folder."""
    return world.exchange.checkpoint(FolderSink(folder / "sink"))


def code_of(caught: pytest.ExceptionInfo[Refused]) -> Code:
    """The reason of a refusal."""
    return Code(caught.value.code)
