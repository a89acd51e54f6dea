"""The server of a ledger in PostgreSQL: its address, connections to it, and what is refused before anything is done.

Passwords stand in the settings of connections alone: neither a refusal nor a representation shows them.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from platformdirs import user_data_path
from psycopg import pq
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger.codes import Code, Refused

SCHEMA: Final = "shuiquan"
WRITTEN: Final = ("stored_events", "begins", "submissions")  # the tables that a writer adds to
LAYOUT: Final = 2  # of the tables, kept in one of them, `layout`
LOCK: Final = 0x53515331  # of the writer; advisory locks are counted within a database

DEFAULTS: Final = {
    "fallback_application_name": "shuiquan",
    "connect_timeout": "5",
    "keepalives_idle": "15", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "30000",
}  # fmt: skip
"""Settings that an address may change: a server that is gone is noticed within half a minute."""

PATIENCE_S: Final = 60
"""So long an answer may take. The network does not notice a server that is there and does nothing."""

SESSION: Final = (
    # remote_apply promises more than on, and stays
    """
    SELECT set_config(name, 'on', false) FROM pg_settings
    WHERE name = 'synchronous_commit' AND setting != 'remote_apply'
    """,
    "SET lock_timeout = '10s'",
    "SET tcp_keepalives_idle = 15",  # so that the server notices a writer that is gone, and lets the next one in
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)
"""Settings of the session that writes."""


class Address(NamedTuple):
    """Where a ledger lies in PostgreSQL: what a connection needs, its name for people, and where its files go."""

    settings: dict[str, str]  # of libpq, among them the password
    name: str
    beside: Path  # the files beside the ledger begin with this
    patience_s: int = PATIENCE_S

    def __repr__(self) -> str:
        """The name alone."""
        return self.name


class Connection(psycopg.Connection[Any]):
    """A connection that gives up when the server does not answer in time: what it asked for may have been done."""

    patience_s: int | None = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait as long as a caller says, or as this connection does, which is closed where that is not enough.

        Also ends what libpq waits for when it could not send: it hopes that the server will say why.
        """
        try:
            return super().wait(gen, interval, timeout or self.patience_s)
        except psycopg.OperationalError as problem:
            if timeout or self.pgconn.transaction_status != pq.TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()
            rule = f"no answer within {self.patience_s} s; answer_timeout in the address changes it"
            raise psycopg.OperationalError(rule) from problem


def parse_address(url: str) -> Address:
    """The parts of `postgresql://user@host:port/database?setting=value&files=path`.

    `files` is ours: where the files beside the ledger begin, such as `/srv/shuiquan/district`; without it they lie in
    the user's data folder under a name made of database, host and port. `answer_timeout` is ours too: so many seconds
    an answer may take. All other settings are those of libpq.

    Raises Refused (ADDRESS_INVALID), which shows nothing of the address, since a password may stand anywhere in it.
    """
    place, _, query = url.partition("?")
    authority, _, path = place.partition("://")[2].partition("/")
    if "@" in path or authority.count("@") > 1:
        raise invalid("write the characters : / ? # @ % of a user or password as %3A %2F %3F %23 %40 %25")
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
        files, patience_s = given.pop("files", ""), int(given.pop("answer_timeout", PATIENCE_S))
        found = conninfo_to_dict(f"{place}?{urlencode(given, quote_via=quote)}")
    except (ValueError, psycopg.Error):
        raise invalid("postgresql://user@host:port/database, with settings of libpq behind a ?") from None
    defaults = {one.keyword.decode(): one.val.decode() for one in pq.Conninfo.get_defaults() if one.val}
    known = defaults | {name: str(value) for name, value in found.items()}
    if patience_s < 1:
        raise invalid("answer_timeout in seconds, at least 1")
    if "dbname" not in known or not re.fullmatch(r"[\d,]+", known["port"]):
        raise invalid("name a database, and a port of digits")
    host = known.get("host") or known.get("hostaddr", "")
    host = "localhost" if host in {"", "127.0.0.1", "::1"} or host.startswith("/") else host
    beside = user_data_path("shuiquan") / quote(f"{known['dbname']}@{host}-{known['port']}", safe="@")
    name = f"postgresql://{known.get('user', '')}@{host}:{known['port']}/{known['dbname']}"
    settings = DEFAULTS | known | {"client_encoding": "UTF8"}
    return Address(settings, name, Path(files).absolute() if files else beside, patience_s)


def invalid(rule: str) -> Refused:
    """The refusal of an address."""
    return Refused(Code.ADDRESS_INVALID, "ledger", "postgresql://…", rule)


