"""What processes do while faults happen: a writer that says what was acknowledged, and a reader that follows it."""

import hashlib
import json
import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

import shuiquan
from ledger.answers import Answer
from ledger.limits import Limits
from ledger.submissions import Submission
from shuiquan import DepositMoney, Refused, RegisterParty, Role
from shuiquan.exchange import Exchange
from tests.districts import START_NS, Clock, district
from tests.faults.calls import watch
from tests.faults.disks import KIND, LIMIT, mount_small
from tests.ledger.scripts import random_orders, random_script
from tests.stores.homes import copied
from tests.stores.ledgers import filled
from tests.stores.test_parties import REGISTER
from tests.world import BUREAU, OPERATOR

Step = tuple[int, list[Submission]]
"""One commit: its time, and what is submitted in it."""

PAGE_FACTS: Final = 64


def stream(seed: int, length: int = 10) -> list[Step]:
    """Commits of a seed: orders in batches and singly, readings, registrations and deposits, some of them together."""
    rng = np.random.Generator(np.random.PCG64(seed))
    steps: list[Step] = []
    for number, (at_ns, submission) in enumerate(random_script(seed, length, 30)):
        together = [submission]
        if rng.random() < 0.5:
            one = random_orders(rng, 1, 60)
            together.append(Submission(one, "platform", Role.OPERATOR, f"single-{number}"))
        if rng.random() < 0.4:
            party = RegisterParty(code=f"P-{number}", kind="company", name=f"示例{number}公司")
            together.append(Submission([party], "clerk", Role.BUREAU, f"party-{number}", "head"))
            money = DepositMoney(party=f"P-{number}", amount_fen=number + 1, reference=f"bank-{number}")
            together.append(Submission([money], "platform", Role.OPERATOR, f"money-{number}"))
        steps.append((at_ns, together))
    return steps


def answer_digest(answer: Answer) -> str:
    """A hash over everything that an answer says, whether it was repeated apart."""
    arrays = (answer.orders, answer.trades, answer.removals, answer.readings, answer.uses)
    columns = [array[name].tobytes() for array in arrays for name in array.dtype.names]  # rows have gaps between them
    said = (answer.first_seq, answer.last_seq, answer.at_ns, columns, answer.acts)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def submit_step(exchange: Exchange, clock: Clock, step: Step) -> list[Answer]:
    """Commit a step; raises Refused when it failed."""
    clock.at_ns, submissions = step
    answers = []
    for answer in exchange.submit_many(submissions):
        if isinstance(answer, Refused):
            raise answer
        answers.append(answer)
    return answers


def be_supervised(control: int, calls: Sequence[str]) -> None:
    """Let these calls of this process wait for a supervisor, if there are any."""
    if calls:
        listener = watch(calls)
        with socket.socket(fileno=os.dup(control)) as speaker:
            socket.send_fds(speaker, [b"!"], [listener])
        os.close(listener)


def write(
    control: int, path: str, seed: int, calls: Sequence[str] = (), file_size: int = 0, held: bool = False,
    repeats: bool = False,
) -> None:  # fmt: skip
    """Open a ledger, commit the steps of a seed, and close it; say each step before and after, and each refusal.

    `calls` are to be supervised. `file_size` limits files to so many bytes. A writer that is `held` waits for a byte
    before each step. One that `repeats` gives each step again before the next.
    """

    def say(word: str, *more: object) -> None:
        os.write(control, f"{word} {json.dumps(more)}\n".encode())

    be_supervised(control, calls)
    if file_size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    clock = Clock(START_NS)
    try:
        exchange = shuiquan.open(path, clock=clock, page_facts=PAGE_FACTS, limits=Limits(free_bytes=0))
    except Refused as refusal:
        say("refused", refusal.code.name)
        return
    steps = stream(seed)
    for number, step in enumerate(steps):
        say("begun", number)
        if held:
            os.read(control, 1)
        try:
            if repeats and number:
                again = submit_step(exchange, clock, steps[number - 1])
                say("repeated", number - 1, [answer_digest(answer) for answer in again])
            answers = submit_step(exchange, clock, step)
        except Refused as refusal:
            say("failed", refusal.code.name)
            for again in (step, steps[0]):
                try:
                    submit_step(exchange, clock, again)
                    say("accepted", number)
                except Refused as closed:
                    say("failed", closed.code.name)
            break
        say("acknowledged", number, [answer_digest(answer) for answer in answers])
    exchange.close()
    say("closed")


