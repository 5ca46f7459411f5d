"""Which backends of TASKS are this package's, and which databases hold their tables."""

from django.db import router
from django.http import HttpRequest

from ..backend import TasksQBackend
from ..brokers import get_database
from ..compat import configured_aliases, task_backends
from ..models import Job

__all__ = ["BACKEND_VAR", "backend_aliases", "backends_in", "chosen_database", "databases"]

BACKEND_VAR = "backend"


def backend_aliases() -> list[str]:
    """Return the aliases of this package's backends, as TASKS has them."""
    return [alias for alias in configured_aliases() if isinstance(task_backends[alias], TasksQBackend)]


def backends_in(using: str) -> list[str]:
    """Return the aliases of the backends whose tables are in a database."""
    return [alias for alias in backend_aliases() if get_database(alias) == using]


def databases() -> list[str]:
    """Return the database aliases that hold jobs, each once; that of the first backend is the first."""
    found = dict.fromkeys(get_database(alias) for alias in backend_aliases())
    return list(found) or [router.db_for_read(Job)]


def chosen_database(request: HttpRequest) -> str:
    """Return the database of the backend that the page is about: only one can be listed at a time."""
    chosen = request.GET.get(BACKEND_VAR)
    return get_database(chosen) if chosen in backend_aliases() else databases()[0]
