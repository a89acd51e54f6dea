"""A holder sells most of his right by agreement, offers a part of the rest, and then pumps past what is left."""

from typing import Any, NamedTuple

import numpy as np

from adapters.meters.stream import Arrival, readings_of
from adapters.meters.szy206 import Measurement, ReportTime, SelfReport, encode
from ledger.accounts import ESCROWED, FREE, OVER_USE
from ledger.answers import Answer
from ledger.commands import Role, SettleAgreement, VerifySaving
from ledger.facts import AgreementSettled
from ledger.units import LITRES_PER_M3, NS, SECONDS_PER_HOUR
from matching.types import Side
from shuiquan.demo.refusals import OPERATOR, SURFACE, find, money, order
from shuiquan.demo.season import meter_of
from shuiquan.exchange import Exchange

YEAR = 2024
STATION_ZONE_S = 8 * SECONDS_PER_HOUR
SMALL_L = 150_000 * LITRES_PER_M3
PRICE_FEN_PER_M3 = 10
MINUTE_NS = 60 * NS


class Pump(NamedTuple):
    """A licence with one online meter: the numbers of both and the row of its account."""

    meter: int
    right: int
    row: int


class OverUse(NamedTuple):
    """A pump beyond its right: the holding before and after, and what the reading led to."""

    right: str
    sold: AgreementSettled
    frame: bytes
    before: tuple[int, int, int]  # free, escrowed, over-used litres
    after: tuple[int, int, int]
    answer: Answer


def over_pump(exchange: Exchange, clock: Any, pump: Pump) -> OverUse:
    """Sell, offer, pump: the reading withdraws the offers and books the over-use in one decision."""
    clock.at_ns += MINUTE_NS
    sold = sell_most(exchange, pump)
    reference = exchange.policy.instruments[0].reference_price
    offers = [order(exchange, Side.SELL, pump.right, reference * 5 // 4 + step, 2) for step in range(3)]
    exchange.submit(np.concatenate(offers), command_id="offers-before-pumping", **OPERATOR)
    before = holding(exchange, pump.row)
    clock.at_ns += MINUTE_NS
    frame = frame_beyond(exchange, pump, sum(before) // LITRES_PER_M3 + 300, clock.at_ns)
    decoded = readings_of([Arrival(clock.at_ns, frame)], meter_of(exchange))
    answer = exchange.submit(decoded.readings, actor="采集网关", role=Role.GATEWAY, command_id="over-pumping")
    return OverUse(exchange.state.rights[pump.right].code, sold, frame, before, holding(exchange, pump.row), answer)


def strongest_pump(exchange: Exchange) -> Pump:
    """The small licence whose pump could empty it soonest, and which may sell."""
    state = exchange.state
    unit = state.market.instrument["unit"][exchange.instrument(SURFACE)]
    found = []
    for fact in state.meter_facts:
        right = fact.shares[0][0]
        row = state.holding(right, YEAR)
        if not fact.online or fact.sign < 0 or len(fact.shares) > 1 or row is None:
            continue
        account = state.accounts.account[row]
        if account["unit"] != unit or not account["licence"] or account["sell_code"]:
            continue
        if account["issued_l"] < SMALL_L:
            found.append((fact.max_l_per_hour / int(account["issued_l"]), Pump(fact.meter, right, row)))
    return max(found)[1]


def sell_most(exchange: Exchange, pump: Pump) -> AgreementSettled:
    """The whole right is verified as saved (the plant changed its product), and all but a small rest sold."""
    state = exchange.state
    account, right = state.accounts.account[pump.row], state.rights[pump.right]
    saving = VerifySaving(
        right=right.code,
        year=YEAR,
        volume_l=int(account["issued_l"] - account["saved_l"]),
        measure="转产",
        document="永水核〔2024〕900号",
    )
    exchange.submit(
        [saving], actor="水利局-登记岗", role=Role.BUREAU, approver="水利局-审批岗", command_id="saving-900"
    )
    free_l, _, _ = holding(exchange, pump.row)
    volume_l = free_l - int(account["issued_l"]) * 4 // 100
    amount_fen = volume_l * PRICE_FEN_PER_M3 // LITRES_PER_M3
    buyer = find(
        exchange,
        lambda other, holder, row: (
            other.basin == right.basin
            and other.party != right.party
            and not holder["buy_code"]
            and money(exchange, row) > 2 * amount_fen
        ),
    )
    deal = SettleAgreement(
        instrument=SURFACE, seller=right.code, buyer=state.rights[buyer].code, volume_l=volume_l, amount_fen=amount_fen,
        document="协议-2024-002",
    )  # fmt: skip
    answer = exchange.submit([deal], command_id="agreement-2", **OPERATOR)
    (settled,) = (fact for _, _, fact in answer.acts if isinstance(fact, AgreementSettled))
    return settled


def frame_beyond(exchange: Exchange, pump: Pump, beyond_m3: int, at_ns: int) -> bytes:
    """A real self-report whose register stands so many cubic metres further than the last one."""
    fact, register = exchange.state.meter_facts[pump.meter], exchange.state.metering.meter[pump.meter]
    second = at_ns // NS + STATION_ZONE_S
    day = int(np.datetime64(second, "s").astype("datetime64[D]").item().day)
    admin_code, station = fact.station.split("-")
    now_m3 = (int(register["last_l"]) // LITRES_PER_M3 + beyond_m3) % (fact.modulus_l // LITRES_PER_M3)
    report = SelfReport(
        admin_code=admin_code, station=int(station), div=None, fcb=3, alarm=0, state=0,
        time=ReportTime(second % 60, second // 60 % 60, second // SECONDS_PER_HOUR % 24, day, 10),
        measurements=(Measurement(flow_l_per_h=fact.max_l_per_hour, cumulative_m3=now_m3),),
    )  # fmt: skip
    return encode(report)


def holding(exchange: Exchange, row: int) -> tuple[int, int, int]:
    """Free, escrowed and over-used litres of a holding."""
    balance = exchange.state.accounts.balance[row]
    return int(balance[FREE]), int(balance[ESCROWED]), -int(balance[OVER_USE])
