"""Evidence files: what is in them, that they hold without the ledger, and that nobody can change one."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import shuiquan
from adapters.audit.sink import FolderSink
from ledger.audit import check_report as module
from ledger.audit.check_proof import InvalidProof
from ledger.audit.check_report import check_report
from ledger.codes import Code, Refused
from shuiquan import Person, RegisterParty, Side
from shuiquan.__main__ import open_notary
from tests.audit.sealed import Sealed, code_of, seal
from tests.ledger.scripts import populate
from tests.world import World

NOBODY = {"holder": "", "meter": "", "from": "", "to": ""}


def report_of(sealed: Sealed, note: str, **about: str) -> Any:
    """The content of an evidence file as JSON gives it back."""
    with open_notary(sealed.ledger) as notary:
        return json.loads(msgspec.json.encode(notary.report(NOBODY | about, note)))


@pytest.fixture(scope="module")
def of_meter(untouched: Sealed, notes: list[str]) -> Any:
    """Evidence about a meter."""
    return report_of(untouched, notes[-1], meter="M-A")


def test_water_is_followed_from_reading_to_right_to_trade(untouched: Sealed, notes: list[str], of_meter: Any) -> None:
    shown = check_report(of_meter, notes[-1], untouched.key)
    with shuiquan.open(untouched.ledger, readonly=True) as exchange:
        told = list(exchange.facts())
        number, right = exchange.meter("M-A"), exchange.right("A")
        (row,) = [row for row in exchange.holdings() if row["right"] == "A"]
    readings = [one for one in told if one.topic == "reading/1" and one.fact["meter"] == number]
    uses = [one for one in told if one.topic == "use/1" and one.fact["right"] == right]
    trades = [
        one for one in told if one.topic == "trade/1" and right in {one.fact["buyer_right"], one.fact["seller_right"]}
    ]
    given = {fact["seq"]: fact["topic"] for fact in of_meter["facts"]}
    assert {one.seq for one in [*readings, *uses, *trades]} <= set(given)
    assert list(given.values()).count("reading/1") == len(readings)
    (meter,) = shown["tables"]["meters"]
    assert (meter["meter"], meter["readings"]) == ("M-A", len(readings))
    assert meter["volume_l"] == sum(int(one.fact["volume_l"]) for one in readings)
    (rights,) = shown["tables"]["rights"]
    assert {name: rights[name] for name in ("used_l", "bought_l", "sold_l")} == {
        "used_l": row["abstracted_l"], "bought_l": row["bought_l"], "sold_l": row["sold_l"],
    }  # fmt: skip
    assert [line["use"] for line in shown["tables"]["water"]] == [one.seq for one in uses]
    assert {line["right"] for line in shown["tables"]["water"]} == {"A"}


def test_a_holder_gets_all_that_concerns_him_and_nothing_of_others(untouched: Sealed, notes: list[str]) -> None:
    found = report_of(untouched, notes[-1], holder="P-A")
    shown = check_report(found, notes[-1], untouched.key)
    registered = [fact["fields"]["code"] for fact in found["facts"] if fact["topic"] == "right.registered/1"]
    assert registered == ["A", "F"]
    assert [fact["fields"]["code"] for fact in found["facts"] if fact["topic"] == "party.registered/1"] == ["P-A"]
    with shuiquan.open(untouched.ledger, readonly=True) as exchange:
        own = {exchange.right(code) for code in registered}
        orders = [one.seq for one in exchange.facts() if one.topic == "order/1" and int(one.fact["right"]) in own]
    assert [fact["seq"] for fact in found["facts"] if fact["topic"] == "order/1"] == orders
    assert [row["party"] for row in shown["tables"]["money"]] == ["P-A"]


def test_a_period_is_all_that_was_recorded_in_it(untouched: Sealed, notes: list[str]) -> None:
    whole = report_of(untouched, notes[-1], **{"from": "2000-01-01"})
    checked = check_report(whole, notes[-1], untouched.key)
    assert checked["facts"] == checked["size"]
    parts = [
        report_of(untouched, notes[-1], **{"from": "2024-06-03", "to": "2024-06-05T12:00"}),
        report_of(untouched, notes[-1], **{"from": "2024-06-05T12:00"}),
    ]
    assert [fact for part in parts for fact in part["facts"]] == whole["facts"]


@pytest.mark.parametrize(
    ("about", "code"),
    [
        ({}, Code.OUT_OF_RANGE),
        ({"holder": "P-A", "meter": "M-A"}, Code.OUT_OF_RANGE),
        ({"from": "2024-06-05", "to": "2024-06-05"}, Code.OUT_OF_RANGE),
        ({"from": "yesterday"}, Code.OUT_OF_RANGE),
        ({"holder": "nobody"}, Code.UNKNOWN_PARTY),
        ({"meter": "none"}, Code.UNKNOWN_METER),
    ],
)
def test_who_is_nobody_has_no_evidence(untouched: Sealed, notes: list[str], about: dict[str, str], code: Code) -> None:
    with pytest.raises(Refused) as caught:
        report_of(untouched, notes[-1], **about)
    assert code_of(caught) == code


def leave_one_out(report: Any) -> None:
    del report["facts"][-1]


def swap_two(report: Any) -> None:
    report["facts"][0], report["facts"][1] = report["facts"][1], report["facts"][0]


def repeat_one(report: Any) -> None:
    report["facts"].append(report["facts"][-1])


def change_a_field(report: Any) -> None:
    report["facts"][-1]["fields"]["at_ns"] += 1


def change_a_sum(report: Any) -> None:
    report["tables"]["meters"][0]["volume_l"] += 1


def change_the_subject(report: Any) -> None:
    report["subject"]["meter"] = "M-B"


def take_the_signature_of_another(report: Any) -> None:
    report["signature"] = report["signature"].replace("size ", "size 1")


def forget_the_tables(report: Any) -> None:
    report["tables"] = None


CHANGES = [
    leave_one_out, swap_two, repeat_one, change_a_field, change_a_sum, change_the_subject,
    take_the_signature_of_another, forget_the_tables,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_is_refused(untouched: Sealed, notes: list[str], of_meter: Any, change: Any) -> None:
    changed = copy.deepcopy(of_meter)
    change(changed)
    with pytest.raises(InvalidProof):
        check_report(changed, notes[-1], untouched.key)


@pytest.mark.parametrize("junk", [None, [], "x", 1, {}, {"format": module.FORMAT}, {"facts": [None]}])
def test_what_is_no_evidence_is_refused(untouched: Sealed, notes: list[str], of_meter: Any, junk: Any) -> None:
    for one in (junk, of_meter | {"facts": junk}, of_meter | {"facts": [junk]}):
        with pytest.raises(InvalidProof):
            check_report(one, notes[-1], untouched.key)


def test_another_checkpoint_or_key_proves_nothing(untouched: Sealed, notes: list[str], of_meter: Any) -> None:
    with pytest.raises(InvalidProof):
        check_report(of_meter, notes[0], untouched.key)
    with pytest.raises(InvalidProof):
        check_report(of_meter, notes[-1], untouched.key[:-4] + "AAAA")


def test_the_module_stands_alone_beside_the_other(
    untouched: Sealed, notes: list[str], of_meter: Any, tmp_path: Path
) -> None:
    for name in ("check_report.py", "check_proof.py"):
        shutil.copy(Path(module.__file__).parent / name, tmp_path)
    (tmp_path / "evidence.json").write_text(json.dumps(of_meter), "utf-8")
    (tmp_path / "checkpoint").write_text(notes[-1], "utf-8")
    program = "import sys; sys.path.insert(0, '.'); import check_report; sys.exit(check_report.main(sys.argv[1:]))"
    command = [sys.executable, "-I", "-S", "-c", program]  # without what is installed
    run = subprocess.run(
        [*command, "evidence.json", "checkpoint", untouched.key], cwd=tmp_path, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
    assert f"{len(of_meter['facts'])} of".encode() in run.stdout
    run = subprocess.run([*command, "checkpoint"], cwd=tmp_path, capture_output=True, check=False)
    assert (run.returncode, b"usage" in run.stderr) == (1, True)


def test_a_persons_data_is_in_no_file_and_may_be_erased(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db")
    populate(world)
    person = Person(name="某甲", identity_number="500000190001010000", phone="13000000000")
    world.bureau(RegisterParty(code="P-P", kind="person", person=person))
    world.add_right("P", party="P-P", saved_m3=1_000, money_yuan=100)
    world.rest(Side.SELL, "P", 3_000, 5)
    note = seal(world, tmp_path)
    sealed = Sealed(tmp_path, world.exchange.verifier_key)
    before = report_of(sealed, note, holder="P-P")
    assert world.exchange.erase_person("P-P")
    assert report_of(sealed, note, holder="P-P") == before
    world.exchange.close()
    assert check_report(before, note, sealed.key)["facts"] == len(before["facts"]) > 5
    text = json.dumps(before, ensure_ascii=False)
    for secret in (person.name, person.identity_number, person.phone):
        assert secret not in text
        assert secret.encode().hex() not in text
    assert list(FolderSink(sealed.sink).files())
