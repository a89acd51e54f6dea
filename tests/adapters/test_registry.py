"""Registers: the sample round trip, broken rows of every kind, encodings, days, units, check digits; all or nothing."""

import copy
import csv
import io
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shuiquan
from adapters.registry import cells, tables
from adapters.registry.importer import ImportReport, import_register, read_register
from adapters.registry.sample import write_sample
from ledger.accounts import FREE
from ledger.codes import Code, Refused, texts
from ledger.commands import InstallMeter, IssueRight, RegisterIntake, RegisterParty, RegisterRight, Role
from ledger.policy import Policy
from shuiquan.config import load_policy
from shuiquan.exchange import Exchange

JUNE = 1717200000_000000000
CELLS, HOLDERS, LICENCES, IRRIGATION = "初始水权分配表", "取用水户名录", "取水许可台账", "灌区花名册"
NETWORK, REGIONS, INTAKES, METERS = "管网用水户", "区域水权", "取水口名录", "计量设施清单"
SAMPLE_COUNTS = {
    CELLS: 68, HOLDERS: 353, LICENCES: 111, IRRIGATION: 170, NETWORK: 60, REGIONS: 12, INTAKES: 247, METERS: 249,
}  # fmt: skip
CREDIT = "91350100M000100Y43"  # its check is worked out step by step in explanations of GB 32100-2015
IDENTITY = "000000197001010019"

Sheets = dict[str, list[list[str]]]

