"""A database router for OPTIONS["database"]."""

from typing import Any

from .compat import configured_aliases

__all__ = ["TasksQRouter"]

APP = "django_tasks_q"


class TasksQRouter:
    """Sends this app's tables to the database that OPTIONS["database"] names, and nothing else there.

    Where several backends name different databases, each gets the tables, and the admin shows the default backend's.
    """

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return next(iter(_databases()), None) if model._meta.app_label == APP else None

    db_for_write = db_for_read

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool | None:
        return True if first._meta.app_label == second._meta.app_label == APP else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        databases = _databases()
        return db in databases if app_label == APP and databases else None


def _databases() -> list[str]:
    """Return the databases that backends name, the default backend's first."""
    aliases = sorted(configured_aliases().items(), key=lambda item: item[0] != "default")
    named = [(parameters.get("OPTIONS") or {}).get("database") for _, parameters in aliases]
    return list(dict.fromkeys(name for name in named if name))
