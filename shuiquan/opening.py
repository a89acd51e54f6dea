"""Opening a ledger: the store, the writer, the read models and the side register, put together."""

import shutil
import time
from functools import partial
from pathlib import Path

from adapters.audit.files import AUDIT_FILES
from adapters.audit.notary import Notary
from adapters.socket.client import Client
from adapters.socket.streams import SOCKET, socket_path
from adapters.stores.lockfile import take_lock
from adapters.stores.parties import PartyRegister
from adapters.stores.snapshots import Snapshots
from adapters.stores.views import Views
from ledger.codes import Code, Refused
from ledger.forks import Fork, fork_submission, refuse_copy
from ledger.journal.pages import MAX_PAGE_FACTS
from ledger.journal.store import ForkDue
from ledger.limits import Limits
from ledger.policy import Policy
from ledger.replay import Progress
from ledger.writer import Writer, policy_digest
from shuiquan.asking import read_models
from shuiquan.config import load_policy, parse_target
from shuiquan.exchange import SNAPSHOT_FACTS, Clock, Exchange, commitments


def open_exchange(
    target: str | Path,
    *,
    policy: str | Path | Policy | None = None,
    clock: Clock = time.time_ns,
    readonly: bool = False,
    ledger_id: str = "",
    page_facts: int = MAX_PAGE_FACTS,
    progress: Progress | None = None,
    snapshot_facts: int = SNAPSHOT_FACTS,
    fork: Fork | None = None,
    limits: Limits | None = None,
) -> Exchange:
    """Open a ledger, or make one with `policy` (the name of a built-in district, a TOML file, or a Policy).

    `target` is a path, `sqlite:///path` or `postgresql://user@host:port/database` (`docs/stores.md`). On an existing
    ledger the policy must be the one in force, or left out.
    `readonly` opens beside a running writer. `clock` gives UTC nanoseconds; `progress` is called while facts are read.
    A snapshot is written when a ledger is opened or closed with `snapshot_facts` facts or more behind the last one.
    `limits` says how much may wait for the writer and how much room must be left on disk.
    `fork` lets a copy go on that was restored or is older than what is known; without it such a one is only read.

    Raises Refused: LEDGER_LOCKED when another process writes, LEDGER_MISSING, STORE_NOT_OURS, POLICY_DIFFERS,
    RECORD_DAMAGED or SEQUENCE_GAP for a damaged journal, LEDGER_RESTORED or LEDGER_OLDER for a copy without a fork, and
    840 to 848 for what is amiss with a database server.
    """
    limits = limits or Limits()
    limits.check()
    if fork and readonly:
        raise Refused(Code.WRONG_TYPE, "readonly", readonly, "a fork is written")
    place = parse_target(target)
    path, store = place.beside, place.open(writable=not readonly)
    snapshots = Snapshots(path)
    parties = PartyRegister(Path(f"{path}.persons"), Path(f"{path}.key"))
    try:
        make_folder(path.parent, needed=not readonly)
        writer = Writer(store, parties.seal_all, page_facts)
        wanted = load_policy(policy)
        if store.head() is None:
            if wanted is None or readonly or fork:
                raise Refused(Code.LEDGER_MISSING, "policy", None, "a new ledger needs a policy, such as 'yongchuan'")
            writer.found(wanted, ledger_id, clock())
        else:
            writer.reopen(progress, snapshots.newest(store))
            if wanted is not None and policy_digest(wanted) != writer.state.policy_digest:
                raise Refused(Code.POLICY_DIFFERS, "policy", wanted.district, "open without a policy")
        if writer.state.policy is None:
            raise Refused(Code.RECORD_DAMAGED, "policy", None, "a ledger begins with its policy")
        if not readonly:
            go_on(writer, store.fork_due(), fork, clock)
        views = Views(view_path(path), read_models(writer.state.policy))
    except BaseException:
        store.close()
        raise
    if not readonly:
        parties.keep_only(commitments(writer.state))  # a crash may have left what was never recorded
    exchange = Exchange(
        store, writer, views, parties, Notary(store, path), snapshots, clock, writable=not readonly,
        snapshot_facts=snapshot_facts, limits=limits,
        free_bytes=partial(free_bytes, str(path.parent)), beside=path,
    )  # fmt: skip
    exchange.snapshot_if_due()
    return exchange


def connect(target: str | Path, *, ledger_id: str = "") -> Client:
    """A client of the process that serves a ledger (`shuiquan serve`, `Exchange.serve`), by the ledger's address.

    It submits as an exchange does; ask with `shuiquan.open(target, readonly=True)`. `ledger_id` is what an earlier
    client's was, where only that ledger will do. Close it, or use it as a context manager.

    Raises Refused: NOT_SERVED, SOCKET_UNUSABLE, LEDGER_DIFFERS, PROTOCOL_DIFFERS, TOO_MANY_CLIENTS, ADDRESS_INVALID.
    """
    return Client(socket_path(parse_target(target).beside), ledger_id)


def go_on(writer: Writer, due: ForkDue | None, fork: Fork | None, clock: Clock) -> None:
    """Record the fork that is due. Raises Refused when it is due and not given, or given and not due."""
    if fork is None:
        refuse_copy(due)
        return
    (answer,) = writer.commit([fork_submission(due, fork)], clock())
    if isinstance(answer, Refused):
        raise answer


def make_folder(folder: Path, *, needed: bool) -> None:
    """Make the folder of the files beside a ledger. Raises Refused (FILES_UNUSABLE) when it cannot but is needed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        if needed:
            raise Refused(Code.FILES_UNUSABLE, "files", str(folder), str(problem)) from None


def free_bytes(folder: str) -> int:
    """Room left on the file system of a folder; asked before every commit."""
    return shutil.disk_usage(folder).free


def remove_ledger(path: Path) -> None:
    """Delete the ledger in a file, if any, and all beside it. Raises Refused (LEDGER_LOCKED) while it is open."""
    path = path.resolve()
    with take_lock(path):
        remove_files(path)


def remove_files(path: Path) -> None:
    """Delete the files of a ledger."""
    own = ("", "-wal", "-shm", ".views", ".views-wal", ".views-shm", ".persons", ".key", ".head", SOCKET)
    for beside in (*own, *AUDIT_FILES):
        Path(f"{path}{beside}").unlink(missing_ok=True)
    shutil.rmtree(f"{path}.snapshots", ignore_errors=True)


def view_path(path: Path) -> Path | None:
    """The file of a ledger's read models, None where it cannot be written."""
    views = Path(f"{path}.views")
    try:
        with views.open("ab"):
            return views
    except OSError:
        return None
