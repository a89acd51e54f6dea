"""Servers that are killed, told to stop or fail, and clients that repeat what they got no answer to."""

import os
import signal
import socket
import stat
import sys
import threading
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

import shuiquan
from adapters.socket.streams import socket_path
from ledger.submissions import Submission
from shuiquan import Code, OpenMarket, Refused
from tests.cli.commands import ROOT, run
from tests.socket.peers import Submitters, serving
from tests.stores.homes import Home, database
from tests.stores.ledgers import facts_hash, recorded, resumed, verified
from tests.stores.test_pipeline import at_one_time
from tests.world import OPERATOR


def refusal(ledger: object) -> Code:
    """The code that connecting is refused with."""
    with pytest.raises(Refused) as refused:
        shuiquan.connect(str(ledger))
    return Code(refused.value.code)


@pytest.mark.parametrize("seed", [440, 441])
def test_a_killed_server_loses_nothing_it_acknowledged_and_repeats_are_answered_once(ledger: Path, seed: int) -> None:
    with serving(ledger) as server:
        clients = Submitters(ledger, seed, 300, 3)
        clients.hear(12 + seed % 7)
        server.kill()
        server.wait()
        clients.finish()
    assert len(clients.acknowledged) >= 36
    assert set(clients.unanswered.values()) == {"CONNECTION_LOST"}
    assert refusal(ledger) == Code.NOT_SERVED
    assert socket_path(ledger).exists(), "a killed server removes nothing"
    submissions = at_one_time(seed, 300)
    with serving(ledger), shuiquan.connect(ledger) as client:
        assert clients.acknowledged.keys() | clients.unanswered.keys() == {one.command_id for one in submissions}
        answers = client.submit_many(submissions)
        again = client.submit_many(submissions)
    spans = {}
    for one, answer in zip(submissions, answers, strict=True):
        assert not isinstance(answer, Refused)
        assert answer.repeated or one.command_id in clients.unanswered
        spans[one.command_id] = answer.first_seq, answer.last_seq
    assert clients.acknowledged.items() <= spans.items()
    assert [(one.first_seq, one.last_seq, one.repeated) for one in again if not isinstance(one, Refused)] == [
        (first, last, True) for first, last in spans.values()
    ]
    world = resumed(ledger)
    told = [fact.fact["command_id"].decode() for fact in world.exchange.facts() if fact.topic == "submission/1"]
    assert sorted(name for name in told if name in spans) == sorted(spans), "each once"
    world.check()
    world.exchange.close()
    assert verified(ledger).facts


def test_a_killed_client_leaves_the_others_alone(ledger: Path) -> None:
    with serving(ledger):
        clients = Submitters(ledger, 450, 200, 3)
        clients.hear(5)
        clients.processes[0].kill()
        clients.processes[0].communicate()
        del clients.processes[0]
        clients.finish()
    assert not clients.unanswered
    others = {one.command_id for at in (1, 2) for one in at_one_time(450, 200)[at::3]}
    world = resumed(ledger)
    assert others <= recorded(world.exchange).keys() & clients.acknowledged.keys()
    world.check()
    world.exchange.close()


def test_a_lost_connection_takes_nothing_more_and_says_how_to_go_on(ledger: Path) -> None:
    with serving(ledger) as server, shuiquan.connect(ledger) as client:
        promise = client.submit_ahead(at_one_time(460, 30))
        server.kill()
        server.wait()
        error = promise.exception()
        if error:  # it was killed before the answer
            assert isinstance(error, Refused)
            assert (error.code, "command ids" in error.rule) == (Code.CONNECTION_LOST, True)
        for act in (lambda: client.submit_many(at_one_time(460, 1)), lambda: client.load):
            with pytest.raises(Refused) as refused:
                act()
            assert refused.value.code == Code.CONNECTION_LOST
    with pytest.raises(Refused) as refused:
        assert client.load
    assert refused.value.code == Code.LEDGER_CLOSED


def served_by_command(ledger: Path, *options: str) -> Popen[str]:
    """The command that serves a ledger, once it does."""
    command = [sys.executable, "-m", "shuiquan", "serve", str(ledger), *options]
    process = Popen(command, cwd=ROOT, stdout=PIPE, stderr=PIPE, encoding="utf-8")
    assert process.stdout
    assert str(socket_path(ledger)) in process.stdout.readline()
    return process


def test_a_server_told_to_stop_answers_what_it_took_and_took_nothing_else(ledger: Path) -> None:
    process = served_by_command(ledger)
    clients = Submitters(ledger, 470, 400, 3)
    clients.hear(10)
    process.terminate()
    out, error = process.communicate()
    assert (process.returncode, error) == (0, "")
    assert "stopped" in out
    clients.finish()
    assert not socket_path(ledger).exists()
    assert set(clients.unanswered.values()) == {"LEDGER_CLOSED"}
    with shuiquan.open(ledger, readonly=True) as reader:
        spans = recorded(reader)
    assert clients.acknowledged.items() <= spans.items()
    assert not clients.unanswered.keys() & spans.keys()


