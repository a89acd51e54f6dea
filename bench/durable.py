"""Durable orders a second on SQLite: the ledger plain and pipelined, beside raw SQLite and a row a fact.

Plain: one batch is submitted and awaited before the next. Pipelined: all batches of a turn are given ahead, so that
one is decided while another is written; two may share a commit. A second ledger gets the same batches and therefore
makes the same facts. Raw and stock write what the ledger stored. Measured by the clock on the wall.

A turn is long enough that each log gets so long that its pages are moved into the file: raw does it within a commit, as
SQLite does, the ledger beside its commits.

The parts of the plain path are done once more, each alone (`bench.parts`). Deciding is what then remains: checks of
form, accounts, escrow, settlement and matching, answers, and the threads.
"""

import itertools
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import numpy as np

from bench.baselines import RawSQLite, StockSQLite, Stored, cut, stored
from bench.figures import PER_S, Figure, Found, Scene, Size, Turns, timed
from bench.parts import Books, Parts, Turn, appending, copied_store, encoding, hashing
from bench.world import OPERATOR, live_flow, live_orders, open_world
from ledger.answers import Answer
from ledger.codes import Refused
from ledger.journal.records import parse
from ledger.submissions import Submission
from shuiquan.exchange import Exchange

TITLE: Final = "Durable orders a second, SQLite, fsync on every commit"
LEFT_OUT: Final = (
    "building the arrays of orders; raw SQLite writes the table of records only, without keys of "
    "submissions; the row a fact is written for the first batches of each turn only"
)
NS: Final = "ns an order"


def plain_turn(exchange: Exchange, rng: np.random.Generator, size: int, batches: int, name: str) -> Turn:
    """Submit batches one after the other; each is drawn, untimed, once the one before has been answered."""
    turn = Turn(0.0, [], [], [exchange.position])
    for number in range(batches):
        submission = Submission(live_flow(exchange, rng, size), command_id=f"{name}-{number}", **OPERATOR)
        started = time.perf_counter()
        answers = exchange.submit_many([submission])
        turn = turn._replace(seconds=turn.seconds + time.perf_counter() - started)
        turn.answers.extend(answered(answers))
        turn.submissions.append(submission)
        turn.positions.append(exchange.position)
    return turn


def answered(answers: Sequence[Answer | Refused]) -> list[Answer]:
    """The answers; a refusal is raised."""
    for answer in answers:
        if isinstance(answer, Refused):
            raise answer
    return list(answers)  # type: ignore[arg-type]


def pipelined(exchange: Exchange, submissions: Sequence[Submission]) -> tuple[float, int]:
    """Seconds until all are durable when none is awaited before the next is given, and the commits they took."""
    before = exchange.load.commits

    def give() -> None:
        for promise in [exchange.submit_ahead([one]) for one in submissions]:
            answered(promise.result())

    return timed(give), exchange.load.commits - before


def evenly(rows: Sequence[Stored], commits: int) -> list[Sequence[Stored]]:
    """The rows in so many commits."""
    ends = [len(rows) * number // commits for number in range(commits + 1)]
    return [rows[start:end] for start, end in itertools.pairwise(ends)]


def canonical(rows: Sequence[Stored]) -> list[bytes]:
    """The facts of a commit in order, as bytes."""
    found = [fact for _, position, _, state in rows for fact in parse(position, state).canonical()]
    return [packed for _, packed in sorted(found)]


def measure(size: Size, folder: Path) -> Found:
    """All of it, in turns."""
    turns, rng, path = Turns(), np.random.default_rng(1), folder / "plain.db"
    with ExitStack() as stack:
        plain, piped = (
            stack.enter_context(open_world(folder / name, size.rights)) for name in ("plain.db", "piped.db")
        )
        raw, joined = (stack.enter_context(closing(RawSQLite(folder / name, path))) for name in ("raw.db", "joined.db"))
        stock = stack.enter_context(closing(StockSQLite(folder / "stock.db")))
        store = stack.enter_context(closing(copied_store(folder / "store.db", stored(path, 0))))
        books = Books(plain.state, size.batch * size.batches * (size.turns + 1))
        for number in range(size.turns + 1):
            turn = plain_turn(plain, rng, size.batch, size.batches if number else 2, f"{number}")
            seconds, commits_taken = pipelined(piped, turn.submissions)
            assert plain.state.next_seq == piped.state.next_seq, "the same batches make the same facts"
            rows = stored(path, turn.positions[0])
            commits = cut(rows, turn.positions)
            facts = [canonical(part) for part in commits[: size.row_batches]]
            orders, whole = size.batch * len(turn.submissions), turn.seconds
            raw_s, joined_s, stock_s = raw.write(commits), joined.write(evenly(rows, commits_taken)), stock.write(facts)
            parts = Parts(books.match(turn.answers), encoding(rows), hashing(rows), appending(store, turn, commits))
            if not number:  # which warms everything up
                continue
            turns.add(
                plain=orders / whole, pipelined=orders / seconds, commits=commits_taken, raw=orders / raw_s,
                joined=orders / joined_s, stock=size.batch * len(facts) / stock_s,
            )  # fmt: skip
            deciding = whole - parts.encoding - parts.chain - parts.commit
            spent = parts._asdict() | {"whole": whole, "deciding": deciding, "overlap": whole - seconds}
            turns.add(**{f"{name}_ns": 1e9 * value / orders for name, value in spent.items()})
        conditions = {"sqlite": raw.settings(), "live_orders": live_orders(plain)}
    return Found(NAME, TITLE, figures(turns), conditions, LEFT_OUT)


RAW, JOINED, PLAIN, WHOLE = "raw SQLite, a commit a batch", "raw SQLite, commits as pipelined", "plain", "all of plain"


def figures(turns: Turns) -> list[Figure]:
    """The figures, each beside its baseline."""
    return [
        turns.figure("pipelined", "pipelined (submit_ahead)", PER_S, JOINED),
        turns.figure("plain", PLAIN, PER_S, RAW),
        turns.figure("joined", JOINED),
        turns.figure("raw", RAW),
        turns.figure("stock", "stock recorder, a row a fact", PER_S, RAW),
        turns.figure("commits", "commits of pipelined", "commits"),
        turns.figure("whole_ns", WHOLE, NS),
        turns.figure("deciding_ns", "deciding and all else", NS, WHOLE, "plain less the next three"),
        turns.figure("encoding_ns", "encoding", NS, WHOLE),
        turns.figure("chain_ns", "chain (SHA-256)", NS, WHOLE),
        turns.figure("commit_ns", "commit (append)", NS, WHOLE),
        turns.figure("matching_ns", "matching alone", NS, WHOLE, "within deciding"),
        turns.figure("overlap_ns", "overlap", NS, WHOLE, "saved by deciding while a commit is written"),
    ]


NAME: Final = "durable"
SCENE: Final = Scene(NAME, TITLE, measure)
