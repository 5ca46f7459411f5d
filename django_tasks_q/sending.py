"""Calls on their way to a backend. It may be one of Django's own, where a project's tests have put it in our place."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import transaction

from .compat import BaseTask

__all__ = ["Call", "check_call", "enqueue_after_commit", "enqueue_calls", "read_call"]

Call = tuple[BaseTask, Sequence[Any], Mapping[str, Any]]


def enqueue_after_commit(task: BaseTask, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Enqueue a call once the current transaction commits."""
    backend = task.get_backend()
    if hasattr(backend, "enqueue_on_commit"):
        backend.enqueue_on_commit(task, args, kwargs)
    else:
        transaction.on_commit(partial(backend.enqueue, task, args, kwargs))


def enqueue_calls(backend: Any, calls: Sequence[Call], numbers: Iterable[int] | None = None) -> list[Any]:
    """Enqueue calls of one backend; return their results in the same order. numbers: what an error calls them."""
    if hasattr(backend, "enqueue_many"):
        results: list[Any] = backend.enqueue_many(calls, numbers=numbers)
        return results
    return [backend.enqueue(task, args, kwargs) for task, args, kwargs in calls]


def read_call(task: BaseTask, number: int, given: Any) -> Call:
    """Return the call of a task with what stands for its arguments. Raise TypeError naming the number of the call."""
    if isinstance(given, Mapping):
        return task, (), given
    if isinstance(given, tuple | list):
        return task, given, {}
    raise TypeError(
        f"Call {number} of enqueue_many() must be a tuple or list of arguments, or a dict of those by name, not "
        f"{given!r:.100}. A single argument is written ({given!r:.20},)."
    )


def check_call(number: int, args: Any, kwargs: Any) -> None:
    """Raise TypeError where they cannot be the arguments of a call: a text is a sequence, but of characters."""
    if isinstance(args, str | bytes | bytearray) or not isinstance(args, Sequence):
        raise TypeError(
            f"Call {number} of enqueue_many(): args must be a tuple or list, not {args!r:.100}. A single argument is "
            f"written ({args!r:.20},)."
        )
    if not isinstance(kwargs, Mapping):
        raise TypeError(f"Call {number} of enqueue_many(): kwargs must be a dict, not {kwargs!r:.100}.")
