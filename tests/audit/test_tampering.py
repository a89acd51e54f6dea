"""Somebody changes the database of a ledger: each change is found, and the first bad position named."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

import shuiquan
from adapters.audit.sink import FolderSink
from ledger.audit.checkpoints import Checkpoint
from ledger.codes import Code, Refused
from shuiquan import DepositMoney
from shuiquan.__main__ import open_notary
from tests.audit.sealed import Sealed, code_of, seal
from tests.stores.ledgers import Row, parted, rechained, resumed, rewritten, store, stored

DEPOSIT = "money.deposited/1"


def found(sealed: Sealed) -> tuple[Code, str, object]:
    """Reason, field and value of the refusal."""
    with pytest.raises(Refused) as caught:
        sealed.verify()
    return code_of(caught), caught.value.field, caught.value.value


def at(rows: list[Row], topic: str) -> int:
    """Index of the last record of a topic."""
    return max(index for index, row in enumerate(rows) if row[1] == topic)


def more_money(row: Row) -> Row:
    """A deposit of one fen more."""
    _, body = parted(row[2])
    party, amount_fen, reference = msgspec.msgpack.decode(body)
    return rewritten(row, msgspec.msgpack.encode((party, amount_fen + 1, reference)))


def test_what_nobody_changed_is_verified(sealed: Sealed) -> None:
    verified = sealed.verify()
    last = sealed.checkpoints[-1]
    assert (verified.checkpoints, verified.facts, verified.records) == (4, last.size, last.position)
    assert (verified.root, verified.head, verified.state_hash) == (last.root.hex(), last.head.hex(), last.state_hash)
    for suffix in (".tree", ".views", ".lock"):
        Path(f"{sealed.ledger}{suffix}").unlink()  # nothing of this is needed
    assert sealed.verify() == verified


def test_any_flipped_bit_is_found_at_its_own_position(sealed: Sealed) -> None:
    rows = stored(sealed.ledger)
    rng = np.random.Generator(np.random.PCG64(2))
    for position in [1, len(rows), *rng.integers(1, len(rows), 12).tolist()]:
        changed = bytearray(rows[position - 1][2])
        changed[int(rng.integers(0, len(changed)))] ^= 1 << int(rng.integers(0, 8))
        store(sealed.ledger, [*rows[: position - 1], (*rows[position - 1][:2], bytes(changed)), *rows[position:]])
        code, *place = found(sealed)
        assert place == ["position", position]
        assert code in {Code.CHECKPOINT_DIFFERS, Code.RECORD_DAMAGED}


def swap(rows: list[Row]) -> tuple[list[Row], int]:
    """Two deposits in each other's place."""
    one, two = [index for index, row in enumerate(rows) if row[1] == DEPOSIT][:2]
    swapped = rows.copy()
    for here, there in ((one, two), (two, one)):
        swapped[here] = rewritten(rows[here], parted(rows[there][2])[1])
    return swapped, one + 1


def rewrite(rows: list[Row]) -> tuple[list[Row], int]:
    """One fen more in a deposit."""
    place = at(rows, DEPOSIT)
    return [*rows[:place], more_money(rows[place]), *rows[place + 1 :]], place + 1


def leave_out(rows: list[Row]) -> tuple[list[Row], int]:
    """A deposit less, and what follows numbered anew as far as its headers say."""
    place = at(rows, DEPOSIT)
    return rows[:place] + rows[place + 1 :], place + 1


def repeat(rows: list[Row]) -> tuple[list[Row], int]:
    """A deposit twice."""
    place = at(rows, DEPOSIT)
    return [*rows[: place + 1], *rows[place:]], place + 2


def backdate(rows: list[Row]) -> tuple[list[Row], int]:
    """A deposit an hour earlier."""
    place = at(rows, DEPOSIT)
    at_ns = parted(rows[place][2])[0].at_ns - 3_600 * 10**9
    return [*rows[:place], rewritten(rows[place], at_ns=at_ns), *rows[place + 1 :]], place + 1


def reword_the_last(rows: list[Row]) -> tuple[list[Row], int]:
    """Another policy version in the last header, which no later record vouches for."""
    return [*rows[:-1], rewritten(rows[-1], policy=9)], len(rows)


