"""The pages of the documentation: their examples run, and their tables name what the code has, neither more nor less.

`python -m tests.test_docs` writes `docs/codes.md` and `docs/export-tables.md`, the two pages that are generated.
"""

import pydoc
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args
from xml.etree import ElementTree as ET

import msgspec
import pytest

import shuiquan
from adapters.cli.app import build
from adapters.export.columns import ALL_TOPICS, schema_of
from adapters.export.manifest import Manifest, file_name
from adapters.registry.cells import UNITS
from adapters.registry.sheets import SHEETS, Sheet
from adapters.socket.messages import Asked, FromClient, FromServer, Refusal, Said
from ledger.codes import REASON_TEXT, Code
from ledger.commands import AUTHORITY, Command, Person
from ledger.journal.records import Header
from ledger.journal.versions import VERSIONS
from ledger.rows import PAGE_DTYPES, SUBMISSION_FIELDS, SUBMISSION_TEXTS, SUBMISSIONS
from matching.types import Reason
from projections.base import Table
from projections.coverage import Intakes
from projections.holdings import Holdings
from projections.market import Market
from projections.places import Places
from projections.usage import Usage
from shuiquan import __main__ as product
from shuiquan.config import DISTRICTS
from tests.districts import DAY_NS
from tests.ledger.scripts import play, populate, random_script
from tests.world import World

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
PAGES: Final = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME: Final = re.compile(r"`([^`]+)`")
PROGRAMS: Final = (".venv/bin/shuiquan", "shuiquan")
READERS: Final = (
    "holdings", "usage", "trades", "readings", "journal", "facts", "export", "audit", "meters", "views", "--help",
)  # fmt: skip
READING_EXAMPLES: Final = tuple(f"{program} {command}" for program in PROGRAMS for command in READERS)
"""How an example begins that changes no fact: it is carried out."""

UNUSED_KEYS: Final = {"caps.scheme"}
"""Keys of a policy that neither built-in district uses."""

CONCERNS: Final = (
    "The order book 订单簿", "Submissions 提交", "Who may trade, and when 交易资格与时段", "Water and money 水量与资金",
    "Allocation 分配", "Readings 读数", "Register import 登记导入", "Frames 报文", "The store 存储", "Policy 政策",
)  # fmt: skip
"""What each hundred of codes is about."""


class Block(NamedTuple):
    """A fenced block: the line of its page on which it begins, its language and its text."""

    line: int
    language: str
    text: str


def blocks(page: Path, language: str) -> list[Block]:
    text = page.read_text("utf-8")
    found = [Block(text.count("\n", 0, at.start()) + 2, *at.groups()) for at in BLOCK.finditer(text)]
    return [block for block in found if block.language == language]


def section(page: str, heading: str) -> str:
    """What stands under a heading, down to the next one; a heading may go on behind its first word."""
    text = BLOCK.sub("", (DOCS / page).read_text("utf-8"))
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    titled = zip(parts[1::2], parts[2::2], strict=True)
    found = [body for title, body in titled if f"{title} ".startswith(f"{heading} ")]
    assert len(found) == 1, f"{page} has {len(found)} headings {heading!r}"
    return found[0]


def named(body: str) -> list[str]:
    """The names in backticks in the first column of the tables of a section."""
    cells = [row.split("|")[1] for row in body.splitlines() if row.startswith("| `")]
    return [name for cell in cells for name in NAME.findall(cell)]


def shell_lines() -> list[tuple[str, str]]:
    """Every line of a shell block of every page, with the page."""
    return [(page.name, line) for page in PAGES for block in blocks(page, "sh") for line in block.text.splitlines()]


def reads(line: str) -> bool:
    """Whether an example changes no ledger and makes none."""
    return line.startswith(READING_EXAMPLES) and " journal import " not in line


def codes_page() -> str:
    """The page of all reasons, from the catalogues."""
    lines = [
        "# Reasons 原因代码", "",
        "Every refusal, and every quantity that leaves a book without a trade, has one of these codes. A number keeps",
        "its meaning for ever: it stands in facts. 每次拒绝、每次撤单都有以下代码之一；代码一经使用含义不变。", "",
        "This page is generated: `python -m tests.test_docs`.",
    ]  # fmt: skip
    members: list[Code | Reason] = [*Reason, *Code]
    for number, concern in enumerate(CONCERNS):
        lines += ["", f"## {number * 100}–{number * 100 + 99} {concern}", ""]
        lines += ["| code | name | English | 中文 |", "|---|---|---|---|"]
        for member in members:
            if member // 100 == number:
                english, chinese = REASON_TEXT[member] if isinstance(member, Reason) else (member.en, member.zh)
                lines.append(f"| {int(member)} | `{member.name}` | {english} | {chinese} |")
    return "\n".join(lines) + "\n"


