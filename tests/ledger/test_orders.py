"""Escrow and settlement of orders, to the last litre and fen (K17, K22-K26).

A lot is 100 m3 and a tick one fen a lot, so a price is fen a lot; a buyer pays 0.3 % and a seller 0.2 %.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import shuiquan
from shuiquan import Code, OrderType, Reason, SelfTrade, Side, TimeInForce
from tests.districts import DAY_NS, HOUR_NS
from tests.world import DOCUMENT, Action, Fork, World

LOT_L = 100_000
IOC, FOK, DAY, GTD = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.DAY, TimeInForce.GTD
MARKET = {"order_type": OrderType.MARKET, "time_in_force": IOC}
REDUCED, CANCELLED, REST = Reason.REDUCED_BY_OWNER, Reason.CANCELLED_BY_OWNER, Reason.IMMEDIATE_REMAINDER
OWN, SPENT = Reason.SELF_TRADE, Reason.BUDGET_SPENT

Step = Callable[[World, list[int]], Any]


class Ends(NamedTuple):
    """What a script leads to: codes by step, change of free and escrowed money (fen) and water (lots), removals.

    Who is not named has what he had, and nothing in escrow.
    """

    money: dict[str, tuple[int, int]] = {}
    water: dict[str, tuple[int, int]] = {}
    codes: dict[int, int] = {}
    gone: tuple[tuple[int, int, int], ...] = ()


def buy(right: str, price: int, lots: int, **fields: int) -> Step:
    return lambda world, _: world.order(Side.BUY, right, price, lots, **fields)


def sell(right: str, price: int, lots: int, **fields: int) -> Step:
    return lambda world, _: world.order(Side.SELL, right, price, lots, **fields)


def cancel(step: int) -> Step:
    return lambda world, ids: world.change(Action.CANCEL, ids[step])


def reduce(step: int, lots: int) -> Step:
    return lambda world, ids: world.change(Action.REDUCE, ids[step], quantity=lots)


def replace(step: int, price: int = 0, lots: int = 0) -> Step:
    return lambda world, ids: world.change(Action.REPLACE, ids[step], price, lots)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Sellers R (regional), L (licence, 200 lots saved), T (irrigation, floor 100 lots); buyers B, which holds T, and W."""
    made = World(tmp_path_factory.mktemp("orders") / "ledger.db")
    made.add_right("R", kind="regional", metered=False)
    made.add_right("L", saved_m3=20_000, money_yuan=20_000)
    made.add_right("B", money_yuan=20_000)
    made.add_right("T", kind="irrigation", industry="farming", party="P-B")
    made.add_right("W", basin="west", money_yuan=20_000)
    made.add_right("V", basin="west", kind="regional", metered=False)
    made.open_market("SW-A", "SW-B")
    yield made
    made.exchange.close()


@pytest.fixture
def market(base: World) -> World:
    return Fork(base)


