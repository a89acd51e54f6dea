"""The market: what each instrument traded, and what was refused for which reason."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from ledger import facts
from ledger.journal.records import Decoded
from ledger.rows import ORDERS, READINGS, TRADES
from matching.types import Status
from projections.base import Table, Upsert, page, summed

INSTRUMENTS: Final = Table(
    "instruments", ("instrument",), sets=("code", "source", "year", "lot_l", "tick_fen", "continuous")
)
MARKET: Final = Table("market", ("instrument",), adds=("trades", "quantity", "volume_l", "amount_fen", "fees_fen"))
LAST_PRICE: Final = Table("last_prices", ("instrument",), sets=("price", "at_ns"))
REFUSALS: Final = Table("refusals", ("kind", "code"), adds=("count",))


class Market:
    """Read model of trading. Volume-weighted price is amount / volume; agreements are counted apart in no price."""

    name = "market/1"
    tables = (INSTRUMENTS, MARKET, LAST_PRICE, REFUSALS)

    def fold(self, decoded: Decoded) -> Iterable[Upsert]:
        """Upserts for instruments, trades and refusals."""
        for _, _, fact in decoded.facts:
            if isinstance(fact, facts.InstrumentDefined):
                row = (fact.instrument, fact.code, fact.source, fact.year, fact.lot_l, fact.tick_fen, fact.continuous)
                yield Upsert(INSTRUMENTS, [row])
            elif isinstance(fact, facts.CommandRefused):
                yield Upsert(REFUSALS, [(fact.command, fact.code, 1)])
        if not decoded.pages:
            return
        trades = page(decoded, TRADES)
        fees = trades["buyer_fee_fen"] + trades["seller_fee_fen"]
        ones = np.ones(len(trades), np.int64)
        sums = [ones, trades["quantity"], trades["volume_l"], trades["amount_fen"], fees]
        yield Upsert(MARKET, summed([trades["instrument"]], sums))
        instruments, first = np.unique(trades["instrument"][::-1], return_index=True)
        last = trades[::-1][first]
        rows = zip(instruments.tolist(), last["price"].tolist(), last["at_ns"].tolist(), strict=True)
        yield Upsert(LAST_PRICE, list(rows))
        orders, readings = page(decoded, ORDERS), page(decoded, READINGS)
        for kind, codes in (
            ("order", orders["code"][orders["status"] == Status.REJECTED]),
            ("reading", readings["code"][readings["code"] != 0]),
        ):
            yield Upsert(REFUSALS, [(kind, *row) for row in summed([codes], [np.ones(len(codes), np.int64)])])
