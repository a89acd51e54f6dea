"""What a journal proves: whatever was damaged or tampered with is refused, by code and place."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import shuiquan
from ledger import facts
from ledger.journal.records import parse
from ledger.rows import SUBMISSIONS, TRADES, USES
from shuiquan import Code, DepositMoney, Refused
from tests.districts import Clock, district
from tests.ledger.scripts import play, populate, random_script
from tests.stores.homes import Home, Place, database
from tests.stores.ledgers import Row, parted, rechained, resumed, rewritten, store, stored, verified
from tests.world import World


def first_of(rows: Sequence[Row], topic: str) -> int:
    """Index of the first record of a topic."""
    return next(index for index, row in enumerate(rows) if row[1] == topic)


def refused(path: Place) -> Refused:
    """The refusal that auditing, reading and writing agree on."""
    found: list[Refused] = []
    for attempt in (verified, lambda path: shuiquan.open(path, readonly=True), shuiquan.open):
        with pytest.raises(Refused) as caught:
            attempt(path)
        found.append(caught.value)
    assert len({str(refusal) for refusal in found}) == 1
    return found[0]


def damaged_at(path: Place) -> tuple[Code, int]:
    """Code and position of the refusal of a ledger."""
    refusal = refused(path)
    assert refusal.field == "position", refusal
    return Code(refusal.code), refusal.value


@pytest.fixture
def ledger(home: Home) -> Place:
    """A closed ledger to tamper with."""
    return home.copied()


# damage


def flips(ledger: Place, seed: int, count: int) -> list[str]:
    """Flip a bit of a record, one after the other, and say which were not refused by the place of the damage.

    The last record is left alone: nothing behind it holds its hash.
    """
    rows = stored(ledger)
    rng = np.random.Generator(np.random.PCG64(seed))
    change = "UPDATE stored_events SET state = ? WHERE originator_version = ?"
    faults = []
    for _ in range(count):
        position, topic, state = rows[int(rng.integers(0, len(rows) - 1))]
        at, bit = int(rng.integers(0, len(state))), int(rng.integers(0, 8))
        damaged = bytearray(state)
        damaged[at] ^= 1 << bit
        with database(ledger) as connection:
            connection.execute(change, (bytes(damaged), position))
        try:
            found = str(verified(ledger))
        except Refused as refusal:
            found = f"{refusal.field} {refusal.value}"
        except Exception as failure:  # noqa: BLE001 - any other exception is what this looks for
            found = repr(failure)
        if found not in {f"position {position}", f"position {position + 1}"}:
            faults.append(f"record {position} {topic}, byte {at} of {len(state)}, bit {bit}: {found}")
        with database(ledger) as connection:
            connection.execute(change, (state, position))
    verified(ledger)
    return faults


def test_a_flipped_bit_is_refused_by_code_and_place(ledger: Place) -> None:
    assert not flips(ledger, 1, 60)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2, 22))
def test_any_flipped_bit_is_refused_by_code_and_place(ledger: Place, seed: int) -> None:
    assert not flips(ledger, seed, 500)


def test_swapped_records_are_refused(ledger: Place) -> None:
    rows = stored(ledger)
    one, two = rows[39], rows[44]
    store(ledger, [*rows[:39], (40, *two[1:]), *rows[40:44], (45, *one[1:]), *rows[45:]])
    assert damaged_at(ledger) == (Code.RECORD_DAMAGED, 40)


def test_a_record_deleted_in_the_middle_is_refused(ledger: Place) -> None:
    rows = stored(ledger)
    store(ledger, rows[:30] + rows[31:])
    assert damaged_at(ledger) == (Code.RECORD_DAMAGED, 31)
    store(ledger, rechained(rows[:30] + rows[31:]))
    assert damaged_at(ledger) == (Code.SEQUENCE_GAP, 31)


def test_a_repeated_record_is_refused(ledger: Place) -> None:
    rows = stored(ledger)
    store(ledger, [*rows, (len(rows) + 1, *rows[-1][1:])])
    assert damaged_at(ledger) == (Code.RECORD_DAMAGED, len(rows) + 1)
    store(ledger, rechained([*rows, rows[first_of(rows, "money.deposited/1")]]))
    assert damaged_at(ledger) == (Code.SEQUENCE_GAP, len(rows) + 1)


def test_a_changed_topic_column_is_refused(ledger: Place) -> None:
    with database(ledger) as connection:
        connection.execute("UPDATE stored_events SET topic = 'market.closed/1' WHERE originator_version = 50")
    assert damaged_at(ledger) == (Code.RECORD_DAMAGED, 50)


def test_a_journal_cut_inside_a_group_of_pages_is_refused(ledger: Place) -> None:
    rows = stored(ledger)
    cut = max(index for index, row in enumerate(rows) if row[1] == TRADES)
    store(ledger, rows[:cut])
    assert refused(ledger).code == Code.SEQUENCE_GAP


def test_records_lie_in_the_order_of_their_first_facts_and_times_never_fall(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db", page_facts=16)
    populate(world)
    play(world, random_script(71, 24), 4)
    times = [told.at_ns for told in world.exchange.facts()]
    world.exchange.close()
    firsts = [parted(state)[0].first_seq for _, _, state in stored(world.path)]
    assert firsts == sorted(firsts)
    assert times == sorted(times)


# tampering that keeps the chain


def test_a_rewritten_record_is_found_until_the_whole_chain_is_redone(ledger: Place) -> None:
    before, rows = verified(ledger), stored(ledger)
    at = first_of(rows, "money.deposited/1")
    deposit = facts.MoneyDeposited(*msgspec.msgpack.decode(parse(at + 1, rows[at][2]).body))
    more = msgspec.structs.replace(deposit, amount_fen=deposit.amount_fen + 1)
    forged = [*rows[:at], rewritten(rows[at], msgspec.msgpack.encode(more)), *rows[at + 1 :]]
    store(ledger, forged)
    assert damaged_at(ledger) == (Code.RECORD_DAMAGED, at + 2)
    for until in (at + 2, len(rows) - 1):
        store(ledger, rechained(forged, until))
        assert damaged_at(ledger) == (Code.RECORD_DAMAGED, until + 1)
    store(ledger, rechained(forged))
    after = verified(ledger)  # only a head or a state hash that was kept outside shows it
    assert after.head != before.head
    assert after.state_hash != before.state_hash
    assert (after.records, after.facts, after.totals) == (before.records, before.facts, before.totals)


def test_a_deleted_tail_is_seen_by_the_head_file_or_by_a_head_kept_outside(ledger: Place) -> None:
    world = resumed(ledger)
    kept = verified(ledger)
    world.operator(DepositMoney(party="P-A", amount_fen=100, reference="later"))
    world.exchange.close()
    with database(ledger) as connection:
        connection.execute("DELETE FROM stored_events WHERE originator_version > ?", (kept.records,))
        connection.execute("DELETE FROM begins WHERE position > ?", (kept.records,))
        connection.execute("DELETE FROM submissions WHERE first_seq > ?", (kept.facts,))
    assert verified(ledger) == kept
    with pytest.raises(Refused) as caught:  # the head file beside it knows more
        shuiquan.open(ledger, clock=world.clock)
    assert caught.value.code == Code.LEDGER_OLDER
    Path(f"{ledger if isinstance(ledger, Path) else ledger.beside}.head").unlink()
    world.exchange = shuiquan.open(ledger, clock=world.clock)
    world.check()
    world.exchange.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rows, at: rewritten(rows[at], topic="money.deposited/2"), Code.TOPIC_UNKNOWN),
        (lambda rows, at: rewritten(rows[at], topic="money.burnt/1"), Code.TOPIC_UNKNOWN),
        (lambda rows, at: rewritten(rows[at], format=2), Code.TOPIC_UNKNOWN),
        (lambda rows, at: rewritten(rows[at], b""), Code.RECORD_DAMAGED),
        (lambda rows, at: rewritten(rows[at], b"\x93\x00"), Code.RECORD_DAMAGED),
        (lambda rows, at: rewritten(rows[at], first_seq=1, last_seq=1), Code.SEQUENCE_GAP),
    ],
    ids=["version", "topic", "format", "empty", "short", "seq"],
)
def test_a_chained_rare_fact_that_is_not_ours_is_refused(
    ledger: Place, change: Callable[[list[Row], int], Row], code: Code
) -> None:
    rows = stored(ledger)
    at = first_of(rows, "money.deposited/1")
    store(ledger, rechained([*rows[:at], change(rows, at), *rows[at + 1 :]]))
    assert refused(ledger).code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda row, _: rewritten(row, topic="use/2"), Code.TOPIC_UNKNOWN),
        (lambda row, columns: rewritten(row, columns=columns[1:]), Code.RECORD_DAMAGED),
        (lambda row, columns: rewritten(row, columns=columns[::-1]), Code.RECORD_DAMAGED),
        (lambda row, columns: rewritten(row, columns=((columns[0][0], "<i4"), *columns[1:])), Code.RECORD_DAMAGED),
        (lambda row, columns: rewritten(row, columns=((columns[0][0], "|O"), *columns[1:])), Code.RECORD_DAMAGED),
        (lambda row, _: rewritten(row, count=0), Code.RECORD_DAMAGED),
        (lambda row, _: rewritten(row, count=2**40), Code.RECORD_DAMAGED),
        (lambda row, _: rewritten(row, count=-1), Code.RECORD_DAMAGED),
        (lambda row, _: rewritten(row, row[2][-8:]), Code.RECORD_DAMAGED),
    ],
    ids=["version", "column", "order", "narrow", "object", "none", "many", "negative", "short"],
)
@pytest.mark.parametrize("topic", [USES, SUBMISSIONS])
def test_a_chained_page_of_another_layout_is_refused(
    ledger: Place, change: Callable[[Row, Any], Row], code: Code, topic: str
) -> None:
    rows = stored(ledger)
    at = first_of(rows, topic)
    store(ledger, rechained([*rows[:at], change(rows[at], parted(rows[at][2])[0].columns), *rows[at + 1 :]]))
    assert refused(ledger).code == code


def test_a_new_ledger_replays_to_its_live_state(home: Home) -> None:
    place = home.new()
    with shuiquan.open(place, policy=district(), clock=Clock()) as ledger:
        live = ledger.state_hash()
        with shuiquan.open(place, readonly=True) as replayed:
            assert replayed.state.at_ns == ledger.state.at_ns
            assert replayed.state_hash() == live
