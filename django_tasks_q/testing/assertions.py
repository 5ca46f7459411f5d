"""What has been enqueued in this test, whatever has become of it since."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.utils.asyncio import async_unsafe

from ..backend import backend_aliases
from ..compat import BaseTask, task_backends
from ..moments import to_aware
from ..results import TasksQResult
from ..shortcuts import find_task
from ..signatures import check_arguments
from .backends import RecordingBackend
from .scope import find_aliases, recording_aliases
from .stored import stored_results

__all__ = [
    "aassert_enqueued",
    "aassert_not_enqueued",
    "aenqueued_jobs",
    "assert_enqueued",
    "assert_not_enqueued",
    "enqueued_jobs",
]

# Seconds by which the run_after of a job may differ from a timedelta: it was reckoned a little earlier.
CLOSE = 1.0
# Jobs that a message lists.
MOST_LISTED = 10
SYNC_ONLY = "{0}() uses the database. In an async test, use: await a{0}()."


@async_unsafe(SYNC_ONLY.format("enqueued_jobs"))
def enqueued_jobs(
    task: BaseTask | str | None = None, *, queue_name: str | None = None, backend: str | None = None
) -> list[TasksQResult[Any]]:
    """Return the results of all jobs that have been enqueued in this test, the oldest first: those too that have run.

    task: only of this one, or of the one at this dotted path. queue_name, backend: only of this one.
    """
    found = find_task(task) if task is not None else None
    results: list[TasksQResult[Any]] = []
    for alias in _aliases(found, backend):
        results += _stored(alias)
    return [
        result
        for result in sorted(results, key=lambda result: result.id)
        if (found is None or result.task.module_path == found.module_path)
        and queue_name in (None, result.task.queue_name)
    ]


@async_unsafe(SYNC_ONLY.format("assert_enqueued"))
def assert_enqueued(
    task: BaseTask | str,
    /,
    *args: Any,
    queue_name: str | None = None,
    run_after: datetime | timedelta | None = None,
    **kwargs: Any,
) -> TasksQResult[Any]:
    """Return the result of the first job of a task that has been enqueued with these arguments.

    args, kwargs: compared as the task gets them, so that a tuple is a list, and a name may be given or not; without
    any, the arguments are not looked at. unittest.mock.ANY is equal to everything. queue_name: in which it was put.
    run_after: a moment, or how long after it was enqueued.

    Raise AssertionError, which lists what has been enqueued, TypeError if the task does not take the arguments, and
    InvalidTask if it is no task.
    """
    found, matching, others = _look(task, args, kwargs, queue_name, run_after)
    if matching:
        return matching[0]
    raise AssertionError(f"{_wanted(found, args, kwargs, queue_name, run_after)} was not enqueued. {_listed(others)}")


@async_unsafe(SYNC_ONLY.format("assert_not_enqueued"))
def assert_not_enqueued(
    task: BaseTask | str,
    /,
    *args: Any,
    queue_name: str | None = None,
    run_after: datetime | timedelta | None = None,
    **kwargs: Any,
) -> None:
    """Raise AssertionError if a job has been enqueued that assert_enqueued() would return."""
    found, matching, _ = _look(task, args, kwargs, queue_name, run_after)
    if matching:
        wanted = _wanted(found, args, kwargs, queue_name, run_after)
        raise AssertionError(f"{wanted} was enqueued. {_listed(matching)}")


async def aenqueued_jobs(task: BaseTask | str | None = None, **options: Any) -> list[TasksQResult[Any]]:
    """See enqueued_jobs()."""
    return await sync_to_async(enqueued_jobs, thread_sensitive=True)(task, **options)


async def aassert_enqueued(task: BaseTask | str, /, *args: Any, **kwargs: Any) -> TasksQResult[Any]:
    """See assert_enqueued()."""
    return await sync_to_async(assert_enqueued, thread_sensitive=True)(task, *args, **kwargs)


async def aassert_not_enqueued(task: BaseTask | str, /, *args: Any, **kwargs: Any) -> None:
    """See assert_not_enqueued()."""
    await sync_to_async(assert_not_enqueued, thread_sensitive=True)(task, *args, **kwargs)


def _look(
    task: BaseTask | str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    queue_name: str | None,
    run_after: datetime | timedelta | None,
) -> tuple[BaseTask, list[TasksQResult[Any]], list[TasksQResult[Any]]]:
    """Return the task, its jobs that are meant, and all jobs that may have been meant."""
    found = find_task(task)
    of_task = enqueued_jobs(found, backend=found.backend)
    if args or kwargs:
        check_arguments(found.name, found.func, found.takes_context, args, kwargs)
        wanted = _plain(_signature(found).bind(*args, **kwargs).arguments)
        matching = [result for result in of_task if _arguments(result) == wanted]
    else:
        matching = of_task
    if queue_name is not None:
        matching = [result for result in matching if result.task.queue_name == queue_name]
    if run_after is not None:
        matching = [result for result in matching if _runs_after(result, run_after)]
    return found, matching, of_task or enqueued_jobs(backend=found.backend)


def _aliases(task: BaseTask | None, backend: str | None) -> list[str]:
    alias, recording = backend or (task.backend if task is not None else None), recording_aliases()
    if alias is None and recording:
        stored = [alias for alias in backend_aliases() if alias not in recording]
        return [*recording, *(find_aliases(None) if stored else [])]
    return [alias] if alias is not None and alias in recording else find_aliases(alias)


def _stored(alias: str) -> Iterable[TasksQResult[Any]]:
    backend = task_backends[alias]
    if isinstance(backend, RecordingBackend):
        return [backend.get_result(result.id) for result in backend.results]
    return stored_results(alias)


def _signature(task: BaseTask) -> inspect.Signature:
    signature = inspect.signature(task.func)
    parameters = list(signature.parameters.values())
    return signature.replace(parameters=parameters[1:]) if task.takes_context else signature


def _arguments(result: TasksQResult[Any]) -> Any:
    try:
        return _plain(_signature(result.task).bind(*result.args, **result.kwargs).arguments)
    except TypeError:
        # Enqueued although the task does not take them.
        return result.args, result.kwargs


def _plain(value: Any) -> Any:
    """Return a value as JSON would give it back."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def _runs_after(result: TasksQResult[Any], run_after: datetime | timedelta) -> bool:
    given = result.task.run_after
    if not isinstance(given, datetime) or result.enqueued_at is None:
        return False
    if isinstance(run_after, datetime):
        return to_aware(given) == to_aware(run_after)
    delay = to_aware(given) - to_aware(result.enqueued_at)
    return abs((delay - run_after).total_seconds()) <= CLOSE


