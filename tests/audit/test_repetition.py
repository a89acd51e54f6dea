"""Everything happens again: the auditor's replay and rematch, on ledgers as they are and on ones that were changed.

Who tampers here computes every hash anew, and keeps all sums in order at the end: the chain and a plain verification
without a sink find nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ledger.audit.full_replay import Replayed
from ledger.audit.rematch import Rematch
from ledger.codes import Code, Refused
from ledger.journal.columns import encode_columns
from ledger.journal.records import parse
from ledger.rows import ORDERS, READINGS, REMOVALS, TRADES, USES
from shuiquan import DepositMoney, Side
from shuiquan.__main__ import rematch_ledger, replay_ledger
from tests.audit.sealed import Sealed, code_of
from tests.districts import HOUR_NS
from tests.ledger.scripts import play, populate, random_script
from tests.stores.ledgers import Row, parted, rechained, resumed, rewritten, store, stored, verified
from tests.world import OPERATOR, World

DEPOSIT = "money.deposited/1"


def counted(path: Path) -> tuple[int, int]:
    """Facts and records of a ledger."""
    found = verified(path)
    return found.facts, found.records


def check_all(path: Path, state_hash: str) -> tuple[Replayed, Rematch]:
    """Replay and both rematches find a ledger as it was."""
    replayed, again = replay_ledger(path, None), rematch_ledger(path, None)
    plain = rematch_ledger(path, None, reference=True)
    assert replayed.state_hash == again.state_hash == state_hash
    assert (replayed.facts, replayed.records) == counted(path)
    assert again._replace(state_hash="") == plain
    return replayed, again


@pytest.mark.parametrize("seed", range(20, 28))
def test_what_happened_happens_again(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path / "ledger.db", page_facts=(7, 65_536)[seed % 2])
    populate(world)
    play(world, random_script(seed, 120), join=1 + seed % 3)
    expected = world.exchange.state_hash()
    world.exchange.close()
    _, again = check_all(world.path, expected)
    assert min(again.trades, again.removals, again.orders) > 10


def test_what_a_pump_and_time_take_away_is_taken_away_again(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db")
    populate(world)
    both = np.concatenate([world.order(Side.SELL, "A", 3_100, 10), world.order(Side.SELL, "A", 1, 10)])
    assert (world.submit(both, OPERATOR, linked=True).orders["code"] != 0).all()
    world.submit(both[:1], OPERATOR, linked=True)
    for price in (3_000, 3_001):
        world.rest(Side.SELL, "A", price, 50)
    world.rest(Side.BUY, "B", 2_950, 20, time_in_force=1)  # for the day
    world.clock.at_ns += HOUR_NS * 100
    world.read(world.reading("M-A", 48_000))
    world.clock.at_ns += HOUR_NS * 24
    world.orders(world.order(Side.BUY, "B", 3_000, 5))
    expected = world.exchange.state_hash()
    world.exchange.close()
    _, again = check_all(world.path, expected)
    assert again.removals > 2


def test_a_replay_walks_and_compares_at_every_checkpoint_and_starts_from_a_snapshot(sealed: Sealed) -> None:
    whole = replay_ledger(sealed.ledger, None, sealed.checkpoints)
    assert (whole.checkpoints, whole.walks) == (4, 5)
    with pytest.raises(Refused) as caught:
        replay_ledger(sealed.ledger, None, from_snapshot=True)
    assert code_of(caught) == Code.NOT_RECORDED
    world = resumed(sealed.ledger)
    world.exchange.snapshot()
    position = world.exchange.position
    world.operator(DepositMoney(party="P-A", amount_fen=100, reference="later"))
    world.exchange.close()
    tail = replay_ledger(sealed.ledger, None, from_snapshot=True)
    assert tail.from_position == position
    assert tail.state_hash == replay_ledger(sealed.ledger, None).state_hash
    wrong = sealed.checkpoints[1]._replace(state_hash="00" * 32)
    with pytest.raises(Refused) as caught:
        replay_ledger(sealed.ledger, None, [wrong])
    assert (code_of(caught), caught.value.value) == (Code.CHECKPOINT_DIFFERS, wrong.position)


def change_rows(path: Path, topic: str, change: Callable[[Any], bool]) -> tuple[int, int]:
    """Let `change` look at each fact of a topic until it changed one, and chain the journal anew.

    Returns `seq` and position of the changed fact. A plain verification must still find nothing.
    """
    rows = stored(path)
    for at, row in enumerate(rows):
        if row[1] != topic:
            continue
        page = parse(row[0], row[2]).rows.copy()
        for fact in page:
            if change(fact):
                rows[at] = rewritten(row, encode_columns(page))
                store(path, rechained(rows))
                return int(fact["seq"]), row[0]
    raise AssertionError(topic)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A closed ledger after a random script."""
    world = World(tmp_path / "ledger.db")
    populate(world)
    play(world, random_script(11, 80))
    world.exchange.close()
    return world.path


def one_fen_for_the_seller(trade: Any) -> bool:
    """One fen of what the buyer was to get back goes to the seller."""
    if trade["released_fen"] < 1:
        return False
    trade["amount_fen"] += 1
    trade["released_fen"] -= 1
    return True


def a_fee_less(trade: Any) -> bool:
    """The seller keeps his fee, which the buyer pays out of what he was to get back."""
    if trade["seller_fee_fen"] < 1:
        return False
    trade["seller_fee_fen"] -= 1
    return True


def a_litre_less(reading: Any) -> bool:
    """A reading adds a litre less than its register ran."""
    if reading["volume_l"] < 1:
        return False
    reading["volume_l"] -= 1
    return True


