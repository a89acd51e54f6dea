"""Somebody edits the tables for look-up, which no hash covers: a verification names the first wrong row."""

from collections.abc import Callable

import pytest

from shuiquan import Code, OpenMarket, Refused
from tests.stores.homes import Around, Files, Home, Place, database
from tests.stores.ledgers import resumed, verified
from tests.world import OPERATOR

Row = tuple[object, ...]
KEYS = "SELECT * FROM submissions ORDER BY first_seq"
SPANS = "SELECT * FROM spans ORDER BY position"
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


def change_content(rows: list[Row], tables: Around) -> Row:
    """Another hash: the first sender is refused, somebody else gets his answer."""
    tables.execute(f"UPDATE submissions SET content = ?{ONE}", (bytes(32), *rows[2][:2]))
    return rows[2]


def point_key_elsewhere(rows: list[Row], tables: Around) -> Row:
    """A key that gives the answer of an earlier command."""
    tables.execute(f"UPDATE submissions SET first_seq = ?, last_seq = ?{ONE}", (*rows[1][3:], *rows[5][:2]))
    return rows[5]


def add_key_behind(rows: list[Row], tables: Around) -> Row:
    """A key for a command that nobody gave: who gives it is told that it is done."""
    forged = (rows[-1][0], rows[-1][1] + rows[-1][1], *rows[-1][2:])
    tables.execute("INSERT INTO submissions VALUES (?, ?, ?, ?, ?)", forged)
    return forged


def add_key_of_the_future(rows: list[Row], tables: Around) -> Row:
    forged = (rows[-1][0], rows[-1][1] + rows[-1][1], bytes(32), 10**9, 10**9)
    tables.execute("INSERT INTO submissions VALUES (?, ?, ?, ?, ?)", forged)
    return forged


def drop_span(rows: list[Row], tables: Around) -> Row:
    tables.execute("DELETE FROM spans WHERE position = ?", rows[6][:1])
    return rows[6]


def point_span_elsewhere(rows: list[Row], tables: Around) -> Row:
    """A record that is not found any more by the numbers of its facts."""
    tables.execute("UPDATE spans SET last_seq = ? WHERE position = ?", (rows[2][2], rows[7][0]))
    return rows[7]


def add_span(rows: list[Row], tables: Around) -> Row:
    """The span of a record that is not there."""
    forged = (len(rows) + 7, 1, 2)
    tables.execute("INSERT INTO spans VALUES (?, ?, ?)", forged)
    return forged


def add_span_before(_: list[Row], tables: Around) -> Row:
    tables.execute("INSERT INTO spans VALUES (?, ?, ?)", (-5, 1, 2))
    return (-5, 1, 2)


KEY_CHANGES = [
    drop_key, drop_the_last_key, rename_key, change_content, point_key_elsewhere, add_key_behind, add_key_of_the_future,
]  # fmt: skip
SPAN_CHANGES = [drop_span, point_span_elsewhere, add_span, add_span_before]


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


@pytest.mark.parametrize("change", SPAN_CHANGES)
def test_a_changed_span_is_named(home: Home, change: Callable[[list[Row], Around], Row]) -> None:
    place = home.copied()
    with database(place) as tables:
        wrong = change(tables.execute(SPANS), tables)
    refused = refusal(place)
    assert refused.field == "spans"
    assert str(refused.value).startswith(f"position {wrong[0]},")


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
