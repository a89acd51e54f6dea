"""Commands: who may give them, what they change, and that they happen once or not at all (K1-K4, K16, K24, K29)."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shuiquan
from ledger import facts
from ledger.codes import Code, Refused
from shuiquan import Reason, Role, Side, TimeInForce
from tests.districts import DAY_NS, HOUR_NS, START_NS
from tests.ledger.test_malformed import EXAMPLES, act
from tests.world import BUREAU, OPERATOR, Fork, World

S, M3, LOT_L = shuiquan, 1_000, 100_000
B, PLATFORM = Role.BUREAU, Role.OPERATOR
ALLOWED: dict[type, tuple[set[Role], bool]] = {
    # roles, and whether somebody else must approve
    S.RegisterParty: ({B}, False), S.AllocateCell: ({B}, True), S.RegisterRight: ({B}, False),
    S.IssueRight: ({B}, True), S.RegisterIntake: ({B}, False), S.InstallMeter: ({B}, False),
    S.VerifySaving: ({B}, True), S.DepositMoney: ({PLATFORM}, False), S.SuspendParty: ({B}, True),
    S.ReinstateParty: ({B}, True), S.OpenMarket: ({PLATFORM}, False), S.CloseMarket: ({PLATFORM, B}, False),
    S.SettleAgreement: ({PLATFORM}, False),
}  # fmt: skip


def outcome(world: World, content: Any, **who: Any) -> Code | None:
    """The code with which a submission is refused before it is a fact."""
    try:
        world.submit(content, {"actor": "x"} | who)
    except Refused as refused:
        return refused.code
    return None


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_each_command_has_its_roles_and_its_approver(world: World, kind: type) -> None:
    roles, approved = ALLOWED[kind]
    for role in Role:
        expected = None if role in roles else Code.NOT_AUTHORISED
        assert outcome(world, act(kind), role=role, approver="y") == expected, role
    for approver in ("", "x"):
        expected = Code.NEEDS_APPROVER if approved else None
        assert outcome(world, act(kind), role=min(roles), approver=approver) == expected
    world.check()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A (licence, saved 200 lots) and I (irrigation) of one holder in the east; B in the west; U, a supplier."""
    made = World(tmp_path_factory.mktemp("acts") / "ledger.db")
    made.add_right("A", saved_m3=20_000, money_yuan=1_000)
    made.add_right("I", kind="irrigation", industry="farming", party="P-A")
    made.add_right("B", basin="west", money_yuan=1_000)
    made.add_right("U", industry="supply", money_yuan=1_000)
    made.open_market()
    for name in ("P", "Q"):
        made.bureau(S.RegisterParty(code=name, kind="company", name=name))
    yield made
    made.exchange.close()


@pytest.fixture
def ledger(base: World) -> World:
    return Fork(base)


def test_holders_act_for_themselves_and_operators_for_all(ledger: World) -> None:
    rows = {right: ledger.order(Side.BUY, right, 3_000, 1) for right in "AB"}
    holder = {"actor": "P-A", "role": Role.HOLDER}
    mine, other = (ledger.submit(rows[right], holder).orders for right in "AB")
    assert (mine["code"], other["code"]) == (0, Code.NOT_YOUR_RIGHT)
    theirs = ledger.rest(Side.BUY, "B", 3_000, 1)
    cancels = [ledger.change(S.Action.CANCEL, order_id) for order_id in (theirs, mine["order_id"].item())]
    assert ledger.submit(np.concatenate(cancels), holder).orders["code"].tolist() == [Reason.FOREIGN_ORDER, 0]
    stranger = ledger.submit(rows["A"], {"actor": "nobody", "role": Role.HOLDER})
    assert stranger.orders["code"] == Code.NOT_YOUR_RIGHT
    assert {outcome(ledger, rows["A"], role=role, approver="y") for role in (B, Role.GATEWAY, Role.SYSTEM)} == {
        Code.NOT_AUTHORISED
    }
    ledger.check()


# allocation and caps

CAPS = ((1_000_000, {}), (600_000, {"basin": "east"}), (500_000, {"basin": "west"}), (800_000, {"township": "town"}),
        (900_000, {"industry": "industry"}))  # fmt: skip
