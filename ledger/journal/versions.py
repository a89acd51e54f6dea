"""Versions of facts: which topics were ever written, and how those of an older version are read as the current one.

A topic's layout never changes. What must change gets a new version (`meter.installed/2`): a struct or a dtype of its
own. The older one moves from `ledger.facts` or `ledger.rows` to the tables here with an `Upcast`, which turns what
was read into the next version. That happens on reading only: the bytes, the chain and the canonical form of a fact
stay those of the version in which it was written (contract K8).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ledger.facts import TOPICS, Fact
from ledger.rows import PAGE_DTYPES


class Upcast(NamedTuple):
    """The next version of a topic, and what makes it: of a struct a struct, of rows as many rows of the same `seq`."""

    topic: str
    convert: Callable[[Any], Any]


class Versions(NamedTuple):
    """Every topic that can be read: structs of rare facts, dtypes of pages, and an upcast for each older version."""

    facts: Mapping[str, type[Fact]]
    pages: Mapping[str, Any]
    upcasts: Mapping[str, Upcast]

    def current(self, topic: str, value: Any) -> tuple[str, Any]:
        """A fact, or the rows of a page, as the current version of its topic, version by version."""
        while topic in self.upcasts:
            topic, convert = self.upcasts[topic]
            value = convert(value)
        return topic, value


OLDER_FACTS: Final[dict[str, type[Fact]]] = {}
OLDER_PAGES: Final[dict[str, Any]] = {}
UPCASTS: Final[dict[str, Upcast]] = {}

VERSIONS: Final = Versions(TOPICS | OLDER_FACTS, PAGE_DTYPES | OLDER_PAGES, UPCASTS)
"""What this program can read."""
