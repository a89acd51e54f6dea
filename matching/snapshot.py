"""A book as bytes, in a described layout: what stands, in which order, and under which limits.

    snapshot = MAGIC | header length (u32, little-endian) | header (JSON) | headroom | orders | CRC-32 (u32)

Headroom is int64[zones, zones], and with netting a second such matrix of permissions; orders are rows of SNAPSHOT_ORDER
by arrival. Slots, free places and the id table are left out: a restored book makes its own.
"""

import json
import struct
import zlib
from typing import Any, Final

import numpy as np

from matching.arrays import Array, make_books, with_netting, with_slots
from matching.book import Books
from matching.compiled import kernel
from matching.ladder import rank_of
from matching.queue import POST_ONLY, SELF_TRADE_SHIFT, TIME_IN_FORCE, conditions_of, enqueue, lane_of, take_slot

MAGIC: Final = b"SQBOOK1\n"
LENGTH: Final = struct.Struct("<I")
FIELDS: Final = (
    "min_price",
    "max_price",
    "capacity",
    "zones",
    "netting",
    "auction",
    "last_order_id",
    "arrivals",
    "orders",
)

SNAPSHOT_ORDER: Final = np.dtype(
    [
        ("order_id", "<i8"),
        ("owner", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("arrival", "<i8"),
        ("expires_at_ns", "<i8"),
        ("side", "i1"),
        ("zone", "i1"),
        ("time_in_force", "i1"),
        ("post_only", "i1"),
        ("self_trade", "i1"),
    ]
)
"""One live order of a snapshot, 53 bytes without padding."""


def pack(books: Books) -> bytes:
    """The only book of a group as bytes."""
    shape, pool = books.book[0], books.pool[0]
    slots = np.flatnonzero(books.orders["order_id"])
    slots = slots[np.argsort(books.standing["arrival"][slots])]
    orders, rows = books.orders[slots], np.zeros(len(slots), SNAPSHOT_ORDER)
    for name in ("order_id", "owner", "quantity"):
        rows[name] = orders[name]
    for name in ("arrival", "expires_at_ns"):
        rows[name] = books.standing[name][slots]
    lanes = books.lanes[orders["lane"]]
    rows["price"] = lanes["first_price"] + lanes["step"] * orders["rank"].astype(np.int64)
    rows["side"], rows["zone"] = lanes["side"], lanes["zone"]
    rows["time_in_force"] = orders["conditions"] & TIME_IN_FORCE
    rows["post_only"] = (orders["conditions"] & POST_ONLY) != 0
    rows["self_trade"] = orders["conditions"] >> SELF_TRADE_SHIFT
    last_price = shape["min_price"] + shape["prices"] - 1
    figures = (
        shape["min_price"], last_price, pool["capacity"], shape["zones"], len(books.netting) > 0, shape["auction"],
        shape["last_order_id"], pool["arrivals"], len(rows),
    )  # fmt: skip
    header = json.dumps(dict(zip(FIELDS, map(int, figures), strict=True))).encode()
    permitted = books.netting[1:].tobytes()
    body: bytes = MAGIC + LENGTH.pack(len(header)) + header + books.headroom.tobytes() + permitted + rows.tobytes()
    return body + LENGTH.pack(zlib.crc32(body))


def unpack(data: bytes) -> Books:
    """A group of one book from its bytes. Raises ValueError for anything but a whole snapshot."""
    header, body = read_header(data)
    zones, netting, count = header["zones"], header["netting"], header["orders"]
    sizes = [zones * zones * 8, zones * zones * 8 if netting else 0, count * SNAPSHOT_ORDER.itemsize]
    if len(body) != sum(sizes):
        raise damaged("its length does not fit its header")
    headroom = np.frombuffer(body, np.int64, zones * zones).reshape(zones, zones).copy()
    books = make_books([(header["min_price"], header["max_price"])], headroom, header["capacity"])
    if netting:
        books = with_netting(books)
        books.netting[1] = np.frombuffer(body, np.int64, zones * zones, sizes[0]).reshape(zones, zones)
    if count > len(books.orders) - 1:
        books = with_slots(books, count)
    rows = np.frombuffer(body, SNAPSHOT_ORDER, count, sizes[0] + sizes[1])
    enter_all(books, rows.copy())
    books.book["auction"], books.book["last_order_id"] = header["auction"], header["last_order_id"]
    books.pool["arrivals"] = header["arrivals"]
    return books


def read_header(data: bytes) -> tuple[dict[str, int], bytes]:
    """Header and body of a snapshot. Raises ValueError when it is damaged or none."""
    start = len(MAGIC) + LENGTH.size
    if not isinstance(data, bytes) or data[: len(MAGIC)] != MAGIC or len(data) < start + LENGTH.size:
        raise damaged("it does not begin as one")
    if LENGTH.unpack(data[-LENGTH.size :])[0] != zlib.crc32(data[: -LENGTH.size]):
        raise damaged("its checksum does not match")
    (length,) = LENGTH.unpack_from(data, len(MAGIC))
    header: dict[str, Any] = json.loads(data[start : start + length])
    return header, data[start + length : -LENGTH.size]


def damaged(why: str) -> ValueError:
    """The error for bytes that are no snapshot."""
    return ValueError(f"no snapshot of an order book: {why}")


@kernel
def enter_all(books: Any, rows: Any) -> None:
    """Let the orders of a snapshot enter their queues, in order of arrival, under the arrivals they had."""
    for at in range(len(rows)):
        row = rows[at]
        slot = take_slot(books, row["order_id"])
        order = books.orders[slot]
        order["owner"] = row["owner"]
        order["quantity"] = row["quantity"]
        lane = lane_of(books, np.int64(0), np.int64(row["side"]), np.int64(row["zone"]))
        order["conditions"] = conditions_of(row["time_in_force"], row["post_only"], row["self_trade"])
        books.standing[slot]["expires_at_ns"] = row["expires_at_ns"]
        enqueue(books, slot, lane, rank_of(books, lane, row["price"]))
        books.standing[slot]["arrival"] = row["arrival"]


def rows_of(data: bytes) -> Array:
    """The orders of a snapshot as rows of SNAPSHOT_ORDER, for whoever wants to look inside."""
    header, body = read_header(data)
    count = header["orders"]
    return np.frombuffer(body, SNAPSHOT_ORDER, count, len(body) - count * SNAPSHOT_ORDER.itemsize)
