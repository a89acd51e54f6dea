"""Snapshots: a restored book goes on as the other would have, and nothing but a whole snapshot is taken."""

from collections.abc import Callable

import numpy as np
import pytest

from matching import COMMAND, UNLIMITED, Action, OrderBook, SelfTrade, Side, TimeInForce
from matching.snapshot import SNAPSHOT_ORDER, rows_of
from matching.types import MAX_CAPACITY


def filled(zones: int = 2, seed: int = 1) -> OrderBook:
    """A book with orders of all kinds, in an auction."""
    book = OrderBook(5, 400, 3_000, zones, np.full((zones, zones), 900), netting=True)
    book.process(orders(np.random.Generator(np.random.PCG64(seed)), 1, 2_000, zones))
    book.open_auction()
    book.process(orders(np.random.Generator(np.random.PCG64(seed + 1)), 2_001, 100, zones))
    return book


def orders(rng: np.random.Generator, first: int, count: int, zones: int) -> np.ndarray:
    """New orders and a few changes."""
    rows = np.zeros(count, COMMAND)
    rows["order_id"] = np.arange(first, first + count)
    rows["action"] = rng.choice([Action.NEW, Action.NEW, Action.NEW, Action.REPLACE, Action.REDUCE], count)
    rows["order_id"] = np.where(rows["action"] == Action.NEW, rows["order_id"], rng.integers(1, first + count, count))
    rows["owner"], rows["zone"] = rng.integers(1, 4, count), rng.integers(0, zones, count)
    rows["side"], rows["price"] = rng.integers(0, 2, count), rng.integers(5, 400, count)
    rows["quantity"], rows["self_trade"] = rng.integers(1, 90, count), rng.choice(list(SelfTrade), count)
    rows["time_in_force"] = rng.choice([TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD], count)
    rows["expires_at_ns"] = np.where(rows["time_in_force"] == TimeInForce.GTD, rng.integers(1, 10**6, count), 0)
    return rows


@pytest.mark.parametrize("zones", [1, 2, 64])
def test_a_restored_book_goes_on_as_the_other(zones: int) -> None:
    book, other = filled(zones), OrderBook(1, 9, 4, zones)
    other.restore(book.snapshot())
    other.check()
    assert other.snapshot() == book.snapshot()
    for one, again in ((book.uncross(), other.uncross()), (book.end_day(), other.end_day())):
        assert repr(one) == repr(again)
    more = orders(np.random.Generator(np.random.PCG64(9)), 3_000, 500, zones)
    assert all(np.array_equal(*pair) for pair in zip(book.process(more), other.process(more), strict=True))
    assert (book.depth(400), len(book)) == (other.depth(400), len(other))
    assert other.snapshot() == book.snapshot()


def test_the_layout_is_the_one_described() -> None:
    book = OrderBook(10, 20)
    book.submit(order_id=7, owner=3, side=Side.SELL, price=12, quantity=5, self_trade=SelfTrade.DECREMENT)
    (row,) = rows_of(book.snapshot()).tolist()
    assert SNAPSHOT_ORDER.itemsize == 53
    assert dict(zip(SNAPSHOT_ORDER.names or (), row, strict=True)) == {
        "order_id": 7, "owner": 3, "price": 12, "quantity": 5, "arrival": 1, "expires_at_ns": 0, "side": 1, "zone": 0,
        "time_in_force": 0, "post_only": 0, "self_trade": 4,
    }  # fmt: skip


SPOILT: dict[str, Callable[[bytes], object]] = {
    "nothing": lambda _: b"",
    "a text": lambda data: data.decode("latin1"),
    "its beginning": lambda data: data[:8],
    "cut short": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "another beginning": lambda data: b"X" + data[1:],
    "a flipped bit in the header": lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
    "a flipped bit in an order": lambda data: data[:-60] + bytes([data[-60] ^ 1]) + data[-59:],
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_no_whole_snapshot_is_refused_and_changes_nothing(name: str) -> None:
    data = filled().snapshot()
    book = filled(seed=5)
    before = book.snapshot()
    with pytest.raises(ValueError, match="no snapshot of an order book"):
        book.restore(SPOILT[name](data))  # type: ignore[arg-type]
    assert book.snapshot() == before


def test_a_snapshot_of_other_zones_is_refused_and_the_shared_headroom_stays_shared() -> None:
    headroom = np.array([[UNLIMITED, 9], [0, UNLIMITED]])
    book = OrderBook(1, 50, zones=2, headroom=headroom)
    with pytest.raises(ValueError, match="zones"):
        book.restore(filled(zones=3).snapshot())
    book.restore(OrderBook(1, 50, zones=2, headroom=np.array([[5, 5], [5, 5]])).snapshot())
    assert headroom.tolist() == [[5, 5], [5, 5]]
    book.submit(order_id=1, side=Side.SELL, price=5, quantity=3, zone=0)
    book.submit(order_id=2, side=Side.BUY, price=5, quantity=3, zone=1)
    assert headroom.tolist() == [[5, 2], [5, 5]]


def test_a_book_grows_when_asked_and_never_shrinks() -> None:
    book = OrderBook(capacity=2)
    for order_id in (1, 2, 3):
        code = book.submit(order_id=order_id, price=5, quantity=1).outcomes["code"]
    assert (len(book), int(code[0])) == (2, 15)
    book.grow(3)
    assert book.submit(order_id=3, price=5, quantity=1).outcomes["code"] == 0
    for capacity in (2, MAX_CAPACITY + 1):
        with pytest.raises(ValueError, match="capacity"):
            book.grow(capacity)
    book.check()
