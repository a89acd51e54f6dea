"""What cannot be a submission, and figures at their limits: always an answer by code, never a broken rule (K27)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import shuiquan
from ledger.codes import reason
from ledger.commands import AUTHORITY
from ledger.policy_file import parse_policy
from ledger.submissions import MAX_BATCH, Submission
from shuiquan import Code, Reason, Refused, Role, Side
from tests.districts import DAY_NS, START_NS, raw_policy
from tests.world import BUREAU, DOCUMENT, GATEWAY, OPERATOR, Action, Fork, World

S = shuiquan
HOLDER = {"actor": "P-B", "role": Role.HOLDER}
PLACE = {"source": "surface", "basin": "east", "township": "town", "industry": "industry"}
CELL = {**PLACE, "year": 2024, "volume_l": 1_000, "document": DOCUMENT}
RIGHT = {**PLACE, "party": "P-A", "kind": "licence", "licensed_l": 9, "verified_l": 9, "document": DOCUMENT}
RIGHT |= {"code": "new", "valid_from_ns": START_NS, "valid_to_ns": START_NS + DAY_NS}
METER = {"code": "new", "intake": "Q-M-A", "modulus_l": 10**9, "max_l_per_hour": 10**6, "installed_at_ns": START_NS}
METER |= {"verified_until_ns": START_NS + DAY_NS, "shares": (("A", 1_000_000),)}
ISSUE, SAVING = {"right": "A", "year": 2024, "volume_l": 1, "document": DOCUMENT}, {"measure": ""}
DEAL = {"instrument": "SW-A", "seller": "A", "buyer": "B", "volume_l": 1_000, "amount_fen": 10, "document": DOCUMENT}
INTAKE = {"code": "new", "name": "", "kind": "intake"}
DEPOSIT = {"party": "P-A", "amount_fen": 5, "reference": "new"}

EXAMPLES: dict[type, dict[str, Any]] = {
    S.RegisterParty: {"code": "new", "kind": "company", "name": "new"},
    S.AllocateCell: CELL,
    S.RegisterRight: RIGHT,
    S.IssueRight: ISSUE,
    S.RegisterIntake: {**INTAKE, "source": "ground", "township": "town", "licensed_l": 1},
    S.InstallMeter: METER,
    S.VerifySaving: ISSUE | SAVING,
    S.DepositMoney: DEPOSIT,
    S.SuspendParty: {"party": "P-A", "document": DOCUMENT},
    S.ReinstateParty: {"party": "P-A", "document": DOCUMENT},
    S.OpenMarket: {"instrument": "SW-A"},
    S.CloseMarket: {"instrument": "SW-A"},
    S.SettleAgreement: DEAL,
}  # fmt: skip
"""A command of each sort that is well formed."""


def act(kind: type, /, **fields: Any) -> Any:
    """A list of one such command."""
    return [kind(**EXAMPLES[kind] | fields)]


X = {"actor": "x", "role": Role.OPERATOR}
OPEN, ONE, MANY = act(S.OpenMarket), np.zeros(1, S.ORDER), np.zeros(MAX_BATCH + 1, S.ORDER)
HALF = S.Person(name=chr(0xD800))
DENIED = (Code.WRONG_TYPE, Code.OUT_OF_RANGE, Code.NOT_AUTHORISED)
MALFORMED: dict[str, tuple[tuple[Code, ...], Any, dict[str, Any]]] = {
    # no fact at all: codes that may be given, content, who
    "a number": ((Code.WRONG_TYPE,), 5, X),
    "nothing": ((Code.WRONG_TYPE,), None, X),
    "an iterator": ((Code.WRONG_TYPE,), iter(OPEN), X),
    "a text": ((Code.WRONG_TYPE,), "open", X),
    "a class": ((Code.WRONG_TYPE,), [S.OpenMarket], X),
    "an array of numbers": ((Code.WRONG_TYPE,), np.zeros(3), X),
    "an array without length": ((Code.WRONG_TYPE,), np.zeros((), S.ORDER), X),
    "a table of orders": ((Code.WRONG_TYPE,), np.zeros((2, 2), S.ORDER), X),
    "orders in another byte order": ((Code.WRONG_TYPE,), np.zeros(2, S.ORDER.newbyteorder()), X),
    "no commands": ((Code.EMPTY,), [], X),
    "no orders": ((Code.EMPTY,), np.zeros(0, S.ORDER), X),
    "too many orders": ((Code.BATCH_TOO_LARGE,), MANY, X),
    "no actor": ((Code.EMPTY,), OPEN, X | {"actor": ""}),
    "a number for an actor": ((Code.WRONG_TYPE,), OPEN, X | {"actor": 5}),
    "a long actor": ((Code.OUT_OF_RANGE,), OPEN, X | {"actor": "x" * 65}),
    "an actor of half a letter": ((Code.OUT_OF_RANGE,), OPEN, X | {"actor": chr(0xD800)}),
    "an approver of two lines": ((Code.OUT_OF_RANGE,), OPEN, X | {"approver": "a\nb"}),
    "a list for an actor": ((Code.WRONG_TYPE,), OPEN, X | {"actor": []}),
    "a single order of a list": ((Code.WRONG_TYPE,), ONE, X | {"actor": []}),
    "a single order approved by a list": ((Code.WRONG_TYPE,), ONE, X | {"approver": []}),
    "a single order of a long actor": ((Code.OUT_OF_RANGE,), ONE, X | {"actor": "x" * 65}),
    "a single order of a number for a role": (DENIED, ONE, X | {"role": int(Role.OPERATOR)}),
    "a single order of the bureau": ((Code.NOT_AUTHORISED,), ONE, BUREAU),
    "no role": (DENIED, OPEN, X | {"role": 0}),
    "a word for a role": (DENIED, OPEN, X | {"role": "operator"}),
    "the wrong role": ((Code.NOT_AUTHORISED,), OPEN, X | {"role": Role.BUREAU}),
    "orders of a gateway": ((Code.NOT_AUTHORISED,), np.zeros(1, S.ORDER), GATEWAY),
    "readings of a holder": ((Code.NOT_AUTHORISED,), np.zeros(1, S.READING), HOLDER),
    "no approver": ((Code.NEEDS_APPROVER,), act(S.SuspendParty), BUREAU | {"approver": ""}),
    "his own approver": ((Code.NEEDS_APPROVER,), act(S.SuspendParty), BUREAU | {"approver": "clerk"}),
    "manual readings unseen": ((Code.NEEDS_APPROVER,), np.zeros(1, S.READING), BUREAU | {"approver": ""}),
    "a volume below zero": ((Code.OUT_OF_RANGE,), act(S.AllocateCell, volume_l=-1), BUREAU),
    "a text of half a letter": (DENIED, act(S.OpenMarket, instrument=chr(0xD800)), X),
    "a share beyond all numbers": (DENIED, act(S.InstallMeter, shares=(("A", 2**70),)), BUREAU),
    "an object": (DENIED, act(S.AllocateCell, volume_l=object()), BUREAU),
    "a person who is none": (DENIED, act(S.RegisterParty, kind="person", person=S.Person(name=5)), BUREAU),
    "a person of half a letter": (DENIED, act(S.RegisterParty, kind="person", person=HALF), BUREAU),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_leaves_no_fact_and_the_ledger_open(world: World, name: str) -> None:
    codes, content, who = MALFORMED[name]
    before = world.exchange.position, world.exchange.state_hash()
    with pytest.raises(Refused) as refused:
        world.submit(content, who)
    (many,) = world.exchange.submit_many([Submission(content, who["actor"], who["role"], "m", who.get("approver", ""))])
    assert refused.value.code in codes
    assert many.code in codes
    assert (world.exchange.position, world.exchange.state_hash()) == before
    world.open_market()
    world.check()


@pytest.mark.parametrize("number", [np.int64(1_000), np.int32(1_000)], ids=["64 bits", "32 bits"])
def test_a_number_of_numpy_is_taken_or_refused_by_code(world: World, number: Any) -> None:
    try:
        assert not world.submit(act(S.AllocateCell, volume_l=number), BUREAU).refused
    except Refused as refused:
        assert refused.code in DENIED  # noqa: PT017 - both are right, a failed commit is not
    world.open_market()


NUMBERS = (-(2**63), -5, 2**62 + 1, 2**63 - 1, 2**64, 2**70, 1.5, "5", None, True)
WRONG: dict[type, tuple[Any, ...]] = {
    int: NUMBERS,
    str: (5, None, 1.5, b"x", True, "x" * 401),
    bool: (5, "x", None),
    tuple: (5, "A", None, (("A",),), (("A", "1"),), ((1, 1_000_000),)),
}
FIELDS = [
    (kind, field.name)
    for kind in EXAMPLES
    for field in msgspec.structs.fields(kind)
    if field.name not in {"person", "commitment"}
]


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_a_wrong_value_in_any_field_is_refused_by_code(world: World, kind: type, field: str) -> None:
    good = getattr(kind(**EXAMPLES[kind]), field)
    roles, _ = AUTHORITY[kind]
    before = world.exchange.state_hash()
    for value in WRONG[type(good)]:
        with pytest.raises(Refused) as refused:
            world.submit(act(kind, **{field: value}), {"actor": "x", "role": roles[0], "approver": "y"})
        assert refused.value.code in {Code.OUT_OF_RANGE, Code.WRONG_TYPE}, value
    assert world.exchange.state_hash() == before


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One buyer and one seller with a live bid and a live offer."""
    made = World(tmp_path_factory.mktemp("malformed") / "ledger.db")
    made.add_right("A", money_yuan=1_000)
    made.add_right("B", kind="regional", metered=False)
    made.open_market()
    made.rest(Side.BUY, "A", 2_000, 3)
    made.rest(Side.SELL, "B", 4_000, 3)
    yield made
    made.exchange.close()


