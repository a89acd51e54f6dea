"""Reading ahead: an iterator runs in a thread of its own while its consumer works.

Reading a file and hashing leave the interpreter to other threads, as compiled kernels do, so both go on side by side.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

Item = TypeVar("Item")
PORTION: Final = 64  # items of weight one that are handed over at once
PORTIONS: Final = 4  # at most so many wait


@contextmanager
def ahead(items: Iterator[Item], weight: Callable[[Item], int] = lambda _: 1) -> Iterator[Iterator[Item]]:
    """The same items in the same order, read ahead by a thread, which ends with the block.

    They are handed over in portions, of fewer items the more these weigh. What the iterator raises is raised where the
    consumer comes to that place.
    """
    waiting: queue.Queue[list[Item] | BaseException | None] = queue.Queue(PORTIONS)
    over = threading.Event()

    def read() -> None:
        portion: list[Item] = []
        end: BaseException | None = None
        weighs = 0
        try:
            for item in items:
                portion.append(item)
                weighs += weight(item)
                if weighs >= PORTION:
                    waiting.put(portion)
                    portion, weighs = [], 0
                if over.is_set():
                    break
        except BaseException as problem:  # noqa: BLE001 - raised again by the consumer
            end = problem
        waiting.put(portion)
        waiting.put(end)

    def given() -> Iterator[Item]:
        while True:
            portion = waiting.get()
            if isinstance(portion, BaseException):
                raise portion
            if portion is None:
                return
            yield from portion

    reader = threading.Thread(target=read, name="read-ahead", daemon=True)
    reader.start()
    try:
        yield given()
    finally:
        over.set()
        while reader.is_alive():
            try:
                waiting.get(timeout=0.01)
            except queue.Empty:
                continue
