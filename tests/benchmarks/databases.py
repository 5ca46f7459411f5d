"""Databases by URL: Django's settings for one, and the making and dropping of it."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

__all__ = ["named", "require_mysql_driver", "settings", "vendor"]

VENDORS = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}


def vendor(url: str) -> str:
    """Return "postgresql", "mysql" or "sqlite"."""
    scheme = urlsplit(url).scheme
    if scheme not in VENDORS:
        raise ValueError(f'The database URL "{url}" begins with "{scheme}"; it has to begin with one of {[*VENDORS]}.')
    return VENDORS[scheme]


def named(url: str, name: str) -> str:
    """Return the URL of the database `name` beside the one at this URL; for SQLite the path is that of a folder."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{name}.sqlite3" if vendor(url) == "sqlite" else f"/{name}"
    return urlunsplit(parts._replace(path=path, netloc=parts.netloc or ""))


def settings(url: str) -> dict[str, Any]:
    """Return an entry of Django's DATABASES."""
    kind, parts = vendor(url), urlsplit(url)
    if kind == "sqlite":
        return _sqlite(Path(unquote(parts.path)))
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": f"django.db.backends.{kind}",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": {"charset": "utf8mb4"} if kind == "mysql" else {},
    }


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def require_mysql_driver() -> None:
    """Let PyMySQL stand in for mysqlclient where that was not built."""
    if not find_spec("MySQLdb"):
        import_module("pymysql").install_as_MySQLdb()
