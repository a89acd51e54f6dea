"""Order books. This room knows integers, sides, owners and zones; it can be embedded on its own.

>>> from matching import OrderBook, Side
>>> book = OrderBook()
>>> _ = book.submit(order_id=1, side=Side.SELL, price=300, quantity=10)
>>> book.submit(order_id=2, side=Side.BUY, price=300, quantity=4).trades["quantity"].tolist()
[4]
"""

from typing import TYPE_CHECKING, Any

from matching.report import Depth, Indicative, Report, Uncrossed
from matching.types import (
    COMMAND,
    OUTCOME,
    REMOVAL,
    TRADE,
    UNLIMITED,
    Action,
    OrderType,
    Reason,
    SelfTrade,
    Side,
    Status,
    TimeInForce,
)

if TYPE_CHECKING:
    from matching.engine import OrderBook
    from matching.reference import ReferenceBook

__all__ = [
    "COMMAND",
    "OUTCOME",
    "REMOVAL",
    "TRADE",
    "UNLIMITED",
    "Action",
    "Depth",
    "Indicative",
    "OrderBook",
    "OrderType",
    "Reason",
    "ReferenceBook",
    "Report",
    "SelfTrade",
    "Side",
    "Status",
    "TimeInForce",
    "Uncrossed",
]


def __getattr__(name: str) -> Any:
    """Load the books on first use: the types alone need no compiler, which takes half a second to import."""
    if name == "OrderBook":
        from matching.engine import OrderBook  # noqa: PLC0415

        return OrderBook
    if name == "ReferenceBook":
        from matching.reference import ReferenceBook  # noqa: PLC0415

        return ReferenceBook
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