SMALL: Sheets = {
    CELLS: [
        ["年度", "水源", "流域", "街镇", "行业", "灌区", "分配水量(万m³)", "文号"],
        ["2024", "地表水", "临江河", "陈食街道", "工业", "", "30", "文1"],
        ["2024", "地表水", "临江河", "陈食街道", "灌溉", "甲灌区", "10", "文1"],
        ["2024", "管网供水", "港桥园区管网", "朱沱镇", "工业", "", "5", "文1"],
        ["2024", "地表水", "长江干流永川段", "朱沱镇", "区域预留", "", "20", "文1"],
    ],
    HOLDERS: [
        ["编号", "类型", "名称", "统一社会信用代码", "姓名", "身份证号", "联系电话", "银行账号"],
        ["P1", "企业", "甲公司", CREDIT, "", "", "", ""],
        ["P2", "集体", "乙村", "", "", "", "", ""],
        ["P3", "个人", "", "", "农户甲", IDENTITY, "023-00000000", "0000000000000000019"],
        ["P4", "企业", "丙公司", "91000000000000019G", "", "", "", ""],
        ["P5", "政府", "丁镇政府", "91000000000000027B", "", "", "", ""],
    ],
    LICENCES: [
        ["用水权编号", "取水许可证编号", "取用水户编号", "水源", "流域", "街镇", "行业", "许可水量(万m³)",
         "核定水量(万m³)", "有效期起", "有效期止", "年度", "年度水量(万m³)", "文号"],
        ["L1", "D0001", "P1", "地表水", "临江河", "陈食街道", "工业", "20", "18", "2022-01-01", "2026-12-31", "2024",
         "18", "文2"],
    ],
    IRRIGATION: [
        ["用水权编号", "取用水户编号", "灌区", "水源", "流域", "街镇", "行业", "灌溉面积(亩)", "灌溉定额(m³/亩)",
         "分配水量(m³)", "有效期起", "有效期止", "年度", "文号"],
        ["G1", "P2", "甲灌区", "地表水", "临江河", "陈食街道", "灌溉", "200", "300", "60000", "2024.1.1", "2026.12.31",
         "2024", "文3"],
        ["G2", "P3", "甲灌区", "地表水", "临江河", "陈食街道", "灌溉", "3.5", "325", "1137.5", "2024.1.1", "2026.12.31",
         "2024", "文3"],
    ],
    NETWORK: [
        ["用水权编号", "取用水户编号", "管网", "水源", "街镇", "行业", "年度用水指标(m³)", "有效期起", "有效期止",
         "年度", "文号"],
        ["N1", "P4", "港桥园区管网", "管网供水", "朱沱镇", "工业", "40000", "2024/1/1", "2024/12/31", "2024", "文4"],
    ],
    REGIONS: [
        ["用水权编号", "取用水户编号", "水源", "流域", "街镇", "行业", "区域水量(万m³)", "有效期起", "有效期止", "年度",
         "文号"],
        ["R1", "P5", "地表水", "长江干流永川段", "朱沱镇", "区域预留", "20", "2024年1月1日", "2024年12月31日",
         "2024", "文5"],
    ],
    INTAKES: [
        ["取水口编号", "取水口名称", "取水口类型", "水源", "街镇", "许可水量(万m³)", "灌溉面积(亩)"],
        ["Q1", "甲取水口", "取水口", "地表水", "陈食街道", "20", ""],
        ["Q2", "甲灌区渠首", "渠首", "地表水", "陈食街道", "10", "50000"],
    ],
    METERS: [
        ["计量设施编号", "取水口编号", "测站编码", "在线", "方向", "计数器量程(m³)", "最大流量(m³/h)",
         "初始读数(m³)", "安装日期", "初始读数日期", "检定有效期", "用水权"],
        ["M1", "Q1", "500118-1", "是", "取水", "8000000000", "100", "5", "2024-04-15", "", "2026-04-14", "L1"],
        ["M2", "Q2", "", "否", "取水", "1000000", "100.5", "0", "2019-06-01", "2024-01-01", "2026-04-14",
         "G1:0.98;G2:0.02"],
    ],
}  # fmt: skip
"""A register with a row of every kind."""


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The policy of Yongchuan."""
    found = load_policy("yongchuan")
    assert found
    return found


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> Path:
    """The folder of the sample register."""
    folder = tmp_path_factory.mktemp("sample")
    assert write_sample(folder, policy) == SAMPLE_COUNTS
    return folder


def clock() -> int:
    """Tell the same time always."""
    return JUNE


def opened(path: Path, district: str = "yongchuan") -> Exchange:
    """Open a fresh ledger."""
    return shuiquan.open(path / "x.db", policy=district, clock=clock)


def written(folder: Path, sheets: Sheets, encoding: str = "utf-8") -> Path:
    """Write sheets as CSV."""
    folder.mkdir(exist_ok=True)
    for name, rows in sheets.items():
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        (folder / f"{name}.csv").write_bytes(text.getvalue().encode(encoding))
    return folder


def changed(sheet: str, row: int, column: str, value: str) -> Sheets:
    """Give the small register with one cell changed; `row` is that of the sheet, headings being row 1."""
    sheets = copy.deepcopy(SMALL)
    headings = [tables.heading(text)[0] for text in sheets[sheet][0]]
    sheets[sheet][row - 1][headings.index(column)] = value
    return sheets


def imported(exchange: Exchange, folder: Path, **more: Any) -> ImportReport:
    """Import a folder with the usual names."""
    return import_register(exchange, folder, **{"actor": "bureau", "approver": "chief", "command_id": "first"} | more)


def found(folder: Path, policy: Policy) -> list[tuple[int, str, int, str]]:
    """Give code, file, row and column of each fault of a folder."""
    return [(f.code, f.file, f.row, f.column) for f in read_register(folder, policy).faults]


# the sample


def test_the_sample_has_its_golden_counts(sample: Path, policy: Policy) -> None:
    """Read without a fault; as many commands of each kind as there are rows, and two for a right."""
    register = read_register(sample, policy)
    assert register.faults == ()
    assert register.counts == SAMPLE_COUNTS
    assert len(register.commands) == len(register.origins)
    assert Counter(type(command).__name__ for command in register.commands) == {
        "AllocateCell": 68, "RegisterParty": 353, "RegisterRight": 353, "IssueRight": 353, "RegisterIntake": 247,
        "InstallMeter": 249,
    }  # fmt: skip


def test_the_sample_holds_what_it_promises(sample: Path, policy: Policy) -> None:
    """Kinds of holders, both sides of each threshold, the published stations, the register about to wrap."""
    commands = read_register(sample, policy).commands
    kinds = Counter(command.kind for command in commands if isinstance(command, RegisterParty))
    assert kinds == {"company": 171, "collective": 80, "person": 90, "government": 12}
    rights = {command.code: command for command in commands if isinstance(command, RegisterRight)}
    licensed = sorted(r.licensed_l // 1000 for r in rights.values() if r.kind == "licence")
    assert (licensed[0], licensed[-1]) == (20_000, 3_000_000)
    assert {99_900, 100_000} < set(licensed)
    assert sum(r.source == "ground" for r in rights.values()) == 6
    meters = {command.code: command for command in commands if isinstance(command, InstallMeter)}
    stations = {meter.station: meter for meter in meters.values() if meter.online}
    assert len(stations) == 110
    assert all(
        meters[f"YC-M-{n:04d}"].verified_until_ns > JUNE and meters[f"YC-M-{n:04d}"].online for n in range(1, 61)
    )
    assert stations["530381-13"].first_l == 105_900_000
    assert stations["123789-30360"].first_l == 0
    assert all(meter.modulus_l == 8_000_000_000_000 for meter in stations.values())
    assert meters["YC-M-0003"].first_l == 7_999_999_000_000
    assert sum(meter.verified_until_ns < JUNE for meter in meters.values()) == 5
    assert max(len(meter.shares) for meter in meters.values()) == 34
    assert sum(meter.sign == -1 for meter in meters.values()) == 2
    intakes = [command for command in commands if isinstance(command, RegisterIntake)]
    for source, threshold_l in (("surface", policy.thresholds.surface_l), ("ground", policy.thresholds.ground_l)):
        sides = {i.licensed_l >= threshold_l for i in intakes if (i.source, i.kind) == (source, "intake")}
        assert sides == {False, True}
    assert [i.area_mu >= policy.thresholds.irrigation_head_mu for i in intakes if i.area_mu] == [True] * 3 + [False] * 2
    users_l = sum(c.volume_l for c in commands if isinstance(c, IssueRight) and rights[c.right].kind == "network")
    supplier = next(right for right in rights.values() if right.industry == "urban_supply")
    assert users_l < supplier.verified_l


def test_the_same_seed_writes_the_same_sample(tmp_path: Path, sample: Path, policy: Policy) -> None:
    """CSV to the byte, XLSX to the cell; another seed gives another district."""
    write_sample(tmp_path / "again", policy)
    for path in sample.iterdir():
        again = tmp_path / "again" / path.name
        assert tables.read_rows(path) == tables.read_rows(again)
        assert path.suffix != ".csv" or path.read_bytes() == again.read_bytes()
    write_sample(tmp_path / "other", policy, seed=7)
    other = read_register(tmp_path / "other", policy)
    assert other.faults == ()
    assert other.commands != read_register(sample, policy).commands


def test_the_sample_is_imported_whole(tmp_path: Path, sample: Path) -> None:
    """All rights hold what was issued, the books balance, and lapsed meters keep their rights from trading."""
    steps: list[tuple[int, int]] = []
    with opened(tmp_path) as exchange:
        report = imported(exchange, sample, progress=lambda done, total: steps.append((done, total)))
        assert report.faults == ()
        assert report.changed
        assert report.counts == SAMPLE_COUNTS
        assert report.last_seq - report.first_seq == report.commands == 1623
        assert steps == [(step, 10) for step in range(1, 11)]
        state = exchange.state
        assert (len(state.parties), len(state.rights), len(state.intakes), len(state.meter_facts)) == (
            353,
            353,
            247,
            249,
        )
        assert set(exchange.totals().values()) == {0}
        assert state.accounts.cap["over_allocated_l"].sum() == 0
        # The next submission finds that the verification of some meters has run out.
        party = RegisterParty(code="LATER", kind="company", name="后来公司")
        exchange.submit(party, actor="bureau", role=Role.BUREAU, command_id="later")
        barred = {
            state.rights[state.accounts.account["reference"][row]].code
            for row in range(len(state.accounts.account))
            if state.accounts.account["sell_code"][row] == Code.METERING_NOT_WORKING
        }
        assert barred == {"YC-L-0072", "YC-L-0081", "YC-L-0090", "YC-N-0010", "YC-N-0025"}


def test_personal_data_stays_out_of_the_ledger(tmp_path: Path, sample: Path) -> None:
    """Names and numbers of persons lie in the side register only (contract K12)."""
    with opened(tmp_path) as exchange:
        imported(exchange, sample)
        code = next(party.code for party in exchange.state.parties if party.kind == "person")
        person = exchange.person(code)
        assert person
        assert person.name.startswith("农户")
        assert len(person.bank_account) == 19
    stored = (tmp_path / "x.db").read_bytes()
    assert person.identity_number.encode() not in stored
    assert "农户".encode() not in stored


@pytest.mark.parametrize(("district", "prefix", "admin_code"), [("bishan", "BS", "500120")])
def test_another_district_needs_no_other_code(tmp_path: Path, district: str, prefix: str, admin_code: str) -> None:
    """A district without a network has no network users; everything else is the same."""
    policy = load_policy(district)
    assert policy
    counts = write_sample(tmp_path / "sample", policy, prefix=prefix, admin_code=admin_code)
    assert NETWORK not in counts
    with opened(tmp_path, district) as exchange:
        report = imported(exchange, tmp_path / "sample")
        assert (report.faults, report.changed) == ((), True)
        assert exchange.station(f"{admin_code}-101") == exchange.meter(f"{prefix}-M-0001")


@pytest.mark.parametrize("district", shuiquan.districts())
def test_margins_of_a_policy_cut_the_same_water(district: str) -> None:
    """Basins, townships and industries each sum to the control index; networks trade within themselves."""
    policy = load_policy(district)
    assert policy
    for index in policy.indexes:
        for field in ("basin", "township", "industry"):
            caps = [
                c.volume_l
                for c in policy.caps
                if getattr(c, field) and (c.source, c.year) == (index.source, index.year)
            ]
            assert sum(caps) in (0, index.volume_l)
    networks = {zone.code for zone in policy.basins if zone.network}
    assert all((p.seller in networks) == (p.buyer in networks) for p in policy.passages)
    assert {(z.code, z.code) for z in policy.basins} <= {(p.seller, p.buyer) for p in policy.passages}
    assert all(index.illustrative for index in policy.indexes)
    assert all(cap.illustrative for cap in policy.caps)


# broken rows


def test_the_small_register_is_sound(tmp_path: Path) -> None:
    """The rows that the broken ones are made from are imported."""
    with opened(tmp_path) as exchange:
        report = imported(exchange, written(tmp_path / "r", SMALL))
        assert (report.faults, report.changed) == ((), True)
        state = exchange.state
        row = state.holding(exchange.right("G2"), 2024)
        assert row is not None
        assert state.accounts.balance[row, FREE] == 1_137_500
        assert state.meter_facts[1].shares == ((1, 980_000), (2, 20_000))
        assert state.meter_facts[1].installed_at_ns == cells.start_ns("2024-01-01", exchange.policy.zone)
        assert state.rights[0].valid_to_ns == cells.start_ns("2027-01-01", exchange.policy.zone)
        assert state.intakes[1].area_mu == 50_000


BROKEN = [
    (CELLS, 2, "年度", "两千", Code.NOT_A_NUMBER),
    (CELLS, 2, "年度", "1066", Code.OUT_OF_RANGE),
    (CELLS, 2, "水源", "海水", Code.UNKNOWN_NAME),
    (CELLS, 2, "流域", "黄河", Code.UNKNOWN_NAME),
    (CELLS, 2, "街镇", "某镇", Code.UNKNOWN_NAME),
    (CELLS, 2, "行业", "", Code.CELL_EMPTY),
    (CELLS, 2, "分配水量", "三十", Code.NOT_A_NUMBER),
    (CELLS, 2, "分配水量", "-1", Code.OUT_OF_RANGE),
    (CELLS, 2, "分配水量", "0.00000001", Code.OUT_OF_RANGE),
    (CELLS, 2, "分配水量", "9e30", Code.OUT_OF_RANGE),
    (CELLS, 2, "文号", "长" * 401, Code.OUT_OF_RANGE),
    (HOLDERS, 2, "编号", "", Code.CELL_EMPTY),
    (HOLDERS, 2, "编号", "P" * 65, Code.OUT_OF_RANGE),
    (HOLDERS, 2, "类型", "公司", Code.OUT_OF_RANGE),
    (HOLDERS, 2, "名称", "", Code.CELL_EMPTY),
    (HOLDERS, 2, "统一社会信用代码", "", Code.CELL_EMPTY),
    (HOLDERS, 2, "统一社会信用代码", "91350100M000100Y44", Code.CREDIT_CODE_INVALID),
    (HOLDERS, 3, "统一社会信用代码", "9.135E+17", Code.CREDIT_CODE_INVALID),
    (HOLDERS, 3, "统一社会信用代码", CREDIT, Code.ROW_DUPLICATE),
    (HOLDERS, 3, "编号", "P1", Code.ROW_DUPLICATE),
    (HOLDERS, 4, "姓名", "", Code.CELL_EMPTY),
    (HOLDERS, 4, "身份证号", "", Code.CELL_EMPTY),
    (HOLDERS, 4, "身份证号", "000000197001010018", Code.OUT_OF_RANGE),
    (HOLDERS, 4, "联系电话", "无", Code.NOT_A_NUMBER),
    (HOLDERS, 4, "银行账号", "6.22202E+18", Code.NOT_A_NUMBER),
    (LICENCES, 2, "取用水户编号", "P9", Code.REFERENCE_UNKNOWN),
    (LICENCES, 2, "流域", "港桥园区管网", Code.UNKNOWN_NAME),
    (LICENCES, 2, "有效期起", "2022年", Code.NOT_A_DATE),
    (LICENCES, 2, "有效期止", "2026-02-30", Code.NOT_A_DATE),
    (LICENCES, 2, "有效期止", "3026-12-31", Code.OUT_OF_RANGE),
    (LICENCES, 2, "年度", "", Code.CELL_EMPTY),
    (LICENCES, 2, "年度水量", "", Code.CELL_EMPTY),
    (LICENCES, 2, "取水许可证编号", "", Code.CELL_EMPTY),
    (IRRIGATION, 2, "用水权编号", "L1", Code.ROW_DUPLICATE),
    (IRRIGATION, 2, "分配水量", "60001", Code.OUT_OF_RANGE),
    (IRRIGATION, 2, "灌溉面积", "二百", Code.NOT_A_NUMBER),
    (IRRIGATION, 2, "灌溉定额", "0.0001", Code.OUT_OF_RANGE),
    (IRRIGATION, 2, "灌区", "", Code.CELL_EMPTY),
    (NETWORK, 2, "管网", "临江河", Code.UNKNOWN_NAME),
    (NETWORK, 2, "年度用水指标", "", Code.CELL_EMPTY),
    (REGIONS, 2, "区域水量", "x", Code.NOT_A_NUMBER),
    (INTAKES, 2, "取水口类型", "井", Code.OUT_OF_RANGE),
    (INTAKES, 3, "取水口编号", "Q1", Code.ROW_DUPLICATE),
    (METERS, 2, "取水口编号", "Q9", Code.REFERENCE_UNKNOWN),
    (METERS, 2, "测站编码", "", Code.CELL_EMPTY),
    (METERS, 2, "在线", "有", Code.OUT_OF_RANGE),
    (METERS, 2, "方向", "", Code.CELL_EMPTY),
    (METERS, 2, "计数器量程", "0", Code.OUT_OF_RANGE),
    (METERS, 2, "最大流量", "0", Code.OUT_OF_RANGE),
    (METERS, 2, "检定有效期", "长期", Code.NOT_A_DATE),
    (METERS, 2, "用水权", "L9", Code.REFERENCE_UNKNOWN),
    (METERS, 2, "用水权", "L1:0.5;G1:0.6", Code.OUT_OF_RANGE),
    (METERS, 2, "用水权", "L1:1;G1:0", Code.OUT_OF_RANGE),
    (METERS, 2, "用水权", "L1:0.5;L1:0.5", Code.ROW_DUPLICATE),
    (METERS, 2, "用水权", "L1;G1", Code.OUT_OF_RANGE),
    (METERS, 3, "测站编码", "500118-1", Code.ROW_DUPLICATE),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case[0]} {case[2]} {case[3][:20]}")
def test_a_broken_cell_is_named(tmp_path: Path, policy: Policy, case: tuple[str, int, str, str, Code]) -> None:
    """Each broken cell gives one fault with its code, file, row and column, except where others depend on it."""
    sheet, row, column, value, code = case
    folder = written(tmp_path / "r", changed(sheet, row, column, value))
    faults = read_register(folder, policy).faults
    first = faults[0]
    assert (first.code, first.file, first.row, first.column) == (code, f"{sheet}.csv", row, column)
    assert f"row {row}" in first.en
    assert f"第 {row} 行" in first.zh
    assert texts(code)[1] in first.zh
    follow_ups = {Code.REFERENCE_UNKNOWN}
    assert {fault.code for fault in faults[1:]} <= follow_ups


REFUSED_BY_THE_LEDGER = [
    (CELLS, 2, "分配水量", "90000", Code.DISTRICT_EXHAUSTED, CELLS, 2, "分配水量"),
    (CELLS, 2, "分配水量", "10", Code.CELL_EXHAUSTED, LICENCES, 2, "年度水量"),
    (CELLS, 2, "街镇", "大安街道", Code.UNKNOWN_CELL, LICENCES, 2, "用水权编号"),
    (LICENCES, 2, "核定水量", "21", Code.ABOVE_VERIFIED, LICENCES, 2, "核定水量"),
    (LICENCES, 2, "年度水量", "19", Code.ABOVE_VERIFIED, LICENCES, 2, "年度水量"),
    (LICENCES, 2, "年度", "2025", Code.UNKNOWN_CELL, LICENCES, 2, "用水权编号"),
    (LICENCES, 2, "有效期止", "2020-12-31", Code.OUT_OF_RANGE, LICENCES, 2, "有效期止"),
    (METERS, 2, "初始读数", "8000000000", Code.BEYOND_MODULUS, METERS, 2, "初始读数"),
    (METERS, 2, "安装日期", "2019-04-15", Code.OUT_OF_RANGE, METERS, 2, "安装日期"),
]


@pytest.mark.parametrize("case", REFUSED_BY_THE_LEDGER, ids=lambda case: f"{case[0]} {case[2]}")
def test_a_refusal_of_the_ledger_is_a_fault_of_its_row(tmp_path: Path, case: tuple[Any, ...]) -> None:
    """The rules of the ledger are asked before anything is recorded, and what only follows is left out."""
    folder = written(tmp_path / "r", changed(*case[:4]))
    with opened(tmp_path) as exchange:
        before = exchange.state_hash()
        report = imported(exchange, folder)
        assert [(f.code, f.file, f.row, f.column) for f in report.faults] == [(case[4], f"{case[5]}.csv", *case[6:])]
        assert not report.changed
        assert exchange.state_hash() == before


def test_volumes_of_a_refusal_are_shown_in_cubic_metres(tmp_path: Path) -> None:
    """A bureau does not count in litres."""
    with opened(tmp_path) as exchange:
        report = imported(exchange, written(tmp_path / "r", changed(LICENCES, 2, "年度水量", "19")))
    assert (report.faults[0].value, report.faults[0].rule) == ("190,000 m³", "at most 180,000 m³")


def test_bad_rows_are_all_reported_and_change_nothing(tmp_path: Path) -> None:
    """Several faults of one row and of several files come together; the ledger stays as it was to the byte."""
    sheets = changed(LICENCES, 2, "许可水量", "二十")
    sheets[LICENCES][1][4:6] = ["黄河", ""]
    sheets[LICENCES].append([""] * 14)
    sheets[LICENCES].append(["L2", "D0002", "P9", *sheets[LICENCES][1][3:]])
    sheets[HOLDERS][1][3] = "1"
    folder = written(tmp_path / "r", sheets)
    with opened(tmp_path) as exchange:
        before, position = exchange.state_hash(), exchange.position
        report = imported(exchange, folder)
        assert [(f.code, f.file, f.row, f.column) for f in report.faults] == [
            (Code.CREDIT_CODE_INVALID, f"{HOLDERS}.csv", 2, "统一社会信用代码"),
            (Code.NOT_A_NUMBER, f"{LICENCES}.csv", 2, "许可水量"),
            (Code.UNKNOWN_NAME, f"{LICENCES}.csv", 2, "流域"),
            (Code.CELL_EMPTY, f"{LICENCES}.csv", 2, "街镇"),
            (Code.NOT_A_NUMBER, f"{LICENCES}.csv", 4, "许可水量"),
            (Code.UNKNOWN_NAME, f"{LICENCES}.csv", 4, "流域"),
            (Code.CELL_EMPTY, f"{LICENCES}.csv", 4, "街镇"),
            (Code.REFERENCE_UNKNOWN, f"{LICENCES}.csv", 4, "取用水户编号"),
        ]
        assert not report.changed
        assert (exchange.state_hash(), exchange.position) == (before, position)


def test_personal_cells_are_hidden_in_faults(tmp_path: Path, policy: Policy) -> None:
    """A list of faults is passed around; it must not carry what the side register keeps."""
    folder = written(tmp_path / "r", changed(HOLDERS, 4, "身份证号", "123456199001011234"))
    (fault,) = read_register(folder, policy).faults
    assert "123456199001011234" not in f"{fault}"


def test_duplicates_name_the_first_row(tmp_path: Path, policy: Policy) -> None:
    """Within a file and across files, for a code, a person and a cell of the allocation."""
    sheets = changed(REGIONS, 2, "用水权编号", "L1")
    sheets[CELLS].append(list(sheets[CELLS][1]))
    sheets[HOLDERS].append(["P6", *sheets[HOLDERS][3][1:]])
    folder = written(tmp_path / "r", sheets)
    faults = [fault for fault in read_register(folder, policy).faults if fault.code == Code.ROW_DUPLICATE]
    assert [(f.file, f.row, f.column) for f in faults] == [
        (f"{CELLS}.csv", 6, "流域"), (f"{HOLDERS}.csv", 7, "身份证号"), (f"{REGIONS}.csv", 2, "用水权编号"),
    ]  # fmt: skip
    assert faults[2].rule == f"see row 2 of {LICENCES}.csv"


# all or nothing, once


def test_a_repeated_import_gives_the_first_answer(tmp_path: Path) -> None:
    """The same command id with the same folder changes nothing more; with another it is refused."""
    folder = written(tmp_path / "r", SMALL)
    with opened(tmp_path) as exchange:
        first = imported(exchange, folder)
        before, position = exchange.state_hash(), exchange.position
        again = imported(exchange, folder)
        assert (again.faults, again.changed, again.repeated) == ((), False, True)
        assert (again.first_seq, again.last_seq) == (first.first_seq, first.last_seq)
        written(folder, changed(HOLDERS, 2, "名称", "另一公司"))
        with pytest.raises(Refused) as refusal:
            imported(exchange, folder)
        assert refusal.value.code == Code.COMMAND_ID_REUSED
        assert (exchange.state_hash(), exchange.position) == (before, position)


def test_a_second_import_under_another_id_is_refused_by_row(tmp_path: Path) -> None:
    """What is registered is registered once; each row says so, and nothing changes."""
    folder = written(tmp_path / "r", SMALL)
    with opened(tmp_path) as exchange:
        imported(exchange, folder)
        before = exchange.state_hash()
        report = imported(exchange, folder, command_id="second")
        assert {fault.code for fault in report.faults} == {Code.ALREADY_EXISTS}
        assert len(report.faults) == 14  # rows that define a code; a cell may be allocated more
        assert exchange.state_hash() == before


def test_later_sheets_may_refer_to_what_the_ledger_has(tmp_path: Path, policy: Policy) -> None:
    """A folder with meters alone adds meters to known intakes and rights."""
    with opened(tmp_path) as exchange:
        imported(exchange, written(tmp_path / "r", SMALL))
        later = changed(METERS, 2, "计量设施编号", "M3")
        later[METERS][1][2] = "500118-3"
        folder = written(tmp_path / "later", {METERS: later[METERS][:2]})
        assert [code for code, *_ in found(folder, policy)] == [Code.REFERENCE_UNKNOWN] * 2
        report = imported(exchange, folder, command_id="later")
        assert (report.faults, report.changed, report.commands) == ((), True, 1)


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    """It reports what an import would, sound or not."""
    folder = written(tmp_path / "r", SMALL)
    with opened(tmp_path) as exchange:
        before = exchange.state_hash()
        report = imported(exchange, folder, dry_run=True)
        assert (report.faults, report.changed, report.dry_run) == ((), False, True)
        written(folder, changed(LICENCES, 2, "年度水量", "19"))
        assert [fault.code for fault in imported(exchange, folder, dry_run=True).faults] == [Code.ABOVE_VERIFIED]
        assert exchange.state_hash() == before
        assert imported(exchange, written(folder, SMALL)).changed


def test_an_opening_import_may_stand_above_its_cell(tmp_path: Path) -> None:
    """What a first import finds above the cell is recorded, not refused (contract K16)."""
    folder = written(tmp_path / "r", changed(CELLS, 2, "分配水量", "10"))
    with opened(tmp_path) as exchange:
        report = imported(exchange, folder, opening=True)
        assert (report.faults, report.changed) == ((), True)
        assert set(exchange.totals().values()) == {0}


def test_an_import_needs_an_approver(tmp_path: Path) -> None:
    """The bureau's clerk does not approve what he proposes (contract K29)."""
    folder = written(tmp_path / "r", SMALL)
    with opened(tmp_path) as exchange, pytest.raises(Refused) as refusal:
        imported(exchange, folder, approver="bureau")
    assert refusal.value.code == Code.NEEDS_APPROVER


