"""What must hold of a ledger after a fault: what was acknowledged is there, the rest whole or not at all, and once."""

from typing import NamedTuple

from tests.districts import Clock
from tests.faults.supervisor import Run
from tests.faults.workload import PAGE_FACTS, Step, answer_digest, stream, submit_step
from tests.stores.homes import Place
from tests.stores.ledgers import facts_hash, recorded, resumed, verified

CLOSED = {"COMMIT_FAILED"}
"""How a commit fails: in writing, in looking up a command id, or in reading the first answer to it."""


class Ending(NamedTuple):
    """What the steps of a seed lead to undisturbed."""

    steps: list[Step]
    answers: list[list[str]]
    states: list[str]  # before, and after each step
    facts: str
    last_seq: int


def undisturbed(place: Place, seed: int) -> Ending:
    """Commit the steps of a seed without any accident."""
    world = resumed(place, page_facts=PAGE_FACTS)
    steps, answers, states = stream(seed), [], [world.exchange.state_hash()]
    for step in steps:
        answers.append([answer_digest(answer) for answer in submit_step(world.exchange, world.clock, step)])
        states.append(world.exchange.state_hash())
    facts, last_seq = facts_hash(world.exchange), world.exchange.state.next_seq - 1
    world.exchange.close()
    return Ending(steps, answers, states, facts, last_seq)


def acknowledged(run: Run, ending: Ending) -> int:
    """So many steps a writer acknowledged, each as if undisturbed; it accepted nothing after a failure."""
    said = run.words("acknowledged")
    for number, answers in run.words("repeated"):
        assert answers == ending.answers[number]
    assert said == [[number, ending.answers[number]] for number in range(len(said))]
    assert not run.words("accepted"), "a writer went on after a failed commit"
    assert {code for (code,) in run.words("failed")} <= CLOSED
    return len(said)


def check(place: Place, ending: Ending, acknowledged: int) -> None:
    """Open a ledger after a fault, see what is there, repeat everything, and compare with an undisturbed run."""
    world = resumed(place, page_facts=PAGE_FACTS)
    there = set(recorded(world.exchange))
    held = [[submission.command_id in there for submission in submissions] for _, submissions in ending.steps]
    count = sum(all(step) for step in held)
    assert held == [[number < count] * len(step) for number, step in enumerate(held)], "a commit is there in part"
    assert acknowledged <= count <= acknowledged + 1, "what was acknowledged is not there, or more than was begun"
    assert world.exchange.state_hash() == ending.states[count]
    clock: Clock = world.clock
    for number, step in enumerate(ending.steps):
        answers = submit_step(world.exchange, clock, step)
        assert [answer_digest(answer) for answer in answers] == ending.answers[number]
        assert {answer.repeated for answer in answers} == {number < count}
    assert world.exchange.state_hash() == ending.states[-1]
    assert facts_hash(world.exchange) == ending.facts
    assert verified(place).state_hash == ending.states[-1]
    world.exchange.close()