ESCROW: dict[str, tuple[tuple[Step, ...], Ends]] = {
    "a limit buy escrows price and fee": ((buy("B", 3001, 7),), Ends({"P-B": (-21070, 21070)})),
    "price improvement and the fee on it go back": (
        (sell("R", 2900, 10), buy("B", 3001, 7)),
        Ends({"P-B": (-20360, 0), "P-R": (20260, 0)}, {"R": (-10, 3), "B": (7, 0)}),
    ),
    "what rests is escrowed at its own limit": (
        (sell("R", 2900, 3), buy("B", 3001, 7)),
        Ends({"P-B": (-8726 - 12040, 12040), "P-R": (8683, 0)}, {"R": (-3, 0), "B": (3, 0)}),
    ),
    "a maker pays his own price": (
        (buy("B", 3001, 7), sell("R", 2900, 3)),
        Ends({"P-B": (-9003 - 27 - 12040, 12040), "P-R": (9003 - 18, 0)}, {"R": (-3, 0), "B": (3, 0)}),
    ),
    "reducing what is left of a fill": (
        (sell("R", 2900, 3), buy("B", 3001, 7), reduce(1, 1)),
        Ends({"P-B": (-8726 - 9030, 9030), "P-R": (8683, 0)}, {"R": (-3, 0), "B": (3, 0)}, gone=((1, 1, REDUCED),)),
    ),
    "reducing by more than there is": ((buy("B", 3001, 7), reduce(0, 2**62)), Ends(gone=((0, 7, REDUCED),))),
    "reducing by nothing": (
        (buy("B", 3001, 7), reduce(0, 0)),
        Ends({"P-B": (-21070, 21070)}, codes={1: Reason.QUANTITY_NOT_POSITIVE}),
    ),
    "a cancel gives everything back": ((buy("B", 3001, 7), cancel(0)), Ends(gone=((0, 7, CANCELLED),))),
    "a cancel after a fill": (
        (sell("R", 2900, 3), buy("B", 3001, 7), cancel(1)),
        Ends({"P-B": (-8726, 0), "P-R": (8683, 0)}, {"R": (-3, 0), "B": (3, 0)}, gone=((1, 4, CANCELLED),)),
    ),
    "a cancel twice": (
        (buy("B", 3001, 7), cancel(0), cancel(0)),
        Ends(codes={2: Reason.UNKNOWN_ORDER}, gone=((0, 7, CANCELLED),)),
    ),
    "a sell escrows water": ((sell("L", 3000, 150),), Ends(water={"L": (-150, 150)})),
    "a sell reduced": ((sell("L", 3000, 9), reduce(0, 4)), Ends(water={"L": (-5, 5)}, gone=((0, 4, REDUCED),))),
    "a sell replaced up": ((sell("L", 3000, 9), replace(0, 3100, 12)), Ends(water={"L": (-12, 12)})),
    "a sell replaced down": (
        (sell("L", 3000, 9), replace(0, 0, 4)),
        Ends(water={"L": (-4, 4)}, gone=((0, 5, REDUCED),)),
    ),
    "a sell replaced above what is saved": (
        (sell("L", 3000, 9), replace(0, 0, 201)),
        Ends(water={"L": (-9, 9)}, codes={1: Code.NOTHING_SAVED}),
    ),
    "a buy replaced up": ((buy("B", 3001, 7), replace(0, 0, 9)), Ends({"P-B": (-27090, 27090)})),
    "a buy replaced down": (
        (buy("B", 3001, 7), replace(0, 0, 5)),
        Ends({"P-B": (-15050, 15050)}, gone=((0, 2, REDUCED),)),
    ),
    "a buy replaced dearer": ((buy("B", 3001, 7), replace(0, 3100)), Ends({"P-B": (-21765, 21765)})),
    "a buy replaced cheaper": ((buy("B", 3001, 7), replace(0, 2900)), Ends({"P-B": (-20360, 20360)})),
    "a buy replaced cheaper and smaller into a trade": (
        (sell("R", 2900, 2), buy("B", 2800, 7), replace(1, 2950, 5)),
        Ends(
            {"P-B": (-5817 - 8877, 8877), "P-R": (5789, 0)}, {"R": (-2, 0), "B": (2, 0)}, gone=((1, 2, REDUCED),)
        ),
    ),
    "a buy replaced into a trade": (
        (sell("R", 3050, 4), buy("B", 3001, 7), replace(1, 3100)),
        Ends({"P-B": (-12236 - 9328, 9328), "P-R": (12176, 0)}, {"R": (-4, 0), "B": (4, 0)}),
    ),
    "the quantity of a replace is what is left": (
        (sell("R", 2900, 3), buy("B", 3001, 7), replace(1, 0, 6)),
        Ends({"P-B": (-8726 - 18060, 18060), "P-R": (8683, 0)}, {"R": (-3, 0), "B": (3, 0)}),
    ),
    "a replace beyond the money, then the old order trades first": (
        (buy("B", 3000, 5), buy("W", 3000, 5), replace(0, 0, 1000), sell("R", 3000, 5)),
        Ends(
            {"P-B": (-15045, 0), "P-W": (-15045, 15045), "P-R": (14970, 0)}, {"B": (5, 0), "R": (-5, 0)},
            {2: Code.NOT_ENOUGH_MONEY},
        ),
    ),
    "more quantity loses the place": (
        (buy("B", 3000, 5), buy("W", 3000, 5), replace(0, 0, 6), sell("R", 3000, 5)),
        Ends({"P-B": (-18054, 18054), "P-W": (-15045, 0), "P-R": (14970, 0)}, {"W": (5, 0), "R": (-5, 0)}),
    ),
    "less quantity keeps the place": (
        (buy("B", 3000, 5), buy("W", 3000, 5), replace(0, 0, 4), sell("R", 3000, 5)),
        Ends(
            {"P-B": (-12036, 0), "P-W": (-15045, 12036), "P-R": (14970, 0)}, {"B": (4, 0), "W": (1, 0), "R": (-5, 0)},
            gone=((0, 1, REDUCED),),
        ),
    ),
    "a replace outside the band": (
        (buy("B", 3001, 7), replace(0, 4501)),
        Ends({"P-B": (-21070, 21070)}, codes={1: Code.PRICE_OUTSIDE_BAND}),
    ),
    "a replace by a negative quantity": (
        (buy("B", 3001, 7), replace(0, 0, -1)),
        Ends({"P-B": (-21070, 21070)}, codes={1: Reason.QUANTITY_NOT_POSITIVE}),
    ),
    "a replace of more lots than an order may have": (
        (buy("B", 3001, 7), replace(0, 0, 2**31 + 1)),
        Ends({"P-B": (-21070, 21070)}, codes={1: Reason.QUANTITY_TOO_LARGE}),
    ),
}  # fmt: skip