# files and headings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_encodings(tmp_path: Path, policy: Policy, encoding: str) -> None:
    """The same rows in any encoding are the same register, rare characters included."""
    sheets = changed(HOLDERS, 3, "名称", "㐱村𠮷")
    plain = read_register(written(tmp_path / "a", sheets), policy)
    assert plain.faults == ()
    other = read_register(written(tmp_path / "b", sheets, encoding), policy)
    assert other.commands == plain.commands


def test_gbk_has_no_superscript_three(tmp_path: Path, policy: Policy) -> None:
    """A GBK file writes m3, which is the same unit."""
    sheets = {name: [[cell.replace("³", "3") for cell in row] for row in rows] for name, rows in SMALL.items()}
    register = read_register(written(tmp_path / "r", sheets, "gbk"), policy)
    assert register.faults == ()
    assert register.commands == read_register(written(tmp_path / "s", SMALL), policy).commands


def test_a_title_totals_and_blank_lines_are_passed_over(tmp_path: Path, policy: Policy) -> None:
    """Rows keep the numbers that the bureau sees."""
    sheets = copy.deepcopy(SMALL)
    sheets[INTAKES] = [
        ["永川区取水口名录"],
        [],
        SMALL[INTAKES][0],
        [],
        *SMALL[INTAKES][1:],
        ["合计", "", "", "", "", "30"],
    ]
    folder = written(tmp_path / "r", sheets)
    register = read_register(folder, policy)
    assert register.faults == ()
    assert [o.row for o in register.origins if o.sheet.name == INTAKES] == [5, 6]


