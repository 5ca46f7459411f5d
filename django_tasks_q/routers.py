"""A database router for OPTIONS["database"]."""

from django.db.models import Model

from .backend import backend_aliases
from .compat import configured_aliases

__all__ = ["TasksQRouter"]

APP = "django_tasks_q"


class TasksQRouter:
    """Routes this app's tables to the database that OPTIONS["database"] names, and nothing else.

    If several backends name different databases, each of those gets the tables, and the admin shows the default
    backend's.
    """

    def db_for_read(self, model: type[Model], **hints: object) -> str | None:
        return next(iter(_databases()), None) if model._meta.app_label == APP else None

    db_for_write = db_for_read

    def allow_relation(self, first: Model, second: Model, **hints: object) -> bool | None:
        return True if first._meta.app_label == second._meta.app_label == APP else None

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool | None:
        databases = _databases()
        return db in databases if app_label == APP and databases else None


def _databases() -> list[str]:
    """Return the databases that the backends name, the default backend's first."""
    aliases = sorted(backend_aliases(), key=lambda alias: alias != "default")
    named = [(configured_aliases()[alias].get("OPTIONS") or {}).get("database") for alias in aliases]
    return list(dict.fromkeys(name for name in named if name))