def use_within_the_right(use: Any) -> bool:
    """Less water is booked than was read."""
    if use["volume_l"] < 2 or use["over_l"]:
        return False
    use["volume_l"] -= 1
    return True


def another_instrument(removal: Any) -> bool:
    """A removal from an instrument that there is not."""
    removal["instrument"] = 2**30
    return True


@pytest.mark.parametrize(
    ("topic", "change", "rule"),
    [
        (TRADES, one_fen_for_the_seller, "amount is price"),
        (TRADES, a_fee_less, "fees are what"),
        (READINGS, a_litre_less, "the register moves forward"),
    ],
)
def test_a_consistent_change_passes_verification_and_is_named_by_replay(
    ledger: Path, topic: str, change: Callable[[Any], bool], rule: str
) -> None:
    seq, position = change_rows(ledger, topic, change)
    verified(ledger)
    with pytest.raises(Refused) as caught:
        replay_ledger(ledger, None)
    assert (code_of(caught), caught.value.field, caught.value.value) == (Code.FACT_IMPOSSIBLE, "seq", seq)
    assert f"position {position}, {topic}" in caught.value.rule
    assert rule in caught.value.rule


@pytest.mark.parametrize(("topic", "change"), [(USES, use_within_the_right), (REMOVALS, another_instrument)])
def test_a_fact_that_was_made_up_is_never_posted(ledger: Path, topic: str, change: Callable[[Any], bool]) -> None:
    seq, _ = change_rows(ledger, topic, change)
    with pytest.raises(Refused) as caught:
        replay_ledger(ledger, None)
    assert code_of(caught) == Code.FACT_IMPOSSIBLE
    assert caught.value.value >= seq


def test_money_that_came_later_is_missed_only_by_who_looks_at_the_end(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db")
    populate(world)
    world.operator(DepositMoney(party="P-C", amount_fen=1_000_000, reference="early"))
    world.rest(Side.BUY, "C", 3_000, 40)
    world.operator(DepositMoney(party="P-C", amount_fen=1, reference="late"))
    world.exchange.close()
    rows = stored(world.path)

    def amount(row: Row, fen: int) -> Row:
        party, _, reference = msgspec.msgpack.decode(parted(row[2])[1])
        return rewritten(row, msgspec.msgpack.encode((party, fen, reference)))

    deposits = [at for at, row in enumerate(rows) if row[1] == DEPOSIT]
    given = {msgspec.msgpack.decode(parted(rows[at][2])[1])[2]: at for at in deposits}
    mine = [at for at in deposits if msgspec.msgpack.decode(parted(rows[at][2])[1])[0] == 2]
    total = sum(msgspec.msgpack.decode(parted(rows[at][2])[1])[1] for at in mine)
    for at in mine:
        rows[at] = amount(rows[at], 1)
    rows[given["late"]] = amount(rows[given["late"]], total - len(mine) + 1)
    store(world.path, rechained(rows))
    verified(world.path)
    with pytest.raises(Refused) as caught:
        replay_ledger(world.path, None)
    assert code_of(caught) == Code.FACT_IMPOSSIBLE
    assert "not below zero" in caught.value.rule


@pytest.mark.parametrize("reference", [False, True])
def test_priority_that_was_broken_passes_verification_and_replay_and_is_found_by_rematch(
    tmp_path: Path, reference: bool
) -> None:
    world = World(tmp_path / "ledger.db")
    populate(world)
    earlier, later = (world.rest(Side.SELL, right, 3_000, 10) for right in ("A", "F"))
    (bought,) = world.orders(world.order(Side.BUY, "C", 3_000, 10)).trades
    world.rest(Side.SELL, "B", 3_050, 5)
    assert bought["maker_order_id"] == earlier
    favoured = world.exchange.right("F")
    world.exchange.close()

    def to_the_later(trade: Any) -> bool:
        trade["maker_order_id"], trade["seller_right"] = later, favoured
        return True

    seq, _ = change_rows(world.path, TRADES, to_the_later)
    verified(world.path)
    assert replay_ledger(world.path, None).facts > seq
    with pytest.raises(Refused) as caught:
        rematch_ledger(world.path, None, reference=reference)
    assert code_of(caught) == Code.OUTCOME_DIFFERS
    assert caught.value.value == (bought["taker_order_id"] if reference else seq)
    assert str(earlier) in caught.value.rule
    assert str(later) in caught.value.rule


def test_a_refusal_without_a_reason_is_found(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db")
    populate(world)
    world.rest(Side.SELL, "A", 3_000, 10)
    refused = world.orders(world.order(Side.BUY, "C", 3_000, 0)).orders[0]
    world.exchange.close()
    seq, _ = change_rows(world.path, ORDERS, lambda order: order["seq"] == refused["seq"] and set_quantity(order))
    verified(world.path)
    with pytest.raises(Refused) as caught:
        rematch_ledger(world.path, None)
    assert (code_of(caught), caught.value.value) == (Code.OUTCOME_DIFFERS, seq)


def set_quantity(order: Any) -> bool:
    """An order that was refused was one for ten lots."""
    order["quantity"] = 10
    return True


def test_an_act_above_its_limit_is_found(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db")
    populate(world)
    world.exchange.close()
    rows = stored(world.path)
    place = next(at for at, row in enumerate(rows) if row[1] == "saving.verified/1")
    right, year, _, measure, document = msgspec.msgpack.decode(parted(rows[place][2])[1])
    rows[place] = rewritten(rows[place], msgspec.msgpack.encode((right, year, 10**12, measure, document)))
    store(world.path, rechained(rows))
    verified(world.path)
    with pytest.raises(Refused) as caught:
        rematch_ledger(world.path, None)
    assert code_of(caught) == Code.OUTCOME_DIFFERS
    assert "saving.verified/1" in caught.value.rule