def test_headings_merged_over_two_rows(tmp_path: Path, policy: Policy) -> None:
    """A merged heading goes before those below it; columns may stand in any order, and unknown ones are passed over."""
    sheets = copy.deepcopy(SMALL)
    upper = [
        "序号",
        "用水权编号",
        "取用水户编号",
        "水源",
        "流域",
        "街镇",
        "行业",
        "区域水量",
        "有效期",
        "",
        "年度",
        "文号",
    ]
    lower = ["", "", "", "", "", "", "", "(万m³/年)", "起", "止", "", ""]
    sheets[REGIONS] = [["区域水权"], upper, lower, ["1", *SMALL[REGIONS][1]]]
    register = read_register(written(tmp_path / "r", sheets), policy)
    assert register.faults == ()
    assert register.commands == read_register(written(tmp_path / "s", SMALL), policy).commands


def test_missing_and_double_columns(tmp_path: Path, policy: Policy) -> None:
    """All missing columns are reported, and rows that refer to such a sheet are left alone."""
    sheets = copy.deepcopy(SMALL)
    sheets[HOLDERS] = [row[2:] for row in sheets[HOLDERS]]
    sheets[INTAKES][0][6] = "取水口编号"
    assert found(written(tmp_path / "r", sheets), policy) == [
        (Code.COLUMN_MISSING, f"{HOLDERS}.csv", 1, "编号"),
        (Code.COLUMN_MISSING, f"{HOLDERS}.csv", 1, "类型"),
        (Code.OUT_OF_RANGE, f"{INTAKES}.csv", 1, "取水口编号"),
    ]


