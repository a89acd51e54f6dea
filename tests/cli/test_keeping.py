"""Snapshot, backup, restore and fork from the command line, as docs/operations.md tells them."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.commands import Run, Small, run
from tests.stores.ledgers import verified

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture
def folder(small: Small, tmp_path: Path) -> Path:
    """A folder with a ledger where the page has one."""
    (tmp_path / "out").mkdir()
    shutil.copy(small.path, tmp_path / "out" / "yongchuan.db")
    return tmp_path


def carried_out(line: str, folder: Path) -> Run:
    """A command of the page, in a folder."""
    words = shlex.split(line)
    assert words[0] == "shuiquan"
    return run(*(folder / word if word.startswith(("out/", "backups/")) else word for word in words[1:]))


def test_the_commands_of_the_page_work_in_their_order(small: Small, folder: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    snapshot, backup, restore, fork = [line for block in blocks for line in block.splitlines()]
    made = carried_out(snapshot, folder)
    assert f"position {small.position}" in made.out.replace(",", "")
    assert len(list((folder / "out" / "yongchuan.db.snapshots").iterdir())) == 1
    truth = verified(folder / "out" / "yongchuan.db")
    checkpoint = f"{truth.records}:{truth.head}"
    found = carried_out(f"{backup} --head {checkpoint} --json", folder).json
    assert (found["position"], found["head"], found["facts"]) == (truth.records, truth.head, truth.facts)
    again = carried_out(backup, folder)
    assert (again.status, "WOULD_OVERWRITE" in again.error, "Traceback" in again.error) == (1, True, False)
    back = carried_out(f"{restore} --head {checkpoint}", folder)
    assert (back.status, checkpoint in back.out) == (0, True)
    assert "shuiquan fork" in back.out
    place = folder / "out" / "restored.db"
    assert run("holdings", "--ledger", place, "--json").json
    refused = run(
        "register", "import", folder, "--ledger", place, "--actor", "a", "--approver", "b", "--command-id", "c"
    )
    assert (refused.status, "LEDGER_RESTORED" in refused.error) == (1, True)
    assert carried_out(fork.replace("--approver 审批岗", "--approver 登记岗"), folder).status == 1
    assert carried_out(fork, folder).status == 0
    assert verified(place).facts >= truth.facts + 2  # what is due by now expires with it
    assert "NO_FORK_DUE" in carried_out(fork, folder).error


def test_a_head_that_is_not_held_is_refused_by_code(folder: Path) -> None:
    ledger = folder / "out" / "yongchuan.db"
    for head, code in (("1:" + "0" * 64, "HEAD_DIFFERS"), ("nonsense", "WRONG_TYPE")):
        found = run("backup", folder / "copy.db", "--ledger", ledger, "--head", head)
        assert (found.status, code in found.error, "Traceback" in found.error) == (1, True, False)
    assert not list(folder.glob("copy*"))
