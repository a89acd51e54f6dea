"""Escrow and settlement of orders, to the last litre and fen (K17, K22-K26).

A lot is 100 m3 and a tick one fen a lot, so a price is fen a lot; a buyer pays 0.3 % and a seller 0.2 %.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shuiquan
from shuiquan import Code, OrderType, Reason, SelfTrade, Side, TimeInForce
from tests.districts import HOUR_NS, START_NS
from tests.world import DOCUMENT, OPERATOR, Action, Fork, PlainMarket, World

LOT_L, PPM = 100_000, 1_000_000
IOC, FOK, DAY, GTD = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.DAY, TimeInForce.GTD
MARKET = {"order_type": OrderType.MARKET, "time_in_force": IOC}
CUT, LEFT, REST = Reason.REDUCED_BY_OWNER, Reason.CANCELLED_BY_OWNER, Reason.IMMEDIATE_REMAINDER
OWN, SPENT, EXPIRED = Reason.SELF_TRADE, Reason.BUDGET_SPENT, Reason.EXPIRED
POOR, UNFILLABLE, FULL = Code.NOT_ENOUGH_MONEY, Reason.FOK_NOT_FILLABLE, Code.HEADROOM_EXHAUSTED
UNSAVED, NEEDED, DRY = Code.NOTHING_SAVED, Code.BASIC_NEED, Code.NOT_ENOUGH_WATER
RESOLD = Code.NOT_RESOLD
Step = Callable[[World, list[int]], Any]


class Ends(NamedTuple):
    """What a script leads to: change of free, and escrowed, money (fen) and water (lots); codes by step; removals.

    Who is not named has what he had, and nothing in escrow.
    """

    money: dict[str, tuple[int, int]]
    water: dict[str, tuple[int, int]]
    codes: dict[int, int]
    gone: tuple[tuple[int, int, int], ...]


def ends(money: Any = (), water: Any = (), codes: Any = (), gone: Any = ()) -> Ends:
    return Ends(dict(money), dict(water), dict(codes), gone)


def buy(right: str, price: int, lots: int, **fields: int) -> Step:
    return lambda world, _: world.order(Side.BUY, right, price, lots, **fields)


def sell(right: str, price: int, lots: int, instrument: str = "SW-A", **fields: int) -> Step:
    return lambda world, _: world.order(Side.SELL, right, price, lots, instrument, **fields)


def change(action: Action, step: int, price: int = 0, lots: int = 0, mode: int = 0) -> Step:
    return lambda world, ids: world.change(action, ids[step], price, lots, mode)


def cancel(step: int) -> Step:
    return change(Action.CANCEL, step)


def reduce(step: int, lots: int) -> Step:
    return change(Action.REDUCE, step, 0, lots)


def replace(step: int, price: int = 0, lots: int = 0, mode: int = SelfTrade.ALLOW) -> Step:
    return change(Action.REPLACE, step, price, lots, mode)


def agree(seller: str, buyer: str, volume_l: int, amount_fen: int = 0) -> Step:
    sides = {"instrument": "SW-A", "seller": seller, "buyer": buyer}
    deal = shuiquan.SettleAgreement(**sides, volume_l=volume_l, amount_fen=amount_fen, document=DOCUMENT)
    return lambda world, _: world.submit([deal], OPERATOR)


def pump(right: str, value_m3: int) -> Step:
    return lambda world, _: world.read(world.reading(f"M-{right}", value_m3))


def after(hours: float) -> Step:
    def wait(world: World, _: list[int]) -> Any:
        world.clock.at_ns += int(hours * HOUR_NS)
        return world.submit([shuiquan.OpenMarket(instrument="SW-B")], OPERATOR)

    return wait


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Sellers R and V (regional), L (licence, 200 lots saved), T (irrigation, floor 100 lots); buyers B and W.

    B and T have one holder; V and W lie in the west, where 200 lots may go from the east; all have 500 lots.
    """
    made = World(tmp_path_factory.mktemp("orders") / "ledger.db")
    made.add_right("R", kind="regional", metered=False)
    made.add_right("L", saved_m3=20_000, money_yuan=20_000)
    made.add_right("B", money_yuan=20_000)
    made.add_right("T", kind="irrigation", industry="farming", party="P-B")
    made.add_right("W", basin="west", money_yuan=20_000)
    made.add_right("V", basin="west", kind="regional", industry="supply", metered=False)
    made.open_market("SW-A", "SW-B")
    yield made
    made.exchange.close()


