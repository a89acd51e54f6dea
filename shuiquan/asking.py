"""What can be asked of a ledger: as it is now by an `Exchange`, as it was at a time by an `AsOf`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from adapters.stores.views import Views
from ledger.codes import Code, Refused
from ledger.feed import Told, feed, known_at, tell
from ledger.journal.records import Decoded
from ledger.journal.store import Store
from ledger.policy import Policy
from ledger.replay import Progress, replay
from ledger.state import State
from ledger.statehash import state_hash
from matching.report import Depth
from matching.types import Side
from matching.walk import level_rows
from projections.base import Projection
from projections.coverage import Intakes
from projections.holdings import HOLDINGS_QUERY, Holdings
from projections.market import Market
from projections.places import EVER, SEQ, Places, Wanted
from projections.usage import USAGE_QUERY, Usage
from shuiquan import finding

if TYPE_CHECKING:
    import polars as pl


class Asking(ABC):
    """Questions to a ledger, answered from its journal, its state and its read models."""

    _store: Store
    _views: Views
    _last_seq = EVER  # nothing behind it is told

    @property
    @abstractmethod
    def state(self) -> State:
        """The state, to be read only."""

    @abstractmethod
    def _still(self) -> AbstractContextManager[None]:
        """Within it the state holds what is durable and does not change."""

    @abstractmethod
    def _catch_up(self) -> None:
        """Bring the read models up to what is told."""

    # numbers for orders and readings

    def right(self, code: str) -> int:
        """Number of a right. Raises Refused (UNKNOWN_RIGHT)."""
        return self.state.number("right", code, Code.UNKNOWN_RIGHT)

    def instrument(self, code: str) -> int:
        """Number of an instrument. Raises Refused (UNKNOWN_INSTRUMENT)."""
        return self.state.number("instrument", code, Code.UNKNOWN_INSTRUMENT)

    def meter(self, code: str) -> int:
        """Number of a meter. Raises Refused (UNKNOWN_METER)."""
        return self.state.number("meter", code, Code.UNKNOWN_METER)

    def station(self, key: str) -> int:
        """Number of the meter that reports as a station. Raises Refused (UNKNOWN_METER)."""
        return self.state.number("station", key, Code.UNKNOWN_METER)

    # the state

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        policy = self.state.policy
        if policy is None:
            raise Refused(Code.LEDGER_MISSING, "policy", None, "the ledger has no policy yet")
        return policy

    def state_hash(self) -> str:
        """SHA-256 of the logical state; a replay of the same facts gives the same (contract K11)."""
        with self._still():
            return state_hash(self.state)

    def totals(self) -> dict[int, int]:
        """The trial balance: the sum over all accounts by unit, zero in each."""
        with self._still():
            return self.state.totals()

    def depth(self, instrument: str, levels: int = 10) -> Depth:
        """The best price levels of an instrument, as rows of (price in ticks, lots, orders)."""
        book = self.instrument(instrument)
        with self._still():
            bids, asks = (level_rows(self.state.books, book, side, levels, None) for side in Side)
        return Depth(bids, asks)

    # the read models

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of an SQL query over the read models (`docs/views.md`), caught up to the last durable position."""
        self._catch_up()
        return self._views.select(statement, parameters)

    def holdings(self) -> list[dict[str, Any]]:
        """Every holding: right, year, holder, attributes by their codes, and balances in litres."""
        policy = self.policy
        named = {
            "source": policy.sources, "basin": policy.basins, "township": policy.townships,
            "industry": policy.industries,
        }  # fmt: skip
        rows = self.query(HOLDINGS_QUERY)
        return [row | {name: labels[row[name]].code for name, labels in named.items()} for row in rows]

    def usage(self) -> list[dict[str, Any]]:
        """Use of every right by local month, in litres."""
        return self.query(USAGE_QUERY)

    # the facts

    def facts(self, after: int = 0, *, after_seq: int = 0) -> Iterator[Told]:
        """Every durable fact in order, behind a position or behind any `seq`.

        `position` of what is told is where a reader may resume once it has all facts of this position.
        Raises Refused (OUT_OF_RANGE) for a position that no fact was told with.
        """
        for told in feed(self._store, self._before(after, after_seq)):
            if told.seq > self._last_seq:
                return
            if told.seq > after_seq:
                yield told

    def _before(self, after: int, after_seq: int) -> int:
        """The position to read behind for what follows both a position and a `seq`."""
        if not finding.whole("after_seq", after_seq):
            return after
        self._catch_up()
        return max(after, finding.place(self._views, SEQ, after_seq + 1) - 1)

    def fact(self, seq: int) -> Told:
        """One fact by its number. Raises Refused (NO_SUCH_FACT)."""
        number = finding.whole("seq", seq)
        self._catch_up()
        wanted = Wanted(after_seq=number - 1, last_seq=min(number, self._last_seq))
        found = [told for group in finding.groups(self._store, self._views, wanted) for told in tell(group)]
        if not found:
            raise Refused(Code.NO_SUCH_FACT, "seq", seq, "from 1 to the last fact")
        return found[0]

    def find(
        self,
        *,
        holder: str | None = None,
        right: str | None = None,
        order: int | None = None,
        meter: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
        after_seq: int = 0,
    ) -> Iterator[Told]:
        """The facts that name all of what is given, in order of `seq`, read from where they lie and nowhere else.

        `holder`, `right` and `meter` are codes, `order` is an order id; a holder is also named by his rights. Times
        are those of the submissions, UTC nanoseconds, `to_ns` excluded. `after_seq` resumes behind a fact.
        Raises Refused: UNKNOWN_PARTY, UNKNOWN_RIGHT, UNKNOWN_METER, WRONG_TYPE, OUT_OF_RANGE.
        """
        self._catch_up()
        wanted = finding.wanted(
            self._views, holder=holder, right=right, order=order, meter=meter, from_ns=from_ns, to_ns=to_ns,
            after_seq=after_seq, last_seq=self._last_seq,
        )  # fmt: skip
        return (told for group in finding.groups(self._store, self._views, wanted) for told in tell(group))

    def frame(self, topic: str, **which: Any) -> pl.DataFrame:
        """The facts of a topic as a Polars frame, one row a fact, columns as in an export (`docs/export.md`).

        `which` is as for `find`, such as `from_ns` and `to_ns`. Raises Refused as `find` does, TOPIC_UNKNOWN, and
        EXTRA_MISSING without the packages of `shuiquan[export]`.
        """
        from adapters.export.frames import frame_of  # noqa: PLC0415 - an optional part

        self._catch_up()
        wanted = finding.wanted(self._views, **which, last_seq=self._last_seq)
        return frame_of(topic, finding.groups(self._store, self._views, wanted))


