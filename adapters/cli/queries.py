"""Rows behind the tables of the command line: trades, readings and facts of a ledger with names instead of numbers."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import msgspec
import numpy as np

from ledger import facts
from ledger.policy import Policy
from ledger.rows import MISSING, READINGS, TRADES
from ledger.state import State
from ledger.units import FEN_PER_YUAN, LITRES_PER_M3


class OpenLedger(Protocol):
    """What the command line needs of an open exchange."""

    @property
    def state(self) -> State:
        """The state."""

    @property
    def policy(self) -> Policy:
        """The policy in force."""

    def holdings(self) -> list[dict[str, Any]]:
        """Every holding."""

    def usage(self) -> list[dict[str, Any]]:
        """Use of every right by month."""

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Rows of a query over the read models."""

    def facts(self, after: int = 0) -> Iterator[tuple[int, int, int, str, Any]]:
        """Every fact behind a position."""

    def close(self) -> None:
        """Close it."""


def trade_rows(ledger: OpenLedger) -> Iterator[dict[str, Any]]:
    """Every trade with names: fills of the book and agreements."""
    state = ledger.state
    for _, seq, at_ns, topic, fact in ledger.facts():
        if topic == TRADES:
            row = {name: fact[name].item() for name in fact.dtype.names}
            parties = {"seller": state.rights[row["seller_right"]].code, "buyer": state.rights[row["buyer_right"]].code}
            fees = row["buyer_fee_fen"] + row["seller_fee_fen"]
            mode = "continuous"
        elif isinstance(fact, facts.AgreementSettled):
            row = msgspec.structs.asdict(fact)
            parties = {"seller": state.rights[fact.seller_right].code, "buyer": state.rights[fact.buyer_right].code}
            fees, mode = fact.buyer_fee_fen + fact.seller_fee_fen, "agreement"
        else:
            continue
        yield {
            "seq": seq, "at_ns": at_ns, "mode": mode, **parties,
            "instrument": state.instruments[row["instrument"]].code,
            "volume_l": row["volume_l"], "amount_fen": row["amount_fen"], "fees_fen": fees,
            "price_yuan": yuan_per_m3(row["amount_fen"], row["volume_l"]),
        }  # fmt: skip


def yuan_per_m3(amount_fen: int, volume_l: int) -> str:
    """Price in yuan a cubic metre with four decimals, rounded down."""
    ten_thousandths = amount_fen * LITRES_PER_M3 * 10_000 // (FEN_PER_YUAN * volume_l) if volume_l else 0
    return f"{ten_thousandths // 10_000}.{ten_thousandths % 10_000:04d}"


def reading_rows(ledger: OpenLedger) -> Iterator[dict[str, Any]]:
    """Every reading with the code of its meter; what was not reported is None."""
    meters = ledger.state.meter_facts
    for _, seq, _, topic, fact in ledger.facts():
        if topic != READINGS:
            continue
        row = {name: fact[name].item() for name in fact.dtype.names} | {"seq": seq}
        row["meter"] = meters[row["meter"]].code if 0 <= row["meter"] < len(meters) else row["meter"]
        for name in ("value_l", "flow_l_per_h"):
            row[name] = None if row[name] == MISSING else row[name]
        yield row


def fact_rows(told: Iterable[tuple[int, int, int, str, Any]]) -> Iterator[dict[str, Any]]:
    """Facts as they are told: position to resume from, seq, time, topic and content."""
    for position, seq, at_ns, topic, fact in told:
        yield {"position": position, "seq": seq, "at_ns": at_ns, "topic": topic, "fact": plain(fact)}


def plain(fact: Any) -> dict[str, Any]:
    """A fact as names and plain values; bytes as hexadecimal text."""
    if isinstance(fact, facts.Fact):
        values = {name: getattr(fact, name) for name in fact.__struct_fields__}
    else:
        values = {
            name: fact[name].item() if fact[name].dtype.kind != "V" else fact[name].tobytes()
            for name in fact.dtype.names
        }
    return {name: shown(value) for name, value in values.items()}


def shown(value: Any) -> Any:
    """A value that JSON can carry: texts decoded, digests in hexadecimal, long content by its length."""
    if isinstance(value, np.bytes_ | bytes):
        try:
            return value.decode() if len(value) != 32 else value.hex()  # noqa: PLR2004 - the length of a SHA-256
        except UnicodeDecodeError:
            return f"{len(value)} bytes"
    return value
