"""Applying rare facts to the state: one function a fact, used by the deciding path and by replay alike."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from ledger import facts
from ledger.accounts import FREE, move_caps, settle_money, settle_water
from ledger.codes import Code
from ledger.metering import years_between
from ledger.policy import Policy
from ledger.state import DEADLINE_METER, DEADLINE_RIGHT, State
from ledger.tables import FIRST_YEAR, MONEY_UNIT, NEVER, Kind, water_unit
from matching.arrays import with_book, with_headroom
from matching.types import UNLIMITED

IRRIGATION_HEAD: Final = "irrigation_head"


def post(state: State, giver: int, taker: int, amount: int) -> None:
    """Move an amount between the free balances of two accounts of one unit."""
    balance = state.accounts.balance
    balance[giver, FREE] -= amount
    balance[taker, FREE] += amount


def ledger_opened(state: State, fact: facts.LedgerOpened) -> None:
    """Name the ledger."""
    state.ledger_id = fact.ledger_id


def policy_adopted(state: State, fact: facts.PolicyAdopted) -> None:
    """Put a policy in force."""
    state.policy = msgspec.msgpack.decode(fact.content, type=Policy)
    state.policy_digest = fact.digest
    if not state.account_count:
        state.begin(state.policy)


def index_set(state: State, fact: facts.IndexSet) -> None:
    """Control index -> district."""
    unit = water_unit(fact.source, fact.year)
    control, district = state.row(Kind.CONTROL, unit), state.row(Kind.DISTRICT, unit)
    post(state, control, district, fact.volume_l)


def cap_published(state: State, fact: facts.CapPublished) -> None:
    """A new cap; what is held and used under it already counts from its first day."""
    state.caps.append(fact)
    state.grow_registers()
    state.accounts.cap["limit_l"][fact.cap] = fact.volume_l
    for (kind, _, right, _), row in list(state.rows.items()):
        year = int(state.accounts.account["year"][row])
        if kind == Kind.HOLDING and cap_covers(fact, state.rights[right], year):
            at = state.accounts.account[row]
            members = state.accounts.cap_members[at["caps_at"] : at["caps_at"] + at["caps"]]
            state.add_cap_members(row, [*members.tolist(), fact.cap])
            free, escrowed, abstracted, over = (int(amount) for amount in state.accounts.balance[row])
            cap = state.accounts.cap[fact.cap]
            cap["held_l"] += free + escrowed
            cap["used_l"] += abstracted + over
            cap["over_l"] -= over


def cap_covers(cap: facts.CapPublished, right: facts.RightRegistered, year: int) -> bool:
    """Whether a right falls under a cap in a year: every attribute that the cap names agrees (K16)."""
    return (
        (cap.source, cap.year) == (right.source, year)
        and cap.basin in (-1, right.basin)
        and cap.township in (-1, right.township)
        and cap.industry in (-1, right.industry)
        and cap.network in ("", right.network)
        and cap.scheme in ("", right.scheme)
    )


def cell_allocated(state: State, fact: facts.CellAllocated) -> None:
    """District -> cell."""
    key = (fact.source, fact.year, fact.basin, fact.township, fact.industry, fact.network, fact.scheme)
    unit = water_unit(fact.source, fact.year)
    if key not in state.cells:
        state.cells[key] = state.row(Kind.CELL, unit, reference=len(state.cells))
    post(state, state.row(Kind.DISTRICT, unit), state.cells[key], fact.volume_l)


def instrument_defined(state: State, fact: facts.InstrumentDefined) -> None:
    """A new instrument with an empty book, closed until it is opened."""
    state.instruments.append(fact)
    state.register("instrument", fact.code, fact.instrument)
    state.grow_registers()
    state.replace_books(with_book(state.books, 1, fact.max_price))
    row = state.market.instrument[fact.instrument]
    row["unit"], row["year"] = water_unit(fact.source, fact.year), fact.year
    row["lot_l"], row["tick_fen"] = fact.lot_l, fact.tick_fen
    row["low_price"], row["high_price"] = fact.low_price, fact.high_price
    row["buyer_fee_ppm"], row["seller_fee_ppm"] = fact.buyer_fee_ppm, fact.seller_fee_ppm
    row["code"] = Code.MARKET_CLOSED if fact.continuous else Code.MODE_NOT_APPROVED
    state.session_day = -1


def headroom_set(state: State, fact: facts.HeadroomSet) -> None:
    """The matrix of what may move between zones."""
    lots = np.array(fact.lots, np.int64).reshape(fact.zones, fact.zones)
    state.replace_books(with_headroom(state.books, lots))


def party_registered(state: State, fact: facts.PartyRegistered) -> None:
    """A new holder with an account for his money."""
    state.parties.append(fact)
    state.register("party", fact.code, fact.party)
    state.grow_registers()
    money = state.row(Kind.MONEY, MONEY_UNIT, owner=fact.party)
    state.accounts.party[fact.party] = (0, money, -1)
    actor = state.actor_number(fact.code)
    if actor is not None:
        state.market.actor["party"][actor] = fact.party


def right_registered(state: State, fact: facts.RightRegistered) -> None:
    """A new right; its holdings come with what is issued or used."""
    state.rights.append(fact)
    state.register("right", fact.code, fact.right)
    state.grow_registers()
    if 0 < fact.valid_to_ns < NEVER:
        state.deadlines.add((fact.valid_to_ns, DEADLINE_RIGHT, fact.right))


def ensure_holding(state: State, right: int, year: int) -> int:
    """The row of a right in a year, made with its zone and caps if it is new. Holds nothing by itself."""
    found = state.holding(right, year)
    if found is not None:
        return found
    fact = state.rights[right]
    row = state.row(Kind.HOLDING, state.unit_of(right, year), owner=fact.party, reference=right)
    account, party = state.accounts.account[row], state.accounts.party[fact.party]
    account["year"], account["zone"], account["licence"] = year, fact.basin, fact.kind == "licence"
    account["next_of_owner"], party["first_holding"] = party["first_holding"], row
    state.accounts.right_rows[right, year - int(state.accounts.scalars[FIRST_YEAR])] = row
    state.add_cap_members(row, [cap.cap for cap in state.caps if cap_covers(cap, fact, year)])
    refresh_right(state, right)
    return row


def ensure_holdings_of(state: State, meter: int, until_ns: int) -> int:
    """Make the holdings on which a meter's water from its last reading to `until_ns` may fall: kernels cannot.

    Returns how many there are.
    """
    first, last = years_between(state.metering, int(state.metering.meter["last_at_ns"][meter]), until_ns)
    first_year = int(state.accounts.scalars[FIRST_YEAR])
    pairs = [
        (right, first_year + year) for right, _ in state.meter_facts[meter].shares for year in range(first, last + 1)
    ]
    for right, year in pairs:
        ensure_holding(state, right, year)
    return len(pairs)


def right_issued(state: State, fact: facts.RightIssued) -> None:
    """Cell -> holder, over-use covered first; an opening excess comes from its own contra account."""
    from ledger.accounts import credit_water  # noqa: PLC0415

    right = state.rights[fact.right]
    row = ensure_holding(state, fact.right, fact.year)
    unit = state.unit_of(fact.right, fact.year)
    key = (right.source, fact.year, right.basin, right.township, right.industry, right.network, right.scheme)
    within = fact.volume_l - fact.over_allocated_l
    balance = state.accounts.balance
    if within:
        balance[state.cells[key], FREE] -= within
    if fact.over_allocated_l:
        excess = state.row(Kind.OVER_ALLOCATED, unit)
        balance = state.accounts.balance
        balance[excess, FREE] -= fact.over_allocated_l
    covered = int(credit_water(state.accounts, row, fact.volume_l))
    move_caps(state.accounts, row, fact.volume_l - covered, covered, -covered, 0)
    account = state.accounts.account[row]
    for cap in state.accounts.cap_members[account["caps_at"] : account["caps_at"] + account["caps"]]:
        state.accounts.cap["over_allocated_l"][cap] += fact.over_allocated_l
    account["issued_l"] += fact.volume_l
    account["floor_l"] += fact.floor_l


def right_ended(state: State, fact: facts.RightEnded) -> None:
    """Holder -> expired; the right trades no more."""
    for year, volume_l in fact.left:
        row = state.row(Kind.HOLDING, state.unit_of(fact.right, year), state.rights[fact.right].party, fact.right)
        expired = state.row(Kind.EXPIRED, state.unit_of(fact.right, year))
        post(state, row, expired, volume_l)
        move_caps(state.accounts, row, -volume_l, 0, 0, 0)
    state.ended_rights.add(fact.right)
    state.deadlines.discard((state.rights[fact.right].valid_to_ns, DEADLINE_RIGHT, fact.right))
    refresh_right(state, fact.right)


def intake_registered(state: State, fact: facts.IntakeRegistered) -> None:
    """A new intake."""
    state.intakes.append(fact)
    state.register("intake", fact.code, fact.intake)


def meter_installed(state: State, fact: facts.MeterInstalled) -> None:
    """A new meter, its register as it was at installation."""
    state.meter_facts.append(fact)
    state.register("meter", fact.code, fact.meter)
    if fact.station:
        state.register("station", fact.station, fact.meter)
    state.grow_registers()
    at = state.add_shares(fact.shares)
    state.metering.meter[fact.meter] = (
        fact.modulus_l, fact.max_l_per_hour, fact.first_l, fact.installed_at_ns, fact.installed_at_ns, at,
        len(fact.shares), fact.sign,
    )  # fmt: skip
    state.deadlines.add((fact.verified_until_ns, DEADLINE_METER, fact.meter))
    for right, _ in fact.shares:
        state.meters_of_right.setdefault(right, []).append(fact.meter)
        refresh_right(state, right)


def meter_lapsed(state: State, fact: facts.MeterLapsed) -> None:
    """The rights of a meter whose verification ran out have no working metering, unless another measures them."""
    meter = state.meter_facts[fact.meter]
    state.lapsed_meters.add(fact.meter)
    state.deadlines.discard((meter.verified_until_ns, DEADLINE_METER, fact.meter))
    for right, _ in meter.shares:
        refresh_right(state, right)


def saving_verified(state: State, fact: facts.SavingVerified) -> None:
    """More of the licence may be sold."""
    state.accounts.account["saved_l"][ensure_holding(state, fact.right, fact.year)] += fact.volume_l


def money_deposited(state: State, fact: facts.MoneyDeposited) -> None:
    """External -> holder's money."""
    post(state, state.row(Kind.EXTERNAL, MONEY_UNIT), int(state.accounts.party["money"][fact.party]), fact.amount_fen)
    state.references.add(fact.reference)


