"""Following facts: from a position, each once and in order, while they become durable, here and beside the writer."""

import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import shuiquan
from ledger.feed import Told
from shuiquan.exchange import Exchange
from tests.ledger.scripts import play, populate, random_script
from tests.world import World


def seqs(told: Iterator[Told]) -> list[int]:
    """Sequence numbers of facts."""
    return [one.seq for one in told]


def test_a_follower_begins_behind_any_position_it_was_told(housed: World) -> None:
    populate(housed)
    play(housed, random_script(51, 12))
    told = list(housed.exchange.subscribe())
    assert [one.seq for one in told] == list(range(1, housed.exchange.state.next_seq))
    assert told[-1].position == housed.exchange.position
    ends = sorted({one.position for one in told})
    for position in (*ends[:: len(ends) // 20], ends[-1]):
        rest = [one.seq for one in told if one.position > position]
        assert seqs(housed.exchange.subscribe(after=position)) == rest


def test_followers_hear_every_fact_once_as_it_becomes_durable(housed: World) -> None:
    populate(housed)
    start, script = housed.exchange.position, random_script(52, 25)
    first = housed.exchange.state.next_seq

    def follow(exchange: Exchange, count: int) -> list[int]:
        return [told.seq for told, _ in zip(exchange.subscribe(start, wait_s=60), range(count), strict=False)]

    with shuiquan.open(housed.path, readonly=True) as beside, ThreadPoolExecutor(2) as threads:
        followers = [threads.submit(follow, exchange, 200) for exchange in (housed.exchange, beside)]
        play(housed, script)
        expected = np.arange(first, first + 200).tolist()
        assert housed.exchange.state.next_seq > first + 200
        assert [follower.result() for follower in followers] == [expected, expected]


def test_a_follower_that_need_not_wait_ends_at_the_end(housed: World) -> None:
    assert not seqs(housed.exchange.subscribe(after=housed.exchange.position))
    assert not seqs(housed.exchange.subscribe(after=housed.exchange.position, wait_s=0.01))
    assert not seqs(housed.exchange.subscribe(after=10**6))


def test_a_follower_begins_behind_any_fact(housed: World) -> None:
    populate(housed)
    play(housed, random_script(53, 8))
    last = housed.exchange.state.next_seq - 1
    for seq in (*range(0, last, 37), last - 1, last, last + 7):
        assert seqs(housed.exchange.subscribe(after_seq=seq)) == list(range(seq + 1, last + 1))
        assert seqs(housed.exchange.facts(after_seq=seq)) == list(range(seq + 1, last + 1))
    behind = housed.exchange.subscribe(after_seq=last + 2, wait_s=60)
    play(housed, random_script(54, 1))
    assert next(behind).seq == last + 3


class Restless(threading.Condition):
    """A condition that wakes who waits on it at once, as commits do that record nothing, until something happens."""

    def __init__(self, wakes: int, happen: Callable[[], object]) -> None:
        super().__init__()
        self.left, self.happen = wakes, happen

    def wait(self, timeout: float | None = None) -> bool:
        """Wake at once."""
        assert timeout is not None
        assert 0 < timeout <= 60
        self.left -= 1
        if not self.left:
            self.release()  # as waiting does
            self.happen()
            self.acquire()
        return True


def test_being_woken_for_nothing_shortens_no_wait(housed: World) -> None:
    populate(housed)
    first = housed.exchange.state.next_seq
    happen = functools.partial(housed.operator, shuiquan.OpenMarket(instrument="NET"))
    housed.exchange._committed = Restless(2_000, happen)
    assert next(housed.exchange.subscribe(housed.exchange.position, wait_s=60)).seq == first
