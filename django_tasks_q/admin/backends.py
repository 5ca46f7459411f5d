"""Which backends in TASKS are this package's, and which databases have their tables."""

from django.db import router
from django.http import HttpRequest

from ..backend import aliases_in, backend_aliases
from ..brokers import get_database
from ..models import Job

__all__ = ["BACKEND_VAR", "aliases_in", "backend_aliases", "chosen_database", "databases"]

BACKEND_VAR = "backend"


def databases() -> list[str]:
    """Return the aliases of the databases with jobs, each once; that of the first backend comes first."""
    found = dict.fromkeys(get_database(alias) for alias in backend_aliases())
    return list(found) or [router.db_for_read(Job)]


def chosen_database(request: HttpRequest) -> str:
    """Return the database of the page's backend: only one can be listed at a time."""
    chosen = request.GET.get(BACKEND_VAR)
    return get_database(chosen) if chosen in backend_aliases() else databases()[0]