MOVES = st.tuples(
    st.sampled_from(("allocate", "allocate", "issue", "issue", "issue", "opening", "trade")),
    st.sampled_from(("east", "west")), st.sampled_from(("town", "village")), st.sampled_from(("industry", "farming")),
    st.integers(0, 400_000), st.integers(0, 99), st.integers(0, 99),
)  # fmt: skip


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A right of each place, by turns of two holders, to whom nothing is issued yet."""
    made = World(tmp_path_factory.mktemp("caps") / "ledger.db")
    made.bureau(*(S.RegisterParty(code=name, kind="company", name=name) for name in "PQ"))
    places = [
        (basin, town, work)
        for basin in ("east", "west")
        for town in ("town", "village")
        for work in ("industry", "farming")
    ]
    for place in places:
        for party in "PQ":
            fields = dict(zip(("basin", "township", "industry"), place, strict=True)) | {
                "kind": "regional",
                "party": party,
            }
            wide = {"licensed_l": 2**50, "verified_l": 2**50, "valid_to_ns": 2**62}
            made.bureau(*act(S.RegisterRight, code="-".join((*place, party)), **fields, **wide))
    yield made
    made.exchange.close()


@settings(max_examples=60)
@given(script=st.lists(MOVES, min_size=4, max_size=25))
def test_no_cap_is_ever_above_its_index(empty: World, script: list[tuple[Any, ...]]) -> None:
    world, left, headroom, rights = Fork(empty), 1_000_000, 200, [one.code for one in empty.exchange.state.rights]
    cells, held, bought, issued, over = dict[str, int](), dict[str, int](), Counter[str](), [0] * 5, [0] * 5
    for what, basin, town, work, volume, one, other in script:
        place = {"basin": basin, "township": town, "industry": work}
        cell = "-".join(place.values())
        caps = [at for at, (_, names) in enumerate(CAPS) if names.items() <= place.items()]
        if what == "allocate":
            content, expected = act(S.AllocateCell, **place, volume_l=volume * M3), volume <= left
            if expected:
                left, cells[cell] = left - volume, cells.get(cell, 0) + volume
        elif what == "trade":
            known = sorted(held) or rights
            seller, buyer, sold = known[one % len(known)], known[other % len(known)], 1 + volume // 100
            content = act(S.SettleAgreement, seller=seller, buyer=buyer, volume_l=sold * M3, amount_fen=0)
            limited = (seller[:4], buyer[:4]) == ("east", "west")
            expected = {seller, buyer} <= held.keys() and seller[-1] != buyer[-1]
            expected = expected and sold <= held[seller] - bought[seller]
            expected = expected and (not limited or -(-sold // 100) <= headroom)
            if expected:
                headroom -= -(-sold // 100) if limited else 0
                held[seller], held[buyer] = held[seller] - sold, held[buyer] + sold
                bought[buyer] += sold
        else:
            right, room = f"{cell}-{'PQ'[one % 2]}", min(CAPS[at][0] - issued[at] for at in caps)
            content = act(S.IssueRight, right=right, volume_l=volume * M3, opening=what == "opening")
            beyond = max(0, volume - cells.get(cell, 0), volume - max(0, room))
            expected = what == "opening" or (cell in cells and not beyond)
            if expected:
                held[right] = held.get(right, 0) + volume
                cells |= {cell: cells[cell] - volume + beyond} if volume > beyond else {}
                for at in caps:
                    issued[at], over[at] = issued[at] + volume, over[at] + beyond
        assert (not world.submit(content, OPERATOR if what == "trade" else BUREAU).refused) == expected, what
        shown = world.exchange.state.accounts.cap
        net = (shown["held_l"] + shown["used_l"] - shown["imported_l"] + shown["exported_l"]).tolist()
        assert net == [volume * M3 for volume in issued]
        assert all(volume <= limit + more for volume, (limit, _), more in zip(issued, CAPS, over, strict=True))
    assert {right: world.balance(right)[0] for right in held} == {right: m3 * M3 for right, m3 in held.items()}
    world.check()


def test_an_opening_above_a_cap_is_recorded_and_blocks_new_issue(empty: World) -> None:
    world, east, west = Fork(empty), {"basin": "east", "township": "town"}, {"basin": "west", "township": "town"}
    world.bureau(*act(S.AllocateCell, **east, volume_l=640_000 * M3), *act(S.AllocateCell, **west, volume_l=9))
    opening = act(S.IssueRight, right="east-town-industry-P", volume_l=650_000 * M3, opening=True)
    assert world.bureau(*opening).acts[0].fact.over_allocated_l == 50_000 * M3
    new = world.submit(act(S.IssueRight, right="east-town-industry-Q", volume_l=1), BUREAU)
    assert [fact.code for fact in new.refused] == [Code.ABOVE_INDEX]
    world.bureau(*act(S.IssueRight, right="west-town-industry-Q", volume_l=9))
    world.check()


def test_what_an_opening_found_leaves_no_more_room_than_before(empty: World) -> None:
    world, room = Fork(empty), (500_000 - 100) * M3
    opening = act(S.IssueRight, right="west-village-farming-P", volume_l=100 * M3, opening=True)
    assert world.bureau(*opening).acts[0].fact.over_allocated_l == 100 * M3
    world.bureau(*act(S.AllocateCell, basin="west", township="town", volume_l=500_000 * M3))
    new = world.submit(act(S.IssueRight, right="west-town-industry-Q", volume_l=room + 1), BUREAU)
    assert [fact.code for fact in new.refused] == [Code.ABOVE_INDEX]
    world.bureau(*act(S.IssueRight, right="west-town-industry-Q", volume_l=room))
    world.check()


def test_an_issue_covers_over_use_first(empty: World) -> None:
    world, right = Fork(empty), "east-town-industry-P"
    world.add_meter("X", ((right, 1_000_000),))
    world.read(world.reading("X", 5))
    assert world.balance(right) == (0, 0, 5 * M3, -5 * M3)
    world.bureau(*act(S.AllocateCell, volume_l=9 * M3))
    (_, _, fact) = world.bureau(*act(S.IssueRight, right=right, volume_l=9 * M3)).acts[0]
    assert (fact.covered_l, world.balance(right)) == (5 * M3, (4 * M3, 0, 5 * M3, 0))
    world.check()


# what ends eligibility withdraws the orders


def live(world: World) -> dict[int, str]:
    """Resting orders of A's holder, and of B; their names by id."""
    rows = {"A sells": (Side.SELL, "A", 4_000), "I buys": (Side.BUY, "I", 2_000), "I sells": (Side.SELL, "I", 4_100)}
    rows |= {"B buys": (Side.BUY, "B", 1_900), "U buys": (Side.BUY, "U", 1_800)}
    return {world.rest(*row, 5): name for name, row in rows.items()}


