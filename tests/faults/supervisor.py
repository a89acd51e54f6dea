"""Runs a writer under supervision: counts its calls to files or sockets, and lets a fault happen at one of them."""

import errno
import json
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.faults.calls import SYNCS, WRITES, Call, answer, next_call, write_part
from tests.faults.server import ForkServer

Act = Callable[["Run", Call], bool]
"""What to do at a call; says whether it has answered it."""


class Said(NamedTuple):
    """A line that a writer said."""

    word: str
    about: list[Any]


class Run:
    """A writer as long as it lives: what it said, which calls it made, and how it ended."""

    def __init__(self, server: ForkServer, act: Act | None = None, about: str = "", **job: Any) -> None:
        """Start a writer. `act` is asked at each of its calls about a file whose name begins with `about`."""
        self.process, self._control = server.fork(**{"name": "write"} | job)
        self.calls: list[tuple[str, str]] = []
        self.said: list[Said] = []
        self._server, self._act, self._about, self._rest = server, act, about, b""
        self._listener, self._ended = -1, False
        if job.get("calls"):
            _, (self._listener,), _, _ = socket.recv_fds(self._control, 1, 1)

    def kill(self) -> None:
        """Kill it, as nothing can be caught."""
        os.kill(self.process, signal.SIGKILL)

    def go_on(self) -> None:
        """Let a writer that is held begin its next step."""
        self._control.send(b"1")

    def words(self, word: str) -> list[list[Any]]:
        """What it said under a word."""
        return [said.about for said in self.said if said.word == word]

    def until(self, enough: Callable[["Run"], bool] = lambda _: False) -> None:
        """Answer its calls and listen until it ends, or has said enough."""
        waiting = select.poll()
        for descriptor in (self._control.fileno(), self._listener):
            if descriptor >= 0:
                waiting.register(descriptor, select.POLLIN)
        while not enough(self):
            for descriptor, event in waiting.poll():
                if descriptor == self._listener:
                    if event & select.POLLIN:
                        self._supervise()
                    else:
                        waiting.unregister(descriptor)
                elif not self._hear():
                    return

    def finish(self) -> int:
        """Listen to its end; returns the exit status."""
        try:
            self.until()
        finally:
            if not self._ended:
                self.kill()
            status = self._server.wait(self.process)
            self._control.close()
            if self._listener >= 0:
                os.close(self._listener)
        for about in self.words("broken"):
            raise AssertionError(about)
        return status

    def _hear(self) -> bool:
        try:
            heard = self._control.recv(65_536)
        except ConnectionResetError:
            heard = b""
        *lines, self._rest = (self._rest + heard).split(b"\n")
        for line in lines:
            word, _, about = line.decode().partition(" ")
            self.said.append(Said(word, json.loads(about)))
        self._ended = not heard
        return bool(heard)

    def _supervise(self) -> None:
        call = next_call(self._listener)
        if call is None:
            return
        if call.file.startswith(self._about):
            self.calls.append((call.name, call.file.removeprefix(self._about)))
            if self._act and self._act(self, call):
                return
        answer(self._listener, call, go_on=True)

    def fail(self, call: Call, error: int) -> bool:
        """Fail a call."""
        answer(self._listener, call, error=error)
        return True

    def shorten(self, call: Call, share: float) -> bool:
        """Carry out a part of a write and say so, as a file system may."""
        answer(self._listener, call, value=write_part(call, share))
        return True


def kills(at: int, share: float = 0.0) -> Act:
    """Kill the writer at its `at`-th call, a write carried out in part."""

    def act(run: Run, call: Call) -> bool:
        if len(run.calls) - 1 != at:
            return False
        if share and call.name == "pwrite64" and call.arguments[2] > 1:
            write_part(call, share)
        run.kill()
        return True

    return act


def fails(at: int, names: tuple[str, ...], error: int, *, for_good: bool) -> Act:
    """Fail its calls of these names from the `at`-th call on: the next one, or every one."""
    failed = 0

    def act(run: Run, call: Call) -> bool:
        nonlocal failed
        if len(run.calls) - 1 < at or call.name not in names or (failed and not for_good):
            return False
        failed += 1
        return run.fail(call, error)

    return act


def fails_when_armed(names: tuple[str, ...], error: int, spared: int = 0) -> tuple[Act, threading.Event]:
    """Fail its calls of these names for good once the event is set, a few `spared` at first."""
    armed, left = threading.Event(), spared

    def act(run: Run, call: Call) -> bool:
        nonlocal left
        if not armed.is_set() or call.name not in names:
            return False
        left -= 1
        return left < 0 and run.fail(call, error)

    return act, armed


def shortens(at: int, share: float, *, full: bool) -> Act:
    """Carry out a part of its next write from the `at`-th call on; then the disk is `full`, or not."""
    cut = False

    def act(run: Run, call: Call) -> bool:
        nonlocal cut
        if len(run.calls) - 1 < at or call.name != "pwrite64":
            return False
        if cut:
            return full and run.fail(call, errno.ENOSPC)
        cut = call.arguments[2] > 1
        return cut and run.shorten(call, share)

    return act


def meets(at: int, visit: Callable[[], None]) -> Act:
    """Somebody comes by while the writer writes to its log, at its `at`-th call or the next that does."""
    met = False

    def act(run: Run, _: Call) -> bool:
        nonlocal met
        if len(run.calls) - 1 >= at and run.calls[-1] == ("pwrite64", "-wal") and not met:
            met = True
            visit()
        return False

    return act


__all__ = ["SYNCS", "WRITES", "Act", "Run", "fails", "fails_when_armed", "kills", "meets", "shortens"]
