"""enqueue() and the like: the shortest way to a job."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from asgiref.sync import sync_to_async

from .compat import DEFAULT_TASK_BACKEND_ALIAS, BaseTask, InvalidTask, task_backends
from .exceptions import UnknownTask
from .results import TasksQResult
from .sending import Call, check_call, enqueue_after_commit, enqueue_calls
from .task import declared_task

__all__ = [
    "aenqueue",
    "aenqueue_many",
    "aget_result",
    "enqueue",
    "enqueue_many",
    "enqueue_on_commit",
    "find_task",
    "get_result",
]

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class HasReturnValue(Protocol[R]):
    @property
    def return_value(self) -> R: ...


class AnyTask(Protocol[P, R]):
    """A task of ours, or one that Django's own decorator has made."""

    @property
    def module_path(self) -> str: ...

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> HasReturnValue[R]: ...


class Positional(Protocol):
    """A sequence of arguments, but no text: `in` of a str takes nothing but text."""

    def __contains__(self, value: object, /) -> bool: ...
    def __getitem__(self, index: int, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


CallOf = tuple[AnyTask[..., R], Positional, Mapping[str, Any]]
AnyCall = tuple[AnyTask[..., Any] | str, Positional, Mapping[str, Any]]


@overload
def enqueue(task: AnyTask[P, R], /, *args: P.args, **kwargs: P.kwargs) -> TasksQResult[R]: ...
@overload
def enqueue(task: str, /, *args: Any, **kwargs: Any) -> TasksQResult[Any]: ...


def enqueue(task: Any, /, *args: Any, **kwargs: Any) -> TasksQResult[Any]:
    """Enqueue a call of a task, given as itself or as its dotted path, and return its result.

    The job is part of the current transaction. Raise InvalidTask where the path names no task, TypeError where the
    task does not take these arguments, UnserializableError (a TypeError) naming one that cannot be stored.
    """
    found: Any = find_task(task)
    result: TasksQResult[Any] = found.enqueue(*args, **kwargs)
    return result


@overload
async def aenqueue(task: AnyTask[P, R], /, *args: P.args, **kwargs: P.kwargs) -> TasksQResult[R]: ...
@overload
async def aenqueue(task: str, /, *args: Any, **kwargs: Any) -> TasksQResult[Any]: ...


async def aenqueue(task: Any, /, *args: Any, **kwargs: Any) -> TasksQResult[Any]:
    """See enqueue()."""
    found: Any = find_task(task)
    result: TasksQResult[Any] = await found.aenqueue(*args, **kwargs)
    return result


@overload
def enqueue_on_commit(task: AnyTask[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
@overload
def enqueue_on_commit(task: str, /, *args: Any, **kwargs: Any) -> None: ...


def enqueue_on_commit(task: Any, /, *args: Any, **kwargs: Any) -> None:
    """Enqueue once the current transaction of the default database has committed, or now where there is none."""
    enqueue_after_commit(find_task(task), args, kwargs)


@overload
def enqueue_many(calls: Iterable[CallOf[R]]) -> list[TasksQResult[R]]: ...
@overload
def enqueue_many(calls: Iterable[AnyCall]) -> list[TasksQResult[Any]]: ...


def enqueue_many(calls: Iterable[Any]) -> list[TasksQResult[Any]]:
    """Enqueue many calls, each (task, args, kwargs), and return their results in the same order.

    One statement for each thousand. All or none of the calls of one backend are stored. Raise as enqueue(), naming the
    number of the call, from 0.
    """
    found = [_checked(number, call) for number, call in enumerate(calls)]
    by_alias: dict[str, list[int]] = {}
    for number, (task, _, _) in enumerate(found):
        by_alias.setdefault(task.backend, []).append(number)
    results: dict[int, TasksQResult[Any]] = {}
    for alias, numbers in by_alias.items():
        made = enqueue_calls(task_backends[alias], [found[number] for number in numbers], numbers)
        results |= zip(numbers, made, strict=True)
    return [results[number] for number in range(len(found))]


def _checked(number: int, call: Any) -> Call:
    if not isinstance(call, tuple | list) or len(call) != 3:
        raise TypeError(f"Call {number} of enqueue_many() must be (task, args, kwargs), not {call!r:.100}.")
    task, args, kwargs = call
    check_call(number, args, kwargs)
    return find_task(task), args, kwargs


@overload
async def aenqueue_many(calls: Iterable[CallOf[R]]) -> list[TasksQResult[R]]: ...
@overload
async def aenqueue_many(calls: Iterable[AnyCall]) -> list[TasksQResult[Any]]: ...


async def aenqueue_many(calls: Iterable[Any]) -> list[TasksQResult[Any]]:
    """See enqueue_many()."""
    return await sync_to_async(enqueue_many, thread_sensitive=True)(calls)


def get_result(result_id: uuid.UUID | str, *, backend: str = DEFAULT_TASK_BACKEND_ALIAS) -> TasksQResult[Any]:
    """Return the result of any task by its id, of whatever status.

    backend: the alias in TASKS. Raise TaskResultDoesNotExist if there is no such id, or if it was pruned. A task
    that has been removed or renamed since is no obstacle: `result.task` has its old path.
    """
    result: TasksQResult[Any] = task_backends[backend].get_result(result_id)
    return result


async def aget_result(result_id: uuid.UUID | str, *, backend: str = DEFAULT_TASK_BACKEND_ALIAS) -> TasksQResult[Any]:
    """See get_result()."""
    result: TasksQResult[Any] = await task_backends[backend].aget_result(result_id)
    return result


def find_task(task: BaseTask | str) -> BaseTask:
    """Return the task itself or the one at a dotted path. Raise InvalidTask if it is neither."""
    if isinstance(task, BaseTask):
        return task
    if not isinstance(task, str):
        raise InvalidTask(f"{task!r:.200} is not a task. Give a function with a @task decorator, or its dotted path.")
    try:
        return declared_task(task)
    except UnknownTask as error:
        raise InvalidTask(f"{error} Give the dotted path of a function with a @task decorator.") from error