@pytest.fixture
def market(base: World) -> World:
    return Fork(base)


def play(world: World, steps: tuple[Step, ...]) -> tuple[dict[int, int], tuple[tuple[int, int, int], ...]]:
    """Codes of the steps that have one, and all removals as (step, lots, code)."""
    codes, gone, ids = {}, [], list[int]()
    for at, step in enumerate(steps):
        made = step(world, ids)
        answer = world.orders(made) if isinstance(made, np.ndarray) else made
        ids.append(int(answer.orders["order_id"][0]) if len(answer.orders) else 0)
        code = sum(answer.orders["code"].tolist()) + sum(fact.code for fact in answer.refused)
        codes |= {at: code} if code else {}
        gone += [(ids.index(int(row["order_id"])), int(row["quantity"]), int(row["code"])) for row in answer.removals]
    return codes, tuple(gone)


MADE = (sell("R", 2900, 3), buy("B", 3001, 7))  # 3 lots at 2900, 4 rest at 3001
TWO = (buy("B", 3000, 5), buy("W", 3000, 5))
MOVED = {"R": (-3, 0), "B": (3, 0)}
RESTS = {"P-B": (-21070, 21070)}
ENDS_AT = START_NS + 3 * HOUR_NS
DATED = {"time_in_force": GTD, "expires_at_ns": ENDS_AT}
TABLE: dict[str, tuple[tuple[Step, ...], Ends]] = {
    "a limit buy escrows price and fee": ((buy("B", 3001, 7),), ends(RESTS)),
    "price improvement and the fee on it go back": ((sell("R", 2900, 10), buy("B", 3001, 7)),
        ends({"P-B": (-20360, 0), "P-R": (20260, 0)}, {"R": (-10, 3), "B": (7, 0)})),
    "the rest is escrowed at its limit": (MADE, ends({"P-B": (-20766, 12040), "P-R": (8683, 0)}, MOVED)),
    "a maker pays his own price": ((buy("B", 3001, 7), sell("R", 2900, 3)),
        ends({"P-B": (-21070, 12040), "P-R": (8985, 0)}, MOVED)),
    "reducing the rest": ((*MADE, reduce(1, 1)),
        ends({"P-B": (-17756, 9030), "P-R": (8683, 0)}, MOVED, gone=((1, 1, CUT),))),
    "reducing by more than there is": ((buy("B", 3001, 7), reduce(0, 2**62)), ends(gone=((0, 7, CUT),))),
    "reducing by nothing": ((buy("B", 3001, 7), reduce(0, 0)), ends(RESTS, (), {1: Reason.QUANTITY_NOT_POSITIVE})),
    "a cancel of the rest": ((*MADE, cancel(1)),
        ends({"P-B": (-8726, 0), "P-R": (8683, 0)}, MOVED, gone=((1, 4, LEFT),))),
    "a second cancel": ((buy("B", 3001, 7), cancel(0), cancel(0)),
        ends((), (), {2: Reason.UNKNOWN_ORDER}, ((0, 7, LEFT),))),
    "a sell escrows water": ((sell("L", 3000, 150),), ends((), {"L": (-150, 150)})),
    "a sell reduced": ((sell("L", 3000, 9), reduce(0, 4)), ends((), {"L": (-5, 5)}, (), ((0, 4, CUT),))),
    "a sell replaced up": ((sell("L", 3000, 9), replace(0, 3100, 12)), ends((), {"L": (-12, 12)})),
    "a sell replaced down": ((sell("L", 3000, 9), replace(0, 0, 4)), ends((), {"L": (-4, 4)}, (), ((0, 5, CUT),))),
    "a sell replaced above savings": ((sell("L", 3000, 9), replace(0, 0, 201)), ends((), {"L": (-9, 9)}, {1: UNSAVED})),
    "a buy replaced up": ((buy("B", 3001, 7), replace(0, 0, 9)), ends({"P-B": (-27090, 27090)})),
    "a buy replaced down": ((buy("B", 3001, 7), replace(0, 0, 5)), ends({"P-B": (-15050, 15050)}, gone=((0, 2, CUT),))),
    "a buy replaced dearer": ((buy("B", 3001, 7), replace(0, 3100)), ends({"P-B": (-21765, 21765)})),
    "a buy replaced cheaper": ((buy("B", 3001, 7), replace(0, 2900)), ends({"P-B": (-20360, 20360)})),
    "a buy replaced smaller and dearer into a trade": ((sell("R", 2900, 2), buy("B", 2800, 7), replace(1, 2950, 5)),
        ends({"P-B": (-5817 - 8876, 8876), "P-R": (5789, 0)}, {"R": (-2, 0), "B": (2, 0)}, gone=((1, 2, CUT),))),
    "a buy replaced into a trade": ((sell("R", 3050, 4), buy("B", 3001, 7), replace(1, 3100)),
        ends({"P-B": (-12236 - 9328, 9328), "P-R": (12176, 0)}, {"R": (-4, 0), "B": (4, 0)})),
    "a sell replaced into a trade": ((buy("B", 3000, 4), sell("L", 3100, 6), replace(1, 2990, 7)),
        ends({"P-B": (-12036, 0), "P-L": (11976, 0)}, {"L": (-7, 3), "B": (4, 0)})),
    "a sell replaced smaller into a trade": ((buy("B", 3000, 3), sell("L", 3100, 9), replace(1, 2990, 6)),
        ends({"P-B": (-9027, 0), "P-L": (8982, 0)}, {"L": (-6, 3), "B": (3, 0)}, (), ((1, 3, CUT),))),
    "a replace meets himself": ((sell("T", 3000, 4), buy("B", 2900, 9), replace(1, 3000, 6, SelfTrade.DECREMENT)),
        ends({"P-B": (-6018, 6018)}, gone=((1, 3, CUT), (0, 4, OWN), (1, 4, OWN)))),
    "the quantity of a replace is what is left": ((*MADE, replace(1, 0, 6)),
        ends({"P-B": (-8726 - 18060, 18060), "P-R": (8683, 0)}, MOVED)),
    "beyond the money: the old order keeps its place": ((*TWO, replace(0, 0, 1000), sell("R", 3000, 5)),
        ends({"P-B": (-15045, 0), "P-W": (-15045, 15045), "P-R": (14970, 0)}, {"B": (5, 0), "R": (-5, 0)}, {2: POOR})),
    "more quantity loses the place": ((*TWO, replace(0, 0, 6), sell("R", 3000, 5)),
        ends({"P-B": (-18054, 18054), "P-W": (-15045, 0), "P-R": (14970, 0)}, {"W": (5, 0), "R": (-5, 0)})),
    "less quantity keeps it": ((*TWO, replace(0, 0, 4), sell("R", 3000, 5)),
        ends({"P-B": (-12036, 0), "P-W": (-15045, 12036), "P-R": (14970, 0)}, {"B": (4, 0), "W": (1, 0), "R": (-5, 0)},
             (), ((0, 1, CUT),))),
    "refused replaces": (
        (buy("B", 3001, 7), replace(0, 4501), replace(0, 0, -1), replace(0, 0, 2**31 + 1), replace(0, -1)),
        ends(RESTS, (), {1: Code.PRICE_OUTSIDE_BAND, 2: Reason.QUANTITY_NOT_POSITIVE, 3: Reason.QUANTITY_TOO_LARGE,
                         4: Reason.PRICE_OUTSIDE_BOOK})),
    "a market buy spends its amount": ((sell("R", 3000, 99), buy("B", 0, 50, max_amount_fen=9027, **MARKET)),
        ends({"P-B": (-9027, 0), "P-R": (8982, 0)}, {"R": (-99, 96), "B": (3, 0)}, {1: SPENT}, ((1, 47, SPENT),))),
    "one fen less is one lot less": ((sell("R", 3000, 100), buy("B", 0, 50, max_amount_fen=9026, **MARKET)),
        ends({"P-B": (-6018, 0), "P-R": (5988, 0)}, {"R": (-100, 98), "B": (2, 0)}, {1: SPENT}, ((1, 48, SPENT),))),
    "less than a lot buys nothing": ((sell("R", 3000, 100), buy("B", 0, 50, max_amount_fen=3008, **MARKET)),
        ends((), {"R": (-100, 100)}, {1: SPENT}, ((1, 50, SPENT),))),
    "without an amount it may spend all": ((sell("R", 4500, 500), buy("B", 0, 500, **MARKET)),
        ends({"P-B": (-1_999_480, 0), "P-R": (1_989_513, 0)}, {"R": (-500, 57), "B": (443, 0)}, {1: SPENT},
             ((1, 57, SPENT),))),
    "a market buy filled": ((sell("R", 3000, 2), sell("R", 3100, 9), buy("B", 0, 5, max_amount_fen=20_000, **MARKET)),
        ends({"P-B": (-15345, 0), "P-R": (15270, 0)}, {"R": (-11, 6), "B": (5, 0)})),
    "a market buy finds nothing": ((buy("B", 0, 5, **MARKET),), ends((), (), {0: REST}, ((0, 5, REST),))),
    "escrowed money is not there": ((buy("B", 3000, 600), buy("B", 0, 5, max_amount_fen=194_601, **MARKET)),
        ends({"P-B": (-1_805_400, 1_805_400)}, (), {1: POOR})),
    "a market sell": ((buy("B", 3000, 5), sell("R", 0, 8, **MARKET)),
        ends({"P-B": (-15045, 0), "P-R": (14970, 0)}, {"R": (-5, 0), "B": (5, 0)}, {1: REST}, ((1, 3, REST),))),
    "IOC": ((sell("R", 3000, 2), sell("R", 3100, 2), buy("B", 3050, 4, time_in_force=IOC)),
        ends({"P-B": (-6018, 0), "P-R": (5988, 0)}, {"R": (-4, 2), "B": (2, 0)}, {2: REST}, ((2, 2, REST),))),
    "FOK in whole": ((sell("R", 3000, 2), sell("R", 3100, 2), buy("B", 3100, 4, time_in_force=FOK)),
        ends({"P-B": (-12236, 0), "P-R": (12176, 0)}, {"R": (-4, 0), "B": (4, 0)})),
    "FOK not in whole": ((sell("R", 3000, 4), buy("B", 3100, 5, time_in_force=FOK)),
        ends((), {"R": (-4, 4)}, {1: UNFILLABLE})),
    "FOK within its amount": ((sell("R", 3000, 9), buy("B", 0, 3, max_amount_fen=9026, order_type=1, time_in_force=4)),
        ends((), {"R": (-9, 9)}, {1: UNFILLABLE})),
    "with himself if he wishes": ((sell("T", 3000, 5), buy("B", 3000, 8, self_trade=SelfTrade.ALLOW)),
        ends({"P-B": (-75 - 9027, 9027)}, {"T": (-5, 0), "B": (5, 0)})),
    "his taker goes": ((sell("T", 3000, 5), buy("B", 3000, 8, self_trade=SelfTrade.CANCEL_TAKER)),
        ends((), {"T": (-5, 5)}, {1: OWN}, ((1, 8, OWN),))),
    "his maker goes": ((sell("T", 3000, 5), buy("B", 3000, 8, self_trade=SelfTrade.CANCEL_MAKER)),
        ends({"P-B": (-24072, 24072)}, gone=((0, 5, OWN),))),
    "both go": ((sell("T", 3000, 5), buy("B", 3000, 8, self_trade=SelfTrade.CANCEL_BOTH)),
        ends((), (), {1: OWN}, ((0, 5, OWN), (1, 8, OWN)))),
    "both shrink, the rest trades": (
        (sell("T", 3000, 5), sell("R", 3000, 2), buy("B", 3000, 8, self_trade=SelfTrade.DECREMENT)),
        ends({"P-B": (-6018 - 3009, 3009), "P-R": (5988, 0)}, {"R": (-2, 0), "B": (2, 0)}, (),
             ((0, 5, OWN), (2, 5, OWN)))),
    "a taker shrinks to nothing": ((buy("B", 3000, 8), sell("T", 3000, 5, self_trade=SelfTrade.DECREMENT)),
        ends({"P-B": (-9027, 9027)}, (), {1: OWN}, ((0, 5, OWN), (1, 5, OWN)))),
    "DAY ends with the session": ((buy("B", 3001, 7, time_in_force=DAY), after(7)), ends(gone=((0, 7, EXPIRED),))),
    "the session opens": ((after(23), buy("B", 3001, 7)), ends(RESTS)),
    "DAY lives until then": ((buy("B", 3001, 7, time_in_force=DAY), after(6.999)), ends(RESTS)),
    "by date, then by age": (
        (buy("B", 1600, 1, **DATED | {"expires_at_ns": ENDS_AT + 1}), sell("R", 3000, 2, time_in_force=DAY),
         sell("L", 3000, 3, **DATED), buy("B", 1700, 4, **DATED), buy("B", 1600, 5), after(30)),
        ends({"P-B": (-8024, 8024)}, (), (), ((2, 3, EXPIRED), (3, 4, EXPIRED), (0, 1, EXPIRED), (1, 2, EXPIRED)))),
    "each in its time": ((buy("B", 1600, 1, **DATED | {"expires_at_ns": ENDS_AT + HOUR_NS}), buy("B", 1700, 2, **DATED),
        after(3), after(1)), ends((), (), (), ((1, 2, EXPIRED), (0, 1, EXPIRED)))),
    "what expired does not trade": ((sell("R", 3000, 3, **DATED), after(3), buy("B", 3000, 3)),
        ends({"P-B": (-9027, 9027)}, (), (), ((0, 3, EXPIRED),))),
    "headroom is not exceeded": ((sell("R", 3000, 250), buy("W", 3000, 220), agree("R", "W", 1), buy("B", 3000, 10)),
        ends({"P-W": (-601_800 - 60_180, 60_180), "P-B": (-30_090, 0), "P-R": (628_740, 0)},
             {"R": (-250, 40), "W": (200, 0), "B": (10, 0)}, {2: FULL})),
    "an agreement uses headroom too": (
        (sell("R", 3000, 9), agree("L", "W", 195 * LOT_L), buy("W", 3000, 6, time_in_force=FOK),
         buy("W", 3000, 5, time_in_force=FOK), agree("V", "B", 499 * LOT_L)),
        ends({"P-W": (-15_045, 0), "P-R": (14_970, 0)},
             {"L": (-195, 0), "W": (200, 0), "R": (-9, 4), "V": (-499, 0), "B": (499, 0)}, {2: UNFILLABLE})),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_every_fen_and_litre_is_where_it_belongs(market: World, name: str) -> None:
    steps, expected = TABLE[name]
    money = {party: market.money(party) for party in ("P-R", "P-L", "P-B", "P-W", "P-V")}
    water = {right: market.balance(right) for right in "RLBTWV"}
    assert play(market, steps) == (expected.codes, expected.gone)
    for party, (free, _) in money.items():
        change, escrowed = expected.money.get(party, (0, 0))
        assert market.money(party) == (free + change, escrowed), party
    for right, (free, _, taken, over) in water.items():
        change, escrowed = expected.water.get(right, (0, 0))
        assert market.balance(right) == (free + change * LOT_L, escrowed * LOT_L, taken, over), right
    market.check()


SELLABLE: dict[str, tuple[tuple[Step, ...], str, int, Code]] = {
    "a licence sells what it saved": ((), "L", 200, UNSAVED),
    "less what it offers, here and there": ((sell("L", 3000, 60), sell("L", 3000, 50, "SW-B")), "L", 90, UNSAVED),
    "an offer withdrawn counts no more": ((sell("L", 3000, 60), cancel(0)), "L", 200, UNSAVED),
    "less what it sold": ((sell("L", 3000, 60), buy("B", 3000, 40)), "L", 140, UNSAVED),
    "less what it sold by agreement": ((agree("L", "B", 40 * LOT_L),), "L", 160, UNSAVED),
    "no more than is left": ((pump("L", 45_000),), "L", 50, DRY),
    "a purchase by a licence frees no savings": ((sell("R", 3000, 30), buy("L", 3000, 30)), "L", 200, UNSAVED),
    "an irrigation right keeps its floor": ((), "T", 400, NEEDED),
    "what is used comes off above the floor": ((pump("T", 5_000),), "T", 350, NEEDED),
    "what is offered comes off": ((sell("T", 3000, 50), sell("T", 3000, 50, "SW-B")), "T", 300, NEEDED),
    "bought water is not resold": ((sell("R", 3000, 30), buy("T", 3000, 30)), "T", 400, RESOLD),
    "nor is water bought by agreement": ((agree("R", "T", 30 * LOT_L),), "T", 400, RESOLD),
    "a regional right sells all": ((), "R", 500, DRY),
    "a licence resells nothing": ((pump("L", 45_000), sell("R", 3000, 99), buy("L", 3000, 99)), "L", 50, RESOLD),
}  # fmt: skip


@pytest.mark.parametrize("name", SELLABLE)
def test_what_may_be_sold_and_not_a_lot_more(market: World, name: str) -> None:
    steps, right, lots, code = SELLABLE[name]
    assert not play(market, steps)[0]
    before = market.parts()
    assert play(market, (sell(right, 4000, lots + 1),))[0] == {0: code}
    assert play(market, (agree(right, "L" if right == "T" else "B", lots * LOT_L + 1),))[0] == {0: code}
    assert market.parts() == before
    assert not play(market, (sell(right, 4000, lots),))[0]
    market.check()


def test_a_purchase_covers_over_use_first_and_lets_him_sell_again(market: World) -> None:
    assert not play(market, (pump("T", 51_000), sell("R", 3000, 30)))[0]
    assert play(market, (sell("T", 3000, 1),))[0] == {0: Code.OVER_USE}
    assert not play(market, (buy("T", 3000, 4),))[0]
    assert market.balance("T") == (0, 0, 510 * LOT_L, -6 * LOT_L)
    (trade,) = market.orders(market.order(Side.BUY, "T", 3000, 9)).trades
    assert (trade["volume_l"], trade["covered_l"]) == (9 * LOT_L, 6 * LOT_L)
    assert market.balance("T") == (3 * LOT_L, 0, 510 * LOT_L, 0)
    assert play(market, (sell("T", 3000, 1),))[0] == {0: NEEDED}
    market.check()


def test_caps_move_with_trades(market: World) -> None:
    before = market.exchange.state.accounts.cap.copy()
    assert not play(market, (sell("R", 3000, 30), buy("W", 3000, 20), agree("V", "B", 70_001)))[0]
    moved = market.exchange.state.accounts.cap
    volume, back = 20 * LOT_L, 70_001
    held, bought, sold = ((moved[name] - before[name]).tolist() for name in ("held_l", "imported_l", "exported_l"))
    assert held == [0, back - volume, volume - back, 0, back]  # all, east, west, town, industry: V is a supplier
    assert bought == [volume + back, back, volume, volume + back, volume + back]
    assert sold == [volume + back, volume, back, volume + back, volume]
    market.check()


@pytest.mark.parametrize("side", Side)
def test_many_small_fills_of_an_order_cost_the_fee_of_the_sum(market: World, side: Side) -> None:
    prices = [2_900 + 7 * at for at in range(37)]
    big, small = (buy, sell) if side == Side.BUY else (sell, buy)
    limit, names = (4_000, ("B", "R")) if side == Side.BUY else (2_000, ("R", "B"))
    free = market.money(f"P-{names[0]}")[0]
    assert not play(market, (*(small(names[1], price, 1) for price in prices), big(names[0], limit, 37)))[0]
    total = sum(prices)
    paid = -total - total * 3_000 // PPM if side == Side.BUY else total - total * 2_000 // PPM
    assert market.money(f"P-{names[0]}") == (free + paid, 0)
    market.check()


CHANGES = st.tuples(
    st.sampled_from(("buy", "buy", "sell", "sell", "replace", "replace", "reduce", "cancel")),
    st.integers(0, 1), st.integers(2_950, 3_050), st.integers(1, 300), st.integers(0, 99), st.booleans(),
)  # fmt: skip


@settings(max_examples=60)
@given(script=st.lists(CHANGES, min_size=5, max_size=40))
def test_money_and_water_agree_with_a_plain_model(
    base: World, script: list[tuple[str, int, int, int, int, bool]]
) -> None:
    world, model, ids = (
        Fork(base),
        PlainMarket({"B": 2_000_000, "L": 2_000_000, "R": 0, "V": 0}, {"R": 500, "V": 500}),
        [],
    )
    for what, who, price, lots, target, priced in script:
        side, name = (Side.BUY, "BL"[who]) if what == "buy" else (Side.SELL, "RV"[who])
        known = ids[target % len(ids)] if ids else 0
        if what in {"buy", "sell"}:
            (fact,) = world.orders(world.order(side, name, price, lots)).orders
            ids.append(int(fact["order_id"]))
            accepted = model.enter(ids[-1], what == "buy", name, price, lots)
        else:
            action = {"replace": Action.REPLACE, "reduce": Action.REDUCE, "cancel": Action.CANCEL}[what]
            (fact,) = world.orders(world.change(action, known, price if priced else 0, lots)).orders
            left = {"replace": lots, "reduce": -lots, "cancel": -lots * 1_000}[what]
            accepted = model.alter(known, price if priced and what == "replace" else 0, left)
        assert (fact["status"] != shuiquan.Status.REJECTED) == accepted, what
        assert {who: world.money(f"P-{who}") for who in "BLRV"} == model.all_money()
        assert {who: world.balance(who)[1] // LOT_L for who in "RV"} == model.offered()
    world.check()
