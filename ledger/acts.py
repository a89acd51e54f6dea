"""Deciding commands: each checks its rules and gives the facts that follow, or raises Refused and gives none."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from ledger import commands, facts
from ledger.accounts import FREE, OVER_USE, fee
from ledger.codes import Code, Refused, reason
from ledger.eligibility import side_refusal, water_refusal
from ledger.fold import cap_covers
from ledger.policy import Policy, number_of
from ledger.state import State
from ledger.tables import MONEY_UNIT, Kind, water_unit
from ledger.units import MAX_AMOUNT, PPM
from matching.queue import BUY, SELL
from matching.types import UNLIMITED

Facts = Iterator[facts.Fact]
MONEY_LIMIT: Final = MAX_AMOUNT // 2


def policy_of(state: State) -> Policy:
    """The policy in force. Raises Refused before the first one."""
    if state.policy is None:
        raise Refused(Code.POLICY_INVALID, "policy", None, "adopt a policy first")
    return state.policy


def refuse_known(state: State, what: str, code: str) -> None:
    """Raise Refused (ALREADY_EXISTS) for a code that is registered."""
    if (what, code) in state.numbers:
        raise Refused(Code.ALREADY_EXISTS, what, code, "codes are given once")


def register_party(state: State, command: commands.RegisterParty) -> Facts:
    """A holder's name is public for a body and lies in the side register for a person (K12)."""
    refuse_known(state, "party", command.code)
    if (command.kind == "person") != bool(command.commitment):
        raise Refused(Code.WRONG_TYPE, "kind", command.kind, "a person comes with personal data, a body without")
    if command.kind != "person" and not command.name:
        raise Refused(Code.EMPTY, "name", command.name, "a body has a name")
    name = "" if command.kind == "person" else command.name
    yield facts.PartyRegistered(len(state.parties), command.code, command.kind, name, command.commitment)


def attributes(policy: Policy, command: Any) -> tuple[int, int, int, int]:
    """Numbers of source, basin, township and industry. Raises Refused for a name the policy does not know."""
    return (
        number_of(policy.sources, command.source, "source"),
        number_of(policy.basins, command.basin, "basin"),
        number_of(policy.townships, command.township, "township"),
        number_of(policy.industries, command.industry, "industry"),
    )


def allocate_cell(state: State, command: commands.AllocateCell) -> Facts:
    """No more than the district has left (A1); caps are looked at when rights are issued from the cell."""
    source, basin, township, industry = attributes(policy_of(state), command)
    unit = water_unit(source, command.year)
    left = balance_of(state, Kind.DISTRICT, unit)
    if command.volume_l > left:
        raise Refused(Code.DISTRICT_EXHAUSTED, "volume_l", command.volume_l, f"at most {left}")
    yield facts.CellAllocated(
        source, command.year, basin, township, industry, command.network, command.scheme, command.volume_l,
        command.document,
    )  # fmt: skip


def balance_of(state: State, kind: Kind, unit: int) -> int:
    """Free balance of a pool, zero where there is none."""
    row = state.rows.get((int(kind), -1, -1, unit))
    return 0 if row is None else int(state.accounts.balance[row, FREE])


def register_right(state: State, command: commands.RegisterRight) -> Facts:
    """A right never exceeds its verified volume, nor that the licensed one (A4)."""
    policy = policy_of(state)
    refuse_known(state, "right", command.code)
    party = state.number("party", command.party, Code.UNKNOWN_PARTY)
    source, basin, township, industry = attributes(policy, command)
    if command.verified_l > command.licensed_l:
        raise Refused(Code.ABOVE_VERIFIED, "verified_l", command.verified_l, f"at most {command.licensed_l}")
    if command.valid_to_ns <= command.valid_from_ns:
        raise Refused(Code.OUT_OF_RANGE, "valid_to_ns", command.valid_to_ns, "after valid_from_ns")
    if (command.kind == "network") != policy.basins[basin].network:
        raise Refused(Code.OUT_OF_RANGE, "basin", command.basin, "a network right lies in the zone of a network (T10)")
    yield facts.RightRegistered(
        len(state.rights), command.code, party, command.kind, source, basin, township, industry, command.network,
        command.scheme, command.licensed_l, command.verified_l, command.valid_from_ns, command.valid_to_ns,
        command.document,
    )  # fmt: skip


