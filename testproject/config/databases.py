"""DATABASE_URL, read into Django's settings."""

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

__all__ = ["database_from_url", "sqlite"]

Settings = dict[str, Any]
FORMS = "sqlite:////path/to/file, postgres://user:password@host:port/name, mysql://user:password@host:port/name"


def database_from_url(url: str) -> Settings:
    """Return the settings of the database at this URL. Raise ImproperlyConfigured if it names none."""
    parts = urlsplit(url)
    match parts.scheme:
        case "sqlite":
            return sqlite(Path(_name(parts)))
        case "postgres" | "postgresql":
            return _server(parts, "django.db.backends.postgresql", {})
        case "mysql" | "mariadb":
            return _server(parts, "django.db.backends.mysql", {"charset": "utf8mb4"})
    raise ImproperlyConfigured(
        f"DATABASE_URL has the scheme {parts.scheme!r}, which is not known. Give one of: {FORMS}."
    )


def sqlite(path: Path) -> Settings:
    """Return the settings that a queue in SQLite needs: readers beside the writer, and no deadlock between writers."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def _server(parts: SplitResult, engine: str, options: dict[str, Any]) -> Settings:
    return {
        "ENGINE": engine,
        "NAME": _name(parts),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": {**options, **dict(parse_qsl(parts.query))},
    }


def _name(parts: SplitResult) -> str:
    name = unquote(parts.path.removeprefix("/"))
    if not name:
        raise ImproperlyConfigured(f"DATABASE_URL ({parts.scheme}) names no database. Give one of: {FORMS}.")
    return name
