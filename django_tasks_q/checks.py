"""System checks, each with a stable id.

tasksq.E001  unknown key in OPTIONS            tasksq.W001  SQLite without write-ahead log
tasksq.E002  value in OPTIONS that does not fit tasksq.W002  SQLite without immediate transactions
tasksq.E003  database that cannot hold the queue tasksq.W003  PostgreSQL without psycopg 3: no wake-up
tasksq.E004  database too old                  tasksq.W004  LISTEN through a transaction pooler
tasksq.E005  no router for OPTIONS["database"]  tasksq.W005  CONN_MAX_AGE is 0 (check --deploy)
tasksq.E006  notifier without its Redis        tasksq.W006  database that could not be checked
tasksq.E007  database without autocommit       tasksq.W007  MySQL without utf8mb4
tasksq.E008  app that is not installed         tasksq.E009  schedule that could never run
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, router

from .backend import TasksQBackend
from .brokers import BROKERS, can_hold_queue, get_broker, get_database
from .compat import configured_aliases, task_backends
from .conf import find_problems
from .models import Job
from .notifiers import make_notifier
from .schedules.declaring import find_declarations

__all__ = ["check_backends", "check_connections", "check_databases"]


@register()
def check_backends(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check each backend of ours, when the framework checks the project."""
    for backend in _ours():
        yield from check_backend(backend)


def check_backend(backend: TasksQBackend) -> Iterator[CheckMessage]:
    """Yield what is wrong with a backend's settings, without asking a database."""
    problems = list(find_problems(backend.options))
    for problem in problems:
        text = f'TASKS["{backend.alias}"]["OPTIONS"]: {problem.message}'
        yield Error(text, hint=problem.hint, id="tasksq.E001" if problem.unknown else "tasksq.E002")
    if not problems:
        yield from _check_database(backend)


def _check_database(backend: TasksQBackend) -> Iterator[CheckMessage]:
    using = get_database(backend.alias)
    if using not in connections:
        yield Error(
            f'TASKS["{backend.alias}"]["OPTIONS"]["database"] is "{using}", which is not in DATABASES.',
            hint=f"Known aliases: {', '.join(connections)}.",
            id="tasksq.E003",
        )
    elif not can_hold_queue(using):
        yield Error(
            f'The database "{using}" is of a kind that cannot hold the queue.',
            hint=f'Name one of {", ".join(BROKERS)} in TASKS["{backend.alias}"]["OPTIONS"]["database"].',
            id="tasksq.E003",
        )
    elif not connections[using].settings_dict["AUTOCOMMIT"]:
        yield Error(
            f'AUTOCOMMIT of the database "{using}" is off: what a worker writes would never be committed.',
            hint=f'Leave DATABASES["{using}"]["AUTOCOMMIT"] on; use transaction.atomic() where several writes belong '
            "together.",
            id="tasksq.E007",
        )
    else:
        yield from _check_router(using)
        yield from _check_notifier(backend, using)
        yield from get_broker(backend.alias).check_settings()
        yield from _check_schedules(backend)


def _check_router(using: str) -> Iterator[CheckMessage]:
    if (router.db_for_write(Job) != using and len(_databases()) == 1) or not router.allow_migrate_model(using, Job):
        yield Error(
            f'OPTIONS["database"] is "{using}", but the database routers send the tables to '
            f'"{router.db_for_write(Job)}".',
            hint='Add "django_tasks_q.routers.TasksQRouter" to DATABASE_ROUTERS.',
            id="tasksq.E005",
        )


def _check_notifier(backend: TasksQBackend, using: str) -> Iterator[CheckMessage]:
    try:
        yield from make_notifier(backend.alias, using).check_settings()
    except (ImproperlyConfigured, ImportError) as error:
        yield Error(str(error), hint="Install django-redis, or choose another notifier.", id="tasksq.E006")


def _check_schedules(backend: TasksQBackend) -> Iterator[CheckMessage]:
    _found, problems = find_declarations(backend.alias)
    for problem in problems:
        yield Error(
            f"A schedule of the backend {backend.alias!r} could never run: {problem}",
            hint='Correct it in OPTIONS["schedules"], or in the @periodic decorator.',
            id="tasksq.E009",
        )


@register(Tags.database)
def check_databases(databases: Sequence[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Ask the databases themselves; run by migrate, and by check --database."""
    for alias, using in _databases().items():
        if using in (databases or ()):
            try:
                yield from get_broker(alias).check_database()
            except (DatabaseError, ImproperlyConfigured) as error:
                yield Warning(f'The database "{using}" could not be checked: {error}', id="tasksq.W006")


@register(Tags.database, deploy=True)
def check_connections(**kwargs: Any) -> Iterable[CheckMessage]:
    """Advise those who deploy; workers keep their connections whatever the setting is."""
    for using in sorted(set(_databases().values())):
        settings = connections[using].settings_dict
        pooled = (settings.get("OPTIONS") or {}).get("pool")
        if connections[using].features.has_select_for_update and settings["CONN_MAX_AGE"] == 0 and not pooled:
            yield Warning(
                f'CONN_MAX_AGE of the database "{using}" is 0: each request that enqueues opens a new connection.',
                hint="Set CONN_MAX_AGE (for example 60) with CONN_HEALTH_CHECKS, or use a connection pool.",
                id="tasksq.W005",
            )


def _databases() -> dict[str, str]:
    """Return the database of each backend of ours that is set up well enough to have one."""
    usable = [backend.alias for backend in _ours() if not any(find_problems(backend.options))]
    found = {alias: get_database(alias) for alias in usable}
    return {alias: using for alias, using in found.items() if using in connections and can_hold_queue(using)}


def _ours() -> list[TasksQBackend]:
    backends = [task_backends[alias] for alias in configured_aliases()]
    return [backend for backend in backends if isinstance(backend, TasksQBackend)]