def test_one_server_a_ledger_and_readers_beside_it(ledger: Path) -> None:
    with serving(ledger), shuiquan.connect(ledger) as client:
        second = run("serve", ledger)
        assert (second.status, "LEDGER_LOCKED" in second.error, "Traceback" in second.error) == (1, True, False)
        with shuiquan.open(ledger, readonly=True) as reader:
            answer = client.submit(OpenMarket(instrument="SW-B"), command_id="open", **OPERATOR)
            assert next(told.topic for told in reader.facts(after_seq=answer.first_seq - 1)) == "submission/1"
            with pytest.raises(Refused) as refused:
                reader.serve()
            assert refused.value.code == Code.LEDGER_CLOSED
    assert refusal(ledger) == Code.NOT_SERVED


def test_a_server_whose_writer_failed_ends_and_a_new_one_goes_on(ledger: Path) -> None:
    process = served_by_command(ledger)
    with database(ledger) as connection:
        connection.execute("CREATE TRIGGER fail BEFORE INSERT ON submissions BEGIN SELECT RAISE(ABORT, 'full'); END")
    with shuiquan.connect(ledger) as client, pytest.raises(Refused) as refused:
        client.submit(OpenMarket(instrument="SW-A"), command_id="open", **OPERATOR)
    assert refused.value.code == Code.COMMIT_FAILED
    _, error = process.communicate()
    assert (process.returncode, "COMMIT_FAILED" in error, "Traceback" in error) == (1, True, False)
    with database(ledger) as connection:
        connection.execute("DROP TRIGGER fail")
    with serving(ledger), shuiquan.connect(ledger) as client:
        assert not client.submit(OpenMarket(instrument="SW-A"), command_id="open", **OPERATOR).repeated


def test_a_new_ledger_is_made_where_a_policy_is_given_and_a_full_queue_refuses_where_asked(tmp_path: Path) -> None:
    ledger = tmp_path / "new.db"
    missing = run("serve", ledger)
    assert (missing.status, "LEDGER_MISSING" in missing.error) == (1, True)
    process = served_by_command(ledger, "--policy", "yongchuan", "--when-full", "refuse")
    with shuiquan.connect(ledger) as client:
        assert client.submit(OpenMarket(instrument="YC-SW-2024"), command_id="open", **OPERATOR).acts
        assert client.load.answered == 1
    process.send_signal(signal.SIGINT)
    assert "commands 1" in process.communicate()[0]
    assert process.returncode == 0


# the socket


def test_the_socket_is_its_owners_alone_and_lies_beside_the_ledger(home: Home) -> None:
    place = home.copied()
    world = resumed(place)
    before = os.umask(0)
    try:
        with world.exchange.serve() as server:
            found = server.path.lstat()
            assert (stat.S_ISSOCK(found.st_mode), stat.S_IMODE(found.st_mode)) == (True, 0o600)
            assert server.path == Path(f"{getattr(place, 'beside', place)}.socket")
            with shuiquan.connect(place) as client:
                assert client.submit(OpenMarket(instrument="SW-A"), command_id="1", **OPERATOR).acts
    finally:
        os.umask(before)
    assert not server.path.exists()
    world.exchange.close()


def test_a_path_that_is_too_long_or_taken_is_refused_by_code(tmp_path: Path, ledger: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    ledger.rename(deep / "ledger.db")
    world = resumed(deep / "ledger.db")
    for act in (world.exchange.serve, lambda: shuiquan.connect(world.path)):
        with pytest.raises(Refused) as refused:
            act()
        assert (refused.value.code, "107 bytes" in refused.value.rule) == (Code.SOCKET_UNUSABLE, True)
    world.exchange.close()


@pytest.mark.parametrize("taken", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_where_it_is(ledger: Path, taken: str) -> None:
    path, world = socket_path(ledger), resumed(ledger)
    {"file": path.touch, "folder": path.mkdir, "link": lambda: path.symlink_to("nowhere")}[taken]()
    facts = facts_hash(world.exchange)
    with pytest.raises(Refused) as refused, world.exchange.serve():
        pytest.fail("it served")
    assert refused.value.code == Code.SOCKET_UNUSABLE
    assert os.path.lexists(path)
    assert facts_hash(world.exchange) == facts
    world.exchange.close()


def test_a_socket_that_somebody_left_is_replaced(ledger: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(socket_path(ledger)))
    assert refusal(ledger) == Code.NOT_SERVED
    with serving(ledger), shuiquan.connect(ledger) as client:
        assert client.submit_many([Submission([OpenMarket(instrument="SW-A")], command_id="1", **OPERATOR)])


def test_another_program_at_the_socket_is_no_server(ledger: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(socket_path(ledger)))
        other.listen()
        hangs_up = threading.Thread(target=hang_up, args=(other,))
        hangs_up.start()
        assert refusal(ledger) == Code.NOT_SERVED
        hangs_up.join()


def test_a_server_that_says_nothing_is_given_up(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.socket.client.GREETING_S", 0.01)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(socket_path(ledger)))
        silent.listen()  # the system takes the client in, the program never does
        assert refusal(ledger) == Code.NOT_SERVED


def hang_up(listener: socket.socket) -> None:
    """Take one client and let it go."""
    listener.accept()[0].close()
