"""How much may wait for the writer."""

from typing import Final, NamedTuple

from ledger.codes import Code, Refused

WAIT, REFUSE = "wait", "refuse"
FREE_BYTES: Final = 256 * 2**20


class Limits(NamedTuple):
    """How much may wait for the writer, and what happens then.

    One request is always let in when nothing waits, however large it is.
    """

    submissions: int = 65_536
    commands: int = 4_000_000  # orders, readings and other commands in them
    bytes: int = 512 * 2**20  # of them all, as they would be written
    when_full: str = WAIT  # WAIT: callers wait for room. REFUSE: they get QUEUE_FULL
    free_bytes: int = FREE_BYTES  # with less room than this on disk submissions get DISK_NEARLY_FULL

    def check(self) -> None:
        """Raise Refused (OUT_OF_RANGE) for limits that are none."""
        if self.when_full not in (WAIT, REFUSE):
            raise Refused(Code.OUT_OF_RANGE, "when_full", self.when_full, f"{WAIT} or {REFUSE}")
        for name, least in (("submissions", 1), ("commands", 1), ("bytes", 1), ("free_bytes", 0)):
            if getattr(self, name) < least:
                raise Refused(Code.OUT_OF_RANGE, name, getattr(self, name), f"at least {least}")
