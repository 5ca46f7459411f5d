"""Database servers: databases of one's own on them, their processes, and what the report says about them."""

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import psutil

from . import databases
from .errors import BenchmarkError
from .processes import named_processes

__all__ = ["Server", "server_at"]

SECONDS_TO_CONNECT = 5


class Server:
    """A server, or for SQLite a folder, at a URL."""

    vendor: ClassVar[str]

    def __init__(self, url: str) -> None:
        self.url = url

    def create(self, name: str) -> str:
        """Make an empty database in place of one of that name, and return its URL."""
        raise NotImplementedError

    def drop(self, name: str) -> None:
        raise NotImplementedError

    def configure(self, name: str, settings: dict[str, Any]) -> None:
        """Give one database settings of its own."""
        raise BenchmarkError(f"A database on {self.vendor} has no settings of its own: {', '.join(settings)}.")

    def processes(self) -> list[int]:
        """Return the topmost processes of the server; none where it is on another machine."""
        return []

    def facts(self) -> dict[str, str]:
        """Return what a reader of the figures has to know."""
        raise NotImplementedError


class PostgreSQL(Server):
    vendor = "postgresql"
    SETTINGS = (
        "server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size",
        "max_connections", "autovacuum", "jit",
    )  # fmt: skip

    def connect(self, url: str = "") -> Any:
        psycopg = import_module("psycopg")
        try:
            return psycopg.connect(url or self.url, autocommit=True, connect_timeout=SECONDS_TO_CONNECT)
        except psycopg.OperationalError as error:
            raise BenchmarkError(f"There is no PostgreSQL at {self.url} (see --postgresql): {error}") from error

    def create(self, name: str) -> str:
        self.drop(name)
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return databases.named(self.url, name)

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def configure(self, name: str, settings: dict[str, Any]) -> None:
        with self.connect() as connection:
            for setting, value in settings.items():
                connection.execute(f'ALTER DATABASE "{name}" SET {setting} = {value}')

    def processes(self) -> list[int]:
        if urlsplit(self.url).hostname not in {None, "", "localhost", "127.0.0.1", "::1"}:
            return []
        with self.connect() as connection, suppress(psutil.NoSuchProcess):
            return [psutil.Process(connection.info.backend_pid).ppid()]
        return []

    def facts(self) -> dict[str, str]:
        with self.connect() as connection:
            return {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in self.SETTINGS}


class MySQL(Server):
    vendor = "mysql"
    SETTINGS = (
        "version", "innodb_flush_log_at_trx_commit", "sync_binlog", "log_bin", "innodb_buffer_pool_size",
        "transaction_isolation",
    )  # fmt: skip

    def execute(self, statement: str) -> Any:
        databases.require_mysql_driver()
        driver = import_module("MySQLdb")
        given = databases.settings(self.url)
        place = {"unix_socket": given["HOST"]} if given["HOST"].startswith("/") else {"host": given["HOST"]}
        if given["PORT"]:
            place["port"] = int(given["PORT"])
        try:
            connection = driver.connect(
                user=given["USER"], password=given["PASSWORD"], connect_timeout=SECONDS_TO_CONNECT, **place
            )
        except driver.OperationalError as error:
            raise BenchmarkError(f"There is no MySQL or MariaDB at {self.url} (see --mysql): {error}") from error
        try:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall()
        finally:
            connection.close()

    def create(self, name: str) -> str:
        self.drop(name)
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return databases.named(self.url, name)

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def processes(self) -> list[int]:
        return named_processes("mariadbd", "mysqld")

    def facts(self) -> dict[str, str]:
        names = "', '".join([*self.SETTINGS, "tx_isolation"])
        return {name: str(value) for name, value in self.execute(f"SHOW VARIABLES WHERE Variable_name IN ('{names}')")}


class SQLite(Server):
    vendor = "sqlite"

    def create(self, name: str) -> str:
        self.drop(name)
        return databases.named(self.url, name)

    def drop(self, name: str) -> None:
        path = Path(databases.settings(databases.named(self.url, name))["NAME"])
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def facts(self) -> dict[str, str]:
        return {"version": import_module("sqlite3").sqlite_version, **databases.settings(self.url)["OPTIONS"]}


SERVERS: dict[str, type[Server]] = {server.vendor: server for server in (PostgreSQL, MySQL, SQLite)}


def server_at(url: str) -> Server:
    return SERVERS[databases.vendor(url)](url)
