"""enqueue() and its kin: the shortest way to a job."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asgiref.sync import sync_to_async

from .compat import BaseTask, InvalidTask, task_backends
from .exceptions import UnknownTask
from .results import TasksQResult
from .task import declared_task, enqueue_after_commit

__all__ = ["aenqueue", "aenqueue_many", "enqueue", "enqueue_many", "enqueue_on_commit", "find_task"]

Call = tuple[BaseTask, Sequence[Any], Mapping[str, Any]]
AnyCall = tuple[BaseTask | str, Sequence[Any], Mapping[str, Any]]


def enqueue(task: BaseTask | str, /, *args: Any, **kwargs: Any) -> TasksQResult:
    """Enqueue a call of a task, given as itself or as its dotted path, and return its result.

    The job is part of the current transaction. Raise InvalidTask where the path names no task, UnserializableError (a
    TypeError) naming an argument that cannot be stored.
    """
    result: TasksQResult = find_task(task).enqueue(*args, **kwargs)
    return result


async def aenqueue(task: BaseTask | str, /, *args: Any, **kwargs: Any) -> TasksQResult:
    """See enqueue()."""
    result: TasksQResult = await find_task(task).aenqueue(*args, **kwargs)
    return result


def enqueue_on_commit(task: BaseTask | str, /, *args: Any, **kwargs: Any) -> None:
    """Enqueue once the current transaction of the default database has committed, or now where there is none."""
    enqueue_after_commit(find_task(task), args, kwargs)


def enqueue_many(calls: Iterable[AnyCall]) -> list[TasksQResult]:
    """Enqueue many calls, each (task, args, kwargs), and return their results in the same order.

    One statement for each thousand. All or none of the calls of one backend are stored.
    """
    found = [_checked(index, call) for index, call in enumerate(calls)]
    aliases = dict.fromkeys(task.backend for task, _, _ in found)
    results = {
        alias: iter(_enqueue_all(alias, [call for call in found if call[0].backend == alias])) for alias in aliases
    }
    return [next(results[task.backend]) for task, _, _ in found]


def _checked(index: int, call: Any) -> Call:
    if not isinstance(call, tuple | list) or len(call) != 3:
        raise TypeError(f"Call {index} of enqueue_many() must be (task, args, kwargs), not {call!r:.100}.")
    task, args, kwargs = call
    return find_task(task), args, kwargs


def _enqueue_all(alias: str, calls: list[Call]) -> list[Any]:
    """Enqueue calls of one backend; a project's tests may have put one of Django's own in the place of ours."""
    backend = task_backends[alias]
    if hasattr(backend, "enqueue_many"):
        results: list[Any] = backend.enqueue_many(calls)
        return results
    return [backend.enqueue(task, args, kwargs) for task, args, kwargs in calls]


async def aenqueue_many(calls: Iterable[AnyCall]) -> list[TasksQResult]:
    """See enqueue_many()."""
    return await sync_to_async(enqueue_many, thread_sensitive=True)(calls)


def find_task(task: BaseTask | str) -> BaseTask:
    """Return the task itself or the one at a dotted path. Raise InvalidTask where there is none."""
    if not isinstance(task, str):
        return task
    try:
        return declared_task(task)
    except UnknownTask as error:
        raise InvalidTask(f"{error} Give the dotted path of a function with a @task decorator.") from error
