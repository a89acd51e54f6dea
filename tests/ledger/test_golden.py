"""Stored formats hold for ever: one golden fact of every topic, in its canonical bytes and in a whole record.

A line once written stays. A new topic, or a new version of one, needs a line of its own, which
`python -m tests.ledger.test_golden` adds to the file from `examples`.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ledger import facts
from ledger.codes import Code, Refused
from ledger.facts import TOPIC_OF, Fact, Stamped
from ledger.journal.pages import canonical_fact, canonical_rows, decode_fact, submission_rows
from ledger.journal.records import GENESIS, chain, draft_fact, draft_pages, parse
from ledger.journal.versions import VERSIONS
from ledger.rows import MISSING, PAGE_DTYPES, SUBMISSION_FIELDS, SUBMISSIONS

GOLDEN = Path(__file__).parents[1] / "data" / "facts.jsonl"
SEQ, AT_NS, POLICY = 4_711, 1_717_380_000_000_000_000, 3
SHA = bytes(range(32))
DOCUMENT = "示例水〔2024〕17号"


def rare_facts() -> Iterator[Fact]:
    """A rare fact of every topic."""
    yield facts.LedgerOpened("示例账本-1", "sha256", 1, "yongchuan")
    yield facts.PolicyAdopted(3, DOCUMENT, b"\x81\xa7version\x03", SHA)
    yield facts.IndexSet(0, 2024, 320_000_000_000, DOCUMENT)
    yield facts.CapPublished(5, 0, 2024, 2, -1, 1, "", "灌区一", 64_000_000_000, DOCUMENT)
    yield facts.CellAllocated(1, 2024, 2, 7, 1, "管网一", "", 9_300_000_000, DOCUMENT)
    yield facts.InstrumentDefined(
        1, "YC-SW-2024", 0, 2024, 100_000, 1, 10_000, 1_500, 4_500, 3_000, 2_000, ("09:00", "17:00"), 1, 2
    )
    yield facts.HeadroomSet(2, (2**62, 200, 0, 2**62))
    yield facts.PartyRegistered(352, "YC-P-0353", "person", "", SHA)
    yield facts.RightRegistered(
        110, "YC-L-0111", 110, "licence", 0, 2, 7, 1, "管网一", "灌区一", 3 * 10**9, 2 * 10**9, AT_NS - 1, AT_NS + 1,
        DOCUMENT,
    )  # fmt: skip
    yield facts.RightIssued(110, 2024, 2_900_000_000, 580_000_000, 17, 300_000, DOCUMENT)
    yield facts.RightEnded(110, ((2024, 12_345_678), (2025, 0)))
    yield facts.IntakeRegistered(9, "YC-Q-0010", "示例渠首", "irrigation_head", 0, 7, 30_000_000_000, 52_000)
    shares = ((110, 600_000), (3, 400_000))
    yield facts.MeterInstalled(
        101, "YC-M-0102", 9, "123789-30360", True, -1, 10**12, 360_000, 8_000, AT_NS - 7, AT_NS + 7, shares
    )
    yield facts.MeterLapsed(101)
    yield facts.SavingVerified(110, 2024, 450_000_000, "工艺改造", DOCUMENT)
    yield facts.MoneyDeposited(352, 2_550_000, "托管-2024-00353")
    yield facts.PartySuspended(352, 208, DOCUMENT)
    yield facts.PartyReinstated(352, DOCUMENT)
    yield facts.MarketOpened(1)
    yield facts.MarketClosed(2)
    yield facts.AgreementSettled(1, 2024, 98, 7, 23_175_000, 231_750, 695, 463, 1_000, 232, "协议-2024-002")
    yield facts.LedgerForked(98_765, SHA, "restored", 98_801, DOCUMENT)
    yield facts.CommandRefused("SettleAgreement", 2, 211, "zones", "0 -> 3", "a passage of the policy")


def page_row(topic: str) -> Any:
    """One row of a page: every column has a value of its own, below zero in one of three."""
    row = np.zeros(1, PAGE_DTYPES[topic])
    for number, name in enumerate(row.dtype.names or (), start=1):
        largest = np.iinfo(row.dtype[name]).max
        row[name] = largest // number * (-1 if number % 3 == 0 else 1)
    row["seq"], row["at_ns"] = SEQ, AT_NS
    if "flow_l_per_h" in (row.dtype.names or ()):
        row["flow_l_per_h"] = MISSING
    return row


def submission_row() -> Any:
    """One row of a page of submissions."""
    texts = {"actor": "水利局-登记岗".encode(), "approver": b"", "command_id": b"import-1"}
    numbers = {"facts": 12, "commands": 11, "actor_number": 4, "role": 1, "content": SHA}
    return submission_rows([[value] for value in (SEQ, AT_NS, *numbers.values(), *texts.values())])


def examples() -> Iterator[dict[str, Any]]:
    """A line for every topic that the program knows."""
    for fact in rare_facts():
        stamped = Stamped(SEQ, AT_NS, fact)
        yield line(TOPIC_OF[type(fact)], canonical_fact(stamped), next(chained([draft_fact(stamped)])), fields_of(fact))
    for topic in (*PAGE_DTYPES, SUBMISSIONS):
        rows = page_row(topic) if topic in PAGE_DTYPES else submission_row()
        ((_, packed),) = canonical_rows(topic, rows)
        yield line(topic, packed, next(chained(draft_pages(topic, rows))), fields_of(rows[0]))


def chained(drafts: Any) -> Iterator[bytes]:
    """The bytes of these records at the beginning of a chain."""
    return (bytes(state) for _, state, _ in chain(drafts, GENESIS, POLICY))


def line(topic: str, canonical: bytes, record: bytes, fields: dict[str, Any]) -> dict[str, Any]:
    """A line of the file."""
    return {"topic": topic, "canonical": canonical.hex(), "record": record.hex(), "fields": fields}


def fields_of(fact: Any) -> dict[str, Any]:
    """The fields of a fact by name, as JSON can hold them."""
    if isinstance(fact, Fact):
        return {name: plain(getattr(fact, name)) for name in fact.__struct_fields__}
    return {name: plain(fact[name]) for name in fact.dtype.names}


def plain(value: Any) -> Any:
    """A value as JSON can hold it: bytes in hexadecimal, texts of a page as text."""
    if isinstance(value, np.bytes_):
        return value.decode()
    if isinstance(value, np.void):
        return value.tobytes().hex()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, np.generic):
        return value.item()
    return [plain(one) for one in value] if isinstance(value, tuple) else value


def write_missing() -> None:
    """Add a line for each topic that has none yet; lines that are there stay as they are."""
    known = {one["topic"] for one in golden()} if GOLDEN.exists() else set()
    with GOLDEN.open("a", encoding="utf-8") as file:
        for one in examples():
            if one["topic"] not in known:
                file.write(json.dumps(one, ensure_ascii=False) + "\n")


def golden() -> list[dict[str, Any]]:
    """The lines of the file."""
    return [json.loads(text) for text in GOLDEN.read_text("utf-8").splitlines()]


LINES = golden() if GOLDEN.exists() else []


def by_topic(one: dict[str, Any]) -> str:
    """Name of a test case."""
    return str(one["topic"])


def test_every_topic_has_one_golden_line() -> None:
    assert sorted(map(by_topic, LINES)) == sorted([*VERSIONS.facts, *VERSIONS.pages, SUBMISSIONS])


@pytest.mark.parametrize("one", [one for one in LINES if one["topic"] in VERSIONS.facts], ids=by_topic)
def test_a_rare_fact_is_read_and_written_as_ever(one: dict[str, Any]) -> None:
    canonical, record = bytes.fromhex(one["canonical"]), bytes.fromhex(one["record"])
    topic, seq, payload = parted(canonical)
    (at_ns,) = struct.unpack_from("<q", payload)
    stamped = Stamped(seq, at_ns, decode_fact(topic, payload[8:]))
    assert (topic, seq, at_ns, fields_of(stamped.fact)) == (one["topic"], SEQ, AT_NS, one["fields"])
    assert canonical_fact(stamped) == canonical
    assert parse(1, record).fact == stamped
    assert next(chained([draft_fact(stamped)])) == record


@pytest.mark.parametrize("one", [one for one in LINES if one["topic"] not in VERSIONS.facts], ids=by_topic)
def test_a_page_is_read_and_written_as_ever(one: dict[str, Any]) -> None:
    canonical, record = bytes.fromhex(one["canonical"]), bytes.fromhex(one["record"])
    rows = parse(1, record).rows
    assert fields_of(rows[0]) == one["fields"]
    assert list(canonical_rows(one["topic"], rows)) == [(SEQ, canonical)]
    assert next(chained(draft_pages(one["topic"], rows))) == record
    assert fields_of(unpacked(one["topic"], canonical)) == one["fields"]


@pytest.mark.parametrize("one", LINES, ids=by_topic)
def test_the_header_of_a_record_is_as_ever(one: dict[str, Any]) -> None:
    header = msgspec.to_builtins(parse(1, bytes.fromhex(one["record"])).header)
    assert header[:8] == [1, header[1], one["topic"], POLICY, SEQ, SEQ, 1, AT_NS]
    assert [name for name, _ in header[8]] == ([] if one["topic"] in VERSIONS.facts else list(one["fields"]))


@pytest.mark.parametrize("one", [one for one in LINES if one["topic"] in VERSIONS.facts], ids=by_topic)
def test_a_body_that_does_not_fit_its_topic_is_refused(one: dict[str, Any]) -> None:
    body = parse(1, bytes.fromhex(one["record"])).body
    values = msgspec.msgpack.decode(body)
    bad = [body[:-1], msgspec.msgpack.encode(values[:-1]), msgspec.msgpack.encode([[], *values[1:]]), b"", b"\xc0"]
    for wrong in bad:
        with pytest.raises(Refused) as refused:
            decode_fact(one["topic"], wrong)
        assert refused.value.code == Code.RECORD_DAMAGED
    for newer in (one["topic"].replace("/1", "/2"), "", "ledger.opened"):
        with pytest.raises(Refused) as refused:
            decode_fact(newer, body)
        assert refused.value.code == Code.TOPIC_UNKNOWN


def parted(canonical: bytes) -> tuple[str, int, bytes]:
    """Topic, sequence number and payload of canonical bytes, read as the format says."""
    length = canonical[0]
    (seq,) = struct.unpack_from("<q", canonical, 1 + length)
    return canonical[1 : 1 + length].decode(), seq, canonical[9 + length :]


def unpacked(topic: str, canonical: bytes) -> Any:
    """A row of a page from its canonical bytes, read as the format says."""
    _, _, payload = parted(canonical)
    dtype = PAGE_DTYPES.get(topic, np.dtype(list(SUBMISSION_FIELDS)))
    values, at = [], 0
    for name in dtype.names or ():
        values.append(np.frombuffer(payload, dtype[name], 1, at)[0])
        at += dtype[name].itemsize
    layout = [(name, dtype[name]) for name in dtype.names or ()]
    for name in ("actor", "approver", "command_id") if topic == SUBMISSIONS else ():
        (length,) = struct.unpack_from("<H", payload, at)
        values.append(payload[at + 2 : at + 2 + length])
        layout.append((name, np.dtype(f"S{max(1, length)}")))
        at += 2 + length
    assert at == len(payload)
    return np.array([tuple(values)], layout)[0]


if __name__ == "__main__":
    write_missing()
