"""Exports: every fact in an open format that other engines read, and the same journal again from their records."""

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from pyarrow import ipc

import shuiquan
from adapters.export.columns import ALL_TOPICS, RECORDS
from adapters.export.manifest import digest_of, file_name
from adapters.export.reading import import_journal
from ledger import facts
from ledger.audit import verify
from ledger.feed import Told
from ledger.journal.records import parse
from ledger.journal.store import Begin, Entry, Key
from ledger.rows import MISSING, READINGS, TRADES
from shuiquan import Code, Refused
from shuiquan.exchange import Exchange
from shuiquan.exports import export_journal
from tests.ledger.scripts import play, populate, random_orders, random_script
from tests.stores.homes import copied, database
from tests.stores.ledgers import facts_hash, finished, rechained, resumed, start, store, stored, verified
from tests.world import World

PAIRS = {"shares": ("right", "share_ppm"), "left": ("year", "volume_l")}
FORMATS = ("parquet", "arrow")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger of many kinds of facts, in pages of 64."""
    path = tmp_path_factory.mktemp("export") / "ledger.db"
    world = World(path, page_facts=64)
    populate(world)
    play(world, random_script(81, 60), 3)
    world.exchange.close()
    return path


@pytest.fixture(scope="module", params=FORMATS)
def exported(request: pytest.FixtureRequest, ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of it."""
    folder = tmp_path_factory.mktemp("exports") / request.param
    export_journal(ledger, folder, file_format=request.param)
    return folder


@pytest.fixture
def exchange(ledger: Path) -> Iterator[Exchange]:
    """That ledger, opened for reading."""
    with shuiquan.open(ledger, readonly=True) as opened:
        yield opened


def read(path: Path) -> pa.Table:
    """A table of an export."""
    return pq.read_table(path) if path.suffix == ".parquet" else ipc.open_file(path).read_all()


def plain(told: Told) -> dict[str, Any]:
    """A fact as a row of its table should be."""
    row: dict[str, Any] = {"position": told.position, "seq": told.seq, "at_ns": told.at_ns, "topic": told.topic}
    if isinstance(told.fact, facts.Fact):
        for name in told.fact.__struct_fields__:
            value = getattr(told.fact, name)
            pairs = [dict(zip(PAIRS[name], pair, strict=True)) for pair in value] if name in PAIRS else value
            row[name] = list(pairs) if isinstance(pairs, tuple) else pairs
        return row
    for name in told.fact.dtype.names:
        value = told.fact[name]
        row[name] = value.decode() if isinstance(value, bytes) else value.item()
    return {name: None if value == MISSING else value for name, value in row.items()}


def test_every_fact_is_in_the_table_of_its_topic(exported: Path, exchange: Exchange) -> None:
    expected: dict[str, list[dict[str, Any]]] = {topic: [] for topic in ALL_TOPICS}
    for told in exchange.facts():
        expected[told.topic].append(plain(told))
    for topic in ALL_TOPICS:
        table = read(exported / file_name(topic, exported.name))
        assert table.to_pylist() == expected[topic], topic
        assert not any(pa.types.is_floating(kind) for kind in table.schema.types)
    assert sum(bool(rows) for rows in expected.values()) > 18
    assert any(row["value_l"] is None for row in expected[READINGS])


