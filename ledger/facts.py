"""Rare facts: one record each. A topic is a short, versioned name; the layout behind it never changes.

A struct is written as a MessagePack array of its fields in order, so a field can only be added by a new version.
Volumes are litres, amounts fen, times UTC nanoseconds. Dense numbers (`party`, `right`, …) are given in order of
registration, from 0 on, and are what frequent facts refer to.
"""

from typing import Final, NamedTuple

import msgspec


class Fact(msgspec.Struct, frozen=True, array_like=True):
    """Base of all rare facts."""


class Stamped(NamedTuple):
    """A rare fact with its sequence number and the time of its submission."""

    seq: int
    at_ns: int
    fact: Fact


class LedgerOpened(Fact, frozen=True):
    """The first fact: which ledger this is, how its records are chained, and in what format."""

    ledger_id: str
    algorithm: str
    format: int
    district: str


class PolicyAdopted(Fact, frozen=True):
    """A policy came into force. `content` is the policy as MessagePack; `digest` its SHA-256."""

    version: int
    document: str
    content: bytes
    digest: bytes


class IndexSet(Fact, frozen=True):
    """The control index of a source kind and year: control index -> district."""

    source: int
    year: int
    volume_l: int
    document: str


class CapPublished(Fact, frozen=True):
    """A cap over a combination of attributes; -1 or "" leaves an attribute open (K16)."""

    cap: int
    source: int
    year: int
    basin: int
    township: int
    industry: int
    network: str
    scheme: str
    volume_l: int
    document: str


class CellAllocated(Fact, frozen=True):
    """Initial rights split by government document: district -> cell."""

    source: int
    year: int
    basin: int
    township: int
    industry: int
    network: str
    scheme: str
    volume_l: int
    document: str


class InstrumentDefined(Fact, frozen=True):
    """An instrument and its book. `continuous` and `agreement`: how the mode is open (0 no, 1 simulation, 2 yes)."""

    instrument: int
    code: str
    source: int
    year: int
    lot_l: int
    tick_fen: int
    max_price: int
    low_price: int
    high_price: int
    buyer_fee_ppm: int
    seller_fee_ppm: int
    session: tuple[str, str]
    continuous: int
    agreement: int


class HeadroomSet(Fact, frozen=True):
    """Permission and remaining headroom in lots between all zones, row by row, seller's zone first (K26)."""

    zones: int
    lots: tuple[int, ...]


class PartyRegistered(Fact, frozen=True):
    """A holder. `name` only of a body; a person's fields lie in the side register behind `commitment` (K12)."""

    party: int
    code: str
    kind: str
    name: str
    commitment: bytes


class RightRegistered(Fact, frozen=True):
    """A right and its attributes. `verified_l` is the strictly verified volume a year (A4)."""

    right: int
    code: str
    party: int
    kind: str
    source: int
    basin: int
    township: int
    industry: int
    network: str
    scheme: str
    licensed_l: int
    verified_l: int
    valid_from_ns: int
    valid_to_ns: int
    document: str


class RightIssued(Fact, frozen=True):
    """A year's volume of a right: cell -> holder. `over_allocated_l` is what an opening found above the index."""

    right: int
    year: int
    volume_l: int
    floor_l: int
    over_allocated_l: int
    covered_l: int  # of the volume, what went to cover over-use (K15)
    document: str


class RightEnded(Fact, frozen=True):
    """The term of a right ran out: what was left goes holder -> expired, as (year, litres)."""

    right: int
    left: tuple[tuple[int, int], ...]


class IntakeRegistered(Fact, frozen=True):
    """An intake. `licensed_l` and `area_mu` decide whether it must report online."""

    intake: int
    code: str
    name: str
    kind: str
    source: int
    township: int
    licensed_l: int
    area_mu: int


class MeterInstalled(Fact, frozen=True):
    """A meter at an intake and whose right it debits, in shares of parts per million.

    `first_l` is its register at `installed_at_ns`; `modulus_l` where the register wraps; a return-flow meter has
    sign -1.
    """

    meter: int
    code: str
    intake: int
    station: str
    online: bool
    sign: int
    modulus_l: int
    max_l_per_hour: int
    first_l: int
    installed_at_ns: int
    verified_until_ns: int
    shares: tuple[tuple[int, int], ...]


class MeterLapsed(Fact, frozen=True):
    """The verification (检定) of a meter ran out: it is no working metering any more."""

    meter: int


class SavingVerified(Fact, frozen=True):
    """Water that a licence holder saved, verified: what he may sell (T2)."""

    right: int
    year: int
    volume_l: int
    measure: str
    document: str


class MoneyDeposited(Fact, frozen=True):
    """Money arrived at the custodian bank: external -> holder."""

    party: int
    amount_fen: int
    reference: str


class PartySuspended(Fact, frozen=True):
    """A holder may not trade; `reason` is the code his orders are refused with."""

    party: int
    reason: int
    document: str


class PartyReinstated(Fact, frozen=True):
    """A suspended holder may trade again."""

    party: int
    document: str


class MarketOpened(Fact, frozen=True):
    """An instrument takes orders during its sessions."""

    instrument: int


class MarketClosed(Fact, frozen=True):
    """An instrument takes no orders; what rests stays."""

    instrument: int


class AgreementSettled(Fact, frozen=True):
    """A trade by agreement (协议转让), settled at a total price (K25)."""

    instrument: int
    year: int
    seller_right: int
    buyer_right: int
    volume_l: int
    amount_fen: int
    buyer_fee_fen: int
    seller_fee_fen: int
    covered_l: int
    headroom_lots: int
    document: str


class LedgerForked(Fact, frozen=True):
    """The ledger goes on from an older copy of itself: what else was written behind `after_position` is given up.

    `head` is the hash of the record there. `cause` says what the copy was: `restored` from a backup, `older`
    than `known_position`, of which a file beside it knew, or of an `other` history.
    """

    after_position: int
    head: bytes
    cause: str
    known_position: int
    document: str


class CommandRefused(Fact, frozen=True):
    """A command that a rule forbade: which, its index in the submission, why, and the value in question."""

    command: str
    index: int
    code: int
    field: str
    value: str
    rule: str


TOPICS: Final[dict[str, type[Fact]]] = {
    "ledger.opened/1": LedgerOpened,
    "policy.adopted/1": PolicyAdopted,
    "index.set/1": IndexSet,
    "cap.published/1": CapPublished,
    "cell.allocated/1": CellAllocated,
    "instrument.defined/1": InstrumentDefined,
    "headroom.set/1": HeadroomSet,
    "party.registered/1": PartyRegistered,
    "right.registered/1": RightRegistered,
    "right.issued/1": RightIssued,
    "right.ended/1": RightEnded,
    "intake.registered/1": IntakeRegistered,
    "meter.installed/1": MeterInstalled,
    "meter.lapsed/1": MeterLapsed,
    "saving.verified/1": SavingVerified,
    "money.deposited/1": MoneyDeposited,
    "party.suspended/1": PartySuspended,
    "party.reinstated/1": PartyReinstated,
    "market.opened/1": MarketOpened,
    "market.closed/1": MarketClosed,
    "agreement.settled/1": AgreementSettled,
    "command.refused/1": CommandRefused,
    "ledger.forked/1": LedgerForked,
}
TOPIC_OF: Final = {fact: topic for topic, fact in TOPICS.items()}
