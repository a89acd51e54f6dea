"""Opening a ledger: the store, the writer, the read models and the side register, put together."""

import time
from pathlib import Path

from filelock import FileLock

from adapters.stores.parties import PartyRegister
from adapters.stores.sqlite import SQLiteStore, lock
from adapters.stores.views import Views
from ledger.codes import Code, Refused
from ledger.journal.pages import MAX_PAGE_FACTS
from ledger.policy import Policy
from ledger.replay import Progress
from ledger.writer import Writer, policy_digest
from shuiquan.asking import read_models
from shuiquan.config import load_policy, parse_target
from shuiquan.exchange import Clock, Exchange, commitments


def open_exchange(
    target: str | Path,
    *,
    policy: str | Path | Policy | None = None,
    clock: Clock = time.time_ns,
    readonly: bool = False,
    ledger_id: str = "",
    page_facts: int = MAX_PAGE_FACTS,
    progress: Progress | None = None,
) -> Exchange:
    """Open a ledger, or make one with `policy` (the name of a built-in district, a TOML file, or a Policy).

    `target` is a path or `sqlite:///path`. On an existing ledger the policy must be the one in force, or left out.
    `readonly` opens beside a running writer. `clock` gives UTC nanoseconds; `progress` is called while facts are read.

    Raises Refused: LEDGER_LOCKED when another process writes, LEDGER_MISSING, STORE_NOT_OURS, POLICY_DIFFERS,
    RECORD_DAMAGED or SEQUENCE_GAP for a damaged journal.
    """
    path = parse_target(target).resolve()  # another name of a file is the same ledger
    store = SQLiteStore(path, writable=not readonly)
    parties = PartyRegister(Path(f"{path}.persons"), Path(f"{path}.key"))
    try:
        writer = Writer(store, parties.seal_all, page_facts)
        wanted = load_policy(policy)
        if store.head() is None:
            if wanted is None or readonly:
                raise Refused(Code.LEDGER_MISSING, "policy", None, "a new ledger needs a policy, such as 'yongchuan'")
            writer.found(wanted, ledger_id, clock())
        else:
            writer.reopen(progress)
            if wanted is not None and policy_digest(wanted) != writer.state.policy_digest:
                raise Refused(Code.POLICY_DIFFERS, "policy", wanted.district, "open without a policy")
        if writer.state.policy is None:
            raise Refused(Code.RECORD_DAMAGED, "policy", None, "a ledger begins with its policy")
        views = Views(view_path(path), read_models(writer.state.policy))
    except BaseException:
        store.close()
        raise
    if not readonly:
        parties.keep_only(commitments(writer.state))  # a crash may have left what was never recorded
    return Exchange(store, writer, views, parties, clock, writable=not readonly)


def remove_ledger(target: str | Path) -> None:
    """Delete a ledger, if there is one, and all beside it. Raises Refused (LEDGER_LOCKED) while it is open."""
    path = parse_target(target).resolve()
    writer = FileLock(f"{path}.lock")
    lock(writer, path)
    for beside in ("", "-wal", "-shm", ".views", ".views-wal", ".views-shm", ".persons", ".key"):
        Path(f"{path}{beside}").unlink(missing_ok=True)
    writer.release()


def view_path(path: Path) -> Path | None:
    """The file of a ledger's read models, None where it cannot be written."""
    views = Path(f"{path}.views")
    try:
        with views.open("ab"):
            return views
    except OSError:
        return None
