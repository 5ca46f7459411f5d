"""What stands for a task that this process cannot import, so that results of it can be read all the same."""

from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import Any

from .exceptions import UnknownTask
from .task import Task, declared_task

__all__ = ["absent_task"]


def absent_task(row: Any) -> Task[..., Any]:
    """Return a task with the path, queue and priority of a row: to be looked at, not to be called or enqueued."""
    given = {
        "func": _absent_function(row.task_path),
        "priority": row.priority,
        "queue_name": row.queue_name,
        "backend": row.backend,
        "run_after": row.run_after,
        "metadata": row.metadata or None,
    }
    # Not validated: no backend would take it.
    made: Task[..., Any] = object.__new__(Task)
    for item in fields(Task):
        object.__setattr__(made, item.name, given.get(item.name, item.default))
    return made


# One for each path, so that two results of one task have the same.
@lru_cache(maxsize=1_024)
def _absent_function(path: str) -> Callable[..., None]:
    def absent(*args: object, **kwargs: object) -> None:
        declared_task(path)
        raise UnknownTask(f"The task at {path!r} was missing when this result was read. Read the result again.")

    module, _, name = path.rpartition(".")
    absent.__module__, absent.__qualname__, absent.__name__ = module, name, name
    return absent
