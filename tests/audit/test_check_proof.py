"""Proofs of single facts, and the module that checks them alone."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import shuiquan
from adapters.audit.notary import Notary
from ledger.audit import check_proof
from ledger.audit.check_proof import COLUMNS, FIELDS, InvalidProof, check, decode_fact, read_proof
from ledger.codes import Code, Refused
from ledger.facts import TOPICS, Fact
from ledger.rows import PAGE_DTYPES, SUBMISSION_FIELDS, SUBMISSION_TEXTS, SUBMISSIONS, TRADES
from shuiquan.__main__ import open_notary
from tests.audit.sealed import Sealed

MODULE = Path(check_proof.__file__)


def as_json(value: object) -> Any:
    """A value as a proof's file gives it back."""
    return json.loads(json.dumps(value))


@contextmanager
def notary_of(sealed: Sealed) -> Iterator[Notary]:
    """A notary on a sealed ledger."""
    with open_notary(sealed.ledger) as notary:
        yield notary


@pytest.fixture(scope="module")
def proof(untouched: Sealed, notes: list[str]) -> Any:
    """The proof of a fact in the middle of things, under the third checkpoint."""
    with notary_of(untouched) as notary:
        return as_json(notary.prove(777, notes[2]))


def test_every_fact_is_decoded_as_the_program_reads_it(untouched: Sealed) -> None:
    with shuiquan.open(untouched.ledger, readonly=True) as exchange:
        told, packed = list(exchange.facts()), list(exchange.canonical_facts())
    assert len({one.topic for one in told}) > 15
    for one, canonical in zip(told, packed, strict=True):
        topic, seq, fields = decode_fact(canonical)
        assert (topic, seq, fields["seq"], fields["at_ns"]) == (one.topic, one.seq, one.seq, one.at_ns)
        assert fields == plain(one.fact, one.seq, one.at_ns)


def plain(fact: Any, seq: int, at_ns: int) -> dict[str, Any]:
    """The fields of a fact as JSON can hold them."""
    if isinstance(fact, Fact):
        fields = {"seq": seq, "at_ns": at_ns} | msgspec.structs.asdict(fact)
    else:
        fields = {name: fact[name].item() for name in fact.dtype.names}
        fields |= {name: text.decode() for name, text in fields.items() if fact.dtype[name].kind == "S"}
    return as_json({name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()})


def test_its_tables_are_those_of_the_facts() -> None:
    letters = {"<i8": "q", "<i4": "i", "<i2": "h", "|i1": "b", "i1": "b", "V32": "32s"}
    columns = {topic: [(name, dtype[name].str) for name in dtype.names or ()] for topic, dtype in PAGE_DTYPES.items()}
    columns[SUBMISSIONS] = [*SUBMISSION_FIELDS]
    expected = {topic: " ".join(f"{name}:{letters[kind]}" for name, kind in pairs) for topic, pairs in columns.items()}
    expected[SUBMISSIONS] += "".join(f" {name}:t" for name in SUBMISSION_TEXTS)
    assert expected == COLUMNS
    assert {topic: " ".join(fact.__struct_fields__) for topic, fact in TOPICS.items()} == FIELDS


def test_every_kind_of_fact_is_proved_under_every_checkpoint(untouched: Sealed, notes: list[str]) -> None:
    with shuiquan.open(untouched.ledger, readonly=True) as exchange:
        seqs = {told.topic: told.seq for told in exchange.facts()} | {"first": 1, "last": exchange.state.next_seq - 1}
    sizes = [one.size for one in untouched.checkpoints]
    with notary_of(untouched) as notary:
        for note, size in zip(notes, sizes, strict=True):
            for seq in [*(seq for seq in seqs.values() if seq <= size), size]:
                shown = check(as_json(notary.prove(seq, note)), note, untouched.key)
                assert (shown["seq"], shown["size"], shown["origin"]) == (seq, size, "shuiquan/test")


def test_a_trade_is_proved_as_one(untouched: Sealed) -> None:
    with shuiquan.open(untouched.ledger, readonly=True) as exchange:
        trade = next(told for told in exchange.facts() if told.topic == TRADES)
    with notary_of(untouched) as notary:
        assert notary.prove(trade.seq, trade=True)["fields"]["volume_l"] == trade.fact["volume_l"]
        for seq, code in ((1, Code.NOT_RECORDED), (0, Code.NOT_RECORDED), (10**9, Code.NOT_RECORDED)):
            with pytest.raises(Refused) as caught:
                notary.prove(seq, trade=True)
            assert caught.value.code == code


