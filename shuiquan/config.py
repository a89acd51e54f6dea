"""Where a ledger lies and which policy it is made with."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from ledger.codes import Code, Refused
from ledger.journal.store import Store
from ledger.policy import Policy
from ledger.policy_file import read_policy
from ledger.policy_rules import check_policy

DISTRICTS: Final = Path(__file__).parent / "districts"


class Target(NamedTuple):
    """Where a ledger lies: how its journal is opened, and how the names of the files beside it begin."""

    open: Callable[..., Store]  # writable -> store
    beside: Path


def parse_target(target: str | Path) -> Target:
    """The place of a ledger: a path, `sqlite:///path` or `postgresql://user@host:port/database`.

    The files beside a ledger in SQLite begin with its own name; for PostgreSQL see `docs/stores.md`.

    Raises Refused: ADDRESS_INVALID, EXTRA_MISSING.
    """
    text = str(target)
    scheme, found, path = text.partition("://")
    if not found and not re.match(r"[A-Za-z][\w+.-]+:/", text):
        scheme, path = "sqlite", f"/{text}"
    if scheme in {"postgresql", "postgres"}:
        return postgres_target(text)
    if scheme == "sqlite" and path.startswith("/"):
        return sqlite_target(Path(path[1:]))
    rule = "a path, sqlite:///path or postgresql://user@host:port/database"
    raise Refused(Code.ADDRESS_INVALID, "ledger", f"{scheme.partition(':')[0]}:…", rule)  # a password may stand in it


def ledger_file(target: str | Path) -> Path:
    """The file of a ledger in SQLite. Raises Refused (ADDRESS_INVALID) for one that is not in a file."""
    file = Path(str(target).removeprefix("sqlite:///"))
    if "://" in str(target) and not str(target).startswith("sqlite:///"):
        raise Refused(Code.ADDRESS_INVALID, "ledger", f"{str(target).partition(':')[0]}:…", "the path of a file")
    return file.resolve()


def sqlite_target(path: Path) -> Target:
    """The place of a ledger in a file."""
    from adapters.stores.sqlite import SQLiteStore  # noqa: PLC0415 - the package imports light

    file = path.resolve()  # another name of a file is the same ledger
    return Target(partial(SQLiteStore, file), file)


def postgres_target(url: str) -> Target:
    """The place of a ledger in PostgreSQL, where its packages are installed."""
    try:
        from adapters.stores.postgres import PostgresStore  # noqa: PLC0415 - an optional part
        from adapters.stores.postgres_server import parse_address  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise Refused(Code.EXTRA_MISSING, "package", missing.name, "pip install 'shuiquan[postgres]'") from None
    address = parse_address(url)
    return Target(partial(PostgresStore, address), address.beside)


def districts() -> list[str]:
    """Names of the built-in policies."""
    return sorted(path.stem for path in DISTRICTS.glob("*.toml"))


def load_policy(policy: str | Path | Policy | None) -> Policy | None:
    """A policy by the name of a built-in district, from a TOML file, or as it is. Raises Refused for a bad one."""
    if policy is None:
        return None
    if isinstance(policy, Policy):
        check_policy(policy)
        return policy
    if isinstance(policy, str) and policy in districts():
        return read_policy(DISTRICTS / f"{policy}.toml")
    return read_policy(Path(policy))
