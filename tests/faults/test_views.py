"""Processes that ask a ledger at once when its read models are missing: one makes them, all get an answer."""

import pytest

from tests.faults.server import ForkServer
from tests.stores.homes import copied


@pytest.fixture(params=range(6))
def again() -> None:
    """Once more, since it is a matter of chance."""


@pytest.mark.usefixtures("again")
def test_processes_that_find_no_views_at_once_all_get_an_answer(server: ForkServer, populated, tmp_path) -> None:
    path = copied(populated, tmp_path / "ledger.db")
    children = [server.fork(name="ask", path=str(path)) for _ in range(6)]
    for _, control in children:
        control.send(b"1")
    said = []
    for process, control in children:
        with control, control.makefile() as lines:
            said.append(lines.read())
        assert server.wait(process) == 0, said[-1][-1500:]
    assert len(set(said)) == 1
    assert said[0].startswith("answer")
