"""Submissions happen together or not at all, once, and may be tried before (K1, K3, K4)."""

from typing import Any

import numpy as np
import pytest

import shuiquan
from shuiquan import Code, Refused, Role, Side
from tests.districts import HOUR_NS, district
from tests.ledger.test_malformed import act
from tests.world import BUREAU, GATEWAY, OPERATOR, Fork, World, seen

S = shuiquan
OPENS, WRONG, SUSPENDS = act(S.CloseMarket), act(S.ReinstateParty), act(S.SuspendParty)


@pytest.fixture
def ledger(world: World) -> World:
    """A with money, an offer and a bid; B with a bid."""
    world.add_right("A", kind="irrigation", money_yuan=1_000)
    world.add_right("B", kind="irrigation", money_yuan=1_000)
    world.open_market()
    world.rest(Side.SELL, "A", 4_000, 5)
    world.rest(Side.BUY, "A", 2_000, 5)
    world.rest(Side.BUY, "B", 1_900, 5)
    return Fork(world)


LINKED = {
    # commands and the codes of their refusals
    "all good": ((*SUSPENDS, *OPENS), ()),
    "the last is refused": ((*SUSPENDS, *WRONG, *WRONG), (Code.LINKED_REFUSED, Code.LINKED_REFUSED, Code.OUT_OF_RANGE)),
    "the first is refused": ((*WRONG, *SUSPENDS), (Code.OUT_OF_RANGE, Code.LINKED_REFUSED)),
    "one of three": ((*SUSPENDS, *act(S.SuspendParty, party="?"), *OPENS),
        (Code.LINKED_REFUSED, Code.UNKNOWN_PARTY, Code.LINKED_REFUSED)),
    "each needs the one before": ((*act(S.RegisterParty), *act(S.RegisterRight, party="new")), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", LINKED)
def test_linked_commands_happen_together_or_not_at_all(ledger: World, name: str) -> None:
    commands, codes = LINKED[name]
    before = ledger.parts()
    ledger.clock.at_ns += HOUR_NS
    answer = ledger.submit(list(commands), BUREAU, linked=True)
    assert tuple(fact.code for fact in answer.refused) == codes
    assert (ledger.parts() == before) == bool(answer.refused)
    assert len(answer.removals) == (0 if codes or name.startswith("each") else 2)
    assert answer.last_seq - answer.first_seq == len(answer.acts) + len(answer.removals)
    ledger.check()


def test_linked_orders_are_refused_together_or_not_linked_at_all(ledger: World) -> None:
    before = ledger.parts()
    rows = np.concatenate([ledger.order(Side.BUY, "B", price, 1) for price in (3_000, 9_000)])
    try:
        assert (ledger.submit(rows, OPERATOR, linked=True).orders["code"] != 0).all()
    except Refused as refused:
        assert refused.code in {Code.WRONG_TYPE, Code.OUT_OF_RANGE}  # noqa: PT017 - but one of two alone is wrong
    assert ledger.parts() == before


def test_a_repeated_id_gives_the_first_answer_again_and_does_nothing(world: World) -> None:
    world.add_right("A", kind="irrigation", money_yuan=100)
    world.add_right("B", kind="irrigation", money_yuan=100)
    world.open_market()
    rows = [
        world.order(Side.SELL, "A", 3_000, 9),
        world.order(Side.BUY, "B", 3_000, 2),
        world.order(Side.BUY, "B", 9, 2),
    ]
    deal = act(S.SettleAgreement, volume_l=7)
    given = [("orders", np.concatenate(rows), OPERATOR), ("deal", [*deal, *act(S.OpenMarket)], OPERATOR)]
    given += [("reading", world.reading("M-A", 49_900), GATEWAY), ("linked", [*SUSPENDS, *WRONG, *WRONG], BUREAU)]
    first = {name: world.exchange.submit(content, command_id=name, **who) for name, content, who in given}
    assert first["orders"].trades.size
    assert first["reading"].removals.size
    for _ in range(2):
        before = world.exchange.position, world.exchange.state_hash()
        for name, content, who in given:
            again = world.exchange.submit(content, command_id=name, **who)
            assert again.repeated
            assert seen(first[name]) == seen(again), name
            other = np.repeat(content, 2) if len(content) == 1 else content[:-1]
            with pytest.raises(Refused, match="COMMAND_ID_REUSED"):
                world.exchange.submit(other, command_id=name, **who)
        assert (world.exchange.position, world.exchange.state_hash()) == before
        world.reopen(policy=district())
    assert not world.exchange.submit(OPENS, command_id="orders", actor="another", role=Role.OPERATOR).repeated
    world.check()


@pytest.mark.parametrize("written", [False, True])
def test_after_a_failed_commit_the_repeated_id_tells_its_outcome(
    world: World, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    world.bureau(*act(S.RegisterParty, code="P-A"))
    store, money = world.exchange._writer._store, {**OPERATOR, "command_id": "money"}
    append = store.append

    def fails(*records: Any) -> None:
        if written:
            append(*records)
        raise OSError

    monkeypatch.setattr(store, "append", fails)
    for content in (act(S.DepositMoney), OPENS):
        with pytest.raises(Refused, match="COMMIT_FAILED"):
            world.exchange.submit(content, **money)
    monkeypatch.undo()
    world.reopen()
    answer = world.exchange.submit(act(S.DepositMoney), **money)
    assert (answer.repeated, len(answer.acts), world.money("P-A")) == (written, 1, (5, 0))
    world.check()


def test_a_preview_tells_what_would_come_and_changes_nothing(ledger: World, world: World) -> None:
    before = world.exchange.position, world.exchange.state_hash()
    someone = act(S.RegisterParty, kind="person", name="", person=S.Person(name="one"))
    seen = world.exchange.preview([*SUSPENDS, *someone], **BUREAU)
    assert not seen.refused
    sells = world.exchange.preview(ledger.order(Side.SELL, "A", 3_000, 9_999), **OPERATOR)
    assert sells.orders["code"] == Code.NOT_ENOUGH_WATER
    assert (world.exchange.position, world.exchange.state_hash()) == before
    done = world.bureau(*SUSPENDS, *act(S.RegisterParty))
    assert (done.removals.tolist(), done.acts[0]) == (seen.removals.tolist(), seen.acts[0])
    assert world.exchange.person("new") is None
    world.check()
