"""The state of a ledger: the flat arrays that kernels work on, and the register of what stands behind each number.

A state is made by folding facts (`ledger.fold`) and changed in place by the deciding kernels; both leave the same
state, which `ledger.statehash` proves.
"""

import copy
from typing import Any, Final, Self

import numpy as np
from sortedcontainers import SortedList

from ledger import facts, tables
from ledger.codes import Code, Refused
from ledger.policy import Policy
from ledger.policy_rules import YEARS
from ledger.tables import (
    ACCOUNT,
    ACTOR,
    CAP,
    INSTRUMENT,
    METER,
    PARTY,
    SEEN,
    SHARE,
    TERMS,
    Accounts,
    Array,
    Kind,
    Market,
    Metering,
    grown,
    make_journal,
)
from ledger.units import NS, year_starts_ns
from matching.arrays import make_books, make_tape, with_room
from matching.book import Books, Tape
from matching.rows import fill_first
from matching.types import COMMAND

AHEAD_S: Final = 300
"""How far a meter's clock may run ahead before its reading is refused."""

DEADLINE_RIGHT, DEADLINE_METER = 0, 1

CellKey = tuple[int, int, int, int, int, str, str]


class State:
    """Arrays and registers of one ledger. `journal` is where kernels write the facts of the current segment."""

    def __init__(self) -> None:
        """The state before the first fact."""
        self.ledger_id = ""
        self.policy: Policy | None = None
        self.policy_digest = b""
        self.parties: list[facts.PartyRegistered] = []
        self.suspended: dict[int, int] = {}
        self.rights: list[facts.RightRegistered] = []
        self.ended_rights: set[int] = set()
        self.intakes: list[facts.IntakeRegistered] = []
        self.meter_facts: list[facts.MeterInstalled] = []
        self.lapsed_meters: set[int] = set()
        self.meters_of_right: dict[int, list[int]] = {}
        self.caps: list[facts.CapPublished] = []
        self.instruments: list[facts.InstrumentDefined] = []
        self.open_instruments: set[int] = set()
        self.actors: list[str] = []
        self.numbers: dict[tuple[str, str], int] = {}  # (what, code) -> dense number
        self.rows: dict[tuple[int, int, int, int], int] = {}  # (kind, owner, reference, unit) -> account row
        self.cells: dict[CellKey, int] = {}  # -> account row
        self.references: set[str] = set()  # of deposits
        self.deadlines: SortedList[tuple[int, int, int]] = SortedList()  # (at_ns, what, number)
        self.account_count = self.cap_member_count = self.share_count = 0
        self.session_day = -1
        self.books: Books = make_books([], np.zeros((1, 1), np.int64))
        self.tape: Tape = make_tape(16, 16)
        self.journal = make_journal(16, 16, 16, 16, 16)
        self._balance = np.zeros((64, 4), np.int64)
        self._account = np.zeros(64, ACCOUNT)
        self._party = np.zeros(64, PARTY)
        self._cap = np.zeros(64, CAP)
        self._cap_members = np.zeros(256, np.int32)
        self._right_rows = np.full((64, YEARS), -1, np.int32)
        self._scalars = np.zeros(3, np.int64)
        self._instrument = np.zeros(8, INSTRUMENT)
        self._terms = np.zeros(len(self.books.orders), TERMS)
        self._actor = np.zeros(16, ACTOR)
        self._meter = np.zeros(64, METER)
        self._share = np.zeros(64, SHARE)
        self._seen = np.full(1024, -1, SEEN)
        self._limits = np.zeros(3, np.int64)
        self._year_starts = np.zeros(YEARS + 1, np.int64)
        self._views: tuple[Accounts, Market, Metering] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A state of its own. The views are left out: copied apart they would show other arrays than the tables."""
        self._views = None
        made = type(self).__new__(type(self))
        made.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return made

    def restore(self, before: Self) -> None:
        """Become what `before`, a copy made earlier, was; everybody who holds this state sees it."""
        self.__dict__.clear()
        self.__dict__.update(before.__dict__)

    # what kernels are given

    @property
    def views(self) -> tuple[Accounts, Market, Metering]:
        """The arrays cut to what is registered; made again after a registration."""
        if self._views is None:
            self._views = (
                Accounts(
                    self._balance[: self.account_count],
                    self._account[: self.account_count],
                    self._party[: len(self.parties)],
                    self._cap[: len(self.caps)],
                    self._cap_members[: self.cap_member_count],
                    self._right_rows[: len(self.rights)],
                    self._scalars,
                ),
                Market(
                    self._instrument[: len(self.instruments)],
                    self._terms,
                    self._actor[: len(self.actors)],
                    np.zeros(1, COMMAND),
                ),
                Metering(
                    self._meter[: len(self.meter_facts)],
                    self._share[: self.share_count],
                    self._year_starts,
                    self._seen,
                    self._limits,
                ),
            )
        return self._views

    @property
    def accounts(self) -> Accounts:
        """Account tables."""
        return self.views[0]

    @property
    def market(self) -> Market:
        """Market tables."""
        return self.views[1]

    @property
    def metering(self) -> Metering:
        """Metering tables."""
        return self.views[2]

    @property
    def next_seq(self) -> int:
        """Sequence number of the next fact."""
        return int(self.journal.clock[tables.NEXT_SEQ])

    @property
    def at_ns(self) -> int:
        """Time of the last submission."""
        return int(self.journal.clock[tables.AT_NS])

    # names and numbers

    def number(self, what: str, code: str, unknown: Code) -> int:
        """Dense number of a registered code. Raises Refused with `unknown` when there is none."""
        found = self.numbers.get((what, code))
        if found is None:
            raise Refused(unknown, what, code, "register it first")
        return found

    def register(self, what: str, code: str, number: int) -> None:
        """Remember the dense number of a code."""
        self.numbers[what, code] = number
        self._views = None

    def actor_number(self, name: str) -> int | None:
        """Dense number of an actor who has submitted before."""
        return self.numbers.get(("actor", name))

    def unit_of(self, right: int, year: int) -> int:
        """Unit of a right in a year."""
        return tables.water_unit(self.rights[right].source, year)

    def holding(self, right: int, year: int) -> int | None:
        """Account row of a right in a year, None where there is none."""
        column = year - int(self._scalars[tables.FIRST_YEAR])
        row = int(self._right_rows[right, column]) if 0 <= column < YEARS else -1
        return None if row < 0 else row

    # growth

    def begin(self, policy: Policy) -> None:
        """Set what a ledger takes from its first policy: years, zones, switches and limits."""
        first_year = min(index.year for index in policy.indexes)
        self._scalars[tables.FIRST_YEAR] = first_year
        self._scalars[tables.RESALE] = policy.rules.resale_of_bought
        self._year_starts[:] = year_starts_ns(first_year, YEARS, policy.zone)
        self._limits[1] = policy.rules.late_days * 86_400 * NS
        self._limits[2] = AHEAD_S * NS
        self._scalars[tables.FEE_ROW] = self.row(Kind.FEES, tables.MONEY_UNIT)

    def row(self, kind: Kind, unit: int, owner: int = -1, reference: int = -1) -> int:
        """The account row of this key, made if it is new."""
        key = (int(kind), owner, reference, unit)
        found = self.rows.get(key)
        if found is not None:
            return found
        at = self.account_count
        self._balance = grown(self._balance, at + 1)
        self._account = grown(self._account, at + 1)
        account = self._account[at]
        account["kind"], account["unit"], account["owner"], account["reference"] = kind, unit, owner, reference
        account["next_of_owner"] = -1
        self.account_count += 1
        self.rows[key] = at
        self._views = None
        return at

    def grow_registers(self) -> None:
        """Make the arrays long enough for what is registered."""
        self._party = grown(self._party, len(self.parties))
        self._cap = grown(self._cap, len(self.caps))
        self._right_rows = grown(self._right_rows, len(self.rights), -1)
        self._instrument = grown(self._instrument, len(self.instruments))
        self._actor = grown(self._actor, len(self.actors))
        self._meter = grown(self._meter, len(self.meter_facts))
        self._views = None

    def add_cap_members(self, row: int, caps: list[int]) -> None:
        """Note the caps that an account falls under."""
        at = self.cap_member_count
        self._cap_members = grown(self._cap_members, at + len(caps))
        self._cap_members[at : at + len(caps)] = caps
        self._account["caps_at"][row], self._account["caps"][row] = at, len(caps)
        self.cap_member_count += len(caps)
        self._views = None

    def add_shares(self, shares: tuple[tuple[int, int], ...]) -> int:
        """Append the shares of a meter and return where they begin."""
        at = self.share_count
        self._share = grown(self._share, at + len(shares))
        for offset, share in enumerate(shares):
            self._share[at + offset] = share
        self.share_count += len(shares)
        self._views = None
        return at

    def replace_books(self, books: Books) -> None:
        """Take over grown arrays of books."""
        self.books = books
        self._terms = grown(self._terms, len(books.orders))
        self._views = None

    def reserve(self, orders: int = 0, readings: int = 0) -> None:
        """Make room for deciding a batch: slots, tape, identities and journal columns. Kernels never allocate."""
        self.reserve_live(orders, readings)
        events = 2 * orders + int(self.books.pool["live"][0]) + 1  # a trade ends its maker or its taker
        if len(self.tape.trades) < events or len(self.tape.removals) < 3 * events:
            self.tape = make_tape(2 * events, 6 * events)
        uses = 2 * readings
        self.widen_journal(orders, events, 3 * events + uses, readings, uses)

    def reserve_uses(self, uses: int) -> None:
        """Make room for the facts of so much booked use, and for withdrawing every offer."""
        self.widen_journal(0, 0, int(self.books.pool["live"][0]) + uses, 0, uses)

    def reserve_live(self, orders: int, readings: int) -> None:
        """Make room for so many more live orders and identities of readings."""
        wider = with_room(self.books, orders)
        if wider is not self.books:
            self.replace_books(wider)
        if 2 * (int(self._limits[0]) + readings) > len(self._seen):
            self.rebuild_seen(readings)

    def widen_journal(self, *needed: int) -> None:
        """Give the journal columns room for so many more facts each, keeping what is written."""
        old = self.journal
        counts = old.counts.tolist()
        if all(count + more <= len(column) for count, more, column in zip(counts, needed, old, strict=False)):
            return
        sizes = [2 * (count + more) + 16 for count, more in zip(counts, needed, strict=True)]
        wider = make_journal(*sizes)
        for count, before, after in zip(counts, old, wider, strict=False):
            fill_first(after, before[:count])
        self.journal = wider._replace(counts=old.counts, clock=old.clock)

    def rebuild_seen(self, readings: int) -> None:
        """Drop identities older than the late window (they would be refused anyway) and make room for more."""
        from ledger.metering import remember_all  # noqa: PLC0415 - it imports this module's tables

        kept = self.recent_identities()
        length = 1024
        while length < 4 * (len(kept) + readings):
            length *= 2
        self._seen = np.full(length * SEEN.itemsize // 8, -1, np.int64).view(SEEN)  # -1 in every field
        self._limits[0] = 0
        self._views = None
        remember_all(self.metering, kept)

    def recent_identities(self) -> Array:
        """Identities of readings within the late window."""
        seen = self._seen
        return seen[(seen["meter"] >= 0) & (seen["measured_at_ns"] >= self.at_ns - int(self._limits[1]))]

    # sums for people and checks

    def totals(self) -> dict[int, int]:
        """Sum of all balances by unit: zero in each, always."""
        accounts = self.accounts
        units, at = np.unique(accounts.account["unit"], return_inverse=True)
        sums = np.zeros(len(units), np.int64)
        np.add.at(sums, at, accounts.balance.sum(axis=1))
        return {int(unit): int(total) for unit, total in zip(units, sums, strict=True)}
