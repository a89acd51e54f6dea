"""Checkpoints that follow each other, keys that change, and the witness who remembers."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import pytest

import shuiquan
from adapters.audit.keys import Keys
from adapters.audit.sink import FolderSink
from ledger.audit.checkpoints import Checkpoint, check_continues, follow, open_checkpoint, origin, parse_sealed
from ledger.audit.checkpoints import Sealed as File
from ledger.audit.merkle import Tree
from ledger.audit.notes import SigningKey, sign
from ledger.audit.witness import newcomer, parse_kept, witnessed
from ledger.codes import Code, Refused
from shuiquan import DepositMoney
from shuiquan.__main__ import open_notary
from tests.audit.sealed import Sealed, code_of, seal
from tests.audit.test_merkle import mth
from tests.stores.ledgers import resumed

KEY = SigningKey("shuiquan/test", bytes(range(32)))


def test_a_checkpoint_seals_the_state_of_its_position(untouched: Sealed) -> None:
    last = untouched.checkpoints[-1]
    with shuiquan.open(untouched.ledger, readonly=True) as exchange:
        assert (last.position, last.state_hash) == (exchange.position, exchange.state_hash())
        assert last.at_ns == exchange.state.at_ns
        assert last.size == exchange.state.next_seq - 1


def test_every_root_is_that_of_the_format(untouched: Sealed) -> None:
    key = bytes.fromhex(Path(f"{untouched.ledger}.salt").read_text("utf-8"))
    with shuiquan.open(untouched.ledger, readonly=True) as exchange:
        packed = list(exchange.canonical_facts())
    leaves = [
        hashlib.sha256(b"\0" + hmac.new(key, seq.to_bytes(8, "little"), "sha256").digest() + fact).digest()
        for seq, fact in enumerate(packed, start=1)
    ]
    assert [one.root for one in untouched.checkpoints] == [mth(leaves[: one.size]) for one in untouched.checkpoints]


def test_nothing_new_makes_no_new_checkpoint(sealed: Sealed) -> None:
    before = sorted(sealed.sink.iterdir())
    with open_notary(sealed.ledger) as notary:
        assert notary.checkpoint(FolderSink(sealed.sink), 1) in before[-1].read_text("utf-8")
    assert sorted(sealed.sink.iterdir()) == before


def test_a_reader_seals_beside_a_writer(sealed: Sealed) -> None:
    world = resumed(sealed.ledger)
    world.operator(DepositMoney(party="P-A", amount_fen=100, reference="one"))
    with shuiquan.open(sealed.ledger, readonly=True) as reader:
        position = world.exchange.position
        world.operator(DepositMoney(party="P-A", amount_fen=100, reference="two"))
        assert f"\nchain {position} " in reader.checkpoint(FolderSink(sealed.sink))
    assert seal(world, sealed.folder)
    world.exchange.close()
    assert sealed.verify().checkpoints == 6


def test_secrets_are_for_their_owner_alone(untouched: Sealed) -> None:
    for suffix in (".salt", ".signing", ".tree"):
        assert Path(f"{untouched.ledger}{suffix}").stat().st_mode & 0o077 == 0


def test_old_checkpoints_are_verified_after_keys_changed(sealed: Sealed) -> None:
    sink = FolderSink(sealed.sink)
    keys = [sealed.key]
    for number in range(2):
        with open_notary(sealed.ledger) as notary:
            introduced = notary.change_key(sink, 10 + number)
            keys.append(notary.verifier)
        for key in keys[-2:]:
            assert open_checkpoint(introduced, key).next_key == keys[-1]
        with pytest.raises(Refused):
            open_checkpoint(introduced, KEY.verifier)
    world = resumed(sealed.ledger)
    world.operator(DepositMoney(party="P-A", amount_fen=100, reference="later"))
    note = seal(world, sealed.folder)
    world.exchange.close()
    assert len(set(keys)) == 3
    assert [one.next_key for one in sealed.checkpoints if one.next_key] == keys[1:]
    assert sealed.verify().checkpoints == 7
    assert open_checkpoint(note, keys[2]).size == sealed.checkpoints[-1].size
    for old in keys[:2]:
        with pytest.raises(Refused) as caught:
            open_checkpoint(note, old)
        assert code_of(caught) == Code.SIGNATURE_INVALID
    with pytest.raises(Refused) as caught:
        list(follow(sink.files(), keys[2]))
    assert code_of(caught) == Code.SIGNATURE_INVALID


def test_a_change_of_key_that_was_cut_short_goes_on(sealed: Sealed) -> None:
    signing, following = Path(f"{sealed.ledger}.signing"), Path(f"{sealed.ledger}.signing-next")
    old = signing.read_bytes()
    with open_notary(sealed.ledger) as notary:
        notary.change_key(FolderSink(sealed.sink), 1)
    following.write_bytes(signing.read_bytes())
    signing.write_bytes(old)  # killed between the checkpoint and the change of files
    world = resumed(sealed.ledger)
    world.operator(DepositMoney(party="P-A", amount_fen=100, reference="later"))
    seal(world, sealed.folder)
    world.exchange.close()
    assert not following.exists()
    assert sealed.verify().checkpoints == 6


def test_a_key_that_the_last_checkpoint_does_not_know_seals_nothing(sealed: Sealed) -> None:
    Path(f"{sealed.ledger}.signing").write_text(KEY.text + "\n", "utf-8")
    before = sorted(sealed.sink.iterdir())
    with open_notary(sealed.ledger) as notary, pytest.raises(Refused) as caught:
        notary.checkpoint(FolderSink(sealed.sink), 1)
    assert code_of(caught) == Code.SIGNATURE_INVALID
    assert sorted(sealed.sink.iterdir()) == before


def test_a_secret_file_that_is_damaged_is_refused_and_not_replaced(sealed: Sealed) -> None:
    path = Path(f"{sealed.ledger}.signing")
    path.write_bytes(b"\xff\xfe")
    with open_notary(sealed.ledger) as notary, pytest.raises(Refused) as caught:
        notary.verifier  # noqa: B018 - asking for it reads the file
    assert code_of(caught) == Code.KEY_INVALID
    assert path.read_bytes() == b"\xff\xfe"
    assert Keys(sealed.ledger).known_salt


def test_a_sink_takes_each_number_once(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "sink")
    sink.append(1, "one")
    with pytest.raises(Refused) as caught:
        sink.append(1, "another")
    assert code_of(caught) == Code.SINK_FAILED
    sink.append(3, "three")
    with pytest.raises(Refused) as caught:
        list(sink.files())
    assert code_of(caught) == Code.SINK_FAILED
    assert [path.read_text("utf-8") for path in sorted((tmp_path / "sink").iterdir())] == ["one", "three"]
    (tmp_path / "file").touch()
    with pytest.raises(Refused) as caught:
        FolderSink(tmp_path / "file").append(1, "one")
    assert code_of(caught) == Code.SINK_FAILED


def checkpoint(size: int, root: bytes = bytes(32), **fields: object) -> Checkpoint:
    """A checkpoint of our own making."""
    made = Checkpoint(KEY.name, size, root, 3, bytes(32), bytes(32), 7)
    return made._replace(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "made",
    [checkpoint(1), checkpoint(10**17, state_hash="ab" * 32), checkpoint(5, next_key=KEY.verifier)],
    ids=["least", "state", "key"],
)
def test_a_checkpoint_is_read_as_it_was_written(made: Checkpoint) -> None:
    assert open_checkpoint(sign(made.text, KEY), KEY.verifier) == made


ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("shuiquan/test\n", "shuiquan/tset\n"),
        ("\n5\n", "\n05\n"),
        ("\n5\n", "\n0\n"),
        ("\n5\n", "\n-5\n"),
        ("\n5\n", "\n5 \n"),
        ("\n5\n", "\n٥\n"),
        ("\n5\n", f"\n{10**19}\n"),
        (ROOT, ROOT[:-4]),
        (ROOT, ROOT.replace("=", "")),
        (ROOT, ROOT[:-2] + "B="),
        ("chain 3 ", "chain three "),
        ("chain 3 ", "chains 3 "),
        ("at_ns 7\n", ""),
        ("at_ns 7\n", "at_ns 7\nat_ns 8\n"),
        ("at_ns 7\n", "at_ns 7.0\n"),
        ("at_ns 7\n", "at_ns 7\nnext-key nobody\n"),
        ("at_ns 7\n", f"at_ns 7\nnext-key {SigningKey('shuiquan/test', bytes(32)).verifier}\n"),
        ("at_ns 7\n", "at_ns 7\nstate 00\n"),
    ],
)
def test_a_signed_text_of_another_form_is_refused(old: str, new: str) -> None:
    text = checkpoint(5).text
    assert old in text
    with pytest.raises(Refused) as caught:
        open_checkpoint(sign(text.replace(old, new, 1), KEY), KEY.verifier)
    assert code_of(caught) in {Code.NOTE_MALFORMED, Code.KEY_INVALID, Code.SIGNATURE_INVALID}


def test_lines_of_a_later_version_are_passed_over() -> None:
    text = checkpoint(5).text + "witnessed-by somebody\n"
    assert open_checkpoint(sign(text, KEY), KEY.verifier) == checkpoint(5)


def drop_a_hash(file: File) -> File:
    return file._replace(path=file.path[1:])


def start_elsewhere(file: File) -> File:
    return file._replace(old=file.old + 1)


def drop_a_mark(file: File) -> File:
    return file._replace(marks=file.marks[:-1])


def change_a_mark(file: File) -> File:
    return file._replace(marks=[bytes(32), *file.marks[1:]])


def shift_the_marks(file: File) -> File:
    return file._replace(first_position=file.first_position + 1)


@pytest.mark.parametrize("change", [drop_a_hash, start_elsewhere, drop_a_mark, change_a_mark, shift_the_marks])
def test_a_file_whose_proof_was_changed_is_refused(
    untouched: Sealed, notes: list[str], change: Callable[[File], File]
) -> None:
    changed = change(parse_sealed(notes[2])).text
    with pytest.raises(Refused) as caught:
        list(follow([*notes[:2], changed], untouched.key))
    assert code_of(caught) == Code.NOT_CONSISTENT
    kept, _ = witnessed(notes[:2], newcomer(untouched.key))
    with pytest.raises(Refused) as caught:
        witnessed([*notes[:2], changed], kept)
    assert code_of(caught) == Code.NOT_CONSISTENT


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("old ", "", 1), lambda text: text.partition("\n\n")[2], lambda text: text + "\n\n",
        lambda text: text.replace("records ", "records -", 1), lambda text: text.replace("=\n", "\n", 1),
        lambda text: text[: len(text) // 2], lambda _: "", lambda text: text.replace("\n", "\r\n"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused(untouched: Sealed, notes: list[str], change: Callable[[str], str]) -> None:
    with pytest.raises(Refused) as caught:
        list(follow([notes[0], change(notes[1])], untouched.key))
    assert code_of(caught) in {Code.NOTE_MALFORMED, Code.SIGNATURE_INVALID}


# the witness


def test_a_witness_goes_on_from_what_he_kept(untouched: Sealed, notes: list[str]) -> None:
    kept, count = witnessed(notes[:2], newcomer(untouched.key))
    assert (count, kept.checkpoint) == (2, untouched.checkpoints[1])
    kept, count = witnessed(notes, parse_kept(kept.text))
    assert (count, kept.checkpoint) == (2, untouched.checkpoints[3])
    assert witnessed(notes, kept) == (kept, 0)


def test_a_witness_follows_a_change_of_key(sealed: Sealed) -> None:
    kept = sealed.witnessed()
    with open_notary(sealed.ledger) as notary:
        notary.change_key(FolderSink(sealed.sink), 1)
    kept = parse_kept(sealed.witnessed(kept).text)
    assert kept.key != kept.signed_by == sealed.key
    world = resumed(sealed.ledger)
    world.operator(DepositMoney(party="P-A", amount_fen=100, reference="later"))
    seal(world, sealed.folder)
    world.exchange.close()
    assert parse_kept(sealed.witnessed(kept).text).signed_by == kept.key


def test_two_copies_of_a_ledger_that_part_are_a_fork(sealed: Sealed, tmp_path: Path) -> None:
    twin = sealed.copied(tmp_path / "twin")
    for one, amount_fen in ((sealed, 100), (twin, 200)):
        world = resumed(one.ledger)
        world.operator(DepositMoney(party="P-A", amount_fen=amount_fen, reference="later"))
        seal(world, one.folder)
        world.exchange.close()
        assert one.verify().checkpoints == 5
    with pytest.raises(Refused) as caught:
        twin.witnessed(sealed.witnessed())
    assert code_of(caught) == Code.CHECKPOINT_FORKED


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        (lambda notes: notes[:3], Code.JOURNAL_SHORTER),
        (lambda _: [], Code.JOURNAL_SHORTER),
        (lambda _: ["nothing"], Code.NOT_CONSISTENT),
        (lambda notes: [*notes, notes[3]], Code.NOT_CONSISTENT),
        (lambda notes: [*notes, notes[0]], Code.JOURNAL_SHORTER),
        (lambda notes: [*notes, "nothing"], Code.NOTE_MALFORMED),
    ],
    ids=["last missing", "empty", "no file", "twice", "older again", "no checkpoint"],
)
def test_a_witness_refuses_another_sink(
    untouched: Sealed, notes: list[str], shown: Callable[[list[str]], list[str]], code: Code
) -> None:
    with pytest.raises(Refused) as caught:
        witnessed(shown(notes), untouched.witnessed())
    assert code_of(caught) == code


def test_a_first_witness_needs_the_right_key(notes: list[str]) -> None:
    for key, code in (("", Code.KEY_INVALID), (KEY.verifier, Code.SIGNATURE_INVALID)):
        with pytest.raises(Refused) as caught:
            witnessed(notes, newcomer(key))
        assert code_of(caught) == code


@pytest.mark.parametrize(
    "change", [lambda it: it[1:], lambda it: it.replace("\n\n", "\n", 1), lambda _: "", lambda it: it[:-9]]
)
def test_what_a_witness_kept_is_not_read_when_damaged(untouched: Sealed, change: Callable[[str], str]) -> None:
    with pytest.raises(Refused) as caught:
        parse_kept(change(untouched.witnessed().text))
    assert code_of(caught) in {Code.NOTE_MALFORMED, Code.KEY_INVALID, Code.SIGNATURE_INVALID}


def test_a_fork_of_one_size_is_named_as_one() -> None:
    tree = Tree()
    last, other = checkpoint(5, tree.root()), checkpoint(5)
    with pytest.raises(Refused) as caught:
        check_continues(last, other, File(5, [], 4, [], ""))
    assert code_of(caught) == Code.CHECKPOINT_FORKED
    assert origin("test") == KEY.name