def gone(answer: Any, names: dict[int, str]) -> list[tuple[str, int]]:
    """Names and codes of what was withdrawn."""
    return [(names[row["order_id"].item()], row["code"].item()) for row in answer.removals]


BARRED = Code.WITHDRAWN_INELIGIBLE


@pytest.mark.parametrize(("tax", "code"), [(False, Code.PARTY_SUSPENDED), (True, Code.TAX_OVERDUE)])
def test_a_suspension_withdraws_all_orders_of_the_holder_at_once(ledger: World, tax: bool, code: Code) -> None:
    money, names = ledger.money("P-A"), live(ledger)
    answer = ledger.bureau(*act(S.SuspendParty, tax_overdue=tax))
    assert gone(answer, names) == [("I sells", BARRED), ("I buys", BARRED), ("A sells", BARRED)]
    assert (answer.removals["cause"] == answer.acts[0].seq).all()
    assert (ledger.money("P-A"), ledger.balance("A")[1], ledger.balance("I")[1]) == (money, 0, 0)
    rows = [ledger.order(side, right, 3_000, 1) for side in Side for right in "AI"]
    assert set(ledger.orders(*rows).orders["code"].tolist()) == {code}
    assert not ledger.bureau(*act(S.ReinstateParty)).removals.size
    assert ledger.balance("A")[1] == 0
    assert set(ledger.orders(*rows[:2]).orders["code"].tolist()) == {0}
    ledger.check()


def test_a_right_ends_with_its_term_and_its_rest_expires(ledger: World) -> None:
    names = live(ledger)
    ends = START_NS + DAY_NS
    ledger.bureau(*act(S.RegisterRight, code="E", kind="regional", verified_l=9, party="Q", valid_to_ns=ends))
    ledger.bureau(*act(S.AllocateCell, volume_l=9), *act(S.IssueRight, right="E", volume_l=9))
    dated = {"time_in_force": TimeInForce.GTD, "expires_at_ns": START_NS + 400 * DAY_NS - HOUR_NS}
    names |= {ledger.rest(Side.SELL, "A", 4_200, 5, **dated): "dated"}
    ledger.clock.at_ns = ends - 1
    assert not ledger.operator(*act(S.CloseMarket)).acts[1:]
    ledger.clock.at_ns = ends
    (ended, _) = ledger.operator(*act(S.CloseMarket)).acts
    assert ended.fact == facts.RightEnded(ledger.exchange.right("E"), ((2024, 9),))
    assert ledger.balance("E") == (0, 0, 0, 0)
    free = {right: ledger.balance(right)[0] + ledger.balance(right)[1] for right in "AIBU"}
    ledger.clock.at_ns = START_NS + 400 * DAY_NS
    answer = ledger.operator(*act(S.CloseMarket))
    over = Code.RIGHT_EXPIRED
    assert gone(answer, names)[:2] == [("dated", Reason.EXPIRED), ("A sells", over)]
    assert gone(answer, names)[2:] == [("I sells", over), ("I buys", over), ("B buys", over), ("U buys", over)]
    ended = [fact.left for _, _, fact in answer.acts if isinstance(fact, facts.RightEnded)]
    assert ended == [((2024, free[right]),) for right in "AIBU"]
    assert ledger.orders(ledger.order(Side.BUY, "A", 3_000, 1)).orders["code"] == Code.MARKET_CLOSED
    ledger.check()


