"""The command as a user runs it: every sub-command in a process of its own, on the ledger that the demo leaves."""

import re
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from adapters.cli.app import build
from adapters.cli.product import Product
from adapters.meters.szy206 import Measurement, ReportTime, SelfReport, encode
from tests.cli.commands import Demo, Imports, Small, run, together

QUERIES = ("holdings", "usage", "trades", "readings", "journal")
AUDIT = (
    "verify", "checkpoint", "key", "change-key", "receipt", "prove", "witness", "check-proof", "replay", "rematch",
    "report", "check-report",
)  # fmt: skip
COMMANDS = (
    *QUERIES, "facts", "export", "journal import", *(f"audit {name}" for name in AUDIT), "meters decode",
    "register import", "views rebuild", "snapshot", "backup", "restore", "fork", "serve", "demo", "compile", "bench",
)  # fmt: skip
FRAME = "681A68B35303810D00C00059000000826110000001106000004508090A3516"


def hashes(text: str) -> list[str]:
    """Every SHA-256 that stands in a text, in order."""
    return re.findall(r"\b[0-9a-f]{64}\b", text)


def test_the_demo_ends_well(demo: Demo) -> None:
    assert demo.run.status == 0, demo.run.error
    assert "✗" not in demo.run.out
    refused = [line for line in demo.run.out.splitlines() if line.strip().startswith("✓") and "→" in line]
    assert len(refused) == 8
    live, replayed = hashes(demo.run.out)
    assert live == replayed
    for step in "①②③④⑤⑥":
        assert step in demo.run.out


def test_the_ledger_of_the_demo_verifies(demo: Demo, told: dict[str, Any]) -> None:
    found = told["audit"]
    assert found["state_hash"] == hashes(demo.run.out)[0]
    assert (len(found["head"]), found["caps"]) == (64, 74)
    assert set(found["totals"].values()) == {0}
    text = told["audit text"]
    assert text.status == 0
    assert hashes(text.out) == [found["head"], found["state_hash"]]
    assert f"{found['records']:,} records, {found['facts']:,} facts" in text.out
    assert "✗" not in text.out


def test_trades_agree_with_holdings(told: dict[str, Any]) -> None:
    holdings = {row["right"]: row for row in told["holdings"]}
    bought, sold = Counter[str](), Counter[str]()
    for trade in told["trades"]:
        bought[trade["buyer"]] += trade["volume_l"]
        sold[trade["seller"]] += trade["volume_l"]
    assert {right: row["bought_l"] for right, row in holdings.items() if row["bought_l"]} == bought
    assert {right: row["sold_l"] for right, row in holdings.items() if row["sold_l"]} == sold
    assert {trade["mode"] for trade in told["trades"]} == {"continuous", "agreement"}
    seqs = [trade["seq"] for trade in told["trades"]]
    assert seqs == sorted(set(seqs))


def test_use_agrees_with_holdings(told: dict[str, Any]) -> None:
    used = Counter[tuple[str, int]]()
    for row in told["usage"]:
        used[row["right"], row["year"]] += row["volume_l"]
    holdings = {(row["right"], row["year"]): row["abstracted_l"] for row in told["holdings"] if row["abstracted_l"]}
    assert {key: volume_l for key, volume_l in used.items() if volume_l} == holdings


def test_readings_agree_with_use_and_the_journal(told: dict[str, Any]) -> None:
    registered = {topic: [] for topic in ("right.registered/1", "meter.installed/1")}
    for row in told["journal"]:
        registered.get(row["topic"], []).append(row["fact"])
    (meter,) = [fact for fact in registered["meter.installed/1"] if fact["code"] == "YC-M-0101"]
    ((right, share),) = meter["shares"]
    assert sum(right in dict(fact["shares"]) for fact in registered["meter.installed/1"]) == 1
    assert share == 1_000_000
    code = registered["right.registered/1"][right]["code"]
    readings = told["readings"]
    assert {row["meter"] for row in readings} == {"YC-M-0101"}
    used = sum(row["volume_l"] for row in told["usage"] if row["right"] == code)
    assert sum(row["volume_l"] for row in readings) == used > 0
    assert all(row["value_l"] is None or row["value_l"] >= 0 for row in readings)
    assert [row["seq"] for row in told["journal"]] == list(range(1, 1_801))


def test_the_journal_goes_on_behind_a_position(small: Small) -> None:
    found, beyond = together(*(["journal", "--ledger", small.path, "--after", at, "--json"] for at in (20, 10**6)))
    rows = found.json
    assert [row["seq"] for row in rows] == list(range(small.facts - len(rows) + 1, small.facts + 1))
    assert rows[0]["position"] == 21
    assert beyond.json == []


def test_a_position_inside_a_group_of_pages_is_no_damage(small: Small) -> None:
    found = run("journal", "--ledger", small.path, "--after", small.inside, "--json")
    assert "SEQUENCE_GAP" not in found.error
    assert "RECORD_DAMAGED" not in found.error


