"""Segments: the facts of a commit in order of `seq` as they are decided, and the records they become."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ledger import facts, rows
from ledger.journal.pages import joined_submissions
from ledger.journal.records import Draft, draft_fact, draft_pages
from ledger.tables import Array, joined


class Segment(NamedTuple):
    """Rare facts, or frequent ones by topic with the submissions that they follow."""

    rare: list[facts.Stamped]
    pages: dict[str, Array]
    submissions: Array | None  # rows of `submission/1`


def drafts(segments: Sequence[Segment], page_facts: int) -> Iterator[Draft]:
    """The records of a commit, in an order in which every prefix of segments is dense in `seq`."""
    for segment in merged(segments):
        yield from (draft_fact(stamped) for stamped in segment.rare)
        made = [draft for topic, page in segment.pages.items() for draft in draft_pages(topic, page, page_facts)]
        if segment.submissions is not None:
            made += draft_pages(rows.SUBMISSIONS, segment.submissions, page_facts)
        yield from sorted(made, key=lambda draft: (draft.first_seq, draft.topic))


def merged(segments: Sequence[Segment]) -> Iterator[Segment]:
    """Neighbouring segments of frequent facts joined, so that submissions of one commit share pages (K8)."""
    waiting: list[Segment] = []
    for segment in segments:
        if not segment.rare:
            waiting.append(segment)
            continue
        if waiting:
            yield together(waiting)
            waiting = []
        yield segment
    if waiting:
        yield together(waiting)


def together(segments: Sequence[Segment]) -> Segment:
    """Segments of frequent facts as one."""
    if len(segments) == 1:
        return segments[0]
    pages = {topic: [part.pages[topic] for part in segments if topic in part.pages] for topic in rows.PAGE_DTYPES}
    whole = {topic: joined(parts) for topic, parts in pages.items() if parts}
    submissions = [part.submissions for part in segments if part.submissions is not None]
    return Segment([], whole, joined_submissions(submissions) if submissions else None)
