"""Personal data stay out of everything that cannot be erased, and are gone for good once they are (contract K12)."""

import hashlib
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

import shuiquan
from ledger.facts import PartyRegistered
from shuiquan import Code, Person, Refused, RegisterParty
from tests.stores.ledgers import database, verified
from tests.world import BUREAU, GATEWAY, OPERATOR, World

PERSONS = {
    f"P-{number}": Person(
        name=f"示例户主{number}号",
        identity_number=f"00000019000101{number:04d}",
        phone=f"00000{number:06d}",
        bank_account=f"0000 0000 0000 {number:04d}",
    )
    for number in range(101, 106)
}
REGISTER = [
    RegisterParty(code=code, kind="person", name=person.name, person=person)  # a name that does not belong there
    for code, person in PERSONS.items()
]


@pytest.fixture
def registered(world: World) -> World:
    """A ledger with some persons."""
    world.bureau(*REGISTER)
    return world


def commitment(world: World, code: str) -> bytes:
    """The commitment that a holder's fact carries."""
    (found,) = [t.fact for t in world.exchange.facts() if isinstance(t.fact, PartyRegistered) and t.fact.code == code]
    return bytes(found.commitment)


def kept(world: World) -> list[tuple[bytes, ...]]:
    """The rows of the side register."""
    path = Path(f"{world.path}.persons")
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT commitment, wrapped_key, sealed FROM persons").fetchall()


def traces(folder: Path) -> list[tuple[str, str]]:
    """Every personal text that stands readable in a file of a folder, in any usual encoding."""
    texts = [text for person in PERSONS.values() for text in msgspec.structs.astuple(person)]
    return [
        (file.name, text)
        for file in folder.iterdir()
        for text in texts
        if any(text.encode(encoding) in file.read_bytes() for encoding in ("utf-8", "gb18030", "utf-16-le"))
    ]


def test_no_personal_data_stand_in_any_file(registered: World, tmp_path: Path) -> None:
    registered.exchange.holdings()
    for again in range(2):  # while it is open, with its log, and closed
        names = {file.name for file in tmp_path.iterdir()}
        assert {"ledger.db", "ledger.db.views", "ledger.db.persons", "ledger.db.key"} <= names
        assert again or "ledger.db-wal" in names
        assert traces(tmp_path) == []
        registered.exchange.close()
    registered.reopen()
    assert "示例户主" not in repr(list(registered.exchange.facts()))
    assert registered.exchange.query("SELECT DISTINCT name FROM parties WHERE kind = 'person'") == [{"name": ""}]


def test_what_was_sealed_is_given_back(registered: World) -> None:
    for reopened in range(2):
        assert {code: registered.exchange.person(code) for code in PERSONS} == PERSONS, reopened
        registered.reopen()
    with shuiquan.open(registered.path, readonly=True) as reader:
        assert reader.person("P-101") == PERSONS["P-101"]
    registered.bureau(RegisterParty(code="P-body", kind="company", name="示例公司"))
    assert registered.exchange.person("P-body") is None
    with pytest.raises(Refused) as unknown:
        registered.exchange.person("P-none")
    assert unknown.value.code == Code.UNKNOWN_PARTY


def test_a_commitment_binds_the_data_and_cannot_be_guessed_from_them(world: World) -> None:
    person = PERSONS["P-101"]
    world.bureau(RegisterParty(code="P-1", kind="person", person=person))
    world.bureau(RegisterParty(code="P-2", kind="person", person=person))
    first, second = commitment(world, "P-1"), commitment(world, "P-2")
    assert len(first) == 32
    assert first != second
    assert first != hashlib.sha256(msgspec.msgpack.encode(person)).digest()
    assert {row[0] for row in kept(world)} == {first, second}


def test_the_same_submission_again_gives_the_same_commitment(world: World) -> None:
    command = RegisterParty(code="P-1", kind="person", person=PERSONS["P-101"])
    first = world.exchange.submit(command, command_id="register-1", **BUREAU)
    before = kept(world)
    world.reopen()
    again = world.exchange.submit(command, command_id="register-1", **BUREAU)
    assert again.repeated
    assert [stamped.fact for stamped in again.acts] == [stamped.fact for stamped in first.acts]
    assert kept(world) == before


