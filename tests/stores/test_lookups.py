"""Somebody edits the tables for look-up, which no hash covers: a verification names the first wrong row."""

from collections.abc import Callable

import pytest

import shuiquan
from shuiquan import Code, OpenMarket, Refused, Role
from tests.stores.homes import Around, Files, Home, Place, database
from tests.stores.ledgers import facts_hash, resumed, verified
from tests.world import OPERATOR

Row = tuple[object, ...]
KEYS = "SELECT * FROM submissions ORDER BY first_seq"
BEGINS = "SELECT * FROM begins ORDER BY first_seq"
ONE = " WHERE actor = ? AND command_id = ?"


def drop_key(rows: list[Row], tables: Around) -> Row:
    """A key less: the same command would be done again."""
    tables.execute(f"DELETE FROM submissions{ONE}", rows[4][:2])
    return rows[4]


def drop_the_last_key(rows: list[Row], tables: Around) -> Row:
    tables.execute(f"DELETE FROM submissions{ONE}", rows[-1][:2])
    return rows[-1]


def rename_key(rows: list[Row], tables: Around) -> Row:
    """The key of a command under another id."""
    tables.execute(f"UPDATE submissions SET command_id = ?{ONE}", (rows[3][1] + rows[3][1], *rows[3][:2]))
    return rows[3]


def point_key_elsewhere(rows: list[Row], tables: Around) -> Row:
    """A key that gives the answer of an earlier command."""
    tables.execute(f"UPDATE submissions SET first_seq = ?{ONE}", (rows[1][2], *rows[5][:2]))
    return rows[5]


def add_key_behind(rows: list[Row], tables: Around) -> Row:
    """A key for a command that nobody gave: who gives it is told that it is done."""
    forged = (rows[-1][0], rows[-1][1] + rows[-1][1], *rows[-1][2:])
    tables.execute("INSERT INTO submissions VALUES (?, ?, ?)", forged)
    return forged


def add_key_of_the_future(rows: list[Row], tables: Around) -> Row:
    forged = (rows[-1][0], rows[-1][1] + rows[-1][1], 10**9)
    tables.execute("INSERT INTO submissions VALUES (?, ?, ?)", forged)
    return forged


def point_begin_elsewhere(rows: list[Row], tables: Around) -> Row:
    """Facts that are not found any more by their numbers: who looks for them begins behind them."""
    tables.execute("UPDATE begins SET position = ? WHERE first_seq = ?", (rows[2][1], rows[1][0]))
    return (rows[1][0], rows[2][1])


def rename_begin(rows: list[Row], tables: Around) -> Row:
    """The same, with another number for a position."""
    tables.execute("UPDATE begins SET first_seq = ? WHERE first_seq = ?", (rows[1][0] - 1, rows[1][0]))
    return (rows[1][0] - 1, rows[1][1])


def swap_begins(rows: list[Row], tables: Around) -> Row:
    tables.execute("UPDATE begins SET position = ? WHERE first_seq = ?", (rows[1][1], rows[0][0]))
    tables.execute("UPDATE begins SET position = ? WHERE first_seq = ?", (rows[0][1], rows[1][0]))
    return (rows[0][0], rows[1][1])


def add_begin(forged: Row) -> Callable[[list[Row], Around], Row]:
    """A group that is not there."""

    def change(_: list[Row], tables: Around) -> Row:
        tables.execute("INSERT INTO begins VALUES (?, ?)", forged)
        return forged

    return change


KEY_CHANGES = [
    drop_key, drop_the_last_key, rename_key, point_key_elsewhere, add_key_behind, add_key_of_the_future,
]  # fmt: skip
FORGED = [(-5, 1), (0, 1), (10**6, 10**6), (10**6, 7), (10**6, -1)]
BEGIN_CHANGES = [point_begin_elsewhere, rename_begin, swap_begins, *map(add_begin, FORGED)]


def refusal(place: Place) -> Refused:
    with pytest.raises(Refused) as refused:
        verified(place)
    assert refused.value.code == Code.LOOKUP_DIFFERS
    return refused.value


def text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


@pytest.mark.parametrize("change", KEY_CHANGES)
def test_a_changed_key_is_named(home: Home, change: Callable[[list[Row], Around], Row]) -> None:
    place = home.copied()
    verified(place)
    with database(place) as tables:
        wrong = change(tables.execute(KEYS), tables)
    refused = refusal(place)
    assert refused.field == "submissions"
    # of a key that points elsewhere the place is named where it is missed, or the place where it does not belong
    assert f"{text(wrong[0])} {text(wrong[1])}" in f"{refused.value} {refused.rule}"


@pytest.mark.parametrize("change", BEGIN_CHANGES)
def test_a_changed_beginning_is_named(home: Home, change: Callable[[list[Row], Around], Row]) -> None:
    place = home.copied()
    with database(place) as tables:
        wrong = change(tables.execute(BEGINS), tables)
    refused = refusal(place)
    assert (refused.field, refused.value) == ("begins", f"seq {wrong[0]} at position {wrong[1]}")


def test_beginnings_that_are_gone_hide_nothing(home: Home) -> None:
    place = home.copied()
    before = verified(place)
    with database(place) as tables:
        assert len(tables.execute(BEGINS)) > 3
        tables.execute("DELETE FROM begins")
    assert verified(place) == before


def test_a_writer_that_meets_a_key_that_points_elsewhere_does_nothing_twice(home: Home) -> None:
    place = home.copied()
    with database(place) as tables:
        wrong = point_key_elsewhere(tables.execute(KEYS), tables)
    world = resumed(place)
    before = facts_hash(world.exchange)
    for name in (text(wrong[1]), "another"):
        with pytest.raises(Refused) as refused:
            world.exchange.submit(
                [OpenMarket(instrument="SW-A")], actor=text(wrong[0]), role=Role.OPERATOR, command_id=name
            )
        assert refused.value.code == Code.COMMIT_FAILED
        assert "LOOKUP_DIFFERS" in str(refused.value)
    assert facts_hash(world.exchange) == before
    world.exchange.close()


def test_a_writer_that_goes_on_meanwhile_is_no_damage(home: Home) -> None:
    place = home.copied()
    world = resumed(place)
    count = 0

    def go_on(*_: int) -> None:
        nonlocal count
        count += 1
        if count < 20:
            world.submit([OpenMarket(instrument="SW-A")], OPERATOR)

    before = verified(place)
    found = verified(place, go_on)
    world.exchange.close()
    assert found.facts > before.facts
    assert verified(place) == found


@pytest.mark.parametrize("changed", ["CAST(actor AS BLOB)", "CAST(x'ff' AS TEXT)"])
def test_a_key_that_sqlite_would_not_find_is_named(files: Files, changed: str) -> None:
    path = files.copied()
    with database(path) as tables:
        row = tables.execute(KEYS)[3]
        tables.execute(f"UPDATE submissions SET actor = {changed}{ONE}", row[:2])
    assert refusal(path).field == "submissions"


@pytest.mark.parametrize("changed", ["'x'", "NULL", "x'ff'", "-7"])
def test_a_beginning_that_is_no_position_is_named_and_hides_nothing(files: Files, changed: str) -> None:
    path = files.copied()
    with database(path) as tables:
        seq = tables.execute(BEGINS)[1][0]
        tables.execute(f"UPDATE begins SET position = {changed} WHERE first_seq = ?", (seq,))
    refused = refusal(path)
    assert (refused.field, str(refused.value).partition(" at ")[0]) == ("begins", f"seq {seq}")
    with shuiquan.open(path, readonly=True) as reader:
        assert reader.fact(int(str(seq))).seq == seq