def _wanted(
    task: BaseTask,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    queue_name: str | None,
    run_after: datetime | timedelta | None,
) -> str:
    called = _call(task.module_path, args, kwargs) if args or kwargs else task.module_path
    conditions = {"queue_name": queue_name, "run_after": run_after}
    given = ", ".join(f"{name}={value!r}" for name, value in conditions.items() if value is not None)
    return f"{called} with {given}" if given else called


def _call(path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    shown = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
    return f"{path}({', '.join(shown)})"


def _listed(results: Sequence[TasksQResult[Any]]) -> str:
    if not results:
        return f"Nothing was.{_pending()}"
    lines = [f"  {_described(result)}" for result in results[:MOST_LISTED]]
    if len(results) > MOST_LISTED:
        lines.append(f"  and {len(results) - MOST_LISTED} more")
    return "\n".join([f"There are:{_pending()}", *lines])


def _described(result: TasksQResult[Any]) -> str:
    after = f" run_after={result.task.run_after}" if result.task.run_after else ""
    called = _call(result.task.module_path, result.args, result.kwargs)
    return f"{called} queue_name={result.task.queue_name!r}{after} {result.status}"


def _pending() -> str:
    """Name the usual reason: a commit that a TestCase never makes."""
    left = [entry[1] for each in connections.all(initialized_only=True) for entry in each.run_on_commit]
    callbacks = [
        each for each in left if isinstance(each, partial) and getattr(each.func, "__name__", "") == "enqueue"
    ]
    if not callbacks:
        return ""
    return (
        f" {len(callbacks)} calls of enqueue_on_commit() wait for a commit, which a TestCase does not make: use "
        "captureOnCommitCallbacks(execute=True)."
    )