IMMEDIATE: dict[str, tuple[tuple[Step, ...], Ends]] = {
    "a market buy spends what it may, fee included": (
        (sell("R", 3000, 100), buy("B", 0, 50, max_amount_fen=9027, **MARKET)),
        Ends({"P-B": (-9027, 0), "P-R": (8982, 0)}, {"R": (-100, 97), "B": (3, 0)}, {1: SPENT}, ((1, 47, SPENT),)),
    ),
    "one fen less is one lot less": (
        (sell("R", 3000, 100), buy("B", 0, 50, max_amount_fen=9026, **MARKET)),
        Ends({"P-B": (-6018, 0), "P-R": (5988, 0)}, {"R": (-100, 98), "B": (2, 0)}, {1: SPENT}, ((1, 48, SPENT),)),
    ),
    "less than a lot buys nothing": (
        (sell("R", 3000, 100), buy("B", 0, 50, max_amount_fen=3008, **MARKET)),
        Ends(water={"R": (-100, 100)}, codes={1: SPENT}, gone=((1, 50, SPENT),)),
    ),
    "without an amount it spends all that is there": (
        (sell("R", 4500, 500), buy("B", 0, 500, **MARKET)),
        Ends(
            {"P-B": (-1_999_480, 0), "P-R": (1_989_513, 0)}, {"R": (-500, 57), "B": (443, 0)}, {1: SPENT},
            ((1, 57, SPENT),),
        ),
    ),
    "a market buy filled gives back the rest": (
        (sell("R", 3000, 2), sell("R", 3100, 9), buy("B", 0, 5, max_amount_fen=20_000, **MARKET)),
        Ends({"P-B": (-15345, 0), "P-R": (15270, 0)}, {"R": (-11, 6), "B": (5, 0)}),
    ),
    "a market buy finds nothing": (
        (buy("B", 0, 5, **MARKET),),
        Ends(codes={0: REST}, gone=((0, 5, REST),)),
    ),
    "a market buy may not spend what is escrowed": (
        (buy("B", 3000, 600), buy("B", 0, 5, max_amount_fen=194_601, **MARKET)),
        Ends({"P-B": (-1_805_400, 1_805_400)}, codes={1: Code.NOT_ENOUGH_MONEY}),
    ),
    "a market sell takes what is bid": (
        (buy("B", 3000, 5), sell("R", 0, 8, **MARKET)),
        Ends({"P-B": (-15045, 0), "P-R": (14970, 0)}, {"R": (-5, 0), "B": (5, 0)}, {1: REST}, ((1, 3, REST),)),
    ),
    "an amount is for market buys alone": (
        (buy("B", 3000, 5, max_amount_fen=1), sell("R", 0, 5, max_amount_fen=1, **MARKET)),
        Ends(codes={0: Code.OUT_OF_RANGE, 1: Code.OUT_OF_RANGE}),
    ),
    "IOC stops at its limit": (
        (sell("R", 3000, 2), sell("R", 3100, 2), buy("B", 3050, 4, time_in_force=IOC)),
        Ends({"P-B": (-6018, 0), "P-R": (5988, 0)}, {"R": (-4, 2), "B": (2, 0)}, {2: REST}, ((2, 2, REST),)),
    ),
    "FOK in whole": (
        (sell("R", 3000, 2), sell("R", 3100, 2), buy("B", 3100, 4, time_in_force=FOK)),
        Ends({"P-B": (-12236, 0), "P-R": (12176, 0)}, {"R": (-4, 0), "B": (4, 0)}),
    ),
    "FOK not in whole": (
        (sell("R", 3000, 2), sell("R", 3100, 2), buy("B", 3100, 5, time_in_force=FOK)),
        Ends(water={"R": (-4, 4)}, codes={2: Reason.FOK_NOT_FILLABLE}),
    ),
    "FOK within its amount": (
        (sell("R", 3000, 9), buy("B", 0, 3, order_type=OrderType.MARKET, time_in_force=FOK, max_amount_fen=9026)),
        Ends(water={"R": (-9, 9)}, codes={1: Reason.FOK_NOT_FILLABLE}),
    ),
    "post-only would trade": (
        (sell("R", 3000, 2), buy("B", 3000, 5, post_only=1)),
        Ends(water={"R": (-2, 2)}, codes={1: Reason.POST_ONLY_WOULD_TRADE}),
    ),
    "with himself if he wishes": (
        (sell("T", 3000, 5), buy("B", 3000, 8, self_trade=SelfTrade.ALLOW)),
        Ends({"P-B": (-75 - 9027, 9027)}, {"T": (-5, 0), "B": (5, 0)}),
    ),
    "his taker goes": (
        (sell("T", 3000, 5), buy("B", 3000, 8, self_trade=SelfTrade.CANCEL_TAKER)),
        Ends(water={"T": (-5, 5)}, codes={1: OWN}, gone=((1, 8, OWN),)),
    ),
    "his maker goes": (
        (sell("T", 3000, 5), buy("B", 3000, 8, self_trade=SelfTrade.CANCEL_MAKER)),
        Ends({"P-B": (-24072, 24072)}, gone=((0, 5, OWN),)),
    ),
    "both go": (
        (sell("T", 3000, 5), buy("B", 3000, 8, self_trade=SelfTrade.CANCEL_BOTH)),
        Ends(codes={1: OWN}, gone=((0, 5, OWN), (1, 8, OWN))),
    ),
    "both shrink, and the rest trades": (
        (sell("T", 3000, 5), sell("R", 3000, 2), buy("B", 3000, 8, self_trade=SelfTrade.DECREMENT)),
        Ends(
            {"P-B": (-6018 - 3009, 3009), "P-R": (5988, 0)}, {"R": (-2, 0), "B": (2, 0)},
            gone=((0, 5, OWN), (2, 5, OWN)),
        ),
    ),
    "a taker that shrinks to nothing": (
        (buy("B", 3000, 8), sell("T", 3000, 5, self_trade=SelfTrade.DECREMENT)),
        Ends({"P-B": (-9027, 9027)}, codes={1: OWN}, gone=((0, 5, OWN), (1, 5, OWN))),
    ),
}  # fmt: skip

TABLE = ESCROW | IMMEDIATE


@pytest.mark.parametrize("name", TABLE)
def test_every_fen_and_litre_is_where_it_belongs(market: World, name: str) -> None:
    steps, ends = TABLE[name]
    codes, gone, ids = {}, [], list[int]()
    first = {party: market.money(party) for party in ("P-R", "P-L", "P-B", "P-W", "P-V")}
    held = {right: market.balance(right) for right in "RLBTWV"}
    for at, step in enumerate(steps):
        answer = market.orders(step(market, ids))
        (fact,) = answer.orders
        ids.append(int(fact["order_id"]))
        codes |= {at: int(fact["code"])} if fact["code"] else {}
        gone += [(ids.index(int(row["order_id"])), int(row["quantity"]), int(row["code"])) for row in answer.removals]
    assert codes == ends.codes
    assert tuple(gone) == ends.gone
    for party, (free, _) in first.items():
        change, escrowed = ends.money.get(party, (0, 0))
        assert market.money(party) == (free + change, escrowed), party
    for right, (free, _, taken, over) in held.items():
        change, escrowed = ends.water.get(right, (0, 0))
        assert market.balance(right) == (free + change * LOT_L, escrowed * LOT_L, taken, over), right
    market.check()
