"""Facts evolve: what was written in an older version of its topic is read as the current one, and keeps its bytes."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ledger import facts
from ledger.codes import Code, Refused
from ledger.journal.columns import encode_columns
from ledger.journal.pages import layout
from ledger.journal.records import Record, canonical_facts, decoded, groups, parse
from ledger.journal.versions import VERSIONS, Upcast, Versions
from ledger.replay import joined, replay
from ledger.rows import USE_FACT, USES
from ledger.state import State
from ledger.statehash import state_hash
from tests.stores.homes import copied
from tests.stores.ledgers import Row, parted, rechained, rewritten, stored
from tests.world import World

OLD_DEPOSIT, OLDER_DEPOSIT, OLD_USE = "money.deposited/0", "money.deposited/00", "use/0"


class OlderDeposit(facts.Fact, frozen=True):
    """Money as it might once have been recorded: whole yuan, from a numbered bank."""

    party: int
    yuan: int
    bank: int


class OldDeposit(facts.Fact, frozen=True):
    """The version after that: the reference is a text."""

    party: int
    yuan: int
    reference: str


OLD_USE_FACT = np.dtype([(name, USE_FACT[name]) for name in USE_FACT.names if name != "over_l"], align=True)


def with_over(rows: Any) -> Any:
    """Uses of a time that knew no over-use."""
    made = np.zeros(len(rows), USE_FACT)
    for name in rows.dtype.names:
        made[name] = rows[name]
    return made


OLD = Versions(
    {**VERSIONS.facts, OLDER_DEPOSIT: OlderDeposit, OLD_DEPOSIT: OldDeposit},
    {**VERSIONS.pages, OLD_USE: OLD_USE_FACT},
    {
        OLDER_DEPOSIT: Upcast(OLD_DEPOSIT, lambda old: OldDeposit(old.party, old.yuan, f"bank-{old.bank}")),
        OLD_DEPOSIT: Upcast(
            "money.deposited/1", lambda old: facts.MoneyDeposited(old.party, 100 * old.yuan, old.reference)
        ),
        OLD_USE: Upcast(USES, with_over),
    },
)
"""Versions under which a ledger of today might have been written earlier."""


def downgraded(row: Row, count: int) -> Row:
    """A record as an older program would have written it, where it knew another version of its topic."""
    header, body = parted(row[2])
    if header.topic == USES:
        rows = parse(row[0], row[2]).rows
        old = np.zeros(len(rows), OLD_USE_FACT)
        for name in old.dtype.names or ():
            old[name] = rows[name]
        return rewritten(row, encode_columns(old), topic=OLD_USE, columns=layout(OLD_USE_FACT))
    if header.topic == "money.deposited/1":
        fact = msgspec.msgpack.decode(body, type=facts.MoneyDeposited)
        older = OlderDeposit(fact.party, fact.amount_fen // 100, int(fact.reference.removeprefix("bank-")))
        if count % 2:
            return rewritten(row, msgspec.msgpack.encode(older), topic=OLDER_DEPOSIT)
        old = OldDeposit(fact.party, fact.amount_fen // 100, fact.reference)
        return rewritten(row, msgspec.msgpack.encode(old), topic=OLD_DEPOSIT)
    return row


@pytest.fixture
def used(tmp_path: Path) -> tuple[list[Row], str]:
    """The records of a ledger with deposits and use, and its state hash."""
    world = World(tmp_path / "ledger.db")
    for name in ("A", "B", "C"):
        world.add_right(name, money_yuan=1_000)
    for step in range(3):
        world.read(*(world.reading(f"M-{name}", 100 + 7 * step, sequence=step) for name in ("A", "B")))
        world.clock.at_ns += 3_600 * 10**9
    hashed = world.exchange.state_hash()
    world.exchange.close()
    return stored(copied(tmp_path / "ledger.db", tmp_path / "copy.db")), hashed


def folded(records: list[Record]) -> str:
    """Hash of the state that records lead to."""
    state = State()
    for group in joined(groups(records, 1)):
        replay(state, decoded(group))
    return state_hash(state)


def test_a_ledger_of_older_versions_replays_to_the_same_state(used: tuple[list[Row], str]) -> None:
    rows, hashed = used
    old = rechained([downgraded(row, count) for count, row in enumerate(rows)])
    topics = {topic for _, topic, _ in old}
    assert {OLDER_DEPOSIT, OLD_DEPOSIT, OLD_USE} <= topics
    assert not {USES, "money.deposited/1"} & topics
    records = [parse(position, state, OLD) for position, _, state in old]
    assert folded(records) == hashed
    assert folded([parse(position, state) for position, _, state in rows]) == hashed
    assert all(
        name in VERSIONS.pages or name == "submission/1" for r in records if r.header.columns for name, _ in [r.page]
    )


def test_canonical_bytes_stay_those_of_the_version_written(used: tuple[list[Row], str]) -> None:
    rows, _ = used
    old = rechained([downgraded(row, count) for count, row in enumerate(rows)])
    written = list(canonical_facts(parse(position, state, OLD) for position, _, state in old))
    today = list(canonical_facts(parse(position, state) for position, _, state in rows))
    assert len(written) == len(today)
    named = [packed[1 : 1 + packed[0]].decode() for packed in written]
    for topic, packed, current in zip(named, written, today, strict=True):
        assert (packed == current) == (topic not in {OLDER_DEPOSIT, OLD_DEPOSIT, OLD_USE})
    assert named.count(OLDER_DEPOSIT) + named.count(OLD_DEPOSIT) == 3


def test_a_version_that_nobody_registered_is_refused(used: tuple[list[Row], str]) -> None:
    rows, _ = used
    old = rechained([downgraded(row, count) for count, row in enumerate(rows)])
    with pytest.raises(Refused) as refused:
        folded([parse(position, state) for position, _, state in old])
    assert refused.value.code == Code.TOPIC_UNKNOWN


def test_every_older_version_leads_to_a_current_one() -> None:
    for topic in VERSIONS.upcasts:
        end, upcast = topic, VERSIONS.upcasts[topic]
        for _ in VERSIONS.upcasts:
            end, upcast = upcast.topic, VERSIONS.upcasts.get(upcast.topic, upcast)
        assert end in {*facts.TOPICS, *VERSIONS.pages} - set(VERSIONS.upcasts)