def write_on_a_small_disk(control: int, path: str, room: int, **job: Any) -> None:
    """As `write`, on a copy of the ledger on a disk with so much room beside it; what it leaves takes its place."""
    ledger = Path(path)
    folder = ledger.with_suffix(".disk")
    folder.mkdir()
    mount_small(folder, ledger.stat().st_size + room)
    write(control, str(copied(ledger, folder / "ledger.db")), **job)
    copied(folder / "ledger.db", ledger)


def fill_and_free(control: int, path: str, room: int) -> None:
    """Submit, fill the disk up to the watermark, submit, make room, and submit again; say what came of each."""
    ledger = Path(path)
    folder = ledger.with_suffix(".disk")
    folder.mkdir()
    if KIND != LIMIT:
        mount_small(folder, ledger.stat().st_size + room)
    inner, clock, steps = copied(ledger, folder / "ledger.db"), Clock(START_NS), iter(stream(1))
    limits = Limits(free_bytes=shutil.disk_usage(folder).free - room // 2)
    with shuiquan.open(inner, clock=clock, page_facts=PAGE_FACTS, limits=limits) as exchange:

        def say(word: str, step: Step) -> None:
            try:
                more = [[answer.repeated, answer_digest(answer)] for answer in submit_step(exchange, clock, step)]
            except Refused as refusal:
                more = [refusal.code.name]
            os.write(control, f"{word} {json.dumps([more, exchange.load.refused])}\n".encode())

        say("before", next(steps))
        waits = next(steps)
        with (folder / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, 3 * room // 4)
        say("full", waits)
        say("still", waits)
        (folder / "ballast").unlink()
        say("freed", waits)
        say("on", next(steps))
        say("again", waits)
        exchange.close()
    copied(inner, ledger)


def write_long(control: int, path: str, calls: Sequence[str], commits: int = 100) -> None:
    """Commit large batches of orders until one fails, at most so many: the log is moved into the file meanwhile."""
    be_supervised(control, calls)
    rng = np.random.Generator(np.random.PCG64(1))
    with shuiquan.open(path, clock=Clock(START_NS), limits=Limits(free_bytes=0)) as exchange:
        for number in range(commits):
            try:
                exchange.submit(random_orders(rng, 8_192, 60), command_id=f"long-{number}", **OPERATOR)
            except Refused as refusal:
                os.write(control, f'failed ["{refusal.code.name}"]\n'.encode())
                return
            os.write(control, f"acknowledged [{number}]\n".encode())


def make(control: int, path: str, calls: Sequence[str]) -> None:
    """Make a ledger."""
    be_supervised(control, calls)
    shuiquan.open(path, policy=district(), clock=Clock(), ledger_id="test").close()


def register(control: int, path: str, calls: Sequence[str]) -> None:
    """Register persons."""
    be_supervised(control, calls)
    with shuiquan.open(path, clock=Clock()) as exchange:
        os.write(control, b"begun []\n")
        exchange.submit(REGISTER, command_id="register", **BUREAU)


def snapshot(control: int, path: str, calls: Sequence[str]) -> None:
    """Write a snapshot beside whoever writes the ledger."""
    be_supervised(control, calls)
    with shuiquan.open(path, readonly=True) as exchange:
        exchange.snapshot()


def follow(control: int, path: str, last_seq: int) -> None:
    """Follow the facts of a ledger until one is told; say the position and number of each."""
    with shuiquan.open(path, readonly=True) as exchange:
        os.write(control, b"following\n")
        after = 0
        while True:
            for told in exchange.subscribe(after, wait_s=10):
                after = told.position
                os.write(control, f"{told.position} {told.seq}\n".encode())
                if told.seq == last_seq:
                    return


def ask(control: int, path: str) -> None:
    """Wait for a byte, open a ledger, and say what its read models show."""
    os.read(control, 1)
    with shuiquan.open(path, readonly=True) as exchange:
        row = exchange.query("SELECT COUNT(*) AS parties FROM parties")
        os.write(control, f"answer {json.dumps(row)}\n".encode())


JOBS: Final[dict[str, Callable[..., None]]] = {
    "write": write,
    "write_long": write_long,
    "follow": follow,
    "ask": ask,
    "make": make,
    "register": register,
    "snapshot": snapshot,
    "write_on_a_small_disk": write_on_a_small_disk,
    "fill_and_free": fill_and_free,
}


def warm() -> None:
    """Load every kernel once, by a ledger that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        world = filled(Path(folder) / "warm.db", random_script(1, 8))
        for step in stream(1):
            submit_step(world.exchange, world.clock, step)
        world.exchange.query("SELECT COUNT(*) AS trades FROM market")
        world.reopen()
        world.exchange.state_hash()
        world.exchange.close()