REFUSED_BY: dict[str, tuple[int, ...]] = {
    # the codes of a new limit order with an extreme value in a field
    "price": (Reason.PRICE_OUTSIDE_BOOK,),
    "quantity": (Reason.QUANTITY_NOT_POSITIVE, Reason.QUANTITY_TOO_LARGE),
    "max_amount_fen": (Code.OUT_OF_RANGE,),
    "expires_at_ns": (Reason.EXPIRY_UNEXPECTED,),
    "right": (Code.UNKNOWN_RIGHT,),
    "instrument": (Code.UNKNOWN_INSTRUMENT,),
    "action": (Reason.UNKNOWN_ACTION,),
    "side": (Reason.UNKNOWN_SIDE,),
    "order_type": (Reason.UNKNOWN_ORDER_TYPE,),
    "time_in_force": (Reason.UNKNOWN_TIME_IN_FORCE,),
    "self_trade": (Reason.UNKNOWN_SELF_TRADE,),
}  # fmt: skip


def extremes(dtype: Any) -> list[int]:
    """Values at and near the ends of an integer type, none of which is one of an enumeration."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return [low, low + 1, low // 2, -1, high // 2 + 1, high - 1, high]


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("field", S.ORDER.names)
def test_an_order_with_extreme_figures_gets_its_code(base: World, side: Side, field: str) -> None:
    world, right = Fork(base), "AB"[side]
    live = base.exchange.state.next_seq - (3 if side == Side.BUY else 1)
    forms = [world.order(side, right, 3_000, 1), world.order(side, right, 0, 1, order_type=1, time_in_force=3)]
    forms += [world.change(action, live, 0, 1) for action in (Action.REPLACE, Action.REDUCE, Action.CANCEL)]
    values = extremes(S.ORDER[field])
    for at, form in enumerate(forms):
        rows = np.repeat(form, len(values))
        rows[field] = values
        trial = Fork(world)
        codes = trial.orders(rows).orders["code"].tolist()
        assert len([reason(code) for code in codes]) == len(values)
        assert at > 0 or set(codes) <= set(REFUSED_BY.get(field, (0,)))
        trial.check()


READINGS: dict[str, tuple[int, ...]] = {
    "measured_at_ns": (Code.READING_TOO_LATE, Code.CLOCK_AHEAD),
    "value_l": (Code.VALUE_MISSING, Code.BEYOND_MODULUS),
    "meter": (Code.UNKNOWN_METER,),
    "source": (Code.OUT_OF_RANGE,),
    "quality": (Code.OUT_OF_RANGE,),
}


@pytest.mark.parametrize("field", S.READING.names)
def test_a_reading_with_extreme_figures_gets_its_code(base: World, field: str) -> None:
    for value in extremes(S.READING[field]):
        world, row = Fork(base), base.reading("M-A", 7)
        row[field] = value
        (fact,) = world.read(row).readings
        expected = (Code.READING_TOO_LATE,) if (field, value) == ("measured_at_ns", -1) else READINGS.get(field, (0,))
        assert fact["code"] in expected, value
        world.check()


# figures at their limits

TOP = 2**61
VAST = {
    "indexes": [{"source": "surface", "year": 2024, "volume_m3": f"{TOP // 1000}.{TOP % 1000}", "document": DOCUMENT}],
    "caps": [],
}
LARGE_TICK = {
    "tick_yuan_per_m3": "104.8576",
    "max_yuan_per_m3": "107269.3248",
    "reference_yuan_per_m3": "0",
    "band": "0",
}


def vast(path: Any, **changes: Any) -> World:
    """A district of 2**61 litres with one instrument."""
    raw = raw_policy() | VAST
    raw["instruments"] = [raw["instruments"][0] | changes]
    return World(path / "vast.db", parse_policy(raw))


def test_the_largest_order_is_escrowed_and_paid_to_the_fen(tmp_path: Path) -> None:
    world, price, lots, money = vast(tmp_path, **LARGE_TICK), 1_000, 2**31, TOP - 1
    world.add_right("B", money_yuan=1)
    world.add_right("R", kind="regional", metered=False, volume_m3=100 * lots)
    world.operator(*act(S.DepositMoney, party="P-B", amount_fen=money - 100))
    world.open_market()
    amount = price * 2**20 * lots
    world.rest(Side.BUY, "B", price, lots)
    held = amount + amount * 3_000 // 1_000_000
    assert world.money("P-B") == (money - held, held)
    rows = ((price, lots + 1), (1_023, lots), (1_024, 1))
    codes = world.orders(*(world.order(Side.BUY, "B", *row) for row in rows)).orders["code"].tolist()
    assert codes == [Reason.QUANTITY_TOO_LARGE, Code.NOT_ENOUGH_MONEY, Reason.PRICE_OUTSIDE_BOOK]
    (trade,) = world.orders(world.order(Side.SELL, "R", price, lots)).trades
    assert (trade["amount_fen"], trade["volume_l"]) == (amount, lots * 100_000)
    assert world.money("P-R") == (amount - amount * 2_000 // 1_000_000, 0)
    assert world.money("P-B") == (money - held, 0)
    world.check()
    world.exchange.close()


def test_deposits_together_stay_below_their_limit(world: World) -> None:
    world.bureau(*act(S.RegisterParty, code="P-A"))
    rows = ((TOP, False), (TOP // 2, True), (TOP // 2, False), (TOP // 2 - 1, True), (1, False))
    for at, (amount_fen, accepted) in enumerate(rows):
        refused = world.submit(act(S.DepositMoney, amount_fen=amount_fen, reference=f"{at}"), OPERATOR).refused
        assert [fact.code for fact in refused] == ([] if accepted else [Code.OUT_OF_RANGE])
    assert world.money("P-A") == (TOP - 1, 0)
    world.check()


def test_the_largest_volume_is_allocated_issued_and_traded(tmp_path: Path) -> None:
    world = vast(tmp_path)
    right = {"code": "R", "party": "P-A", "kind": "regional", "licensed_l": TOP, "verified_l": TOP}
    world.bureau(*act(S.RegisterParty, code="P-A"), *act(S.AllocateCell, volume_l=TOP), *act(S.RegisterRight, **right))
    world.bureau(*act(S.IssueRight, right="R", volume_l=TOP))
    world.add_right("B", volume_m3=0)
    deal = act(S.SettleAgreement, seller="R", buyer="B", volume_l=TOP, amount_fen=0)
    assert [fact.code for fact in world.submit(act(S.AllocateCell, volume_l=1), BUREAU).refused] == [
        Code.DISTRICT_EXHAUSTED
    ]
    world.operator(*deal)
    assert (world.balance("R")[0], world.balance("B")[0]) == (0, TOP)
    world.check()
    world.exchange.close()


def test_opening_issues_never_sum_beyond_what_can_be_counted(world: World) -> None:
    world.bureau(*act(S.RegisterParty, code="P-A"))
    accepted = 0
    for at in range(6):
        world.bureau(*act(S.RegisterRight, code=f"R{at}", licensed_l=TOP, verified_l=TOP, valid_to_ns=2**62))
        issue = act(S.IssueRight, right=f"R{at}", volume_l=TOP, opening=True)
        accepted += TOP if not world.submit(issue, BUREAU).refused else 0
        assert int(world.exchange.state.accounts.cap["held_l"][0]) == accepted
    world.check()


def test_no_lot_is_so_large_that_an_offer_of_it_cannot_be_counted(tmp_path: Path) -> None:
    try:
        world = vast(tmp_path, lot_m3=5_000_000)
    except Refused as refused:
        assert refused.code in {Code.POLICY_INVALID, Code.OUT_OF_RANGE}  # noqa: PT017 - either the policy or the order
        return
    world.add_right("R", kind="regional", metered=False, volume_m3=5_000_000)
    world.open_market()
    assert world.orders(world.order(Side.SELL, "R", 3_000, 2**31)).orders["code"] == Code.NOT_ENOUGH_WATER
    world.check()