def tables_page() -> str:
    """The page of all tables of an export, from their schemas."""
    lines = [
        "# Tables of an export", "",
        "Every column of every table of [an export](export.md), with its Arrow type. Names end in their units; fields",
        "are explained with [the topics](journal-format.md). A column is null nowhere but where this page says so.", "",
        "This page is generated: `python -m tests.test_docs`.",
    ]  # fmt: skip
    for topic in ALL_TOPICS:
        lines += ["", f"## {topic}", "", f"`{file_name(topic, 'parquet')}`", ""]
        lines += ["| column | type | unit, or what numbers stand for |", "|---|---|---|"]
        for field in schema_of(topic):
            kind = str(field.type).replace(" not null", "")
            lines.append(f"| `{field.name}` | `{kind}` | {field.metadata[b'meaning'].decode()} |")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger on which most things have happened."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "out").mkdir()
    world = World(folder / "out" / "yongchuan.db")
    populate(world)
    play(world, random_script(5, 40))
    world.clock.at_ns = world.exchange.state.at_ns + 20 * DAY_NS
    world.read(world.reading("M-A", int(world.exchange.state.metering.meter["last_l"][0]) // 1000 + 400_000))
    world.exchange.close()
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, to work in."""
    shutil.copytree(written / "out", tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_python(page: Path) -> dict[str, Any]:
    """Run all Python blocks of a page in one namespace and give it."""
    namespace: dict[str, Any] = {"__name__": "documentation"}
    for block in blocks(page, "python"):
        padded = "\n" * (block.line - 1) + block.text  # a traceback names the line of the page
        exec(compile(padded, str(page), "exec"), namespace)  # noqa: S102 - the examples are ours
    return namespace


def command_line() -> Any:
    return build(product.product())


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_examples_run(page: Path) -> None:
    assert len(run_python(page)) > 1


def test_the_reader_of_the_format_reads_every_fact(folder: Path) -> None:
    read = run_python(DOCS / "journal-format.md")["facts"]
    path = folder / "out" / "yongchuan.db"
    with shuiquan.open(path, readonly=True) as exchange:
        told = list(exchange.facts())
    assert len({fact.topic for fact in told}) > 15
    for (seq, topic, fields), fact in zip(read(path), told, strict=True):
        is_row = topic in PAGE_DTYPES or topic == SUBMISSIONS
        plain = {n: fact.fact[n].item() for n in fact.fact.dtype.names} if is_row else msgspec.to_builtins(fact.fact)
        shown = fields if is_row else msgspec.to_builtins(msgspec.convert(fields, type(fact.fact)))
        assert (seq, topic, shown) == (fact.seq, fact.topic, plain)


def test_the_reader_of_the_format_refuses_a_changed_record(folder: Path) -> None:
    path = folder / "out" / "yongchuan.db"
    read = run_python(DOCS / "journal-format.md")["facts"]
    data = path.read_bytes()
    at = data.index("测试平台".encode())  # in the policy, which is in the second record
    path.write_bytes(data[:at] + b"x" + data[at + 1 :])
    with pytest.raises(AssertionError, match="the chain breaks before seq 3"):
        list(read(path))


@pytest.mark.parametrize(("page", "line"), shell_lines())
def test_every_command_and_target_exists(page: str, line: str) -> None:
    program, *words = shlex.split(line)
    if program == "make":
        targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(words) <= set(targets), page
        return
    assert program in PROGRAMS, page
    if words != ["--help"]:
        command, bound, _ = command_line().parse_args(words, print_error=False, exit_on_error=False)
        assert command, bound


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("line", sorted({line for page, line in shell_lines() if reads(line) and page != "audit.md"}))
def test_examples_that_only_read_work(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, *words = shlex.split(line)
    command_line()(words, print_error=False, exit_on_error=False, result_action="return_value")
    printed = capsys.readouterr()
    assert printed.out, printed.err


@pytest.mark.usefixtures("folder")
def test_the_day_of_an_audit_goes_as_described(capsys: pytest.CaptureFixture[str]) -> None:
    key = ""
    for line in (line for page, line in shell_lines() if page == "audit.md"):
        _, *words = shlex.split(line.replace("$KEY", key))
        command_line()(words, print_error=False, exit_on_error=False, result_action="return_value")
        printed = capsys.readouterr()
        assert printed.out, printed.err
        key = printed.out.strip() if words[1] == "key" else key
    assert "all 2 checkpoints agree" in printed.out


@pytest.mark.parametrize("query", [block.text for block in blocks(DOCS / "views.md", "sql")])
def test_every_query_runs(folder: Path, query: str) -> None:
    with shuiquan.open(folder / "out" / "yongchuan.db", readonly=True) as exchange:
        assert exchange.query(query)


def test_money_by_holder_is_what_the_accounts_say(folder: Path) -> None:
    query = next(block.text for block in blocks(DOCS / "views.md", "sql") if "free_fen" in block.text)
    with shuiquan.open(folder / "out" / "yongchuan.db", readonly=True) as exchange:
        rows = exchange.query(query)
        accounts, numbers = exchange.state.accounts, exchange.state.numbers
        for row in rows:
            free, escrowed, *_ = accounts.balance[accounts.party["money"][numbers["party", row["code"]]]]
            assert (row["free_fen"], row["escrowed_fen"]) == (free, escrowed), row
    assert len(rows) > 3


def test_the_page_of_reasons_is_the_generated_one() -> None:
    assert (DOCS / "codes.md").read_text("utf-8") == codes_page(), "run python -m tests.test_docs"


def test_the_page_of_tables_is_the_generated_one() -> None:
    assert (DOCS / "export-tables.md").read_text("utf-8") == tables_page(), "run python -m tests.test_docs"


@pytest.mark.parametrize("topic", ALL_TOPICS)
def test_a_table_has_the_fields_of_its_topic_in_order(topic: str) -> None:
    fields = [name for name in named(section("journal-format.md", topic)) if name not in {"seq", "at_ns"}]
    rows = [NAME.findall(row)[:2] for row in section("export-tables.md", topic).splitlines() if row.startswith("| `")]
    assert [name for name, _ in rows] == ["position", "seq", "at_ns", "topic", *fields]
    assert {kind for _, kind in rows} <= set(NAME.findall(section("journal-format.md", "In an export")))


def test_every_field_of_a_manifest() -> None:
    assert named(section("export.md", "Files of an export"))[-11:] == list(Manifest.__struct_fields__)


@pytest.mark.parametrize("command", AUTHORITY, ids=lambda command: command.__name__)
def test_every_command_has_its_fields_roles_and_approver(command: type[Command]) -> None:
    body = section("commands.md", command.__name__)
    roles, approver = AUTHORITY[command]
    assert sorted(named(body)) == sorted(command.__struct_fields__)
    assert ("Role " if len(roles) == 1 else "Roles ") + " and ".join(role.name for role in roles) in body
    assert ("needs an approver" if approver else "no approver") in body


@pytest.mark.parametrize(("heading", "dtype"), [("Orders", shuiquan.ORDER), ("Readings", shuiquan.READING)])
def test_every_column_of_an_array_to_submit(heading: str, dtype: Any) -> None:
    assert sorted(named(section("commands.md", heading))) == sorted(dtype.names)


def test_every_field_of_a_person_and_of_a_submission() -> None:
    body = section("commands.md", "RegisterParty")
    assert all(f"`{field}`" in body for field in Person.__struct_fields__)
    asked = ["content", "actor", "role", "command_id", "approver", "linked"]
    assert named(section("commands.md", "Commands 指令")) == asked


@pytest.mark.parametrize("message", [*get_args(FromClient), *get_args(FromServer)], ids=lambda one: one.__name__)
def test_every_message_has_its_fields_in_order(message: Any) -> None:
    tag = message.__struct_config__.tag
    (row,) = [row for row in section("clients.md", "The protocol").splitlines() if row.startswith(f"| `{tag}` |")]
    assert NAME.findall(row) == [tag, *message.__struct_fields__]


def test_every_field_of_a_submission_an_answer_and_a_refusal_in_order() -> None:
    assert named(section("clients.md", "An answer")) == ["answer", *Said.__struct_fields__]
    assert named(section("clients.md", "A refusal")) == ["refused", *Refusal.__struct_fields__]
    submission = section("clients.md", "A submission")
    assert named(submission) == list(Asked.__struct_fields__)
    rows = {row.split("|")[1].strip(): row.split("|")[2:4] for row in submission.splitlines() if row.startswith("| ")}
    for name, dtype in (("order", shuiquan.ORDER), ("reading", shuiquan.READING)):
        size, columns = rows[name]
        kinds = [part.split()[0] for part in columns.split(";") if "`" in part]
        assert (int(size), NAME.findall(columns)) == (dtype.itemsize, list(dtype.names))
        assert kinds == list(dict.fromkeys(dtype[one].name for one in dtype.names))


@pytest.mark.parametrize("topic", VERSIONS.facts)
def test_every_field_of_a_rare_fact_in_order(topic: str) -> None:
    assert named(section("journal-format.md", topic)) == list(VERSIONS.facts[topic].__struct_fields__)


def columns() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Every topic of frequent facts with the names and types of its columns."""
    for topic, dtype in VERSIONS.pages.items():
        yield topic, [(name, dtype[name].str.lstrip("|")) for name in dtype.names or ()]
    yield SUBMISSIONS, [*SUBMISSION_FIELDS, *((name, "S") for name in SUBMISSION_TEXTS)]


@pytest.mark.parametrize(("topic", "expected"), list(columns()))
def test_every_column_of_a_page_in_order(topic: str, expected: list[tuple[str, str]]) -> None:
    rows = [row for row in section("journal-format.md", topic).splitlines() if row.startswith("| `")]
    assert [tuple(NAME.findall(row)[:2]) for row in rows] == [(name, kind.lstrip("|")) for name, kind in expected]


def test_every_field_of_a_record() -> None:
    assert named(section("journal-format.md", "A record")) == list(Header.__struct_fields__)


TABLES: Final = [table for model in (Holdings, Usage, Intakes, Market, Places) for table in model.tables]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_of_a_view_by_its_kind(table: Table) -> None:
    body = section("views.md", table.name)
    for kind, expected in (("key", table.keys), ("sum", table.adds), ("last", table.sets)):
        rows = "\n".join(row for row in body.splitlines() if f"| {kind} |" in row)
        assert named(rows) == list(expected), (table.name, kind)


def keys_of(value: Any, path: str = "") -> Iterator[str]:
    """Every key of a TOML document by its path, lists left out."""
    if isinstance(value, list):
        for item in value:
            yield from keys_of(item, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}{key}"
            yield from keys_of(item, f"{path}{key}.")


def test_every_key_of_a_policy() -> None:
    listed = named(BLOCK.sub("", (DOCS / "policy.md").read_text("utf-8")))
    used = {key for path in DISTRICTS.glob("*.toml") for key in keys_of(tomllib.loads(path.read_text("utf-8")))}
    assert len(listed) == len(set(listed))
    assert {key for key in used if key not in {"fees", "thresholds", "rules"}} | UNUSED_KEYS == set(listed)


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.en)
def test_every_column_of_a_register(sheet: Sheet) -> None:
    rows = [row for row in section("register.md", sheet.name).splitlines() if row.startswith("| `")]
    shown = [tuple(cell.strip() for cell in row.split("|")[1:5]) for row in rows]
    assert shown == [
        (f"`{one.name}`", "、".join(one.aliases) or "–", one.quantity or "–", "no" if one.optional else "yes")
        for one in sheet.columns
    ]


def test_every_unit_of_a_register() -> None:
    rows = [row for row in section("register.md", "How files are read").splitlines() if row.startswith("| ")][1:]
    shown = {row.split()[1]: NAME.findall(row.split("(")[0]) for row in rows}
    assert shown == {quantity: list(units) for quantity, units in UNITS.items()}


def test_every_contract_says_how_far_it_holds() -> None:
    text = (DOCS / "contracts.md").read_text("utf-8")
    assert re.findall(r"^### (K\d+) ", text, re.MULTILINE) == [f"K{number}" for number in range(1, 30)]
    for number in range(1, 30):
        title = next(line for line in text.splitlines() if line.startswith(f"### K{number} "))
        body = section("contracts.md", title.removeprefix("### "))
        assert len(re.findall(r"\*\*(Holds|In part|Not yet)\.\*\*", body)) == 1, title
        assert "Where:" in body or "**Not yet.**" in body, title


SOURCES: Final = "\n".join(
    path.read_text("utf-8")
    for room in ("matching", "ledger", "projections", "adapters", "shuiquan")
    for path in sorted((ROOT / room).rglob("*.py"))
)


@pytest.mark.parametrize("name", dict.fromkeys(NAME.findall((DOCS / "vocabulary.md").read_text("utf-8"))))
def test_every_term_exists(name: str) -> None:
    found = pydoc.locate(name) if "." in name else re.search(rf"\b{name}\b", SOURCES)
    assert found is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_file_exists(page: Path) -> None:
    text = BLOCK.sub("", page.read_text("utf-8"))
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link
    for name in NAME.findall(text):
        if re.fullmatch(r"(matching|ledger|projections|adapters|shuiquan|tests|docs)/[\w/.-]*", name):
            assert (ROOT / name).exists(), name


def test_the_picture_shows_the_rooms() -> None:
    drawn = "".join(ET.parse(DOCS / "architecture.svg").getroot().itertext())  # noqa: S314 - our own file
    assert all(f"{room}\n" in drawn for room in ("shuiquan", "adapters", "projections", "ledger", "matching"))


if __name__ == "__main__":
    (DOCS / "codes.md").write_text(codes_page(), "utf-8")
    (DOCS / "export-tables.md").write_text(tables_page(), "utf-8")
