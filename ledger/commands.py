"""What a caller may ask of the ledger besides orders and readings: one struct a command, named by codes, not numbers.

Volumes are litres, amounts fen, times UTC nanoseconds. Which role may give a command, and whether it needs an
approver who is not its proposer, stands in AUTHORITY (contract K29).
"""

from enum import IntEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

Key = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]
Text = Annotated[str, Meta(max_length=400)]
Volume = Annotated[int, Meta(ge=0, le=2**61)]
Amount = Annotated[int, Meta(ge=1, le=2**61)]
Time = Annotated[int, Meta(ge=0, le=2**62)]
Year = Annotated[int, Meta(ge=1900, le=9999)]


class Role(IntEnum):
    """Roles in which an actor submits."""

    BUREAU = 1  # the water bureau: register, allocation, supervision
    OPERATOR = 2  # the trading platform: orders for any holder, money, sessions
    HOLDER = 3  # a holder: orders for himself; the actor's name is the holder's code
    GATEWAY = 4  # meter data
    SYSTEM = 5  # the composition root


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Base of all commands."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Personal data of a holder. It never enters a fact (K12)."""

    name: str
    identity_number: str = ""
    phone: str = ""
    bank_account: str = ""


class RegisterParty(Command, frozen=True, kw_only=True):
    """A holder. `name` for a body; a natural person is given as `person` instead."""

    code: Key
    kind: Annotated[str, Meta(pattern="^(company|government|collective|person)$")]
    name: Text = ""
    person: Person | None = None
    commitment: bytes = b""  # given by the side register, never by the caller


class AllocateCell(Command, frozen=True, kw_only=True):
    """Water of the district given to a cell of basin, township and industry (and network or scheme)."""

    source: Key
    year: Year
    basin: Key
    township: Key
    industry: Key
    network: Text = ""
    scheme: Text = ""
    volume_l: Volume
    document: Text


class RegisterRight(Command, frozen=True, kw_only=True):
    """A right of a holder: a licence, an irrigation certificate, a network user's index or a region's surplus."""

    code: Key
    party: Key
    kind: Annotated[str, Meta(pattern="^(licence|irrigation|network|regional)$")]
    source: Key
    basin: Key
    township: Key
    industry: Key
    network: Text = ""
    scheme: Text = ""
    licensed_l: Volume
    verified_l: Volume
    valid_from_ns: Time
    valid_to_ns: Time
    document: Text


class IssueRight(Command, frozen=True, kw_only=True):
    """A year's volume for a right. `opening` lets a first import record what stands above an index already (K16)."""

    right: Key
    year: Year
    volume_l: Volume
    document: Text
    opening: bool = False


class RegisterIntake(Command, frozen=True, kw_only=True):
    """An intake; `kind` is intake, irrigation_head or network."""

    code: Key
    name: Text
    kind: Annotated[str, Meta(pattern="^(intake|irrigation_head|network)$")]
    source: Key
    township: Key
    licensed_l: Volume
    area_mu: Annotated[int, Meta(ge=0, le=2**40)] = 0


class InstallMeter(Command, frozen=True, kw_only=True):
    """A meter at an intake, with its register at installation and shares (right, parts per million) that sum to one."""

    code: Key
    intake: Key
    station: Text = ""
    online: bool = False
    sign: Annotated[int, Meta(ge=-1, le=1)] = 1
    modulus_l: Annotated[int, Meta(gt=0, le=2**53)]
    max_l_per_hour: Annotated[int, Meta(gt=0, le=2**40)]
    first_l: Volume = 0
    installed_at_ns: Time
    verified_until_ns: Time
    shares: tuple[tuple[Key, Annotated[int, Meta(ge=1, le=1_000_000)]], ...]


class VerifySaving(Command, frozen=True, kw_only=True):
    """Verified saved water of a licence holder in a year (T2)."""

    right: Key
    year: Year
    volume_l: Volume
    measure: Text
    document: Text


class DepositMoney(Command, frozen=True, kw_only=True):
    """Money that arrived at the custodian bank for a holder."""

    party: Key
    amount_fen: Amount
    reference: Key


class SuspendParty(Command, frozen=True, kw_only=True):
    """Keep a holder from trading; his open orders are withdrawn in the same decision (K24)."""

    party: Key
    tax_overdue: bool = False
    document: Text


class ReinstateParty(Command, frozen=True, kw_only=True):
    """Let a suspended holder trade again."""

    party: Key
    document: Text


class OpenMarket(Command, frozen=True, kw_only=True):
    """Let an instrument take orders during its sessions."""

    instrument: Key


class CloseMarket(Command, frozen=True, kw_only=True):
    """Stop an instrument from taking orders; what rests stays."""

    instrument: Key


class SettleAgreement(Command, frozen=True, kw_only=True):
    """A trade by agreement between two rights, at a total price."""

    instrument: Key
    seller: Key
    buyer: Key
    volume_l: Annotated[int, Meta(ge=1, le=2**61)]
    amount_fen: Volume
    document: Text


class ForkLedger(Command, frozen=True, kw_only=True):
    """Let a ledger go on that was restored from a backup, or is older than what is known of it."""

    after_position: Annotated[int, Meta(ge=1, le=2**61)]
    head: Annotated[bytes, Meta(min_length=32, max_length=32)]
    cause: Key
    known_position: Annotated[int, Meta(ge=1, le=2**61)]
    document: Annotated[str, Meta(min_length=1, max_length=400)]


AUTHORITY: Final[dict[type, tuple[tuple[Role, ...], bool]]] = {
    RegisterParty: ((Role.BUREAU,), False),
    AllocateCell: ((Role.BUREAU,), True),
    RegisterRight: ((Role.BUREAU,), False),
    IssueRight: ((Role.BUREAU,), True),
    RegisterIntake: ((Role.BUREAU,), False),
    InstallMeter: ((Role.BUREAU,), False),
    VerifySaving: ((Role.BUREAU,), True),
    DepositMoney: ((Role.OPERATOR,), False),
    SuspendParty: ((Role.BUREAU,), True),
    ReinstateParty: ((Role.BUREAU,), True),
    OpenMarket: ((Role.OPERATOR,), False),
    CloseMarket: ((Role.OPERATOR, Role.BUREAU), False),
    SettleAgreement: ((Role.OPERATOR,), False),
    ForkLedger: ((Role.BUREAU,), True),
}
"""Roles that may give a command, and whether it needs an approver."""

ORDER_ROLES: Final = (Role.OPERATOR, Role.HOLDER)
READING_ROLES: Final = (Role.GATEWAY, Role.BUREAU)
"""Manual readings come from the bureau and need an approver; telemetry comes from a gateway."""
