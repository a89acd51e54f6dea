"""Check an evidence file, with nothing but Python: `python check_report.py FILE CHECKPOINT KEY`.

FILE is what `shuiquan audit report` wrote. Copy this module and `check_proof.py` into one folder: they stand alone.
What is checked: the signatures of the ledger over the checkpoint and over the file, the proof of every fact in it,
and that its tables are those that its facts give. `tables_of` says how a table follows from facts.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

try:
    from ledger.audit.check_proof import InvalidProof, check_under, open_note, read_proof, sealed_by, taken
except ModuleNotFoundError:  # a copy, beside a copy of the other
    from check_proof import InvalidProof, check_under, open_note, read_proof, sealed_by, taken  # type: ignore

FORMAT: Final = "shuiquan-evidence/1"
SETTLED: Final = ("trade/1", "agreement.settled/1")
BOOKED: Final = (0, 508)
"""Codes of readings that move a register: in order, and wrapped."""

Fact = dict[str, Any]


def statement(origin: str, content: str, size: int, facts: int) -> str:
    """The text that the ledger signs over a file: which, over how many facts of its own, and how many are in it."""
    return f"evidence {origin}\ncontent {content}\nsize {size}\nfacts {facts}\n"


def content_hash(report: Any) -> str:
    """SHA-256 over subject, facts and tables: JSON with sorted keys, without spaces, in UTF-8."""
    parts = {name: report[name] for name in ("format", "subject", "facts", "tables")}
    packed = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(packed.encode()).hexdigest()


def tables_of(facts: Iterable[Fact], *, everybody: bool) -> dict[str, list[dict[str, Any]]]:
    """The tables over facts in order, given with topic and fields: rights, money, meters, and water from them to rights.

    Volumes in litres, amounts in fen. Rights, parties and meters are named by code where their registration is among
    the facts, else by number; of rights without one, which others trade with, there are rows only for `everybody`.
    """
    rights: dict[tuple[str, int], dict[str, Any]] = {}
    money: dict[str, dict[str, Any]] = {}
    meters: dict[str, dict[str, Any]] = {}
    water: list[dict[str, Any]] = []
    named: dict[tuple[str, int], str] = {}
    owners: dict[int, int] = {}
    readings: dict[int, Fact] = {}

    def code(what: str, number: int) -> str:
        return named.get((what, number), f"#{number}")

    def right_row(right: int, year: int) -> dict[str, Any]:
        return rights.setdefault((code("right", right), year), {
            "right": code("right", right), "year": year, "issued_l": 0, "saved_l": 0, "used_l": 0, "over_used_l": 0,
            "bought_l": 0, "sold_l": 0, "expired_l": 0,
        })  # fmt: skip

    def money_row(right: int) -> dict[str, Any]:
        party = code("party", owners[right]) if right in owners else f"right {code('right', right)}"
        return party_row(party)

    def party_row(party: str) -> dict[str, Any]:
        names = ("deposited_fen", "paid_fen", "received_fen", "fees_fen")
        return money.setdefault(party, {"party": party, **dict.fromkeys(names, 0)})

    for fact in facts:
        topic, fields = fact["topic"], fact["fields"]
        what = topic.split(".")[0]
        if topic in {"party.registered/1", "right.registered/1", "meter.installed/1"}:
            named[what, fields[what]] = fields["code"]
            if what == "right":
                owners[fields["right"]] = fields["party"]
        elif topic == "right.issued/1":
            right_row(fields["right"], fields["year"])["issued_l"] += fields["volume_l"]
        elif topic == "saving.verified/1":
            right_row(fields["right"], fields["year"])["saved_l"] += fields["volume_l"]
        elif topic == "right.ended/1":
            for year, volume_l in fields["left"]:
                right_row(fields["right"], year)["expired_l"] += volume_l
        elif topic == "money.deposited/1":
            party_row(code("party", fields["party"]))["deposited_fen"] += fields["amount_fen"]
        elif topic in SETTLED:
            buyer, seller = fields["buyer_right"], fields["seller_right"]
            right_row(buyer, fields["year"])["bought_l"] += fields["volume_l"]
            right_row(seller, fields["year"])["sold_l"] += fields["volume_l"]
            money_row(buyer)["paid_fen"] += fields["amount_fen"]
            money_row(buyer)["fees_fen"] += fields["buyer_fee_fen"]
            money_row(seller)["received_fen"] += fields["amount_fen"]
            money_row(seller)["fees_fen"] += fields["seller_fee_fen"]
        elif topic == "reading/1":
            readings[fields["seq"]] = fields
            count_reading(meters, code("meter", fields["meter"]), fields)
        elif topic == "use/1":
            row = right_row(fields["right"], fields["year"])
            row["used_l"] += fields["volume_l"]
            row["over_used_l"] += fields["over_l"]
            read = readings.get(fields["cause"], {})
            water.append({
                "reading": fields["cause"], "meter": code("meter", read["meter"]) if read else "",
                "measured_at_ns": read.get("measured_at_ns", 0), "register_l": read.get("value_l", 0),
                "quality": read.get("quality", 0), "use": fields["seq"], "right": code("right", fields["right"]),
                "year": fields["year"], "volume_l": fields["volume_l"], "over_l": fields["over_l"],
            })  # fmt: skip
    own = [rights[key] for key in sorted(rights) if everybody or not key[0].startswith("#")]
    paid = [money[key] for key in sorted(money) if everybody or not key.startswith("right #")]
    return {"rights": own, "money": paid, "meters": [meters[key] for key in sorted(meters)], "water": water}


def about_all(subject: Any) -> bool:
    """Whether a file is about everybody in a period."""
    return not {"holder", "meter"} & set(subject)


def count_reading(meters: dict[str, dict[str, Any]], meter: str, fields: Fact) -> None:
    """Count a reading by its code and quality, and its water."""
    row = meters.setdefault(
        meter, {"meter": meter, "readings": 0, "booked": 0, "volume_l": 0, "by_code": {}, "by_quality": {}}
    )
    row["readings"] += 1
    row["booked"] += fields["code"] in BOOKED
    row["volume_l"] += fields["volume_l"]
    for name in ("code", "quality"):
        counts = row[f"by_{name}"]
        counts[str(fields[name])] = counts.get(str(fields[name]), 0) + 1


def check_report(report: Any, checkpoint: str, key: str) -> dict[str, Any]:
    """What an evidence file shows: ledger, size, subject, number of facts and tables. Raises InvalidProof.

    `checkpoint` is a signed note of the auditor's own, `key` the verifier key of the ledger.
    """
    origin, size, root = sealed_by(checkpoint, key)
    if taken(report, "format", str) != FORMAT:
        raise InvalidProof("format", report["format"], FORMAT)
    facts, subject = taken(report, "facts", list), taken(report, "subject", dict)
    tables, note = taken(report, "tables", dict), taken(report, "signature", str)
    shown, last = [], 0
    for fact in facts:
        proof = {**fact, "origin": origin, "size": size} if isinstance(fact, dict) else fact
        found = check_under(proof, origin, size, root)
        if found["seq"] <= last:
            raise InvalidProof("seq", found["seq"], "each fact once, in order")
        last = found["seq"]
        shown.append(found)
    if open_note(note, key) != statement(origin, content_hash(report), size, len(facts)):
        raise InvalidProof("signature", origin, "the signature of the ledger over this file")
    if tables != tables_of(shown, everybody=about_all(subject)):
        raise InvalidProof("tables", "", "what the facts give")
    return {"origin": origin, "size": size, "subject": subject, "facts": len(facts), "tables": tables}


def main(arguments: list[str]) -> int:
    """Check the files given and say what was found. Returns the exit status."""
    try:
        file, checkpoint_file, key = arguments
        checkpoint = Path(checkpoint_file).read_bytes().decode()
        shown = check_report(read_proof(Path(file).read_bytes()), checkpoint, key)
    except (OSError, ValueError) as problem:
        told = "usage: check_report.py FILE CHECKPOINT KEY" if len(arguments) != 3 else str(problem)
        sys.stderr.write(f"✗ {told}\n")
        return 1
    sys.stdout.write(f"✓ {shown['origin']} {shown['facts']} of {shown['size']} facts, {shown['subject']}\n")
    sys.stdout.write("".join(f"  {name} {row}\n" for name, rows in shown["tables"].items() for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