def test_orders_go_when_the_last_working_meter_lapses(ledger: World) -> None:
    until = START_NS + HOUR_NS
    ledger.bureau(*act(S.RegisterRight, code="X", party="Q", licensed_l=LOT_L, verified_l=LOT_L, valid_to_ns=2**62))
    ledger.bureau(*act(S.AllocateCell, volume_l=LOT_L), *act(S.IssueRight, right="X", volume_l=LOT_L))
    ledger.bureau(*act(S.VerifySaving, right="X", volume_l=LOT_L))
    for code, at_ns in (("first", until), ("second", until + HOUR_NS)):
        ledger.add_meter(code, (("X", 1_000_000),), verified_until_ns=at_ns)
    names = {ledger.rest(Side.SELL, "X", 4_000, 1): "X sells"}
    ledger.clock.at_ns = until
    assert not ledger.operator(*act(S.OpenMarket)).removals.size
    ledger.clock.at_ns += HOUR_NS
    answer = ledger.operator(*act(S.OpenMarket))
    assert (gone(answer, names), answer.acts[0].fact) == ([("X sells", BARRED)], facts.MeterLapsed(5))
    assert ledger.orders(ledger.order(Side.SELL, "X", 3_000, 1)).orders["code"] == Code.METERING_NOT_WORKING
    ledger.add_meter("third", (("X", 1_000_000),))
    assert ledger.rest(Side.SELL, "X", 3_000, 1)
    ledger.check()


def test_who_may_not_sell_keeps_his_bid_while_a_meter_works(ledger: World) -> None:
    names = live(ledger)
    ledger.add_meter("second", (("U", 1_000_000),), verified_until_ns=START_NS + HOUR_NS)
    ledger.clock.at_ns += HOUR_NS
    assert gone(ledger.operator(*act(S.OpenMarket)), names) == []
    ledger.check()


AGREED = ((1, 1, 0, 0, 1), (123_457, 10_001, 30, 20, 2), (LOT_L, 333, 0, 0, 1), (20_000_000, 99_700, 299, 199, 200))


@pytest.mark.parametrize(("volume_l", "amount", "buyer_fee", "seller_fee", "lots"), AGREED)
def test_an_agreement_moves_odd_volumes_at_a_total_price(
    ledger: World, volume_l: int, amount: int, buyer_fee: int, seller_fee: int, lots: int
) -> None:
    free, (paid, _), (got, _) = ledger.balance("A")[0], ledger.money("P-B"), ledger.money("P-A")
    fact = ledger.operator(*act(S.SettleAgreement, volume_l=volume_l, amount_fen=amount)).acts[0].fact
    assert (fact.buyer_fee_fen, fact.seller_fee_fen, fact.headroom_lots) == (buyer_fee, seller_fee, lots)
    assert ledger.money("P-B") == (paid - amount - buyer_fee, 0)
    assert ledger.money("P-A") == (got + amount - seller_fee, 0)
    assert (ledger.balance("A")[0], ledger.balance("B")[0]) == (free - volume_l, 50_000 * M3 + volume_l)
    assert ledger.exchange.state.books.headroom[0, 1] == 200 - lots
    free_pair = ledger.operator(*act(S.SettleAgreement, buyer="U", volume_l=1, amount_fen=0)) if lots < 200 else None
    assert free_pair is None or free_pair.acts[0].fact.headroom_lots == 0
    ledger.check()


def test_a_refused_registration_leaves_the_side_register_as_it_was(world: World) -> None:
    world.bureau(*act(S.RegisterParty, kind="person", name="", person=S.Person(name="one")))
    other = act(S.RegisterParty, kind="person", name="", person=S.Person(name="two"))
    assert outcome(world, other, role=Role.HOLDER) == Code.NOT_AUTHORISED
    assert [fact.code for fact in world.submit(other, BUREAU).refused] == [Code.ALREADY_EXISTS]
    assert world.exchange.person("new") == S.Person(name="one")


def test_time_never_goes_back(world: World) -> None:
    world.clock.at_ns = START_NS - DAY_NS
    assert world.operator(*act(S.OpenMarket)).at_ns == START_NS
    world.check()
