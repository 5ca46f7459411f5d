"""Which backends a test is about."""

from django.db import connections
from django.test.testcases import DatabaseOperationForbidden  # type: ignore[attr-defined] # not in the stubs

from ..backend import backend_aliases
from ..brokers import get_database
from ..compat import configured_aliases, task_backends
from .backends import RecordingBackend

__all__ = ["find_aliases", "recording_aliases"]


def recording_aliases() -> list[str]:
    """Return the aliases of the backends that keep calls in memory."""
    return [alias for alias in backend_aliases() if isinstance(task_backends[alias], RecordingBackend)]


def find_aliases(backend: str | None) -> list[str]:
    """Return the alias of one backend, or of all that the test has the databases of.

    Raise ValueError if the backend keeps no jobs in a database, or there is none; DatabaseOperationForbidden, as
    Django words it, if the test may use none of their databases.
    """
    known = [alias for alias in backend_aliases() if alias not in recording_aliases()]
    if backend is not None and backend not in known:
        what = type(task_backends[backend]).__name__ if backend in configured_aliases() else "not in TASKS"
        raise ValueError(f'The backend "{backend}" is {what}; jobs can be run of {", ".join(known) or "none"}.')
    if not known:
        raise ValueError(
            "TASKS has no backend of this package that keeps jobs in a database: set the BACKEND of one to "
            '"django_tasks_q.backend.TasksQBackend".'
        )
    return [backend] if backend is not None else _within_reach(known)


def _within_reach(aliases: list[str]) -> list[str]:
    """Leave out those with a database that Django keeps from the test, unless that leaves nothing."""
    found, refusal = [], None
    for alias in aliases:
        try:
            with connections[get_database(alias)].cursor():
                found.append(alias)
        except DatabaseOperationForbidden as error:
            refusal = refusal or error
    if not found and refusal is not None:
        raise refusal
    return found
