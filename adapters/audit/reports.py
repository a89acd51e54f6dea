"""Writing evidence: the facts about a holder, a meter or a period, each with its proof, signed by the ledger."""

from typing import Any, Final

import msgspec

from ledger import facts
from ledger.audit.check_proof import decode_fact, root_of
from ledger.audit.check_report import FORMAT, about_all, content_hash, statement, tables_of
from ledger.audit.merkle import Tree, hash_leaf, salt
from ledger.audit.notes import SigningKey, sign
from ledger.audit.subjects import MAX_TIME, Registered, subject_of
from ledger.codes import Code, Refused
from ledger.journal.records import groups, parse
from ledger.journal.store import Store
from ledger.policy import Policy
from ledger.replay import Progress, joined, read_chain
from ledger.units import time_ns

MAX_FACTS: Final = 100_000
"""Most facts in a file: each has its path, about 2 kB."""


def read_registered(store: Store) -> tuple[Registered, Policy | None]:
    """What is registered, and the policy, from the rare facts of a journal."""
    registered, policy = Registered([], [], []), None
    lists: dict[type[facts.Fact], list[Any]] = {
        facts.PartyRegistered: registered.parties, facts.RightRegistered: registered.rights,
        facts.MeterInstalled: registered.meters,
    }  # fmt: skip
    for entry in store.entries():
        if "." not in entry.topic:  # a page
            continue
        fact = parse(entry.position, entry.state).fact.fact
        lists.get(type(fact), []).append(fact)
        if isinstance(fact, facts.PolicyAdopted):
            policy = msgspec.msgpack.decode(fact.content, type=Policy)
    return registered, policy


def moment(about: dict[str, str], name: str, policy: Policy | None, missing: int) -> int:
    """A time that somebody wrote, in the district's time zone. Raises Refused (OUT_OF_RANGE)."""
    if not about[name] or policy is None:
        return missing
    try:
        return time_ns(about[name], policy.zone)
    except ValueError:
        raise Refused(Code.OUT_OF_RANGE, name, about[name], "a day or a time, such as 2024-06-01T08:00") from None


def make_report(
    store: Store, tree: Tree, salt_key: bytes, signing: SigningKey, sealed: tuple[int, bytes],
    about: dict[str, str], progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The content of an evidence file under a checkpoint of (size, root).

    `about` has holder, meter, from and to, each perhaps empty. Raises Refused: UNKNOWN_PARTY, UNKNOWN_METER,
    OUT_OF_RANGE for a subject that is none, or too many facts; CHECKPOINT_DIFFERS.
    """
    size, root = sealed
    registered, policy = read_registered(store)
    from_ns, to_ns = moment(about, "from", policy, 0), moment(about, "to", policy, MAX_TIME)
    subject = subject_of(registered, about["holder"], about["meter"], from_ns, to_ns)
    chosen = []
    for found in subject.select(joined(groups(read_chain(store), 1)), size):
        chosen.append(found)
        if len(chosen) > MAX_FACTS:
            raise Refused(Code.OUT_OF_RANGE, "facts", len(chosen), f"at most {MAX_FACTS}; take a shorter period")
    proved = []
    for count, (seq, canonical) in enumerate(sorted(chosen), start=1):
        key, path = salt(salt_key, seq), tree.inclusion(seq - 1, size)
        if root_of(seq - 1, size, hash_leaf(key, canonical), path) != root:
            raise Refused(Code.CHECKPOINT_DIFFERS, "seq", seq, "the fact that was hashed into the tree")
        topic, _, fields = decode_fact(canonical)
        proved.append({
            "seq": seq, "topic": topic, "fields": fields, "fact": canonical.hex(), "salt": key.hex(),
            "path": [node.hex() for node in path],
        })  # fmt: skip
        if progress:
            progress(count, len(chosen))
    tables = tables_of(proved, everybody=about_all(subject.described))
    report = {"format": FORMAT, "subject": subject.described, "facts": proved, "tables": tables}
    text = statement(signing.name, content_hash(report), size, len(proved))
    return report | {"signature": sign(text, signing)}