def party_suspended(state: State, fact: facts.PartySuspended) -> None:
    """The holder may not trade."""
    state.suspended[fact.party] = fact.reason
    refresh_party(state, fact.party)


def party_reinstated(state: State, fact: facts.PartyReinstated) -> None:
    """The holder may trade again."""
    state.suspended.pop(fact.party, None)
    refresh_party(state, fact.party)


def market_opened(state: State, fact: facts.MarketOpened) -> None:
    """The instrument takes orders in its sessions."""
    state.open_instruments.add(fact.instrument)
    state.market.instrument["code"][fact.instrument] = 0


def market_closed(state: State, fact: facts.MarketClosed) -> None:
    """The instrument takes no orders."""
    state.open_instruments.discard(fact.instrument)
    state.market.instrument["code"][fact.instrument] = Code.MARKET_CLOSED


def agreement_settled(state: State, fact: facts.AgreementSettled) -> None:
    """Water one way, money the other, headroom consumed."""
    seller = ensure_holding(state, fact.seller_right, fact.year)
    buyer = ensure_holding(state, fact.buyer_right, fact.year)
    fees = (fact.buyer_fee_fen, fact.seller_fee_fen)
    settle_money(state.accounts, seller, buyer, FREE, fact.amount_fen, *fees, 0)
    settle_water(state.accounts, seller, buyer, fact.volume_l, FREE)
    zones = (state.rights[fact.seller_right].basin, state.rights[fact.buyer_right].basin)
    if state.books.headroom[zones] != UNLIMITED:
        state.books.headroom[zones] -= fact.headroom_lots


