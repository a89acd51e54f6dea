"""Shuiquan (水权): the exchange and register for water-use rights.

>>> import shuiquan
>>> "yongchuan" in shuiquan.districts()
True
"""

from typing import TYPE_CHECKING, Any

from ledger.codes import Code, Refused
from ledger.commands import (
    AllocateCell,
    CloseMarket,
    DepositMoney,
    InstallMeter,
    IssueRight,
    OpenMarket,
    Person,
    RegisterIntake,
    RegisterParty,
    RegisterRight,
    ReinstateParty,
    Role,
    SettleAgreement,
    SuspendParty,
    VerifySaving,
)
from ledger.forks import Fork
from ledger.limits import Limits
from ledger.rows import ORDER, READING
from matching.types import Action, OrderType, Reason, SelfTrade, Side, Status, TimeInForce
from shuiquan.config import districts

if TYPE_CHECKING:
    from shuiquan.exchange import Exchange
    from shuiquan.exports import import_journal
    from shuiquan.opening import connect
    from shuiquan.opening import open_exchange as open  # noqa: A004 - shuiquan.open reads as it should

__all__ = [
    "ORDER",
    "READING",
    "Action",
    "AllocateCell",
    "CloseMarket",
    "Code",
    "DepositMoney",
    "Exchange",
    "Fork",
    "InstallMeter",
    "IssueRight",
    "Limits",
    "OpenMarket",
    "OrderType",
    "Person",
    "Reason",
    "Refused",
    "RegisterIntake",
    "RegisterParty",
    "RegisterRight",
    "ReinstateParty",
    "Role",
    "SelfTrade",
    "SettleAgreement",
    "Side",
    "Status",
    "SuspendParty",
    "TimeInForce",
    "VerifySaving",
    "connect",
    "districts",
    "import_journal",
    "open",
]


def __getattr__(name: str) -> Any:
    """Load the exchange on first use: it brings the compiler, which takes half a second."""
    if name == "open":
        from shuiquan.opening import open_exchange  # noqa: PLC0415

        return open_exchange
    if name == "connect":
        from shuiquan.opening import connect  # noqa: PLC0415

        return connect
    if name == "Exchange":
        from shuiquan.exchange import Exchange  # noqa: PLC0415

        return Exchange
    if name == "import_journal":
        from shuiquan.exports import import_journal  # noqa: PLC0415

        return import_journal
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