CHANGES = [swap, rewrite, leave_out, repeat, backdate, reword_the_last]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("redone", [False, True], ids=["alone", "rechained"])
def test_a_change_is_found_even_if_every_hash_is_computed_anew(
    sealed: Sealed, change: Callable[[list[Row]], tuple[list[Row], int]], redone: bool
) -> None:
    rows, position = change(stored(sealed.ledger))
    store(sealed.ledger, rechained(rows) if redone else [(n, *row[1:]) for n, row in enumerate(rows, start=1)])
    assert found(sealed) == (Code.CHECKPOINT_DIFFERS, "position", position)


@pytest.mark.parametrize("index", range(3))
def test_a_shortened_journal_is_found_at_its_end(sealed: Sealed, index: int) -> None:
    last = sealed.checkpoints[index]
    sealed.truncate(last.position, last.size)
    assert found(sealed) == (Code.JOURNAL_SHORTER, "position", last.position + 1)


def test_one_checkpoint_is_enough_to_find_that_something_changed(sealed: Sealed) -> None:
    files = sorted(sealed.sink.iterdir())
    rows, position = rewrite(stored(sealed.ledger))
    store(sealed.ledger, rechained(rows))
    before, behind = (
        [one for one in sealed.checkpoints if (one.position < position) == earlier] for earlier in (True, False)
    )
    for path, one in zip(files, sealed.checkpoints, strict=True):
        if one in before:
            assert sealed.verify(checkpoints=(path,), sink=False).checkpoints == 1
            continue
        with pytest.raises(Refused) as caught:
            sealed.verify(checkpoints=(path,), sink=False)
        assert (code_of(caught), caught.value.value) == (Code.CHECKPOINT_DIFFERS, one.position)
    with pytest.raises(Refused) as caught:
        sealed.verify(checkpoints=tuple(files), sink=False)
    assert caught.value.value == behind[0].position


def test_the_same_facts_in_other_records_are_not_what_was_sealed(sealed: Sealed) -> None:
    rows = stored(sealed.ledger)
    place = max(index for index, row in enumerate(rows) if row[1] == "order/1" and parted(row[2])[0].count > 1)
    header, body = parted(rows[place][2])
    count, column = header.count, [int(kind[2:]) for _, kind in header.columns]
    one, two, offset = b"", b"", 0
    for width in column:
        one += body[offset : offset + width]
        two += body[offset + width : offset + width * count]
        offset += width * count
    seqs = np.frombuffer(body, "<i8", count)
    halves = [
        rewritten(rows[place], one, count=1, last_seq=int(seqs[0])),
        rewritten(rows[place], two, count=count - 1, first_seq=int(seqs[1])),
    ]
    rest = [*rows[:place], halves[0], *rows[place + 1 :]]
    later = next(
        (n for n, row in enumerate(rest) if n > place and parted(row[2])[0].first_seq > int(seqs[1])), len(rest)
    )
    store(sealed.ledger, rechained([*rest[:later], halves[1], *rest[later:]]))
    assert found(sealed) == (Code.CHECKPOINT_DIFFERS, "position", place + 1)


def test_who_changes_the_sink_as_well_and_signs_anew_is_found_by_the_witness(sealed: Sealed) -> None:
    kept = sealed.witnessed()
    rows, _ = rewrite(stored(sealed.ledger))
    store(sealed.ledger, rechained(rows))
    with pytest.raises(Refused) as caught:
        seal_again(sealed)
    assert code_of(caught) == Code.CHECKPOINT_DIFFERS, "a ledger does not sign over another history"
    shutil.rmtree(sealed.sink)
    seal_again(sealed)
    assert sealed.verify().checkpoints == 1, "everything fits together again"
    with pytest.raises(Refused) as caught:
        sealed.witnessed(kept)
    assert (code_of(caught), caught.value.value) == (Code.CHECKPOINT_FORKED, kept.checkpoint.size)


def test_who_shortens_the_journal_and_the_sink_is_found_by_the_witness(sealed: Sealed) -> None:
    kept, last = sealed.witnessed(), sealed.checkpoints[1]
    for name in ("00000003.checkpoint", "00000004.checkpoint"):
        (sealed.sink / name).unlink()
    sealed.truncate(last.position, last.size)
    assert sealed.verify().facts == last.size
    with pytest.raises(Refused) as caught:
        sealed.witnessed(kept)
    assert (code_of(caught), caught.value.value) == (Code.JOURNAL_SHORTER, last.size)


