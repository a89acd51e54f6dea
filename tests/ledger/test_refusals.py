"""Every refusal: a row a code, what provokes it, and that nothing but the refusal is left behind (K7, K27)."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import shuiquan
from ledger.codes import reason
from ledger.journal.records import LENGTH, Header
from ledger.policy_file import parse_policy
from shuiquan import Code, Refused, Side
from tests.districts import DAY_NS, HOUR_NS, START_NS, Clock, district, raw_policy
from tests.ledger.test_malformed import HOLDER, MALFORMED, act
from tests.world import BUREAU, GATEWAY, OPERATOR, Action, Fork, World

BUY, SELL, S = Side.BUY, Side.SELL, shuiquan


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Holders of every sort; SW-A is open, SW-B is not, DEALS trades by agreement alone and BOOK in its book alone."""
    raw = raw_policy()
    modes = {"DEALS": "agreement", "BOOK": "continuous"}
    for code, mode in modes.items():
        raw["instruments"].append(raw["instruments"][0] | {"code": code, "modes": [{"mode": mode, "simulation": True}]})
    made = World(tmp_path_factory.mktemp("refusals") / "ledger.db", parse_policy(raw))
    made.add_right("A", saved_m3=20_000, money_yuan=1_000)
    made.add_right("D", kind="regional", metered=False, party="P-A", volume_m3=0)
    made.add_right("B", basin="west", money_yuan=1_000)
    made.add_right("C", kind="irrigation", industry="farming")
    made.add_right("F", basin="far", kind="regional", metered=False, money_yuan=1_000)
    made.add_right("G", industry="golf", money_yuan=1_000)
    made.add_right("S", industry="supply", saved_m3=20_000)
    made.add_right("N", metered=False, saved_m3=20_000)
    made.add_right("W", source="ground", kind="irrigation")
    made.open_market("SW-A", "BOOK")
    yield made
    made.exchange.close()


@pytest.fixture
def ledger(base: World) -> World:
    return Fork(base)


def nothing(_: World) -> None:
    """No preparation."""


def order(side: Side, right: str, price: int = 3_000, instrument: str = "SW-A", /, **fields: int) -> Any:
    """One lot, with these fields set afterwards."""

    def make(world: World) -> Any:
        row = world.order(side, right, price, 1, instrument)
        for name, value in fields.items():
            row[name] = value
        return row

    return make


def command(kind: type, /, **fields: Any) -> Any:
    return lambda _: act(kind, **fields)


def reading(value_l: int, after_ns: int = 0, **fields: int) -> Any:
    """A reading of meter M-A in litres."""

    def make(world: World) -> Any:
        row = world.reading("M-A", None, START_NS + after_ns)
        row["value_l"] = value_l
        for name, value in fields.items():
            row[name] = value
        return row

    return make


def does(*kinds: Any) -> Callable[[World], Any]:
    """Preparation by commands of the bureau."""
    return lambda world: [world.bureau(*made) for made in kinds]


def wait(time_ns: int) -> Callable[[World], Any]:
    return lambda world: setattr(world.clock, "at_ns", START_NS + time_ns)


def bid_late(world: World) -> None:
    world.rest(BUY, "B", 2_000, 1)
    world.clock.at_ns = START_NS + 7 * HOUR_NS


def replace(world: World) -> Any:
    """A replace of the only live order."""
    return world.change(Action.REPLACE, int(world.exchange.state.books.orders["order_id"].max()), 0, 2)


def deposit(world: World) -> None:
    world.operator(*act(S.DepositMoney))


def pump(world: World) -> None:
    world.read(world.reading("M-A", 50_001))


def read_once(world: World) -> None:
    world.read(world.reading("M-A", 5))


def sold_out(world: World) -> None:
    world.submit(act(S.SettleAgreement, volume_l=20_000_000, amount_fen=0), OPERATOR)


def named(world: World) -> None:
    world.orders(world.order(BUY, "B", 2_000, 1, client_order_id=7))