@pytest.mark.parametrize("heading", ["许可水量", "许可水量(吨)", "许可水量(亿m³)"])
def test_a_volume_needs_a_known_unit(tmp_path: Path, policy: Policy, heading: str) -> None:
    """A missing or unknown unit is one fault of the heading, not one of each row."""
    sheets = copy.deepcopy(SMALL)
    sheets[LICENCES][0][7] = heading
    assert found(written(tmp_path / "r", sheets), policy) == [(Code.UNIT_UNKNOWN, f"{LICENCES}.csv", 1, "许可水量")]


UNREADABLE = [
    (f"{CELLS}.csv", b"\xff\xfe\xff"),
    (f"{CELLS}.csv", '"年度\n'.encode()),
    (f"{CELLS}.xlsx", b"PK\x03\x04 no workbook"),
    (f"{CELLS}.xls", b"\xd0\xcf\x11\xe0"),
]


@pytest.mark.parametrize(("name", "data"), UNREADABLE)
def test_an_unreadable_file_is_one_fault(tmp_path: Path, policy: Policy, name: str, data: bytes) -> None:
    """The others are still read."""
    folder = written(tmp_path / "r", {key: rows for key, rows in SMALL.items() if key != CELLS})
    (folder / name).write_bytes(data)
    assert found(folder, policy) == [(Code.FILE_UNREADABLE, name, 0, "")]