class AsOf(Asking):
    """A ledger as it was known at a time: its facts up to then, and what follows from them. Read-only; close it."""

    def __init__(self, store: Store, at_ns: int, policy: Policy, progress: Progress | None = None) -> None:
        """Fold the facts up to a time, that of their submissions. Raises Refused (NOT_YET) when there are none."""
        self.at_ns = at_ns
        self._store = store
        self._state = State()
        self._views = Views(None, read_models(policy))
        try:
            self._views.fold(self._replayed(progress))
            if self._state.policy is None:
                raise Refused(Code.NOT_YET, "at_ns", at_ns, "a time from the first fact on")
        except BaseException:
            self._views.close()
            raise
        self._last_seq = self._state.next_seq - 1

    def _replayed(self, progress: Progress | None) -> Iterator[Decoded]:
        """The facts up to the time, in groups, once the state has taken them in."""
        for decoded in known_at(self._store, self.at_ns):
            replay(self._state, decoded)
            if progress:
                progress(decoded.position, decoded.last_seq)
            yield decoded

    @property
    def state(self) -> State:
        """The state at that time, to be read only."""
        return self._state

    def _still(self) -> AbstractContextManager[None]:
        """It never changes."""
        return nullcontext()

    def _catch_up(self) -> None:
        """Nothing to do: what was known then does not change."""

    def close(self) -> None:
        """Give back what it holds; the ledger stays open."""
        self._views.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def read_models(policy: Policy) -> list[Projection]:
    """The read models of a ledger."""
    return [Holdings(), Usage(policy.zone), Intakes(), Market(), Places()]