def test_a_proof_is_not_made_for_a_checkpoint_of_another_history(untouched: Sealed, notes: list[str]) -> None:
    sizes = [str(one.size) for one in untouched.checkpoints]
    forged = {
        "another size": (notes[1].replace(f"\n{sizes[1]}\n", f"\n{sizes[2]}\n"), Code.CHECKPOINT_DIFFERS),
        "beyond the end": (notes[1].replace(f"\n{sizes[1]}\n", "\n999999999\n"), Code.CHECKPOINT_DIFFERS),
        "another ledger": (notes[1].replace("shuiquan/test\n", "shuiquan/other\n"), Code.CHECKPOINT_DIFFERS),
        "no checkpoint": ("nothing", Code.NOTE_MALFORMED),
    }
    with notary_of(untouched) as notary:
        for note, code in forged.values():
            with pytest.raises(Refused) as caught:
                notary.prove(5, note)
            assert caught.value.code == code


def test_it_runs_alone(untouched: Sealed, proof: Any, tmp_path: Path) -> None:
    alone = Path(shutil.copy(MODULE, tmp_path / "check_proof.py"))
    (tmp_path / "proof.json").write_text(json.dumps(proof), "utf-8")
    checkpoint = untouched.sink / "00000003.checkpoint"

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", str(alone), *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)

    found = run("proof.json", checkpoint, untouched.key)
    assert found.returncode == 0, found.stderr
    assert f"✓ shuiquan/test {proof['topic']} seq 777 of {proof['size']}" in found.stdout
    wrong = [
        ("proof.json", untouched.sink / "00000002.checkpoint", untouched.key),
        ("proof.json", checkpoint, untouched.key.replace("+A", "+B")),
        (checkpoint, checkpoint, untouched.key),
        ("missing.json", checkpoint, untouched.key),
        ("proof.json", alone.with_suffix(""), untouched.key),
        (sys.executable, sys.executable, untouched.key),
        ("proof.json",),
    ]
    for arguments in wrong:
        found = run(*arguments)
        assert (found.returncode, found.stdout) == (1, ""), arguments
        assert found.stderr.startswith("✗ "), found.stderr
        assert "Traceback" not in found.stderr


def test_it_imports_nothing_but_python() -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(MODULE.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert imported <= sys.stdlib_module_names


JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2**70,
    1.5,
    "",
    "zz",
    "00",
    "0" * 64,
    [],
    ["00"],
    [None],
    [[]],
    {},
    {"seq": 1},
)


@pytest.mark.parametrize("field", ["origin", "size", "seq", "topic", "fields", "fact", "salt", "path"])
def test_any_other_value_in_a_proof_is_refused(untouched: Sealed, notes: list[str], proof: Any, field: str) -> None:
    assert check(proof, notes[2], untouched.key)["seq"] == 777
    wrong = [{name: value for name, value in proof.items() if name != field}]
    wrong += [proof | {field: value} for value in JUNK]
    if field == "fields":
        wrong += [proof | {field: proof[field] | {name: 12345}} for name in proof[field]]
    if field == "path":
        wrong += [proof | {field: proof[field][:at] + proof[field][at + 1 :]} for at in range(len(proof[field]))]
        wrong += [
            proof | {field: proof[field][::-1]},
            proof | {field: proof[field] * 2},
            proof | {field: ["00" * 32] * 70},
        ]
    if field in {"fact", "salt"}:
        wrong += [proof | {field: proof[field][:-2]}, proof | {field: proof[field] + "00"}, proof | {field: "é"}]
    for one in wrong:
        with pytest.raises(InvalidProof):
            check(one, notes[2], untouched.key)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"null", b"\xff\xfe", b'"x"', b"[]", b"1" * 5_000, b"NaN"]
)
def test_a_file_that_is_no_proof_is_refused(untouched: Sealed, notes: list[str], content: bytes) -> None:
    with pytest.raises(InvalidProof):
        check(read_proof(content), notes[2], untouched.key)


def test_bytes_of_no_fact_are_refused_by_name_alone(untouched: Sealed) -> None:
    with shuiquan.open(untouched.ledger, readonly=True) as exchange:
        packed = list(exchange.canonical_facts())
    rng = np.random.Generator(np.random.PCG64(9))
    refused = 0
    for _ in range(3_000):
        changed = bytearray(packed[int(rng.integers(0, len(packed)))])
        for _ in range(int(rng.integers(1, 4))):
            changed[int(rng.integers(0, len(changed)))] = int(rng.integers(0, 256))
        del changed[int(rng.integers(0, 2 * len(changed))) :]
        try:
            decode_fact(bytes(changed))
        except InvalidProof:
            refused += 1
    assert refused
