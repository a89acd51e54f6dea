"""The socket beside a ledger, and whole messages over it."""

import os
import socket
import stat
from pathlib import Path
from typing import Final

from adapters.socket.messages import LENGTH, Message, body_length, malformed, pack
from ledger.codes import Code, Refused

SOCKET: Final = ".socket"
MAX_PATH_BYTES: Final = 107
"""Of the path of a Unix domain socket: the operating system's limit, less its final zero."""

OWNER_ONLY: Final = 0o600
BACKLOG: Final = 64
GREETING_S: Final = 10.0
"""Who has not said hello, or welcome, by then is let go: he takes nobody's place, and nobody waits for him."""

AT_ONCE: Final = 2**20
"""So much is asked of the operating system at a time: memory follows what arrived, not what was announced."""


def socket_path(beside: Path) -> Path:
    """Where the writer of a ledger listens. Raises Refused (SOCKET_UNUSABLE) for too long a path."""
    path = Path(f"{beside}{SOCKET}")
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise unusable(path, f"at most {MAX_PATH_BYTES} bytes; put the ledger where its path is shorter")
    return path


def unusable(path: Path, rule: str) -> Refused:
    """The refusal where a socket cannot be made or reached."""
    return Refused(Code.SOCKET_UNUSABLE, "socket", str(path), rule)


def listen(path: Path) -> socket.socket:
    """A socket at a path that only its owner may connect to; called by who holds the writer's lock.

    One that stands there already is that of a dead writer, and is replaced. Raises Refused (SOCKET_UNUSABLE).
    """
    listener = socket.socket(socket.AF_UNIX)
    try:
        if os.path.lexists(path):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise unusable(path, "something else is there: move it away")
            path.unlink()
        os.fchmod(listener.fileno(), OWNER_ONLY)  # before the name is there, so that it is never open to others
        listener.bind(str(path))
        if stat.S_IMODE(path.lstat().st_mode) != OWNER_ONLY:
            path.unlink()
            raise unusable(path, "a file system that keeps who may use a socket")
        listener.listen(BACKLOG)
    except OSError as problem:
        listener.close()
        raise unusable(path, str(problem)) from None
    except BaseException:
        listener.close()
        raise
    return listener


def reach(path: Path) -> socket.socket:
    """A connection to who listens at a path. Raises Refused (NOT_SERVED, SOCKET_UNUSABLE)."""
    peer = socket.socket(socket.AF_UNIX)
    try:
        peer.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError) as problem:
        peer.close()
        raise Refused(Code.NOT_SERVED, "socket", str(path), str(problem)) from None
    except OSError as problem:
        peer.close()
        raise unusable(path, str(problem)) from None
    return peer


def send(peer: socket.socket, message: Message) -> None:
    """Send a whole message. Raises OSError."""
    peer.sendall(pack(message))


def receive(peer: socket.socket, limit: int) -> bytearray | None:
    """The body of the next message, None where the other side ended between two.

    Raises Refused: MESSAGE_TOO_LARGE above `limit` bytes, MESSAGE_MALFORMED for one that was cut off. Raises OSError.
    """
    head = _read(peer, LENGTH.size)
    if not head:
        return None
    length = body_length(_whole(head, LENGTH.size), limit)
    return _whole(_read(peer, length), length)


def _read(peer: socket.socket, length: int) -> bytearray:
    """So many bytes, or fewer where the other side ended."""
    body = bytearray()
    while len(body) < length and (piece := peer.recv(min(length - len(body), AT_ONCE))):
        body += piece
    return body


def _whole(body: bytearray, length: int) -> bytearray:
    """The same, if all of it came."""
    if len(body) < length:
        raise malformed("message", f"{len(body)} of {length} bytes", "a whole message")
    return body
