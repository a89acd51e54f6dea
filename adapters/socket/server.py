"""The writer's process: takes submissions from other local processes and answers them.

Each client has two threads. One reads messages and puts them into the writer's queue, so that those of many clients
share commits; where the queue is full it waits, and so does its client alone. The other sends the answers, in order. A
client that does not read them has at most a window of messages on their way: its next ones are not read.
"""

import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Final, NamedTuple, Self

from adapters.socket.messages import (
    MAX_REQUEST_BYTES,
    PROTOCOL,
    Answers,
    AskLoad,
    Ended,
    Failed,
    FromClient,
    Hello,
    Loaded,
    Message,
    Submit,
    Welcome,
    malformed,
    pack_outcome,
    submission_of,
    told,
    unpack_from_client,
)
from adapters.socket.streams import GREETING_S, listen, receive, send
from ledger.answers import Answer
from ledger.codes import Code, Refused
from ledger.submitting import Submitting

MAX_CLIENTS: Final = 256
MAX_HELLO_BYTES: Final = 1024
WINDOW: Final = 64 * 2**20
MESSAGE_WEIGHT: Final = 2**20
"""Messages of a client that may wait for an answer, or for the client to read it: their bytes and so much for each."""

STOPPING_S: Final = 10.0
"""So long a server that stops waits for clients to read their answers."""

BUSY_S: Final = 0.1
"""Until a server tries again that could not take a client, for want of file descriptors."""

Reply = Callable[[], Message]
"""Gives a message to send, once there is one."""


class Served(NamedTuple):
    """What a server has done."""

    clients: int  # now
    greeted: int  # clients since it began
    commands: int  # orders, readings and other commands that came


class Server:
    """Listens for clients while it is entered; leaving it finishes what was taken, answers, and removes the socket."""

    def __init__(self, exchange: Submitting, ledger_id: str, path: Path, stopping_s: float) -> None:
        """A server for whoever holds the exchange; made by `Exchange.serve`."""
        self.exchange, self.ledger_id, self.path, self._stopping_s = exchange, ledger_id, path, stopping_s
        self.failure: Refused | None = None
        """The failed commit because of which the writer takes nothing more."""
        self._change = threading.Lock()
        self._connections: set[Connection] = set()
        self._greeted = self._commands = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def served(self) -> Served:
        """Counters to look at."""
        with self._change:
            return Served(len(self._connections), self._greeted, self._commands)

    def __enter__(self) -> Self:
        """Begin to listen. Raises Refused (SOCKET_UNUSABLE)."""
        self._listener = listen(self.path)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more clients, finish what was taken, answer, and remove the socket."""
        self._stopping.set()
        self.path.unlink(missing_ok=True)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        with self._change:
            connections = list(self._connections)
        for connection in connections:
            connection.stop_reading()
        timer = threading.Timer(self._stopping_s, abandon_all, [connections])
        timer.start()
        for connection in connections:
            connection.join()
        timer.cancel()

    def _accept(self) -> None:
        """Take clients."""
        while not self._stopping.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                self._stopping.wait(BUSY_S)
                continue
            connection = Connection(self, peer)
            with self._change:
                full = len(self._connections) >= MAX_CLIENTS
                self._connections.add(connection)
            connection.start(Refused(Code.TOO_MANY_CLIENTS, "clients", MAX_CLIENTS, "connect later") if full else None)

    def ending(self) -> Refused | None:
        """Why clients are told that nothing more is taken, while the server stops."""
        rule = "the server stops: connect again later"
        return Refused(Code.LEDGER_CLOSED, "ledger", self.ledger_id, rule) if self._stopping.is_set() else None

    def count(self, *, greeted: int = 0, commands: int = 0) -> None:
        """Count what a client did."""
        with self._change:
            self._greeted += greeted
            self._commands += commands

    def forget(self, connection: "Connection") -> None:
        """A client is gone."""
        with self._change:
            self._connections.discard(connection)


class Window:
    """What a client has on its way: a thread waits to put more in, another takes it out."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._change = threading.Condition()
        self._held, self._open = 0, True

    def enter(self, weight: int) -> None:
        """Wait for room, and take it. What is heavier than the window waits until it is empty."""
        with self._change:
            self._change.wait_for(lambda: not self._held or self._held + weight <= WINDOW or not self._open)
            self._held += weight

    def leave(self, weight: int) -> None:
        """Give room back."""
        with self._change:
            self._held -= weight
            self._change.notify()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._change:
            self._open = False
            self._change.notify()