def test_frames_are_as_the_tables_of_an_export(exported: Path, exchange: Exchange) -> None:
    for topic in ALL_TOPICS:
        assert (
            exchange.frame(topic).to_arrow().to_pylist() == read(exported / file_name(topic, exported.name)).to_pylist()
        )
    trades = exchange.frame(TRADES)
    middle = trades["at_ns"][len(trades) // 2]
    assert exchange.frame(TRADES, from_ns=middle).equals(trades.filter(pl.col("at_ns") >= middle))
    mine = (pl.col("buyer_right") == exchange.right("B")) | (pl.col("seller_right") == exchange.right("B"))
    assert exchange.frame(TRADES, holder="P-B", to_ns=middle).equals(trades.filter(mine, pl.col("at_ns") < middle))
    with pytest.raises(Refused) as caught:
        exchange.frame("trade/9")
    assert caught.value.code == Code.TOPIC_UNKNOWN
    with exchange.as_of(middle - 1) as then:
        assert then.frame(TRADES).equals(trades.filter(pl.col("at_ns") < middle))


def test_other_engines_read_the_same_sums(ledger: Path, exchange: Exchange, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    export_journal(ledger, folder)
    rows = [told.fact for told in exchange.facts() if told.topic == TRADES]
    volume_l, most = sum(int(row["volume_l"]) for row in rows), max(int(row["price"]) for row in rows)
    path = folder / "trade-1.parquet"
    assert duckdb.sql(f"SELECT SUM(volume_l), MAX(price), COUNT(*) FROM '{path}'").fetchall() == [
        (volume_l, most, len(rows))
    ]
    lazy = pl.scan_parquet(path).select(pl.col("volume_l").sum(), pl.col("price").max(), pl.len())
    assert lazy.collect().row(0) == (volume_l, most, len(rows))
    unnested = f"SELECT code, unnest(shares) AS s FROM '{folder}/meter.installed-1.parquet'"
    shares = duckdb.sql(f"SELECT code, s.right, s.share_ppm FROM ({unnested})").fetchall()
    registered = [told.fact for told in exchange.facts() if told.topic == "meter.installed/1"]
    assert sorted(shares) == sorted((fact.code, *pair) for fact in registered for pair in fact.shares)


def test_a_ledger_made_of_an_export_is_the_same_byte_for_byte(exported: Path, ledger: Path, tmp_path: Path) -> None:
    before = verified(ledger)
    assert shuiquan.import_journal([exported], tmp_path / "again.db", head=before.head) == before
    assert stored(tmp_path / "again.db") == stored(ledger)
    with database(tmp_path / "again.db") as one, database(ledger) as other:
        for table in ("submissions",):
            rows = [sorted(file.execute(f"SELECT * FROM {table}")) for file in (one, other)]
            assert rows[0] == rows[1]
    assert {path.name for path in tmp_path.iterdir()} <= {"again.db", "again.db.lock", "again.db-wal", "again.db-shm"}


class MemoryStore:
    """The least that a store can be."""

    def __init__(self) -> None:
        self.kept: list[Entry] = []
        self.kept_begins: list[Begin] = []
        self.keys: list[Key] = []

    def append(self, after: int, entries: Any, begins: Any, keys: Any) -> None:
        """Add records."""
        assert after == len(self.kept)
        self.kept += [Entry(after + at, *entry) for at, entry in enumerate(entries, start=1)]
        self.kept_begins += begins
        self.keys += keys

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Records behind a position."""
        return iter(self.kept[after:])

    def begin_before(self, seq: int) -> int:
        """Where to begin to look for a number."""
        return max([begin.position for begin in self.kept_begins if begin.first_seq <= seq], default=1)

    def all_keys(self) -> AbstractContextManager[Iterator[Key]]:
        """The keys in order."""
        return nullcontext(iter(sorted(self.keys, key=lambda key: key.first_seq)))

    def begins(self) -> Iterator[Begin]:
        """Where groups begin."""
        return iter(self.kept_begins)

    def head(self) -> Entry | None:
        """The last record."""
        return self.kept[-1] if self.kept else None


def test_a_journal_goes_into_any_store(exported: Path, ledger: Path) -> None:
    store: Any = MemoryStore()
    import_journal([exported], store)
    assert [tuple(entry) for entry in store.kept] == stored(ledger)
    assert verify(store) == verified(ledger)
    with database(ledger) as file:
        assert sorted(store.keys) == sorted(file.execute("SELECT * FROM submissions"))
    with pytest.raises(Refused) as caught:
        import_journal([exported], store)
    assert caught.value.code == Code.LEDGER_EXISTS


def test_a_ledger_made_of_an_export_goes_on(exported: Path, ledger: Path, tmp_path: Path) -> None:
    shuiquan.import_journal([exported], tmp_path / "again.db")
    again, other = resumed(tmp_path / "again.db"), resumed(copied(ledger, tmp_path / "other.db"))
    (repeated,) = again.exchange.submit_many([random_script(81, 1)[0][1]])
    assert repeated.repeated  # type: ignore[union-attr] - an answer
    for world in (again, other):
        play(world, [(at_ns, replace(one, command_id=f"on-{one.command_id}")) for at_ns, one in random_script(82, 8)])
    again.check()
    assert facts_hash(again.exchange) == facts_hash(other.exchange)
    again.exchange.close()
    other.exchange.close()


def test_exports_that_continue_each_other_make_one_ledger(ledger: Path, tmp_path: Path) -> None:
    world = resumed(copied(ledger, tmp_path / "ledger.db"))
    first = world.exchange.export(tmp_path / "first")
    play(world, [(at_ns, replace(one, command_id=f"on-{one.command_id}")) for at_ns, one in random_script(83, 12)])
    second = world.exchange.export(tmp_path / "second", from_position=first.to_position + 1, file_format="arrow")
    assert (second.previous, second.first_seq) == (first.head, first.last_seq + 1)
    found = shuiquan.import_journal([tmp_path / "first", tmp_path / "second"], tmp_path / "again.db")
    assert found == verified(world.path)
    for folders in (["second"], ["second", "first"], ["first", "first"]):
        with pytest.raises(Refused) as caught:
            shuiquan.import_journal([tmp_path / name for name in folders], tmp_path / "none.db")
        assert (caught.value.code, caught.value.field) == (Code.EXPORT_DAMAGED, "from_position")
    world.exchange.close()


def test_an_export_holds_the_positions_asked_for_and_whole_groups_only(exchange: Exchange, tmp_path: Path) -> None:
    told = list(exchange.facts())
    ends = sorted({one.position for one in told})
    groups = list(zip([0, *ends], ends, strict=False))
    wide = next(at for at in range(len(groups) // 2, len(groups)) if groups[at][1] - groups[at][0] > 2)
    before, end = groups[wide - 3][0], groups[wide][1]
    manifest = exchange.export(tmp_path / "out", from_position=before + 1, to_position=end)
    held = [one.seq for one in told if before < one.position <= end]
    assert (manifest.first_seq, manifest.last_seq) == (held[0], held[-1])
    found = [
        seq for topic in ALL_TOPICS for seq in read(tmp_path / "out" / file_name(topic, "parquet"))["seq"].to_pylist()
    ]
    assert sorted(found) == held
    assert read(tmp_path / "out" / "records.parquet")["position"].to_pylist() == list(range(before + 1, end + 1))
    for bounds in ((before + 1, end - 1), (end, ends[-1]), (0, end), (end, before), (1, ends[-1] + 1)):
        with pytest.raises(Refused) as caught:
            exchange.export(tmp_path / "none", from_position=bounds[0], to_position=bounds[1])
        assert caught.value.code == Code.OUT_OF_RANGE
    assert not (tmp_path / "none").exists()


def test_large_tables_are_written_piece_by_piece(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.db")
    populate(world)
    rng = np.random.Generator(np.random.PCG64(84))
    for _ in range(4):
        world.orders(random_orders(rng, 40_000, 100))
    world.exchange.export(tmp_path / "out")
    table = pq.ParquetFile(tmp_path / "out" / "order-1.parquet")
    sizes = [table.metadata.row_group(at).num_rows for at in range(table.num_row_groups)]
    assert len(sizes) > 1
    assert sum(sizes) == 160_000
    assert max(sizes) < 65_536 + 40_000
    assert verified(world.path).head == shuiquan.import_journal([tmp_path / "out"], tmp_path / "again.db").head
    world.exchange.close()


# what must not be overwritten, and what is left of an export that failed


def test_nothing_is_overwritten(ledger: Path, tmp_path: Path) -> None:
    manifest = export_journal(ledger, tmp_path / "out")
    (tmp_path / "file").write_text("kept")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("kept")
    for name in ("out", "file", "other"):
        with pytest.raises(Refused) as caught:
            export_journal(ledger, tmp_path / name)
        assert caught.value.code == Code.EXPORT_EXISTS
    assert (tmp_path / "other" / "mine.txt").read_text() == (tmp_path / "file").read_text() == "kept"
    assert all(digest_of(tmp_path / "out" / file.name) == file.sha256 for file in manifest.files)
    shuiquan.import_journal([tmp_path / "out"], tmp_path / "again.db")
    before = stored(tmp_path / "again.db")
    with pytest.raises(Refused) as caught:
        shuiquan.import_journal([tmp_path / "out"], tmp_path / "again.db")
    assert caught.value.code == Code.LEDGER_EXISTS
    assert stored(tmp_path / "again.db") == before
    with shuiquan.open(tmp_path / "again.db"), pytest.raises(Refused) as caught:
        shuiquan.import_journal([tmp_path / "out"], tmp_path / "again.db")
    assert caught.value.code == Code.LEDGER_LOCKED


def test_an_export_of_a_damaged_journal_is_refused_and_leaves_nothing(ledger: Path, tmp_path: Path) -> None:
    path = copied(ledger, tmp_path / "ledger.db")
    (_, _, state) = stored(path)[59]
    with database(path) as connection:
        connection.execute("UPDATE stored_events SET state = ? WHERE originator_version = 60", (state + b"\0",))
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "out", tmp_path / "empty"):
        with pytest.raises(Refused) as caught:
            export_journal(path, folder)
        assert (caught.value.code, caught.value.value) == (Code.RECORD_DAMAGED, 61)
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_full_disk_leaves_nothing(ledger: Path, exported: Path, tmp_path: Path) -> None:
    moves = [
        (["export", "--ledger", ledger, "--out", tmp_path / "out"], 34_000, "EXPORT_FAILED"),  # SQLite needs 32 KiB
        (["journal", "import", exported, "--ledger", tmp_path / "again.db"], 120_000, "COMMIT_FAILED"),
    ]
    for command, size, code in moves:
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))
        words = [sys.executable, "-m", "shuiquan", *map(str, command)]
        run = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=limit)
        assert run.returncode == 1
        assert code in run.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"again.db.lock"}


KILLED_IMPORT = """
import os, signal, sys
from pathlib import Path
from adapters.export.reading import import_journal
from adapters.stores.drafts import new_ledger_file
with new_ledger_file(Path(sys.argv[2])) as store:
    import_journal([Path(sys.argv[1])], store)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_import_leaves_no_half_ledger(exported: Path, ledger: Path, tmp_path: Path) -> None:
    path = tmp_path / "again.db"
    assert finished(start(KILLED_IMPORT, exported, path))[0] == -signal.SIGKILL
    assert not path.exists()
    with pytest.raises(Refused) as caught:
        shuiquan.open(path, readonly=True)
    assert caught.value.code == Code.LEDGER_MISSING
    assert shuiquan.import_journal([exported], path) == verified(ledger)
    assert not any(".part" in file.name for file in tmp_path.iterdir())


@pytest.mark.parametrize("package", ["pyarrow", "polars"])
def test_without_the_packages_the_line_to_type_is_named(ledger: Path, tmp_path: Path, package: str) -> None:
    program = (
        "import sys; sys.modules[sys.argv[1]] = None; import shuiquan\n"
        "with shuiquan.open(sys.argv[2], readonly=True) as exchange:\n"
        "    for ask in (lambda: exchange.export(sys.argv[3]), lambda: exchange.frame('trade/1')):\n"
        "        try: ask()\n"
        "        except shuiquan.Refused as refusal: print(refusal)\n"
    )
    _, said = finished(start(program, package, ledger, tmp_path / "out"))
    assert len(said) == 2
    assert all("EXTRA_MISSING" in line and "pip install 'shuiquan[export]'" in line for line in said)


# tampering


def forge(folder: Path, change: Callable[[list[Any]], list[Any]], **claims: Any) -> None:
    """Put other records into an export, and into its manifest whatever somebody who forges it would put there."""
    path = next(folder.glob("records.*"))
    rows = [(row["position"], row["topic"], row["record"]) for row in read(path).to_pylist()]
    columns = list(zip(*change(rows), strict=True))
    table = pa.Table.from_arrays(
        [pa.array(values, kind) for values, kind in zip(columns, RECORDS.types, strict=True)], schema=RECORDS
    )
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with ipc.new_file(path, RECORDS) as file:
            file.write_table(table)
    rewrite(folder, **claims)


def rewrite(folder: Path, **claims: Any) -> None:
    """Make a manifest anew for whatever its files hold."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes()) | claims
    for file in manifest["files"]:
        if (folder / file["name"]).is_file():
            file["sha256"] = digest_of(folder / file["name"])
            file["bytes"] = (folder / file["name"]).stat().st_size
    path.write_text(json.dumps(manifest))


def bumped(rows: list[Any]) -> list[Any]:
    """A deposit that is higher by a fen."""
    at = next(at for at, row in enumerate(rows) if row[1] == "money.deposited/1")
    position, topic, record = rows[at]
    party, amount_fen, reference = msgspec.msgpack.decode(parse(position, record).body)
    body = msgspec.msgpack.encode((party, amount_fen, reference))
    assert record.endswith(body)
    forged = record[: -len(body)] + msgspec.msgpack.encode((party, amount_fen + 1, reference))
    return [*rows[:at], (position, topic, forged), *rows[at + 1 :]]


FORGERIES: dict[str, tuple[Callable[[list[Any]], list[Any]], Code, Any]] = {
    "changed": (bumped, Code.RECORD_DAMAGED, None),
    "rechained": (lambda rows: rechained(bumped(rows)), Code.EXPORT_DAMAGED, "head"),
    "shortened": (lambda rows: rows[:40], Code.EXPORT_DAMAGED, "head"),
    "missing": (lambda rows: rows[:30] + rows[31:], Code.RECORD_DAMAGED, 31),
    "renumbered": (lambda rows: rechained(rows[:30] + rows[31:]), Code.SEQUENCE_GAP, 31),
    "swapped": (lambda rows: [*rows[:30], rows[31], rows[30], *rows[32:]], Code.RECORD_DAMAGED, 31),
    "repeated": (lambda rows: [*rows, rows[-1]], Code.RECORD_DAMAGED, None),
    "topic": (lambda rows: [*rows[:9], (10, "x/1", rows[9][2]), *rows[10:]], Code.RECORD_DAMAGED, 10),
    "empty": (lambda rows: [*rows[:9], (10, rows[9][1], b""), *rows[10:]], Code.RECORD_DAMAGED, 10),
    "headless": (lambda rows: rows[1:], Code.RECORD_DAMAGED, 1),
}


@pytest.fixture
def export(exported: Path, tmp_path: Path) -> Path:
    """A copy of the export to tamper with."""
    folder = tmp_path / "tampered"
    folder.mkdir()
    for file in exported.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def refused(folder: Path, **options: Any) -> Refused:
    """The refusal of an import, which leaves nothing."""
    target = folder.parent / "again.db"
    with pytest.raises(Refused) as caught:
        shuiquan.import_journal([folder], target, **options)
    assert {path.name for path in folder.parent.iterdir()} <= {folder.name, "again.db.lock"}
    return caught.value


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_records_are_refused_by_code_and_place(export: Path, forgery: str) -> None:
    change, code, place = FORGERIES[forgery]
    forge(export, change)
    refusal = refused(export)
    assert refusal.code == code
    assert place in (None, refusal.value, refusal.field)


def test_a_whole_forged_export_is_refused_by_the_head_that_was_kept(ledger: Path, tmp_path: Path) -> None:
    kept, path = verified(ledger).head, copied(ledger, tmp_path / "forged.db")
    store(path, rechained(bumped(stored(path))))
    forged = export_journal(path, tmp_path / "out")
    with pytest.raises(Refused) as caught:
        shuiquan.import_journal([tmp_path / "out"], tmp_path / "again.db", head=kept)
    assert (caught.value.code, caught.value.field) == (Code.EXPORT_DAMAGED, "head")
    assert not (tmp_path / "again.db").exists()
    assert shuiquan.import_journal([tmp_path / "out"], tmp_path / "again.db").head == forged.head != kept


def test_a_change_in_any_file_is_refused_by_its_name(export: Path) -> None:
    rng = np.random.Generator(np.random.PCG64(85))
    for path in sorted(export.iterdir()):
        data = path.read_bytes()
        at = int(rng.integers(0, len(data)))
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        for damaged in (data[:-3], b"", None, *((flipped,) if path.suffix != ".json" else ())):
            path.unlink(missing_ok=True)
            if damaged is not None:
                path.write_bytes(damaged)
            refusal = refused(export)
            assert refusal.code == Code.EXPORT_DAMAGED
            assert path.name in (refusal.field, "manifest.json")
            path.write_bytes(data)
    shuiquan.import_journal([export], export.parent / "again.db")


@pytest.mark.parametrize(
    "claims",
    [
        {"files": []}, {"form": "shuiquan-export/2"}, {"extra": 1}, {"from_position": 2}, {"to_position": 5},
        {"previous": "1" * 64}, {"head": "1" * 64}, {"head": "x"}, {"from_position": "1"}, {"ledger_id": None},
        {"ledger_id": "other"}, {"first_seq": 2}, {"last_seq": 7},
        {"files": [{"name": "../records.parquet", "topic": "records", "rows": 1, "bytes": 1, "sha256": "1" * 64}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_that_claims_something_else_is_refused(export: Path, claims: dict[str, Any]) -> None:
    rewrite(export, **claims)
    assert refused(export).code == Code.EXPORT_DAMAGED


@pytest.mark.parametrize(
    "content", [b"", b"PAR1" * 9, b"ARROW1\0\0" * 9, bytes(500)], ids=["empty", "par", "arrow", "zero"]
)
def test_a_file_of_records_that_is_no_table_is_refused(export: Path, content: bytes) -> None:
    path = next(export.glob("records.*"))
    path.write_bytes(content)
    rewrite(export)
    refusal = refused(export)
    assert (refusal.code, refusal.field) == (Code.EXPORT_DAMAGED, path.name)


@pytest.mark.parametrize("change", ["figure", "row", "none", "column"])
def test_a_table_that_says_otherwise_than_the_records_is_refused(export: Path, change: str) -> None:
    path = next(export.glob("trade-1.*"))
    table = read(path)
    volumes = table["volume_l"].to_pylist()
    volumes[len(volumes) // 2] += 1000
    at = table.schema.get_field_index("volume_l")
    changed = {
        "figure": table.set_column(at, table.schema.field(at), pa.array(volumes)),
        "row": pa.concat_tables([table, table.slice(len(table) - 1)]),
        "none": table.slice(0, 0),
        "column": table.drop_columns(["year"]),
    }[change]
    if path.suffix == ".parquet":
        pq.write_table(changed, path)
    else:
        with ipc.new_file(path, changed.schema) as file:
            file.write_table(changed)
    rewrite(export)
    refusal = refused(export)
    assert (refusal.code, refusal.field) == (Code.EXPORT_DAMAGED, path.name)
    assert "row" in refusal.value


def test_a_table_of_other_columns_is_refused(export: Path) -> None:
    path = next(export.glob("records.*"))
    path.write_bytes((export / f"order-1{path.suffix}").read_bytes())
    rewrite(export)
    refusal = refused(export)
    assert (refusal.code, refusal.field) == (Code.EXPORT_DAMAGED, path.name)