def test_who_goes_on_from_an_earlier_point_is_found_by_the_witness(sealed: Sealed) -> None:
    kept, last = sealed.witnessed(), sealed.checkpoints[2]
    (sealed.sink / "00000004.checkpoint").unlink()
    sealed.truncate(last.position, last.size)
    world = resumed(sealed.ledger)
    for number in range(400):
        world.operator(DepositMoney(party="P-A", amount_fen=100, reference=f"other-{number}"))
    seal(world, sealed.folder)
    world.exchange.close()
    assert sealed.verify().facts > kept.checkpoint.size
    with pytest.raises(Refused) as caught:
        sealed.witnessed(kept)
    assert code_of(caught) == Code.NOT_CONSISTENT


def test_a_shorter_journal_is_not_sealed(sealed: Sealed) -> None:
    last = sealed.checkpoints[0]
    sealed.truncate(last.position, last.size)
    with pytest.raises(Refused) as caught:
        seal_again(sealed)
    assert code_of(caught) == Code.JOURNAL_SHORTER


def test_another_salt_key_is_not_taken_for_the_old_one(sealed: Sealed) -> None:
    salt = Path(f"{sealed.ledger}.salt")
    salt.write_text("00" * 32 + "\n", "utf-8")
    assert found(sealed)[0] == Code.CHECKPOINT_DIFFERS
    with pytest.raises(Refused) as caught:
        seal_again(sealed)
    assert code_of(caught) == Code.CHECKPOINT_DIFFERS
    salt.unlink()
    assert found(sealed)[0] == Code.KEY_INVALID
    salt.write_text("not a key", "utf-8")
    assert found(sealed)[0] == Code.KEY_INVALID


def seal_again(sealed: Sealed) -> str:
    """Make a checkpoint of a ledger as it is on disk."""
    with open_notary(sealed.ledger) as notary:
        return notary.checkpoint(FolderSink(sealed.sink), 1)


def cut(content: bytes) -> bytes:
    return content[:-40]


def empty(_: bytes) -> bytes:
    return b""


def forge(content: bytes) -> bytes:
    """Another hash of a block, with a check sum that needs no key."""
    changed = content[:80] + bytes(32) + content[112:-32]
    return changed + hashlib.sha256(changed).digest()


@pytest.mark.parametrize("damage", [cut, empty, forge])
def test_a_tree_that_is_damaged_or_lags_is_made_anew(sealed: Sealed, damage: Callable[[bytes], bytes]) -> None:
    path = Path(f"{sealed.ledger}.tree")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    world = resumed(sealed.ledger)
    world.operator(DepositMoney(party="P-A", amount_fen=100, reference="later"))
    seal(world, sealed.folder)
    world.exchange.close()
    assert sealed.verify().checkpoints == 5
    assert len(path.read_bytes()) > len(whole) - 32 * 1024
    path.write_bytes(whole)  # it lags by the last deposit
    assert seal_again(sealed) in (sealed.sink / "00000005.checkpoint").read_text("utf-8")


def test_a_tree_of_a_journal_that_was_put_back_is_made_anew(sealed: Sealed) -> None:
    last: Checkpoint = sealed.checkpoints[1]
    for name in ("00000003.checkpoint", "00000004.checkpoint"):
        (sealed.sink / name).unlink()
    sealed.truncate(last.position, last.size)
    world = resumed(sealed.ledger)
    for number in range(500):
        world.operator(DepositMoney(party="P-A", amount_fen=100, reference=f"other-{number}"))
    seal(world, sealed.folder)
    world.exchange.close()
    assert sealed.verify().checkpoints == 3


def test_a_ledger_without_a_salt_key_is_verified_without_a_root(sealed: Sealed) -> None:
    Path(f"{sealed.ledger}.salt").unlink()
    assert sealed.verify(sink=False).root == ""
    assert not Path(f"{sealed.ledger}.salt").exists(), "looking makes no key"


def test_a_sealed_ledger_is_removed_with_its_keys(sealed: Sealed) -> None:
    shuiquan.opening.remove_ledger(sealed.ledger)
    assert sorted(path.name for path in sealed.folder.iterdir()) == ["ledger.db.lock", "sink"]