def connect(address: Address, **settings: str) -> Connection:
    """A connection that commits every statement.

    Raises Refused: SERVER_UNREACHABLE, DATABASE_MISSING, LOGIN_REFUSED.
    """
    wanted = address.settings | settings
    try:
        connection = Connection.connect("", autocommit=True, **wanted)  # type: ignore[arg-type]
    except psycopg.OperationalError as problem:
        raise Refused(why(wanted), "ledger", address.name, one_line(problem)) from None
    except psycopg.Error as problem:
        raise Refused(Code.ADDRESS_INVALID, "ledger", address.name, one_line(problem)) from None
    connection.patience_s = address.patience_s
    return connection


def why(settings: dict[str, str]) -> Code:
    """Why there was no connection. The server tells so in words of its own language, so it is asked instead."""
    if pq.PGconn.ping(make_conninfo("", **settings).encode()) != pq.Ping.OK:
        return Code.SERVER_UNREACHABLE
    asked = "SELECT 1 FROM pg_database WHERE datname = %s"
    with suppress(psycopg.Error), psycopg.connect("", **(settings | {"dbname": "postgres"})) as beside:  # type: ignore[arg-type]
        if not beside.execute(asked, [settings["dbname"]]).fetchone():
            return Code.DATABASE_MISSING
    return Code.LOGIN_REFUSED


def one_line(problem: Exception) -> str:
    """What a server or library said, in one line."""
    return " ".join(str(problem).split())


def open_session(address: Address) -> Connection:
    """The one session of a writer, with the writer's lock, which lives and ends with it.

    Raises Refused as `connect` does, and LEDGER_LOCKED, NOT_DURABLE, SERVER_READS_ONLY, ENCODING_NOT_UTF8.
    """
    session = connect(address)
    try:
        check_server(session, address)
        for setting in SESSION:
            session.execute(setting)
        if session.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() != (True,):
            rule = "one writer at a time; readers open it read-only"
            raise Refused(Code.LEDGER_LOCKED, "ledger", address.name, rule)
    except BaseException as problem:
        end(session)
        if isinstance(problem, psycopg.OperationalError):  # it went away meanwhile
            raise Refused(Code.SERVER_UNREACHABLE, "ledger", address.name, one_line(problem)) from problem
        raise
    return session


def end(session: psycopg.Connection[Any]) -> None:
    """Close a session. Its lock is given back first: the server notices the end of a connection a moment later."""
    with suppress(psycopg.Error):
        session.execute("SELECT pg_advisory_unlock_all()")
    session.close()


def check_server(session: psycopg.Connection[Any], address: Address) -> None:
    """Refuse a server that loses what it acknowledged, takes nothing, or cannot hold every text."""
    asked = "SELECT current_setting(name) FROM unnest(%s::text[]) AS name"
    names = ["server_encoding", "transaction_read_only", "fsync"]
    encoding, reads_only, fsync = (value for (value,) in session.execute(asked, [names]))
    if encoding != "UTF8":
        raise Refused(Code.ENCODING_NOT_UTF8, address.name, encoding, "CREATE DATABASE … ENCODING 'UTF8'")
    if reads_only == "on":
        raise Refused(
            Code.SERVER_READS_ONLY, address.name, "transaction_read_only", "a primary; read-only opening works"
        )
    if fsync != "on":
        raise Refused(Code.NOT_DURABLE, address.name, "fsync=off", "fsync = on in the settings of the server")


def has_tables(session: psycopg.Connection[Any], address: Address) -> bool:
    """Whether the database has the tables of a ledger; False where our schema is empty or missing.

    Raises Refused: STORE_NOT_OURS, LAYOUT_UNKNOWN, LOGIN_REFUSED for a role without grants.
    """
    listed = "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s"
    found = {name for (name,) in session.execute(f"{listed} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')", [SCHEMA])}
    if not found:
        return False
    ours = f"a schema {SCHEMA} that this program made"
    if "layout" not in found:
        raise Refused(Code.STORE_NOT_OURS, "ledger", address.name, ours)
    try:
        versions = session.execute("SELECT version FROM shuiquan.layout").fetchall()
    except psycopg.errors.InsufficientPrivilege as problem:
        raise Refused(Code.LOGIN_REFUSED, "ledger", address.name, one_line(problem)) from None
    except psycopg.ProgrammingError:
        raise Refused(Code.STORE_NOT_OURS, "ledger", address.name, ours) from None
    if versions != [(LAYOUT,)]:
        shown = ", ".join(str(version) for (version,) in versions)
        raise Refused(Code.LAYOUT_UNKNOWN, address.name, shown, f"version {LAYOUT}")
    return True


def check_may_write(session: psycopg.Connection[Any], address: Address) -> None:
    """Raise Refused (LOGIN_REFUSED) for a role that may not add records."""
    asked = "SELECT name FROM unnest(%s::text[]) AS name WHERE NOT has_table_privilege('shuiquan.' || name, 'INSERT')"
    missing = [name for (name,) in session.execute(asked, [list(WRITTEN)])]
    if missing:
        raise Refused(Code.LOGIN_REFUSED, "ledger", address.name, f"GRANT INSERT ON {', '.join(missing)}")
