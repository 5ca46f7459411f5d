"""System checks, each with a stable id.

tasksq.E001  unknown key in OPTIONS            tasksq.W001  SQLite without write-ahead log
tasksq.E002  invalid value in OPTIONS          tasksq.W002  SQLite without immediate transactions
tasksq.E003  database that cannot hold the queue tasksq.W003  PostgreSQL without psycopg 3: no wake-up
tasksq.E004  database too old                  tasksq.W004  LISTEN through a transaction pooler
tasksq.E005  no router for OPTIONS["database"]  tasksq.W005  CONN_MAX_AGE is 0 (check --deploy)
tasksq.E006  notifier without its Redis        tasksq.W006  database that could not be checked
tasksq.E007  database without autocommit       tasksq.W007  MySQL without utf8mb4
tasksq.E008  app not installed (see backend)   tasksq.W008  app installed, but no TASKS
tasksq.E009  schedule that could never run     tasksq.W009  backend of TASKS that cannot be made
tasksq.E010  QUEUES is not a list of names     tasksq.W010  unknown key beside OPTIONS
tasksq.E011  middleware that cannot be used    tasksq.W011  task modules that no app has
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, router

from .backend import TasksQBackend, backend_aliases
from .brokers import BROKERS, can_hold_queue, get_broker, get_database
from .compat import configured_aliases, task_backends
from .conf import DEFAULTS, find_problems
from .discovery import is_somewhere
from .middleware import import_middleware
from .models import Job
from .notifiers import make_notifier
from .schedules.declaring import find_declarations

__all__ = ["check_backends", "check_connections", "check_databases", "check_framework", "check_setting"]

BACKEND = f"{TasksQBackend.__module__}.{TasksQBackend.__qualname__}"
# The keys of a TASKS entry that the framework reads.
KEYS = ("BACKEND", "QUEUES", "OPTIONS")


@register()
def check_setting(**kwargs: object) -> Iterator[CheckMessage]:
    """Check that TASKS names a backend, and the framework's keys in each of our entries."""
    if not settings.is_overridden("TASKS"):  # type: ignore[misc]
        yield Warning(
            "TASKS is not set: Django's default, ImmediateBackend, runs each task at once, inside the request that "
            "enqueues it.",
            hint=f'Set TASKS = {{"default": {{"BACKEND": "{BACKEND}", "QUEUES": []}}}}, or name the backend that you '
            "want.",
            id="tasksq.W008",
        )
    for alias in backend_aliases():
        yield from _check_entry(alias, configured_aliases()[alias])


def _check_entry(alias: str, entry: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for key in sorted(set(map(str, entry)) - set(KEYS)):
        near = difflib.get_close_matches(key.upper(), KEYS, n=1)
        known = f'Did you mean "{near[0]}"?' if near else f"Known keys: {', '.join(KEYS)}."
        hint = f"{known} Settings of this package go into OPTIONS."
        yield Warning(f'TASKS["{alias}"] has the unknown key "{key}": it has no effect.', hint=hint, id="tasksq.W010")
    if not _has_names(entry):
        yield Error(
            f'TASKS["{alias}"]["QUEUES"] is {entry["QUEUES"]!r:.80}.',
            hint='It must be a list of names, such as ["default", "mail"]; an empty one allows every name.',
            id="tasksq.E010",
        )


def _has_names(entry: Mapping[str, Any]) -> bool:
    """Return whether the QUEUES of an entry, if it has any, are names; the framework needs at least an iterable."""
    queues = entry.get("QUEUES", [])
    if isinstance(queues, str) or not isinstance(queues, Iterable):
        return False
    return all(isinstance(name, str) and name for name in queues)


@register()
def check_framework(**kwargs: object) -> Iterator[CheckMessage]:
    """Let each backend in TASKS check itself, like the framework's own check, which a broken backend would end."""
    for alias, parameters in configured_aliases().items():
        try:
            backend = task_backends[alias]
        except Exception as error:  # Another package's backend may raise anything.
            if alias in backend_aliases() and not _has_names(parameters):
                continue  # Told above, with the remedy.
            yield Warning(
                f'TASKS["{alias}"] cannot be used: {type(error).__name__}: {error}',
                hint=_remedy(parameters.get("BACKEND")),
                id="tasksq.W009",
            )
        else:
            yield from backend.check()


def _remedy(path: Any) -> str:
    if path != BACKEND and str(path).startswith(f"{BACKEND.split('.')[0]}."):
        return f'Did you mean "{BACKEND}"?'
    return (
        f"Correct its BACKEND ({path!r}), install the package that has it, or take the entry out. The other backends "
        "work meanwhile."
    )


@register()
def check_backends(**kwargs: object) -> Iterator[CheckMessage]:
    """Check each backend of ours, when the framework checks the project."""
    for backend in _ours():
        yield from check_backend(backend)


def check_backend(backend: TasksQBackend) -> Iterator[CheckMessage]:
    """Yield problems in a backend's settings, without querying a database."""
    problems = list(find_problems(backend.options))
    for problem in problems:
        text = f'TASKS["{backend.alias}"]["OPTIONS"]: {problem.message}'
        yield Error(text, hint=problem.hint, id="tasksq.E001" if problem.unknown else "tasksq.E002")
    if not problems:
        yield from _check_modules(backend)
        yield from _check_middleware(backend)
        yield from _check_database(backend)


def _check_modules(backend: TasksQBackend) -> Iterator[CheckMessage]:
    for name in backend.config.modules:
        if name not in DEFAULTS.modules and not is_somewhere(name):
            yield Warning(
                f'TASKS["{backend.alias}"]["OPTIONS"]["modules"] has "{name}", but no installed app has this module.',
                hint='Names are relative to each app: "jobs.nightly" is shop/jobs/nightly.py of the app shop.',
                id="tasksq.W011",
            )


def _check_middleware(backend: TasksQBackend) -> Iterator[CheckMessage]:
    for path in backend.config.middleware:
        try:
            import_middleware(path)
        except ImproperlyConfigured as error:
            yield Error(
                f'TASKS["{backend.alias}"]["OPTIONS"]["middleware"]: {error}',
                hint="Correct the path, or take it out. It must be that of a subclass of "
                "django_tasks_q.middleware.Middleware.",
                id="tasksq.E011",
            )


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
        yield from get_broker(backend.alias).dialect.check_settings()
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
def check_databases(databases: Sequence[str] | None = None, **kwargs: object) -> Iterator[CheckMessage]:
    """Check the databases themselves; run by migrate, and by check --database."""
    for alias, using in _databases().items():
        if using in (databases or ()):
            try:
                yield from get_broker(alias).dialect.check_database()
            except (DatabaseError, ImproperlyConfigured) as error:
                yield Warning(f'The database "{using}" could not be checked: {error}', id="tasksq.W006")


@register(Tags.database, deploy=True)
def check_connections(**kwargs: object) -> Iterable[CheckMessage]:
    """Advice for deployments; workers keep their connections regardless of the setting."""
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
    """Return the databases of our backends that are configured well enough to have one."""
    usable = [backend.alias for backend in _ours() if not any(find_problems(backend.options))]
    found = {alias: get_database(alias) for alias in usable}
    return {alias: using for alias, using in found.items() if using in connections and can_hold_queue(using)}


def _ours() -> list[TasksQBackend]:
    """Return our backends, but for those that cannot be made because of their QUEUES."""
    return [task_backends[alias] for alias in backend_aliases() if _has_names(configured_aliases()[alias])]