def issue_right(state: State, command: commands.IssueRight) -> Facts:
    """Within the verified volume, the cell and every cap; an opening import records what stands above (K16)."""
    policy = policy_of(state)
    number = state.number("right", command.right, Code.UNKNOWN_RIGHT)
    right = state.rights[number]
    check_term(state, right, command.year)
    row = state.holding(number, command.year)
    issued = 0 if row is None else int(state.accounts.account["issued_l"][row])
    if issued + command.volume_l > right.verified_l:
        raise Refused(Code.ABOVE_VERIFIED, "volume_l", command.volume_l, f"at most {right.verified_l - issued}")
    if number in state.ended_rights:
        raise Refused(Code.RIGHT_EXPIRED, "right", command.right, "a right whose term runs")
    key = (right.source, command.year, right.basin, right.township, right.industry, right.network, right.scheme)
    if key not in state.cells and not command.opening:
        raise Refused(
            Code.UNKNOWN_CELL, "right", command.right, "allocate the cell of basin, township and industry first"
        )
    cell = int(state.accounts.balance[state.cells[key], FREE]) if key in state.cells else 0
    over = max(0, command.volume_l - cell)
    if over and not command.opening:
        raise Refused(Code.CELL_EXHAUSTED, "volume_l", command.volume_l, f"at most {cell}")
    room = caps_room(state, right, command.year)
    if command.volume_l > room:
        if not command.opening:
            raise Refused(Code.ABOVE_INDEX, "volume_l", command.volume_l, f"at most {max(0, room)}")
        over = max(over, command.volume_l - max(0, room))
    unit = water_unit(right.source, command.year)
    beyond = over - balance_of(state, Kind.CONTROL, unit) - balance_of(state, Kind.OVER_ALLOCATED, unit)
    if beyond > MAX_AMOUNT:
        raise Refused(Code.OUT_OF_RANGE, "volume_l", command.volume_l, f"all water of the year at most {MAX_AMOUNT}")
    floor = command.volume_l * policy.rules.basic_need_ppm // PPM if right.kind == "irrigation" else 0
    lacking = 0 if row is None else -int(state.accounts.balance[row, OVER_USE])
    covered = min(command.volume_l, lacking)
    yield facts.RightIssued(number, command.year, command.volume_l, floor, over, covered, command.document)


def check_term(state: State, right: facts.RightRegistered, year: int) -> None:
    """Raise Refused (TERM_NOT_COVERING) when no day of the year lies in the term of a right."""
    starts, first = state.metering.year_starts, int(state.accounts.scalars[1])
    if not 0 <= year - first < len(starts) - 1:
        raise Refused(Code.OUT_OF_RANGE, "year", year, f"from {first} to {first + len(starts) - 2}")
    if right.valid_from_ns >= int(starts[year - first + 1]) or right.valid_to_ns <= int(starts[year - first]):
        raise Refused(Code.TERM_NOT_COVERING, "year", year, "a year within the term of the right")


def caps_room(state: State, right: facts.RightRegistered, year: int) -> int:
    """Litres that the tightest cap of a right still leaves for issue."""
    rooms = [MAX_AMOUNT]
    for cap in state.caps:
        if cap_covers(cap, right, year):
            row = state.accounts.cap[cap.cap]
            rooms.append(int(row["limit_l"] + row["imported_l"] - row["exported_l"] - row["held_l"] - row["used_l"]))
    return min(rooms)


def register_intake(state: State, command: commands.RegisterIntake) -> Facts:
    """An intake in a township of the policy."""
    policy = policy_of(state)
    refuse_known(state, "intake", command.code)
    source, township = number_of(policy.sources, command.source, "source"), command.township
    yield facts.IntakeRegistered(
        len(state.intakes), command.code, command.name, command.kind, source,
        number_of(policy.townships, township, "township"), command.licensed_l, command.area_mu,
    )  # fmt: skip


def install_meter(state: State, command: commands.InstallMeter) -> Facts:
    """Shares sum to one; the register lies within its modulus; a station reports for one meter."""
    refuse_known(state, "meter", command.code)
    if command.station:
        refuse_known(state, "station", command.station)
    intake = state.number("intake", command.intake, Code.UNKNOWN_INTAKE)
    shares = tuple((state.number("right", right, Code.UNKNOWN_RIGHT), part) for right, part in command.shares)
    if sum(part for _, part in shares) != PPM or any(part <= 0 for _, part in shares):
        raise Refused(Code.OUT_OF_RANGE, "shares", command.shares, "positive parts per million that sum to 1,000,000")
    if command.sign not in (-1, 1):
        raise Refused(Code.OUT_OF_RANGE, "sign", command.sign, "1, or -1 for return flow")
    if command.first_l >= command.modulus_l:
        raise Refused(Code.BEYOND_MODULUS, "first_l", command.first_l, f"below {command.modulus_l}")
    if not int(state.metering.year_starts[0]) <= command.installed_at_ns < int(state.metering.year_starts[-1]):
        raise Refused(Code.OUT_OF_RANGE, "installed_at_ns", command.installed_at_ns, "within the years of the ledger")
    yield facts.MeterInstalled(
        len(state.meter_facts), command.code, intake, command.station, command.online, command.sign, command.modulus_l,
        command.max_l_per_hour, command.first_l, command.installed_at_ns, command.verified_until_ns, shares,
    )  # fmt: skip


