"""From recorded facts back to what was asked for: the arrays and commands that a decider can be given again."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from ledger import commands, facts, rows
from ledger.codes import Code
from ledger.policy import Policy
from ledger.state import State
from ledger.tables import Array
from matching.types import Reason, Status, TimeInForce


def orders_again(state: State, recorded: Array) -> Array:
    """The ORDER rows behind order facts. The session's end that a DAY order was given is taken out again."""
    orders = np.zeros(len(recorded), rows.ORDER)
    for name in rows.ORDER.names or ():
        orders[name] = recorded[name]
    closes_ns = state.market.instrument["closes_at_ns"]
    known = (recorded["instrument"] >= 0) & (recorded["instrument"] < len(closes_ns))
    ends_ns = np.where(known, closes_ns[np.where(known, recorded["instrument"], 0)], 0) if len(closes_ns) else 0
    given = (
        (recorded["time_in_force"] == TimeInForce.DAY)
        & (recorded["zone"] >= 0)  # it came as far as its book
        & (recorded["expires_at_ns"] == ends_ns)
        & (recorded["code"] != Reason.EXPIRY_UNEXPECTED)
    )
    orders["expires_at_ns"][given] = 0
    return orders


def were_linked(recorded: Array) -> bool:
    """Whether orders were refused together: such facts say nothing but what was asked and why not."""
    return bool((recorded["status"] == Status.REJECTED).all() and not recorded["year"].any())


def readings_again(recorded: Array) -> Array:
    """The READING rows behind reading facts."""
    readings = np.zeros(len(recorded), rows.READING)
    for name in rows.READING.names or ():
        readings[name] = recorded[name]
    return readings


Again = Callable[[State, Policy, Any], commands.Command]


def where(policy: Policy, fact: Any) -> dict[str, str]:
    """Attributes of a cell or a right by their codes."""
    return {
        "source": policy.sources[fact.source].code, "basin": policy.basins[fact.basin].code,
        "township": policy.townships[fact.township].code, "industry": policy.industries[fact.industry].code,
        "network": fact.network, "scheme": fact.scheme,
    }  # fmt: skip


def register_right(state: State, policy: Policy, fact: facts.RightRegistered) -> commands.Command:
    """The command behind a registered right."""
    return commands.RegisterRight(
        code=fact.code, party=state.parties[fact.party].code, kind=fact.kind, **where(policy, fact),
        licensed_l=fact.licensed_l, verified_l=fact.verified_l, valid_from_ns=fact.valid_from_ns,
        valid_to_ns=fact.valid_to_ns, document=fact.document,
    )  # fmt: skip


def issue_right(state: State, _: Policy, fact: facts.RightIssued) -> commands.Command:
    """The command behind an issue; only an opening import goes above what there was."""
    return commands.IssueRight(
        right=state.rights[fact.right].code, year=fact.year, volume_l=fact.volume_l, document=fact.document,
        opening=fact.over_allocated_l > 0,
    )  # fmt: skip


def register_intake(_: State, policy: Policy, fact: facts.IntakeRegistered) -> commands.Command:
    """The command behind a registered intake."""
    return commands.RegisterIntake(
        code=fact.code, name=fact.name, kind=fact.kind, source=policy.sources[fact.source].code,
        township=policy.townships[fact.township].code, licensed_l=fact.licensed_l, area_mu=fact.area_mu,
    )  # fmt: skip


def install_meter(state: State, _: Policy, fact: facts.MeterInstalled) -> commands.Command:
    """The command behind an installed meter."""
    return commands.InstallMeter(
        code=fact.code, intake=state.intakes[fact.intake].code, station=fact.station, online=fact.online,
        sign=fact.sign, modulus_l=fact.modulus_l, max_l_per_hour=fact.max_l_per_hour, first_l=fact.first_l,
        installed_at_ns=fact.installed_at_ns, verified_until_ns=fact.verified_until_ns,
        shares=tuple((state.rights[right].code, ppm) for right, ppm in fact.shares),
    )  # fmt: skip


def settle_agreement(state: State, _: Policy, fact: facts.AgreementSettled) -> commands.Command:
    """The command behind a settled agreement."""
    return commands.SettleAgreement(
        instrument=state.instruments[fact.instrument].code, seller=state.rights[fact.seller_right].code,
        buyer=state.rights[fact.buyer_right].code, volume_l=fact.volume_l, amount_fen=fact.amount_fen,
        document=fact.document,
    )  # fmt: skip


AGAIN: Final[dict[type[facts.Fact], Again]] = {
    facts.PartyRegistered: lambda _s, _p, fact: commands.RegisterParty(
        code=fact.code, kind=fact.kind, name=fact.name, commitment=fact.commitment
    ),
    facts.CellAllocated: lambda _, policy, fact: commands.AllocateCell(
        **where(policy, fact), year=fact.year, volume_l=fact.volume_l, document=fact.document
    ),
    facts.RightRegistered: register_right,
    facts.RightIssued: issue_right,
    facts.IntakeRegistered: register_intake,
    facts.MeterInstalled: install_meter,
    facts.SavingVerified: lambda state, _, fact: commands.VerifySaving(
        right=state.rights[fact.right].code, year=fact.year, volume_l=fact.volume_l, measure=fact.measure,
        document=fact.document,
    ),
    facts.MoneyDeposited: lambda state, _, fact: commands.DepositMoney(
        party=state.parties[fact.party].code, amount_fen=fact.amount_fen, reference=fact.reference
    ),
    facts.PartySuspended: lambda state, _, fact: commands.SuspendParty(
        party=state.parties[fact.party].code, tax_overdue=fact.reason == Code.TAX_OVERDUE, document=fact.document
    ),
    facts.PartyReinstated: lambda state, _, fact: commands.ReinstateParty(
        party=state.parties[fact.party].code, document=fact.document
    ),
    facts.MarketOpened: lambda state, _, fact: commands.OpenMarket(instrument=state.instruments[fact.instrument].code),
    facts.MarketClosed: lambda state, _, fact: commands.CloseMarket(instrument=state.instruments[fact.instrument].code),
    facts.AgreementSettled: settle_agreement,
    facts.LedgerForked: lambda _s, _p, fact: commands.ForkLedger(
        after_position=fact.after_position, head=fact.head, cause=fact.cause, known_position=fact.known_position,
        document=fact.document,
    ),
}  # fmt: skip
"""The command behind each fact that an accepted command leaves. Of a refused one only the refusal is recorded."""


def command_again(state: State, fact: facts.Fact) -> commands.Command | None:
    """The command that an accepted act was asked for with; None for what cannot be asked again: see AGAIN.

    Raises IndexError for a fact that names something not registered.
    """
    made = AGAIN.get(type(fact))
    return made(state, state.policy, fact) if made and state.policy else None
