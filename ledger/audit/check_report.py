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
    from check_proof import InvalidProof, check_under, open_note, read_proof, sealed_by, taken  # type: ignore[import-not-found,no-redef]

FORMAT: Final = "shuiquan-evidence/1"
SETTLED: Final = ("trade/1", "agreement.settled/1")
BOOKED: Final = (0, 508)
"""Codes of readings that move a register: in order, and wrapped."""

NAMING: Final = ("party.registered/1", "right.registered/1", "meter.installed/1")
CREDITS: Final = {"right.issued/1": "issued_l", "saving.verified/1": "saved_l"}
VOLUMES: Final = ("issued_l", "saved_l", "used_l", "over_used_l", "bought_l", "sold_l", "expired_l")
AMOUNTS: Final = ("deposited_fen", "paid_fen", "received_fen", "fees_fen")

Fact = dict[str, Any]


def statement(origin: str, content: str, size: int, facts: int) -> str:
    """The text that the ledger signs over a file: which, over how many facts of its own, and how many are in it."""
    return f"evidence {origin}\ncontent {content}\nsize {size}\nfacts {facts}\n"


def content_hash(report: Any) -> str:
    """SHA-256 over subject, facts and tables: JSON with sorted keys, without spaces, in UTF-8."""
    parts = {name: report[name] for name in ("format", "subject", "facts", "tables")}
    packed = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(packed.encode()).hexdigest()


class Tables:
    """The tables over facts, filled fact by fact. Volumes in litres, amounts in fen.

    Rights, parties and meters are named by code where their registration is among the facts, else by number.
    """

    def __init__(self) -> None:
        """Empty tables."""
        self.rights: dict[tuple[str, int], dict[str, Any]] = {}
        self.money: dict[str, dict[str, Any]] = {}
        self.meters: dict[str, dict[str, Any]] = {}
        self.water: list[dict[str, Any]] = []
        self._named: dict[tuple[str, int], str] = {}
        self._owners: dict[int, int] = {}
        self._readings: dict[int, Fact] = {}

    def add(self, topic: str, fields: Fact) -> None:
        """One more fact."""
        if topic in NAMING:
            what = topic.partition(".")[0]
            self._named[what, fields[what]] = fields["code"]
            if what == "right":
                self._owners[fields["right"]] = fields["party"]
        elif topic in CREDITS:
            self._right(fields["right"], fields["year"])[CREDITS[topic]] += fields["volume_l"]
        elif topic == "right.ended/1":
            for year, volume_l in fields["left"]:
                self._right(fields["right"], year)["expired_l"] += volume_l
        elif topic == "money.deposited/1":
            self._party(self._code("party", fields["party"]))["deposited_fen"] += fields["amount_fen"]
        elif topic in SETTLED:
            self._settle(fields)
        elif topic == "reading/1":
            self._readings[fields["seq"]] = fields
            count_reading(self.meters, self._code("meter", fields["meter"]), fields)
        elif topic == "use/1":
            self._use(fields)

    def _code(self, what: str, number: int) -> str:
        return self._named.get((what, number), f"#{number}")

    def _right(self, right: int, year: int) -> dict[str, Any]:
        code = self._code("right", right)
        return self.rights.setdefault((code, year), {"right": code, "year": year, **dict.fromkeys(VOLUMES, 0)})

    def _party(self, party: str) -> dict[str, Any]:
        return self.money.setdefault(party, {"party": party, **dict.fromkeys(AMOUNTS, 0)})

    def _holder(self, right: int) -> dict[str, Any]:
        owner = self._owners.get(right)
        return self._party(f"right #{right}" if owner is None else self._code("party", owner))

    def _settle(self, fields: Fact) -> None:
        for side, moved, paid in (("buyer", "bought_l", "paid_fen"), ("seller", "sold_l", "received_fen")):
            right = fields[f"{side}_right"]
            self._right(right, fields["year"])[moved] += fields["volume_l"]
            self._holder(right)[paid] += fields["amount_fen"]
            self._holder(right)["fees_fen"] += fields[f"{side}_fee_fen"]

    def _use(self, fields: Fact) -> None:
        row, read = self._right(fields["right"], fields["year"]), self._readings.get(fields["cause"])
        row["used_l"] += fields["volume_l"]
        row["over_used_l"] += fields["over_l"]
        self.water.append({
            "reading": fields["cause"], "meter": self._code("meter", read["meter"]) if read else "",
            "measured_at_ns": read["measured_at_ns"] if read else 0, "register_l": read["value_l"] if read else 0,
            "quality": read["quality"] if read else 0, "use": fields["seq"], "right": row["right"],
            "year": fields["year"], "volume_l": fields["volume_l"], "over_l": fields["over_l"],
        })  # fmt: skip


def tables_of(facts: Iterable[Fact], *, everybody: bool) -> dict[str, list[dict[str, Any]]]:
    """The tables over facts in order, given with topic and fields: rights, money, meters, water from meter to right.

    Rights whose registration is not there, which others trade with, have rows only for `everybody`.
    """
    tables = Tables()
    for fact in facts:
        tables.add(fact["topic"], fact["fields"])
    rights, money, meters = (dict(sorted(table.items())) for table in (tables.rights, tables.money, tables.meters))
    return {
        "rights": [row for row in rights.values() if everybody or not row["right"].startswith("#")],
        "money": [row for row in money.values() if everybody or not row["party"].startswith("right #")],
        "meters": list(meters.values()),
        "water": tables.water,
    }


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