def verify_saving(state: State, command: commands.VerifySaving) -> Facts:
    """Only licences save for sale, and no more than was issued (T2)."""
    number = state.number("right", command.right, Code.UNKNOWN_RIGHT)
    right = state.rights[number]
    if right.kind != "licence":
        raise Refused(Code.OUT_OF_RANGE, "right", command.right, "a licence")
    check_term(state, right, command.year)
    row = state.holding(number, command.year)
    account = None if row is None else state.accounts.account[row]
    room = 0 if account is None else int(account["issued_l"] - account["saved_l"])
    if command.volume_l > room:
        raise Refused(Code.SAVING_ABOVE_RIGHT, "volume_l", command.volume_l, f"at most {room}")
    yield facts.SavingVerified(number, command.year, command.volume_l, command.measure, command.document)


def deposit_money(state: State, command: commands.DepositMoney) -> Facts:
    """A bank reference counts once."""
    party = state.number("party", command.party, Code.UNKNOWN_PARTY)
    if command.reference in state.references:
        raise Refused(Code.ALREADY_EXISTS, "reference", command.reference, "a deposit is booked once")
    if command.amount_fen - balance_of(state, Kind.EXTERNAL, MONEY_UNIT) > MONEY_LIMIT:
        raise Refused(
            Code.OUT_OF_RANGE, "amount_fen", command.amount_fen, f"all deposits together at most {MONEY_LIMIT}"
        )
    yield facts.MoneyDeposited(party, command.amount_fen, command.reference)


def suspend_party(state: State, command: commands.SuspendParty) -> Facts:
    """The reason becomes the code of his refusals (T5)."""
    party = state.number("party", command.party, Code.UNKNOWN_PARTY)
    reason = Code.TAX_OVERDUE if command.tax_overdue else Code.PARTY_SUSPENDED
    yield facts.PartySuspended(party, int(reason), command.document)


def reinstate_party(state: State, command: commands.ReinstateParty) -> Facts:
    """Ends a suspension."""
    party = state.number("party", command.party, Code.UNKNOWN_PARTY)
    if party not in state.suspended:
        raise Refused(Code.OUT_OF_RANGE, "party", command.party, "a suspended holder")
    yield facts.PartyReinstated(party, command.document)


def open_market(state: State, command: commands.OpenMarket) -> Facts:
    """Only an instrument whose continuous mode a document opens, or that runs as simulation (T0)."""
    number = state.number("instrument", command.instrument, Code.UNKNOWN_INSTRUMENT)
    if not state.instruments[number].continuous:
        raise Refused(
            Code.MODE_NOT_APPROVED, "instrument", command.instrument, "a mode with a document or as simulation"
        )
    yield facts.MarketOpened(number)


def close_market(state: State, command: commands.CloseMarket) -> Facts:
    """What rests stays."""
    yield facts.MarketClosed(state.number("instrument", command.instrument, Code.UNKNOWN_INSTRUMENT))


