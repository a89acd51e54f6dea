"""Receipts: an order that was left out or put behind another is proved by what its ledger signed."""

from pathlib import Path

import pytest

from adapters.audit.sink import FolderSink
from ledger.audit.notes import SigningKey, sign
from ledger.audit.receipts import Receipt, open_receipt
from ledger.codes import Code, Refused
from shuiquan import DepositMoney, Role
from shuiquan.__main__ import open_notary
from tests.audit.sealed import Sealed, code_of, seal
from tests.stores.ledgers import resumed
from tests.world import World

KEY = SigningKey("shuiquan/test", bytes(range(32)))
WHO = {"actor": "platform", "role": Role.OPERATOR}


def deposit(world: World, name: str, amount_fen: int = 100) -> None:
    """One deposit under a command id of its own."""
    world.exchange.submit(DepositMoney(party="P-A", amount_fen=amount_fen, reference=name), command_id=name, **WHO)


@pytest.fixture
def promised(sealed: Sealed, tmp_path: Path) -> Path:
    """The receipt for a deposit, from a copy of the ledger that recorded it and was sealed afterwards."""
    honest = sealed.copied(tmp_path / "honest")
    world = resumed(honest.ledger)
    deposit(world, "mine")
    path = tmp_path / "receipt.txt"
    path.write_text(world.exchange.receipt("platform", "mine"), "utf-8")
    seal(world, honest.folder)
    world.exchange.close()
    assert honest.verify(path).receipts == 1
    return path


def refused(sealed: Sealed, *names: str, amount_fen: int = 100, receipt: Path) -> tuple[Code, str]:
    """What is found when a ledger recorded these deposits instead, and was sealed."""
    world = resumed(sealed.ledger)
    for name in names:
        deposit(world, name, amount_fen)
    seal(world, sealed.folder)
    world.exchange.close()
    assert sealed.verify().checkpoints == 5, "all is well but for the receipt"
    with pytest.raises(Refused) as caught:
        sealed.verify(receipt)
    return code_of(caught), caught.value.field


def test_an_omitted_submission_is_proved(sealed: Sealed, promised: Path) -> None:
    assert refused(sealed, "other", receipt=promised) == (Code.RECEIPT_OMITTED, "receipt")


def test_a_delayed_submission_is_proved(sealed: Sealed, promised: Path) -> None:
    assert refused(sealed, "other", "mine", receipt=promised) == (Code.RECEIPT_DIFFERS, "first_seq")


def test_a_changed_submission_is_proved(sealed: Sealed, promised: Path) -> None:
    assert refused(sealed, "mine", amount_fen=99, receipt=promised) == (Code.RECEIPT_DIFFERS, "content")


def test_a_receipt_names_what_was_recorded(untouched: Sealed) -> None:
    world = resumed(untouched.ledger, readonly=True)
    answer = world.exchange.answer("platform", "s0") or world.exchange.answer("gateway", "s0")
    assert answer
    actor = "platform" if world.exchange.answer("platform", "s0") else "gateway"
    receipt = open_receipt(world.exchange.receipt(actor, "s0"), untouched.key)
    assert receipt[:3] == ("shuiquan/test", actor, "s0")
    assert receipt[4:] == (answer.first_seq, answer.last_seq, answer.at_ns)
    world.exchange.close()


def test_there_is_no_receipt_for_what_is_not_recorded(untouched: Sealed) -> None:
    with open_notary(untouched.ledger) as notary:
        for actor, command_id in (("platform", "nothing"), ("nobody", "s0"), ("", "")):
            with pytest.raises(Refused) as caught:
                notary.receipt(actor, command_id)
            assert code_of(caught) == Code.NOT_RECORDED


def test_a_receipt_by_an_earlier_key_is_verified_with_the_sink(sealed: Sealed, tmp_path: Path) -> None:
    world = resumed(sealed.ledger)
    deposit(world, "mine")
    files = [tmp_path / "one.txt", tmp_path / "two.txt"]
    files[0].write_text(world.exchange.receipt("platform", "mine"), "utf-8")
    world.exchange.close()
    with open_notary(sealed.ledger) as notary:
        notary.change_key(FolderSink(sealed.sink), 1)
        files[1].write_text(notary.receipt("platform", "mine"), "utf-8")
    assert files[0].read_text("utf-8") != files[1].read_text("utf-8")
    assert sealed.verify(*files).receipts == 2


def test_a_receipt_that_cannot_be_read_is_refused(untouched: Sealed, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    for name in ("missing", "binary", "."):
        with pytest.raises(Refused) as caught:
            untouched.verify(tmp_path / name)
        assert code_of(caught) == Code.FILE_UNREADABLE


RECEIPT = Receipt(KEY.name, "平台 一", "id with spaces", bytes(32), 5, 9, 7)


def test_a_receipt_is_read_as_it_was_written() -> None:
    assert open_receipt(sign(RECEIPT.text, KEY), KEY.verifier) == RECEIPT


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("receipt ", ""), ("shuiquan/test", "shuiquan/other"), ("facts 5 9", "facts 5"), ("facts 5", "facts 0"),
        ("facts 5", "facts -5"), ("content 00", "content "), ("at_ns 7\n", ""), ("at_ns 7\n", "at_ns 7\nmore 1\n"),
        ("at_ns 7", "at_ns 99999999999999999999"), ("actor ", "actor"),
    ],
)  # fmt: skip
def test_a_signed_text_of_another_form_is_no_receipt(old: str, new: str) -> None:
    assert old in RECEIPT.text
    with pytest.raises(Refused) as caught:
        open_receipt(sign(RECEIPT.text.replace(old, new), KEY), KEY.verifier)
    assert code_of(caught) == Code.NOTE_MALFORMED


def test_a_checkpoint_is_no_receipt_and_a_forged_receipt_none_either(untouched: Sealed, notes: list[str]) -> None:
    for note, code in (
        (notes[0], Code.NOTE_MALFORMED),
        (sign(RECEIPT.text, KEY), Code.SIGNATURE_INVALID),
        ("", Code.SIGNATURE_INVALID),
    ):
        with pytest.raises(Refused) as caught:
            open_receipt(note, untouched.key)
        assert code_of(caught) == code
