"""The id table under ids that were chosen to collide: nothing is lost, however long the chains get."""

import numpy as np
import pytest

from matching import COMMAND, Action, OrderBook, Side

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
ORDERS = 600


def colliding(count: int) -> np.ndarray:
    """Rising ids that all belong to the first places of a table of up to 2**13 places: one long chain."""
    blocks = np.arange(1, 2**23, dtype=np.uint64)
    places = (blocks * GOLDEN) >> np.uint64(64 - 13)
    return (blocks[places == 0][:count] << np.uint64(4)).astype(np.int64)


@pytest.mark.parametrize("seed", range(3))
def test_colliding_ids_are_found_and_forgotten(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    book, ids = OrderBook(max_price=10), colliding(ORDERS)
    assert len(ids) == ORDERS
    commands = np.zeros(ORDERS, COMMAND)
    commands["action"], commands["side"], commands["price"], commands["quantity"] = Action.NEW, Side.BUY, 5, 1
    commands["order_id"] = ids
    book.process(commands)
    assert len(book) == ORDERS
    book.check()
    cancels = commands.copy()
    cancels["action"] = Action.CANCEL
    rng.shuffle(cancels)
    for part in np.array_split(cancels, 7):
        assert (book.process(part).outcomes["code"] == 0).all()
        book.check()
    assert len(book) == 0