def settle_agreement(state: State, command: commands.SettleAgreement) -> Facts:
    """The rules of an order on both sides, permission and headroom between the zones, and money at hand (K25, K26)."""
    policy = policy_of(state)
    instrument = state.number("instrument", command.instrument, Code.UNKNOWN_INSTRUMENT)
    terms = state.instruments[instrument]
    if not terms.agreement:
        raise Refused(Code.MODE_NOT_APPROVED, "instrument", command.instrument, "open for agreements")
    seller, seller_row = agreement_side(state, terms, "seller", command.seller, SELL)
    buyer, buyer_row = agreement_side(state, terms, "buyer", command.buyer, BUY)
    if state.rights[seller].party == state.rights[buyer].party:
        raise Refused(Code.SELF_AGREEMENT, "buyer", command.buyer, "two holders")
    lots = check_passage(state, policy, seller, buyer, -(-command.volume_l // terms.lot_l))
    code = int(water_refusal(state.accounts, seller_row, command.volume_l))
    if code:
        raise Refused(reason(code), "volume_l", command.volume_l, "what the seller may sell")
    buyer_fee = int(fee(command.amount_fen, policy.fees.buyer_ppm))
    money = int(state.accounts.balance[state.accounts.party["money"][state.rights[buyer].party], FREE])
    if command.amount_fen + buyer_fee > money:
        raise Refused(Code.NOT_ENOUGH_MONEY, "amount_fen", command.amount_fen, f"with its fee at most {money}")
    covered = min(command.volume_l, -int(state.accounts.balance[buyer_row, OVER_USE]))
    yield facts.AgreementSettled(
        instrument, terms.year, seller, buyer, command.volume_l, command.amount_fen, buyer_fee,
        int(fee(command.amount_fen, policy.fees.seller_ppm)), covered, lots, command.document,
    )  # fmt: skip


def agreement_side(state: State, terms: facts.InstrumentDefined, field: str, code: str, side: int) -> tuple[int, int]:
    """Right and account row of one party to an agreement. Raises Refused when it may not trade."""
    right = state.number("right", code, Code.UNKNOWN_RIGHT)
    row = state.holding(right, terms.year)
    if row is None or state.rights[right].source != terms.source:
        raise Refused(Code.WRONG_UNIT, field, code, f"a right in the unit of {terms.code}")
    refusal = int(side_refusal(state.accounts, row, side))
    if refusal:
        raise Refused(reason(refusal), field, code, "")
    return right, row


def check_passage(state: State, policy: Policy, seller: int, buyer: int, lots: int) -> int:
    """Lots of headroom that a trade consumes. Raises Refused when the zones are closed to each other or used up."""
    zones = (state.rights[seller].basin, state.rights[buyer].basin)
    names = f"{policy.basins[zones[0]].code} -> {policy.basins[zones[1]].code}"
    permitted = {(policy.zone_number(p.seller), policy.zone_number(p.buyer)) for p in policy.passages}
    if zones not in permitted:
        raise Refused(Code.ZONES_NOT_PERMITTED, "zones", names, "a passage of the policy")
    headroom = int(state.books.headroom[zones])
    if lots > headroom:
        raise Refused(Code.HEADROOM_EXHAUSTED, "zones", names, f"{headroom} lots are left")
    return lots if headroom != UNLIMITED else 0


def fork_ledger(_state: State, command: commands.ForkLedger) -> Facts:
    """Whether a fork is due, and from where, only the store knows: see `ledger.forks`."""
    yield facts.LedgerForked(
        command.after_position, command.head, command.cause, command.known_position, command.document
    )


ACTS: Final[dict[type[commands.Command], Callable[[State, Any], Facts]]] = {
    commands.RegisterParty: register_party,
    commands.AllocateCell: allocate_cell,
    commands.RegisterRight: register_right,
    commands.IssueRight: issue_right,
    commands.RegisterIntake: register_intake,
    commands.InstallMeter: install_meter,
    commands.VerifySaving: verify_saving,
    commands.DepositMoney: deposit_money,
    commands.SuspendParty: suspend_party,
    commands.ReinstateParty: reinstate_party,
    commands.OpenMarket: open_market,
    commands.CloseMarket: close_market,
    commands.SettleAgreement: settle_agreement,
    commands.ForkLedger: fork_ledger,
}


def founding_facts(policy: Policy, content: bytes, digest: bytes) -> Facts:
    """The facts that a new ledger takes from its policy: policy, indexes, caps, headroom, instruments."""
    yield facts.PolicyAdopted(policy.version, policy.document, content, digest)
    for index in policy.indexes:
        source = number_of(policy.sources, index.source, "source")
        yield facts.IndexSet(source, index.year, index.volume_l, index.document)
    for number, cap in enumerate(policy.caps):
        yield facts.CapPublished(
            number, number_of(policy.sources, cap.source, "source"), cap.year, place(policy.basins, cap.basin),
            place(policy.townships, cap.township), place(policy.industries, cap.industry), cap.network or "",
            cap.scheme or "", cap.volume_l, cap.document,
        )  # fmt: skip
    yield headroom_fact(policy)
    for number, terms in enumerate(policy.instruments):
        band = terms.reference_price * terms.band_ppm // PPM
        low, high = (terms.reference_price - band, terms.reference_price + band) if band else (1, terms.max_price)
        opened = {mode.mode: 1 if mode.simulation else 2 for mode in terms.modes}
        yield facts.InstrumentDefined(
            number, terms.code, number_of(policy.sources, terms.source, "source"), terms.year, terms.lot_l,
            terms.tick_fen, terms.max_price, max(1, low), min(high, terms.max_price), policy.fees.buyer_ppm,
            policy.fees.seller_ppm, terms.session, opened.get("continuous", 0), opened.get("agreement", 0),
        )  # fmt: skip


def place(labels: tuple[Any, ...], code: str | None) -> int:
    """Number of a label, -1 where none is named."""
    return -1 if code is None else number_of(labels, code, "cap")


def headroom_fact(policy: Policy) -> facts.HeadroomSet:
    """The matrix of passages in lots; no passage, no headroom."""
    zones = len(policy.basins)
    lots = np.zeros((zones, zones), np.int64)
    lot_l = policy.instruments[0].lot_l if policy.instruments else 1
    for passage in policy.passages:
        pair = policy.zone_number(passage.seller), policy.zone_number(passage.buyer)
        lots[pair] = UNLIMITED if passage.headroom_l is None else passage.headroom_l // lot_l
    return facts.HeadroomSet(zones, tuple(int(lot) for lot in lots.ravel()))