def test_two_files_of_one_sheet_and_none_at_all(tmp_path: Path, policy: Policy) -> None:
    """Which of two counts is not guessed; a folder without any sheet is the wrong folder."""
    folder = written(tmp_path / "r", SMALL)
    (folder / f"{CELLS}.xlsx").write_bytes(b"")
    assert [code for code, *_ in found(folder, policy)] == [Code.FILE_UNREADABLE] * 2
    assert found(tmp_path / "nowhere", policy) == [(Code.FILE_UNREADABLE, "nowhere", 0, "")]


def test_the_missing_spreadsheet_library_names_its_install_line(
    sample: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading and writing .xlsx needs an optional package."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(Refused, match=r"pip install 'shuiquan\[registry\]'") as refusal:
        read_register(sample, policy)
    assert refusal.value.code == Code.EXTRA_MISSING


def test_spreadsheet_cells_keep_their_meaning(tmp_path: Path) -> None:
    """Days, exact decimals and codes survive; a number with more digits than a spreadsheet keeps is no code."""
    book = tables.spreadsheet_library().Workbook()
    book.active.append([date(2023, 12, 13), 9.99, 0.1 + 0.2, 12.0, 500118, "0019", 622202000000000001, None, True])
    book.save(tmp_path / "x.xlsx")
    assert tables.read_rows(tmp_path / "x.xlsx") == [
        ["2023-12-13", "9.99", "0.3", "12", "500118", "0019", "6.22202E+17", "", "是"]
    ]


# cells


@pytest.mark.parametrize(
    "text",
    [
        "2023.12.13", "2023-12-13", "2023/12/13", "2023年12月13日", "20231213", "45273", "2023/12/13 0:00",
        "2023-12-13 00:00:00", " 2023\uff0e12\uff0e13",
    ],
)  # fmt: skip
def test_days(text: str) -> None:
    """All ways to write a day are the same day."""
    assert cells.day(text) == date(2023, 12, 13)


@pytest.mark.parametrize("text", ["2023-13-01", "2023.12", "2023-12/13", "13.12.2023", "2023-12-13 08:30", "长期", ""])
def test_what_is_no_day(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(Refused) as refusal:
        cells.day(text)
    assert refusal.value.code == Code.NOT_A_DATE


@pytest.mark.parametrize(
    ("heading", "text", "volume_l"),
    [
        ("许可水量(万m³)", "1.23", 12_300_000),
        ("许可水量\uff08m³\uff09", "1,200.5", 1_200_500),
        ("许可水量(万立方米)", "0.0000001", 1),
        ("许可水量 ( 万M3/年 )", "\uff11\uff12", 120_000_000),
        ("*许可水量\uff08方\uff09:", "7", 7_000),
    ],
)
def test_units(heading: str, text: str, volume_l: int) -> None:
    """Volumes are exact in every unit and kind of bracket."""
    name, unit = tables.heading(heading)
    assert name == "许可水量"
    assert cells.volume(text, unit) == volume_l


@pytest.mark.parametrize("code", [CREDIT, "91000000000000019G", CREDIT.lower(), f" {CREDIT}"])
def test_credit_codes(code: str) -> None:
    """The check character is that of GB 32100-2015."""
    assert cells.credit_code(code) == code.strip().upper()


@given(st.integers(0, 17), st.sampled_from(cells.CREDIT_SIGNS))
def test_one_wrong_sign_of_a_credit_code_is_found(at: int, sign: str) -> None:
    """Any single change breaks the check."""
    other = CREDIT[:at] + sign + CREDIT[at + 1 :]
    if other == CREDIT:
        assert cells.credit_code(other) == CREDIT
    else:
        with pytest.raises(Refused):
            cells.credit_code(other)


def refusal_of(call: Callable[[], object]) -> int:
    """Give the code of a refusal, 0 where there is none; any other exception fails the test."""
    try:
        call()
    except Refused as refusal:
        return int(refusal.code)
    return 0


@given(st.binary(max_size=400))
def test_any_bytes_are_rows_or_refused(data: bytes) -> None:
    """No file brings the importer down."""
    for read in (tables.read_csv, tables.read_xlsx):
        assert refusal_of(partial(read, data, "x")) in (0, Code.FILE_UNREADABLE)


@given(st.lists(st.lists(st.sampled_from(["", "编号", "编号(m³)", "x"]), max_size=4), max_size=5))
def test_any_rows_have_headings_or_none(rows: tables.Rows) -> None:
    """Headings are found wherever they stand."""
    headings = tables.find_headings(rows, {"编号": "编号"})
    assert bool(headings.places) == any(cell.startswith("编号") for row in rows for cell in row)
    assert all(number > headings.last_row for number, _ in tables.data_rows(rows, headings.last_row))


@given(st.text(max_size=30))
def test_any_text_is_a_value_or_refused(text: str) -> None:
    """No cell brings the importer down."""
    converters: list[Callable[[str], object]] = [
        cells.key, cells.year, cells.day, cells.shares, cells.credit_code, cells.identity_number, cells.digits,
    ]  # fmt: skip
    for convert in converters:
        assert texts(refusal_of(partial(convert, text)))
    for unit in ("m3", "万m3"):
        assert texts(refusal_of(partial(cells.volume, text, unit)))
