"""A seeded market: holders long of water offer it, holders short of water bid, prices wander around the reference."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ledger.rows import ORDER
from ledger.tables import Kind
from matching.types import Action, OrderType, SelfTrade, Side, Status, TimeInForce
from shuiquan.exchange import Exchange

REPLACED_SHARE, CANCELLED_SHARE, MARKET_SHARE = 0.06, 0.10, 0.08


class Trader(NamedTuple):
    """A right in the market: what it may offer and what its holder needs."""

    right: int
    instrument: int
    sells: bool
    lots: int  # that it could trade in all


class Crowd:
    """Traders of a ledger and the orders they give. Depends on the ledger's state and the seed alone."""

    def __init__(self, exchange: Exchange, traders: list[Trader], seed: int) -> None:
        """A crowd of these traders."""
        self._exchange = exchange
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._traders = traders
        self._live: list[int] = []
        policy = exchange.policy
        self._reference = np.array([terms.reference_price for terms in policy.instruments], np.float64)
        self._band = np.array([terms.reference_price * terms.band_ppm // 1_000_000 for terms in policy.instruments])
        self._client_order_id = 0

    def batch(self, count: int) -> Any:
        """The next `count` orders as an array of ORDER."""
        rng = self._rng
        self._reference *= 1 + rng.normal(0, 0.0015, len(self._reference))  # the price that the crowd believes in
        chosen = rng.integers(0, len(self._traders), count)
        traders = np.array(self._traders, np.int64)[chosen]
        rows = np.zeros(count, ORDER)
        rows["action"], rows["self_trade"] = Action.NEW, SelfTrade.CANCEL_TAKER
        rows["right"], rows["instrument"] = traders[:, 0], traders[:, 1]
        rows["side"] = np.where(traders[:, 2], Side.SELL, Side.BUY)
        rows["quantity"] = 1 + np.minimum(traders[:, 3] // 12, rng.geometric(0.08, count))
        sign = np.where(rows["side"] == Side.SELL, 1, -1)
        distance = sign * np.abs(rng.normal(0.01, 0.03, count)) - sign * 0.012  # most wait, some cross
        band = self._band[rows["instrument"]]
        reference = np.array([terms.reference_price for terms in self._exchange.policy.instruments])[rows["instrument"]]
        prices = np.rint(self._reference[rows["instrument"]] * (1 + distance)).astype(np.int64)
        rows["price"] = np.clip(prices, reference - band, reference + band)
        rows["time_in_force"] = rng.choice(
            [TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC], count, p=[0.6, 0.3, 0.1]
        )
        at_market = rng.random(count) < MARKET_SHARE
        rows["order_type"] = np.where(at_market, OrderType.MARKET, OrderType.LIMIT)
        rows["time_in_force"] = np.where(at_market, TimeInForce.IOC, rows["time_in_force"])
        rows["max_amount_fen"] = np.where(at_market & (rows["side"] == Side.BUY), 500_000, 0)
        self._change_some(rows)
        rows["client_order_id"] = self._client_order_id + 1 + np.arange(count)
        self._client_order_id += count
        return rows

    def _change_some(self, rows: Any) -> None:
        """Turn some of the orders into cancels and replaces of orders that rest."""
        changes = self._rng.random(len(rows))
        for at in np.flatnonzero(changes < CANCELLED_SHARE + REPLACED_SHARE):
            if not self._live:
                return
            target = self._live.pop(int(self._rng.integers(0, len(self._live))))
            price, instrument = rows["price"][at], rows["instrument"][at]
            rows[at] = np.zeros((), ORDER)
            rows["order_id"][at], rows["instrument"][at] = target, instrument
            rows["action"][at] = Action.CANCEL if changes[at] < CANCELLED_SHARE else Action.REPLACE
            rows["price"][at] = price if rows["action"][at] == Action.REPLACE else 0

    def learn(self, orders: Any) -> None:
        """Remember which of the crowd's orders rest."""
        resting = orders[(orders["status"] == Status.RESTING) & (orders["action"] == Action.NEW)]
        self._live += resting["order_id"].tolist()


def traders_of(exchange: Exchange) -> Iterator[Trader]:
    """Rights that can trade in an instrument of their unit: sellers by what they may offer, all others as buyers."""
    from ledger.accounts import sellable  # noqa: PLC0415 - compiled

    accounts, instruments = exchange.state.accounts, exchange.state.instruments
    for row in np.flatnonzero(accounts.account["kind"] == Kind.HOLDING):
        account = accounts.account[row]
        for terms in instruments:
            if terms.source * 10_000 + terms.year != account["unit"] or not terms.continuous:
                continue
            lots = int(sellable(accounts, int(row))) // terms.lot_l
            right = exchange.state.rights[account["reference"]]
            offers = right.kind == "licence" or right.right % 2  # half of those who may sell freely need water instead
            if lots > 0 and offers and account["sell_code"] == 0:
                yield Trader(int(account["reference"]), terms.instrument, sells=True, lots=lots)
            elif account["buy_code"] == 0:
                needed = int(account["issued_l"]) // terms.lot_l // 10
                yield Trader(int(account["reference"]), terms.instrument, sells=False, lots=max(1, needed))