def test_tables_have_headings_in_both_languages_and_say_what_they_leave_out(small: Small) -> None:
    headings = {
        "holdings": ("用水权持有 Holdings", "持有人", "holder", "可用 m³", "超用 m³"),
        "usage": ("取用水量 Use", "月份", "month", "取水量 m³"),
        "trades": ("成交 Trades", "转让方", "seller", "受让方", "手续费 元"),
        "readings": ("读数 Readings", "计量设施", "meter", "处理", "outcome"),
        "journal": ("ledger.opened", "policy.adopted"),
    }
    runs = together(*([name, "--ledger", small.path] for name in QUERIES))
    for name, found in zip(QUERIES, runs, strict=True):
        assert found.status == 0, found.error
        assert all(heading in found.out for heading in headings[name]), name
        rows = small.rows.get(name, 0)
        assert (f"20 of {rows:,} rows" in found.out) == (rows > 20), name
    assert len(runs[4].out.splitlines()) == 20
    assert small.rows["trades"] > 20 < small.rows["readings"]


def test_facts_are_found_by_what_they_name_and_by_time(small: Small) -> None:
    everything = run("journal", "--ledger", small.path, "--json").json
    middle = everything[len(everything) // 2]["at_ns"] // 10**9
    local, utc = (datetime.fromtimestamp(middle, zone) for zone in (ZoneInfo("Asia/Shanghai"), UTC))
    by_meter, by_seq, by_local, by_utc, text, unknown = together(*(
        ["facts", "--ledger", small.path, *which] for which in (
            ["--meter", "M-B", "--json"], ["--seq", "100", "--json"],
            ["--from", local.strftime("%Y-%m-%dT%H:%M:%S"), "--holder", "P-A", "--limit", "7", "--json"],
            ["--from", utc.strftime("%Y-%m-%dT%H:%M:%SZ"), "--holder", "P-A", "--limit", "7", "--json"],
            ["--right", "A", "--to", "2024-06-30"], ["--holder", "P-none"],
        )
    ))  # fmt: skip
    named = [row for row in everything if row["fact"].get("meter") == 1]
    assert by_meter.json == named
    assert by_seq.json == [everything[99]]
    assert by_local.json == by_utc.json
    assert len(by_utc.json) == 7
    assert by_utc.json[0]["at_ns"] >= middle * 10**9
    assert all(
        word in text.out for word in ("事实 Facts", "编号", "topic", "内容", "right.registered/1", "the first 20")
    )
    assert (unknown.status, "UNKNOWN_PARTY" in unknown.error, "Traceback" in unknown.error) == (1, True, False)


def test_every_query_can_be_asked_as_of_a_time(small: Small) -> None:
    everything, read = together(*([name, "--ledger", small.path, "--json"] for name in ("journal", "readings")))
    times = sorted({row["at_ns"] for row in everything.json})
    at_ns = times[len(times) // 2]
    moment = datetime.fromtimestamp(at_ns // 10**9 + 1, UTC).isoformat()
    expected = [row for row in everything.json if row["at_ns"] <= at_ns]
    seqs = {row["seq"] for row in expected}
    early = sorted(row["measured_at_ns"] // 10**9 for row in read.json if row["seq"] in seqs)
    until_s = early[len(early) // 2] + 1
    measured = datetime.fromtimestamp(until_s, UTC).isoformat()
    then = ["--ledger", small.path, "--as-of", moment, "--json"]
    told, found, known, *others = together(
        *(["journal", *then], ["facts", *then], ["readings", *then, "--measured-as-of", measured]),
        *([name, *then] for name in ("holdings", "usage", "trades")),
        *(["holdings", "--ledger", small.path, "--as-of", text] for text in ("2000-01-01", "soon")),
    )
    assert told.json == found.json == expected
    kept = [row for row in read.json if row["seq"] in seqs and row["measured_at_ns"] <= until_s * 10**9]
    assert known.json == kept
    assert 0 < len(kept) < len(early)
    holdings, usage, trades, before, unreadable = others
    bought, used = (sum(row[name] for row in holdings.json) for name in ("bought_l", "abstracted_l"))
    assert bought == sum(row["volume_l"] for row in trades.json)
    assert used == sum(row["volume_l"] for row in usage.json)
    assert "NOT_YET" in before.error
    assert "TIME_UNREADABLE" in unreadable.error


def test_a_journal_is_carried_out_and_in(small: Small, tmp_path: Path) -> None:
    exported = run("export", "--ledger", small.path, "--out", tmp_path / "out", "--format", "arrow", "--json").json
    again, text = together(
        ["journal", "import", tmp_path / "out", "--ledger", tmp_path / "again.db", "--json"],
        ["journal", "import", tmp_path / "out", "--ledger", tmp_path / "text.db", "--head", exported["head"]],
    )
    assert (again.json["records"], again.json["facts"], again.json["head"]) == (
        small.position, small.facts, exported["head"],
    )  # fmt: skip
    assert exported["head"] in text.out
    other, taken = together(
        ["journal", "import", tmp_path / "out", "--ledger", tmp_path / "other.db", "--head", "0" * 64],
        ["export", "--ledger", small.path, "--out", tmp_path / "out"],
    )
    assert (other.status, "EXPORT_DAMAGED" in other.error) == (1, True)
    assert (taken.status, "EXPORT_EXISTS" in taken.error) == (1, True)
    assert not (tmp_path / "other.db").exists()


def test_views_are_rebuilt(small: Small) -> None:
    path = small.path.with_name(f"{small.path.name}.views")
    before = path.read_bytes()
    path.unlink()
    found = run("views", "rebuild", "--ledger", small.path)
    assert found.status == 0
    assert f"position {small.position}" in found.out
    assert len(path.read_bytes()) == len(before)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM holdings").fetchone() == (small.rows["holdings"],)


def test_a_published_frame_is_decoded_as_documented() -> None:
    missing = SelfReport(
        admin_code="530381", station=13, div=None, fcb=3, alarm=0, state=0, time=ReportTime(0, 45, 8, 9, 10),
        measurements=(Measurement(None, None), Measurement(flow_l_per_h=-1_500, cumulative_m3=7)),
    )  # fmt: skip
    frames = (f"0x{FRAME[:2]} {FRAME[2:].lower()}", encode(missing).hex(), FRAME[:-4] + "3616")
    *runs, text = together(*(["meters", "decode", frame, "--json"] for frame in frames), ["meters", "decode", FRAME])
    found, none, broken = runs
    assert found.json == {
        "protocol": "SZY206-2016", "station": "530381-13", "direction": "up",
        "function": "C0/3 self-report, flow and volume",
        "readings": [
            {"channel": 1, "quantity": "flow", "value": "5.900", "unit": "m3/h"},
            {"channel": 1, "quantity": "cumulative volume", "value": "106182", "unit": "m3"},
        ],
        "alarm": "0x1001", "state": "0x0060", "working_mode": None, "div": None,
        "time": {"second": 0, "minute": 45, "hour": 8, "day": 9, "delay_min": 10},
    }  # fmt: skip
    assert [reading["value"] for reading in none.json["readings"]] == [None, None, "-1.500", "7"]
    assert [reading["channel"] for reading in none.json["readings"]] == [1, 1, 2, 2]
    assert text.status == 0
    assert all(part in text.out for part in ("530381-13", "站址", "106182", "m3/h"))
    assert (broken.status, broken.out) == (1, "")
    assert "FRAME_CHECKSUM" in broken.error


def test_a_missing_ledger_is_refused_by_code_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    commands = [
        ["holdings"], ["audit", "verify"], ["views", "rebuild"], ["audit", "key"], ["audit", "prove", "--seq", "1"],
        ["audit", "checkpoint", "--sink", tmp_path / "sink"],
    ]  # fmt: skip
    for found in together(*([*command, "--ledger", path] for command in commands)):
        assert (found.status, found.out.strip()) == (1, "")
        assert "LEDGER_MISSING" in found.error
        assert "Traceback" not in found.error
    assert list(tmp_path.iterdir()) == []


def test_a_rehearsed_import_changes_nothing(imports: Imports) -> None:
    report = imports.rehearsed.json
    assert (report["dry_run"], report["changed"], report["faults"]) == (True, False, [])
    assert report["counts"]["取水许可台账"] == 111
    assert report["commands"] > 1_000
    assert imports.left == [], "a rehearsal made a ledger"


def test_an_import_is_done_once(imports: Imports) -> None:
    first, again = imports.first.json, imports.again.json
    assert (first["changed"], first["repeated"], first["faults"]) == (True, False, [])
    assert (again["changed"], again["repeated"]) == (False, True)
    assert (again["first_seq"], again["last_seq"]) == (first["first_seq"], first["last_seq"])
    assert imports.other.status == 1
    assert "[108]" in imports.other.out
    assert not imports.changed


def test_a_broken_row_is_named_by_file_row_and_column(imports: Imports) -> None:
    assert imports.broken.status == 1
    (fault,) = [line for line in imports.broken.out.splitlines() if line.startswith("✗")]
    assert all(part in fault for part in ("区域水权.csv", "第5行", "row 5", "区域水量", "'若干'", "[603]"))
    assert "nothing changed" in imports.broken.out


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    top = run("--help")
    assert set(re.findall(r"│ (\w+) ", top.out)) == {name.split()[0] for name in COMMANDS}
    assert run("register", "import", "--help").status == 0
    app = build(Product(*[None] * len(Product._fields)))  # type: ignore[arg-type] - help asks nothing of it
    lacking = []
    for name in COMMANDS:
        app([*name.split(), "--help"], result_action="return_value")
        usage, _, described = capsys.readouterr().out.strip().partition("\n")
        assert usage.startswith(f"Usage: shuiquan {name}")
        if f"shuiquan {name}" not in described:
            lacking.append(name)
    assert not lacking, "no example"


def test_a_wrong_call_ends_with_a_status_and_no_traceback(tmp_path: Path) -> None:
    limits = (["usage", "--ledger", tmp_path, "--limit", "many"], ["journal", "--ledger", tmp_path, "--limit", "-1"])
    for found in together(["water"], *limits):
        assert found.status != 0
        assert "Traceback" not in found.error