def ledger_forked(state: State, fact: facts.LedgerForked) -> None:
    """A fork changes no account: it says which history goes on."""


def command_refused(state: State, fact: facts.CommandRefused) -> None:
    """A refusal changes nothing."""


def refresh_party(state: State, party: int) -> None:
    """Work out anew why each right of a holder may not trade."""
    for right, fact in enumerate(state.rights):
        if fact.party == party:
            refresh_right(state, right)


def refresh_right(state: State, right: int) -> None:
    """Work out anew why a right may not be sold or bought with, for all its years (T2, T4, T5)."""
    policy, fact = state.policy, state.rights[right]
    if policy is None:
        return
    code = int(state.suspended.get(fact.party, 0))
    if not code and right in state.ended_rights:
        code = Code.RIGHT_EXPIRED
    if not code and fact.kind != "regional" and not has_working_meter(state, right):
        code = Code.METERING_NOT_WORKING
    industry = policy.industries[fact.industry].code
    sell = code or (Code.CLASS_EXCLUDED if fact.kind == "licence" and industry in policy.rules.excluded_sellers else 0)
    buy = code or (Code.BUYER_BANNED if industry in policy.rules.banned_buyers else 0)
    rows = state.accounts.right_rows[right]
    state.accounts.account["sell_code"][rows[rows >= 0]] = sell
    state.accounts.account["buy_code"][rows[rows >= 0]] = buy


def has_working_meter(state: State, right: int) -> bool:
    """Whether a meter in verification measures the right."""
    return any(meter not in state.lapsed_meters for meter in state.meters_of_right.get(right, ()))


APPLY: Final[dict[type[facts.Fact], Callable[[State, Any], None]]] = {
    facts.LedgerOpened: ledger_opened,
    facts.PolicyAdopted: policy_adopted,
    facts.IndexSet: index_set,
    facts.CapPublished: cap_published,
    facts.CellAllocated: cell_allocated,
    facts.InstrumentDefined: instrument_defined,
    facts.HeadroomSet: headroom_set,
    facts.PartyRegistered: party_registered,
    facts.RightRegistered: right_registered,
    facts.RightIssued: right_issued,
    facts.RightEnded: right_ended,
    facts.IntakeRegistered: intake_registered,
    facts.MeterInstalled: meter_installed,
    facts.MeterLapsed: meter_lapsed,
    facts.SavingVerified: saving_verified,
    facts.MoneyDeposited: money_deposited,
    facts.PartySuspended: party_suspended,
    facts.PartyReinstated: party_reinstated,
    facts.MarketOpened: market_opened,
    facts.MarketClosed: market_closed,
    facts.AgreementSettled: agreement_settled,
    facts.LedgerForked: ledger_forked,
    facts.CommandRefused: command_refused,
}


def apply_fact(state: State, fact: facts.Fact) -> None:
    """Apply one rare fact."""
    APPLY[type(fact)](state, fact)
