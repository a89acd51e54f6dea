"""Where orders of the plain-Python book meet that rest already: the call auction, and a change of headroom."""

from typing import NamedTuple

import numpy as np

from matching.reference_queues import Headroom, Order, Queues, zones_of
from matching.report import Indicative, Report, Uncrossed
from matching.types import UNLIMITED, Side


class _Candidate(NamedTuple):
    price: int
    volume: int
    imbalance: int


def _by_age(one: Order, other: Order) -> tuple[Order, Order]:
    """The older order, which is the maker, and the younger one."""
    return (one, other) if one.arrival < other.arrival else (other, one)


def _chosen(candidates: list[_Candidate], reference: int | None) -> _Candidate:
    """The candidate of the auction price; `candidates` come by rising price."""
    most = max(each.volume for each in candidates)
    candidates = [each for each in candidates if each.volume == most]
    least = min(abs(each.imbalance) for each in candidates)
    candidates = [each for each in candidates if abs(each.imbalance) == least]
    lowest, highest = candidates[0], candidates[-1]
    if all(each.imbalance > 0 for each in candidates):
        return highest
    if all(each.imbalance < 0 for each in candidates):
        return lowest
    target = (lowest.price + highest.price) // 2 if reference is None else reference
    return min(candidates, key=lambda each: (abs(each.price - target), each.price))


class Crossings(Queues):
    """The trades among orders that rest."""

    _collecting = False

    @property
    def auction(self) -> bool:
        """Whether a call auction collects orders."""
        return self._collecting

    def open_auction(self) -> None:
        """Collect orders without matching from now on. Raises RuntimeError if an auction is open already."""
        if self._collecting:
            raise RuntimeError("an auction is open already")
        self._collecting = True

    def indicative(self, reference: int | None = None) -> Indicative:
        """What an uncross would find now, apart from zones and self-trade, in an auction or outside.

        The price has the largest volume, then the smallest imbalance; then it is the highest where buyers are left
        at each such price, the lowest where sellers are; then the one nearest to the reference, or else to the
        midpoint of those prices, the lower of two. The price is None where no orders cross.
        """
        bids, asks = (list(self._standing(side)) for side in Side)
        if not bids or not asks or bids[0].price < asks[0].price:
            return Indicative(None, 0, 0)
        candidates = []
        for price in range(asks[0].price, bids[0].price + 1):
            bought = sum(bid.leaves for bid in bids if bid.price >= price)
            sold = sum(ask.leaves for ask in asks if ask.price <= price)
            candidates.append(_Candidate(price, min(bought, sold), bought - sold))
        return Indicative(*_chosen(candidates, reference))

    def uncross(self, reference: int | None = None) -> Uncrossed:
        """End the auction: orders that meet at the indicative price trade at it. Raises RuntimeError if none is open.

        Bids are served by price, then age; each takes the asks by price, then age, as far as the headroom of its
        pair of zones goes. Of two orders the older is the maker; the self-trade mode of the younger decides.
        What zones and self-trade prevention keep from trading is `lost`. No order trades at another price: what
        still crosses stays (`set_headroom` with the same figures matches it). Netting follows after all trades.
        """
        if not self._collecting:
            raise RuntimeError("no auction is open")
        price, volume, imbalance = self.indicative(reference)
        self._collecting = False
        executed = 0 if price is None else self._allocate(price)
        self._net()
        return Uncrossed(price, executed, imbalance, volume - executed, self._report([]))

    def set_headroom(self, headroom: Headroom) -> Report:
        """Take over new figures of headroom, and let the orders trade that may meet now.

        The best, then oldest, bid that can trade does so with the best, then oldest, ask it can trade with, at the
        price of the older order, under the self-trade mode of the younger; and so on, netting after each trade,
        until no pair is left. While an auction collects orders, none trade.

        `headroom` is copied into the array that the book shares with its caller. Raises ValueError for another
        shape than zones x zones or a figure outside 0..UNLIMITED; nothing has changed then.
        """
        given = np.asarray(headroom)
        if given.shape != self.headroom.shape:
            raise ValueError(f"headroom must have the shape {self.headroom.shape}, not {given.shape}")
        if given.min() < 0 or given.max() > UNLIMITED:
            raise ValueError("headroom must be from 0 to UNLIMITED")
        np.copyto(self.headroom, given)
        self._permitted = self.headroom > 0
        while not self._collecting and (pair := self._tradable()):
            older, younger = _by_age(*pair)
            self._meet(older, younger, older.price)
            self._net()
        return self._report([])

    def _tradable(self) -> tuple[Order, Order] | None:
        """The first bid that can trade, with the first ask it can trade with."""
        for bid in self._standing(Side.BUY):
            for ask in self._standing(Side.SELL):
                if bid.price >= ask.price and self.headroom[zones_of(bid, ask)] > 0:
                    return bid, ask
        return None

    def _allocate(self, price: int) -> int:
        """Trade at one price all that meets there and may. Returns the volume."""
        executed = 0
        for bid in [order for order in self._standing(Side.BUY) if order.price >= price]:
            for ask in [order for order in self._standing(Side.SELL) if order.price <= price]:
                if bid.leaves > 0 and self.headroom[zones_of(bid, ask)] > 0:
                    executed += self._meet(*_by_age(bid, ask), price)
        return executed