def test_what_was_not_registered_leaves_nothing_and_changes_nobody(registered: World) -> None:
    before, facts = kept(registered), registered.exchange.state_hash()
    stranger = Person(name="示例他人", identity_number="000000190001019999")
    other = msgspec.structs.replace(REGISTER[0], person=stranger)
    for who, code in ((GATEWAY, Code.NOT_AUTHORISED), (OPERATOR, Code.NOT_AUTHORISED)):
        with pytest.raises(Refused) as refused:
            registered.submit([other], who)
        assert refused.value.code == code
    registered.exchange.preview(RegisterParty(code="P-new", kind="person", person=stranger), **BUREAU)
    assert (kept(registered), registered.exchange.state_hash()) == (before, facts)
    assert registered.submit([other], BUREAU).refused[0].code == Code.ALREADY_EXISTS
    wrong = RegisterParty(code="P-firm", kind="company", name="示例公司", person=stranger)
    assert registered.submit([wrong], BUREAU).refused[0].code == Code.WRONG_TYPE
    twice = [RegisterParty(code="P-twice", kind="person", person=one) for one in (stranger, PERSONS["P-102"])]
    assert registered.submit(twice, BUREAU, linked=True).refused
    registered.exchange.submit(REGISTER[0], command_id="one", **BUREAU)
    assert registered.exchange.submit(other, command_id="one", **BUREAU).repeated  # personal data are left out of it
    assert kept(registered) == before
    assert registered.exchange.person("P-101") == PERSONS["P-101"]


def test_a_preview_makes_no_file(world: World) -> None:
    world.exchange.preview(REGISTER, **BUREAU)
    assert not list(world.path.parent.glob("*.persons*"))
    assert not list(world.path.parent.glob("*.key"))


def test_erased_data_are_gone_and_the_ledger_stays_valid(registered: World) -> None:
    before, head = registered.exchange.state_hash(), verified(registered.path)
    path = Path(f"{registered.path}.persons")
    sealed = {row[0]: row[1:] for row in kept(registered)}[commitment(registered, "P-103")]
    assert all(part in path.read_bytes() for part in sealed)
    assert registered.exchange.erase_person("P-103")
    assert not registered.exchange.erase_person("P-103")
    for reopened in range(2):
        assert registered.exchange.person("P-103") is None, reopened
        assert registered.exchange.person("P-104") == PERSONS["P-104"]
        registered.reopen()
    assert not any(part in file.read_bytes() for part in sealed for file in path.parent.iterdir()), "not overwritten"
    assert registered.exchange.state_hash() == before
    assert verified(registered.path) == head
    registered.check()


def test_an_erased_person_does_not_come_back_with_a_repeated_submission(world: World) -> None:
    command = RegisterParty(code="P-1", kind="person", person=PERSONS["P-101"])
    world.exchange.submit(command, command_id="register-1", **BUREAU)
    world.exchange.erase_person("P-1")
    assert world.exchange.submit(command, command_id="register-1", **BUREAU).repeated
    assert world.exchange.person("P-1") is None
    assert kept(world) == []


def test_the_key_is_for_its_owner_alone(world: World) -> None:
    before = os.umask(0)
    try:
        world.bureau(REGISTER[0])
    finally:
        os.umask(before)
    key = Path(f"{world.path}.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    secret = key.read_bytes()
    assert not any(secret in file.read_bytes() for file in world.path.parent.iterdir() if file != key)


def test_a_registration_whose_commit_failed_leaves_no_data_after_reopening(world: World) -> None:
    with database(world.path) as connection:
        connection.execute("CREATE TRIGGER fail AFTER INSERT ON submissions BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(Refused) as failed:
        world.submit(REGISTER, BUREAU)
    assert failed.value.code == Code.COMMIT_FAILED
    with database(world.path) as connection:
        connection.execute("DROP TRIGGER fail")
    world.reopen()
    assert kept(world) == []
    world.bureau(*REGISTER)
    assert {code: world.exchange.person(code) for code in PERSONS} == PERSONS