class Connection:
    """A client of the server."""

    def __init__(self, server: Server, peer: socket.socket) -> None:
        """Nothing is read before `start`."""
        self._server, self._peer = server, peer
        self._window = Window()
        self._replies: SimpleQueue[tuple[int, Reply] | None] = SimpleQueue()
        self._gone = False
        self._threads: list[threading.Thread] = []

    def start(self, refusal: Refused | None) -> None:
        """Serve the client, or only tell it why not."""
        self._threads = [
            threading.Thread(target=self._read, args=(refusal,), daemon=True),
            threading.Thread(target=self._answer, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop_reading(self) -> None:
        """Take what came whole, and nothing more."""
        self._shut(socket.SHUT_RD)

    def abandon(self) -> None:
        """Do not wait for the client any longer."""
        self._shut(socket.SHUT_RDWR)

    def join(self) -> None:
        """Wait until everything taken is answered."""
        for thread in self._threads:
            thread.join()

    def _shut(self, how: int) -> None:
        try:
            self._peer.shutdown(how)
        except OSError:  # it is gone
            return

    # the thread that reads

    def _read(self, refusal: Refused | None) -> None:
        """Take messages until the client ends, breaks the protocol, or the server stops."""
        try:
            if refusal:
                raise refusal
            self._greet()
            while not self._gone and (body := receive(self._peer, MAX_REQUEST_BYTES)) is not None:
                weight = len(body) + MESSAGE_WEIGHT
                self._window.enter(weight)
                self._replies.put((weight, self._taken(unpack_from_client(body))))
            refusal = self._server.ending()
        except Refused as broken:
            refusal = self._server.ending() or broken  # a message cut off by the end of the server is no offence
        except OSError:
            refusal = None
        finally:
            if refusal:
                self._say(Ended(told(refusal)))
            self._replies.put(None)

    def _greet(self) -> None:
        """Hear a hello and say welcome. Raises Refused."""
        self._peer.settimeout(GREETING_S)
        body = receive(self._peer, MAX_HELLO_BYTES)
        hello = None if body is None else unpack_from_client(body)
        if not isinstance(hello, Hello):
            raise malformed("message", "no hello", "a hello comes first")
        if hello.protocol != PROTOCOL:
            raise Refused(Code.PROTOCOL_DIFFERS, "protocol", hello.protocol, f"{PROTOCOL}")
        if hello.ledger_id not in ("", self._server.ledger_id):
            raise Refused(Code.LEDGER_DIFFERS, "ledger_id", hello.ledger_id, self._server.ledger_id)
        self._peer.settimeout(None)
        self._server.count(greeted=1)
        self._say(Welcome(PROTOCOL, self._server.ledger_id))

    def _taken(self, message: FromClient) -> Reply:
        """Put what a message asks for into the writer's queue; gives what waits for the answer."""
        if isinstance(message, AskLoad):
            return lambda: Loaded(message.number, self._server.exchange.load._asdict())
        if not isinstance(message, Submit):
            raise malformed("message", "hello", "once")
        submissions = [submission_of(asked) for asked in message.submissions]
        try:
            promise = self._server.exchange.submit_ahead(submissions)
        except Refused as refusal:
            return self._failed(message.number, refusal)
        self._server.count(commands=sum(len(one.content) for one in submissions))
        return lambda: self._answers(message.number, promise)

    def _say(self, message: Message) -> None:
        self._replies.put((0, lambda: message))

    # the thread that answers

    def _answer(self) -> None:
        """Send answers in the order of the messages; once the client is gone, wait for the writer all the same."""
        try:
            while (waiting := self._replies.get()) is not None:
                weight, reply = waiting
                message = reply()
                try:
                    if not self._gone:
                        send(self._peer, message)
                except OSError:
                    self._gone = True
                    self.abandon()
                self._window.leave(weight)
        finally:
            self._gone = True
            self._window.close()
            self.abandon()
            self._peer.close()
            self._server.forget(self)

    def _answers(self, number: int, promise: Future[list[Answer | Refused]]) -> Message:
        """The answers to a message, once its commit is durable, or why there are none."""
        try:
            return Answers(number, [pack_outcome(outcome) for outcome in promise.result()])
        except Refused as refusal:
            return self._failed(number, refusal)()

    def _failed(self, number: int, refusal: Refused) -> Reply:
        if refusal.code == Code.COMMIT_FAILED:
            self._server.failure = refusal
        failed = Failed(number, told(refusal))
        return lambda: failed


def abandon_all(connections: Iterable[Connection]) -> None:
    """Do not wait for these clients any longer."""
    for connection in connections:
        connection.abandon()