LEFT_L = 350_000_000  # of the cap on the east
GREAT = {"licensed_l": 2**40, "verified_l": 2**40}
ISSUED = command(S.IssueRight, right="new")
Row = tuple[Code, Callable[[World], Any], Callable[[World], Any], dict[str, Any]]
FACTS: dict[str, Row] = {
    # a fact of the refusal: code, preparation, submission, who
    "a person without data": (Code.WRONG_TYPE, nothing, command(S.RegisterParty, kind="person"), BUREAU),
    "a body without a name": (Code.EMPTY, nothing, command(S.RegisterParty, name=""), BUREAU),
    "shares short of one": (Code.OUT_OF_RANGE, nothing, command(S.InstallMeter, shares=(("A", 999_999),)), BUREAU),
    "a saving of an irrigation right": (Code.OUT_OF_RANGE, nothing, command(S.VerifySaving, right="C"), BUREAU),
    "nobody suspended": (Code.OUT_OF_RANGE, nothing, command(S.ReinstateParty), BUREAU),
    "a network right elsewhere": (Code.OUT_OF_RANGE, nothing, command(S.RegisterRight, kind="network"), BUREAU),
    "a term that ends first": (Code.OUT_OF_RANGE, nothing, command(S.RegisterRight, valid_to_ns=START_NS), BUREAU),
    "a year of no ledger": (Code.OUT_OF_RANGE, nothing, command(S.IssueRight, year=2023), BUREAU),
    "an amount on a limit order": (Code.OUT_OF_RANGE, nothing, order(BUY, "B", max_amount_fen=1), OPERATOR),
    "an id again": (Code.CLIENT_ORDER_ID_NOT_RISING, named, order(BUY, "B", client_order_id=7), OPERATOR),
    "a known party": (Code.ALREADY_EXISTS, nothing, command(S.RegisterParty, code="P-A"), BUREAU),
    "a known right": (Code.ALREADY_EXISTS, nothing, command(S.RegisterRight, code="A"), BUREAU),
    "a known meter": (Code.ALREADY_EXISTS, nothing, command(S.InstallMeter, code="M-A"), BUREAU),
    "a known intake": (Code.ALREADY_EXISTS, nothing, command(S.RegisterIntake, code="Q-M-A"), BUREAU),
    "a deposit again": (Code.ALREADY_EXISTS, deposit, command(S.DepositMoney), OPERATOR),
    "no such party": (Code.UNKNOWN_PARTY, nothing, command(S.SuspendParty, party="?"), BUREAU),
    "no such right": (Code.UNKNOWN_RIGHT, nothing, command(S.IssueRight, right="?"), BUREAU),
    "no such right in an order": (Code.UNKNOWN_RIGHT, nothing, order(BUY, "B", right=99), OPERATOR),
    "no such intake": (Code.UNKNOWN_INTAKE, nothing, command(S.InstallMeter, intake="?"), BUREAU),
    "no such meter": (Code.UNKNOWN_METER, nothing, reading(1, meter=99), GATEWAY),
    "no such instrument": (Code.UNKNOWN_INSTRUMENT, nothing, command(S.OpenMarket, instrument="?"), OPERATOR),
    "no such instrument in an order": (Code.UNKNOWN_INSTRUMENT, nothing, order(BUY, "B", instrument=9), OPERATOR),
    "no cell": (Code.UNKNOWN_CELL, does(act(S.RegisterRight, township="village")), ISSUED, BUREAU),
    "no such basin": (Code.UNKNOWN_NAME, nothing, command(S.AllocateCell, basin="?"), BUREAU),
    "closed": (Code.MARKET_CLOSED, nothing, order(BUY, "B", 3_000, "SW-B"), OPERATOR),
    "after five": (Code.MARKET_CLOSED, wait(7 * HOUR_NS), order(BUY, "B"), OPERATOR),
    "a replace after five": (Code.MARKET_CLOSED, bid_late, replace, OPERATOR),
    "before nine": (Code.MARKET_CLOSED, wait(23 * HOUR_NS - 1), order(BUY, "B"), OPERATOR),
    "no book": (Code.MODE_NOT_APPROVED, nothing, order(BUY, "B", 3_000, "DEALS"), OPERATOR),
    "no book to open": (Code.MODE_NOT_APPROVED, nothing, command(S.OpenMarket, instrument="DEALS"), OPERATOR),
    "no agreements": (Code.MODE_NOT_APPROVED, nothing, command(S.SettleAgreement, instrument="BOOK"), OPERATOR),
    "another source": (Code.WRONG_UNIT, nothing, order(BUY, "W"), OPERATOR),
    "another source in an agreement": (Code.WRONG_UNIT, nothing, command(S.SettleAgreement, buyer="W"), OPERATOR),
    "somebody else's": (Code.NOT_YOUR_RIGHT, nothing, order(SELL, "A"), HOLDER),
    "suspended": (Code.PARTY_SUSPENDED, does(act(S.SuspendParty, party="P-B")), order(BUY, "B"), OPERATOR),
    "over": (Code.RIGHT_EXPIRED, wait(401 * DAY_NS), order(BUY, "F"), OPERATOR),
    "used up": (Code.OVER_USE, pump, order(SELL, "A"), OPERATOR),
    "used up, by agreement": (Code.OVER_USE, pump, command(S.SettleAgreement), OPERATOR),
    "unmetered": (Code.METERING_NOT_WORKING, nothing, order(SELL, "N"), OPERATOR),
    "unmetered buyer": (Code.METERING_NOT_WORKING, nothing, command(S.SettleAgreement, buyer="N"), OPERATOR),
    "owing tax": (Code.TAX_OVERDUE, does(act(S.SuspendParty, tax_overdue=True)), order(BUY, "A"), OPERATOR),
    "a supplier": (Code.CLASS_EXCLUDED, nothing, order(SELL, "S"), OPERATOR),
    "above the band": (Code.PRICE_OUTSIDE_BAND, nothing, order(BUY, "B", 4_501), OPERATOR),
    "below the band": (Code.PRICE_OUTSIDE_BAND, nothing, order(BUY, "B", 1_499), OPERATOR),
    "far": (Code.ZONES_NOT_PERMITTED, nothing, command(S.SettleAgreement, buyer="F"), OPERATOR),
    "full": (Code.HEADROOM_EXHAUSTED, sold_out, command(S.SettleAgreement, volume_l=1), OPERATOR),
    "himself": (Code.SELF_AGREEMENT, nothing, command(S.SettleAgreement, buyer="D"), OPERATOR),
    "golf": (Code.BUYER_BANNED, nothing, order(BUY, "G"), OPERATOR),
    "more water than there is": (Code.NOT_ENOUGH_WATER, nothing, order(SELL, "F", quantity=501), OPERATOR),
    "nothing saved": (Code.NOTHING_SAVED, nothing, order(SELL, "B"), OPERATOR),
    "the floor": (Code.BASIC_NEED, nothing, order(SELL, "C", quantity=401), OPERATOR),
    "no money": (Code.NOT_ENOUGH_MONEY, nothing, order(BUY, "B", quantity=34), OPERATOR),
    "no money to agree": (Code.NOT_ENOUGH_MONEY, nothing, command(S.SettleAgreement, amount_fen=99_702), OPERATOR),
    "above a cap": (Code.ABOVE_INDEX, does(act(S.AllocateCell, volume_l=LEFT_L + 1), act(S.RegisterRight, **GREAT)),
        command(S.IssueRight, right="new", volume_l=LEFT_L + 1), BUREAU),
    "an empty cell": (Code.CELL_EXHAUSTED, does(act(S.RegisterRight)), ISSUED, BUREAU),
    "an empty district": (Code.DISTRICT_EXHAUSTED, nothing, command(S.AllocateCell, volume_l=650_000_001), BUREAU),
    "beyond what is verified": (Code.ABOVE_VERIFIED, nothing, command(S.IssueRight), BUREAU),
    "verified beyond the licence": (Code.ABOVE_VERIFIED, nothing, command(S.RegisterRight, verified_l=10), BUREAU),
    "saved beyond the right": (Code.SAVING_ABOVE_RIGHT, nothing, command(S.VerifySaving, volume_l=30_000_001), BUREAU),
    "saved in a year without": (Code.SAVING_ABOVE_RIGHT, nothing, command(S.VerifySaving, year=2025), BUREAU),
    "before the term": (Code.TERM_NOT_COVERING, does(act(S.RegisterRight)),
        command(S.IssueRight, right="new", year=2025), BUREAU),
    "nothing saved in no year": (Code.OUT_OF_RANGE, nothing, command(S.VerifySaving, year=9999, volume_l=0), BUREAU),
    "nor in the year 2000": (Code.OUT_OF_RANGE, nothing, command(S.VerifySaving, year=2000, volume_l=0), BUREAU),
    "once more": (Code.DUPLICATE_READING, read_once, reading(5_000), GATEWAY),
    "no value": (Code.VALUE_MISSING, nothing, reading(-(2**63)), GATEWAY),
    "late": (Code.LATE_READING, read_once, reading(5_000, -HOUR_NS), GATEWAY),
    "too late": (Code.READING_TOO_LATE, nothing, reading(5_000, -30 * DAY_NS - 1), GATEWAY),
    "ahead": (Code.CLOCK_AHEAD, nothing, reading(5_000, HOUR_NS), GATEWAY),
    "back": (Code.STEP_BACK, read_once, reading(4_999, HOUR_NS // 60), GATEWAY),
    "too fast": (Code.RATE_TOO_HIGH, nothing, reading(10**9), GATEWAY),
    "beyond the register": (Code.BEYOND_MODULUS, nothing, reading(10**12), GATEWAY),
    "a register beyond itself": (Code.BEYOND_MODULUS, nothing, command(S.InstallMeter, first_l=10**9), BUREAU),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTS)
def test_a_refusal_is_a_fact_and_changes_nothing(ledger: World, name: str) -> None:
    code, prepare, submission, who = FACTS[name]
    prepare(ledger)
    ledger.submit(act(S.CloseMarket, instrument="SW-B"), OPERATOR)  # lets what is due expire
    before, content = ledger.parts(), submission(ledger)
    answer = ledger.submit(content, who)
    codes = [*answer.orders["code"], *answer.readings["code"], *(fact.code for fact in answer.refused)]
    assert [reason(int(found)) for found in codes] == [code]
    assert answer.last_seq - answer.first_seq == 1
    assert ledger.parts() == before
    ledger.check()


def again(world: World, _: Path) -> None:
    for instrument in ("SW-A", "SW-B"):
        world.exchange.submit(act(S.OpenMarket, instrument=instrument), **OPERATOR, command_id="same")


def opens(name: str, **options: Any) -> Callable[[World, Path], Any]:
    return lambda world, path: S.open(path / name if name else world.path, clock=Clock(), **options)


def text(_: World, path: Path) -> None:
    (path / "x.db").write_text("a text that is longer than the header of a database file" * 9)
    S.open(path / "x.db", policy=district())


def foreign(_: World, path: Path) -> None:
    with sqlite3.connect(path / "x.db") as connection:
        connection.execute("CREATE TABLE x (y)")
    S.open(path / "x.db", policy=district())


def edits(*statements: str, then: Callable[[World], Any] = World.reopen) -> Callable[[World, Path], Any]:
    """Edit the journal behind the writer's back, then reopen it or go on."""

    def run(world: World, _: Path) -> Any:
        world.open_market()
        with sqlite3.connect(world.path) as connection:
            connection.create_function("header", 2, header)
            for statement in statements:
                connection.execute(statement)
        return then(world)

    return run


def header(state: bytes, change: str) -> bytes:
    """A record with another first number, topic or format."""
    (length,) = LENGTH.unpack_from(state)
    old = msgspec.msgpack.decode(state[4 : 4 + length], type=Header)
    new = {"seq": {"first_seq": old.first_seq + 1}, "topic": {"topic": "market.opened/9"}, "format": {"format": 9}}
    packed = msgspec.msgpack.encode(msgspec.structs.replace(old, **new[change]))
    return LENGTH.pack(len(packed)) + packed + state[4 + length :]


def record(change: str) -> str:
    """A statement that changes the last record."""
    last = "originator_version = (SELECT COUNT(*) FROM stored_events)"
    return f"UPDATE stored_events SET {change} WHERE {last}"


def with_policy(**changes: Any) -> Callable[[World, Path], Any]:
    """Reopen with another policy."""
    return lambda world, _: world.reopen(policy=parse_policy(raw_policy() | changes))


def reads(world: World, _: Path) -> None:
    with S.open(world.path, readonly=True) as reader:
        reader.submit(act(S.OpenMarket), **OPERATOR, command_id="r")


LONGER = "UPDATE stored_events SET state = CAST(state || x'00' AS BLOB) WHERE originator_version = 2"
STORES: dict[str, tuple[Code, Callable[[World, Path], Any]]] = {
    "another command under the same id": (Code.COMMAND_ID_REUSED, again),
    "two writers": (Code.LEDGER_LOCKED, opens("")),
    "nothing to read": (Code.LEDGER_MISSING, opens("none.db", readonly=True)),
    "nothing to open": (Code.LEDGER_MISSING, opens("none.db")),
    "a text": (Code.STORE_NOT_OURS, text),
    "another program's file": (Code.STORE_NOT_OURS, foreign),
    "another address": (Code.ADDRESS_INVALID, lambda _, __: S.open("ftp://ledger", policy=district())),
    "a byte more": (Code.RECORD_DAMAGED, edits(LONGER)),
    "a record gone": (Code.RECORD_DAMAGED, edits("DELETE FROM stored_events WHERE originator_version = 3")),
    "a number skipped": (Code.SEQUENCE_GAP, edits(record("state = header(state, 'seq') "))),
    "a topic to come": (Code.TOPIC_UNKNOWN,
        edits(record("state = header(state, 'topic'), topic = 'market.opened/9' "))),
    "a format to come": (Code.TOPIC_UNKNOWN, edits(record("state = header(state, 'format') "))),
    "somebody else wrote": (Code.COMMIT_FAILED, edits("CREATE TEMP TABLE x AS SELECT * FROM stored_events",
        "UPDATE x SET originator_version = originator_version + 1",
        "INSERT OR IGNORE INTO stored_events SELECT * FROM x",
        then=World.open_market)),
    "after closing": (Code.LEDGER_CLOSED, lambda world, _: (world.exchange.close(), world.open_market())),
    "by a reader": (Code.LEDGER_CLOSED, reads),
    "a policy without basins": (Code.POLICY_INVALID, with_policy(basins=[])),
    "another policy": (Code.POLICY_DIFFERS, with_policy(version=2)),
    "a policy with a float": (Code.POLICY_FLOAT, with_policy(fees={"buyer": 0.003, "seller": "0.002"})),
}  # fmt: skip


@pytest.mark.parametrize("name", STORES)
def test_the_store_and_the_policy_are_refused_by_code(world: World, tmp_path: Path, name: str) -> None:
    code, provoke = STORES[name]
    with pytest.raises(Refused) as refused:
        provoke(world, tmp_path)
    assert refused.value.code == code


NOT_HERE = {
    Code.HOLDER_HALTED: "no command halts yet",
    Code.LINKED_REFUSED: "test_acts: linked batches",
    Code.NOT_RESOLD: "test_orders: what may be sold",
    Code.WITHDRAWN_FOR_USE: "no refusal but the code of a removal: test_metering",
    Code.WITHDRAWN_INELIGIBLE: "no refusal but the code of a removal: test_metering, test_acts",
    Code.WRAPPED: "no refusal but the code of a good reading: test_metering",
}


def test_every_code_has_its_row() -> None:
    rows = {FACTS[name][0] for name in FACTS} | {STORES[name][0] for name in STORES}
    rows |= {code for codes, _, _ in MALFORMED.values() for code in codes if len(codes) == 1}
    ranges = (range(100, 120), range(200, 600), range(800, 808), range(900, 903))
    assert {code for code in Code if any(code in numbers for numbers in ranges)} - rows == set(NOT_HERE)
    assert not rows & set(NOT_HERE)
