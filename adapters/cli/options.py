"""Options that several commands share, and what their texts mean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from cyclopts import Parameter, validators

from adapters.cli.show import progress_bar
from ledger.codes import Code, Refused
from ledger.units import time_ns

Ledger = Annotated[
    str, Parameter(name="--ledger", help="file of the ledger, such as out/yongchuan.db, or postgresql://user@host/name")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="print JSON for programs")]
Flag = Annotated[bool, Parameter(negative="")]
Limit = Annotated[
    int | None, Parameter(help="rows to print; a table shows 20, JSON all", validator=validators.Number(gte=0))
]
AsOf = Annotated[
    str | None,
    Parameter(name="--as-of", help="what was known at a time: local, such as 2024-06-30T12:00, or RFC 3339"),
]

OpenLedger = Callable[..., Any]
"""Opens an exchange: ledger, readonly."""


def moment(field: str, text: str, zone: ZoneInfo) -> int:
    """UTC nanoseconds of a time as people write it: local, or RFC 3339. Raises Refused (TIME_UNREADABLE)."""
    try:
        return time_ns(text, zone)
    except (ValueError, OverflowError):
        rule = "2024-06-30, 2024-06-30T12:00 local, or 2024-06-30T04:00:00Z"
        raise Refused(Code.TIME_UNREADABLE, field, text, rule) from None


@contextmanager
def asked(open_ledger: OpenLedger, ledger: str, as_of: str | None) -> Iterator[Any]:
    """A ledger to ask: as it is, or as it was known at a time."""
    with open_ledger(ledger, readonly=True) as opened:
        if as_of is None:
            yield opened
            return
        at_ns = moment("as_of", as_of, opened.policy.zone)
        with progress_bar("回溯 folding") as done:
            then = opened.as_of(at_ns, lambda _, seq: done(seq))
        with then:
            yield then
