"""New calls on an operator's request."""

import inspect
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..brokers import get_broker
from ..compat import BaseTask, task_backends
from ..exceptions import JobNotFound
from ..models import Result
from ..results import running_job, task_from_row
from ..shortcuts import find_task
from ..signatures import check_arguments
from ..task import varied

__all__ = ["check_call", "enqueue_call", "parameters_of", "retry_edited"]


def enqueue_call(
    path: str,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    *,
    backend: str = "default",
    queue: str | None = None,
    priority: int | None = None,
    run_after: datetime | timedelta | None = None,
) -> uuid.UUID:
    """Enqueue a call of the task at a dotted path, and return the id of the job.

    Raise InvalidTask if there is no such task, or if an option is invalid for it, TypeError for arguments that the
    task does not accept or that cannot be stored.
    """
    task: Any = find_task(path)
    check_call(task, args, kwargs)
    chosen = task.using(queue_name=queue, priority=priority, run_after=run_after, backend=backend)
    return uuid.UUID(chosen.enqueue(*args, **kwargs).id)


def retry_edited(
    result_id: uuid.UUID | str, args: Sequence[object], kwargs: Mapping[str, object], *, backend: str = "default"
) -> uuid.UUID:
    """Enqueue the task of a finished job again, with different arguments; return the id of the new job.

    The new job has the old one as its parent, and the same queue, priority, options and metadata. The old one stays in
    the history unchanged, because callers that hold its id asked for the old arguments. Raise JobNotFound,
    UnknownTask, CorruptJob, or TypeError for arguments that the task does not accept or that cannot be stored.
    """
    row = Result.objects.using(get_broker(backend).using).filter(pk=result_id, backend=backend).first()
    if row is None:
        raise JobNotFound(f'There is no result {result_id} of the backend "{backend}".')
    task = varied(task_from_row(row), {"run_after": None})
    check_call(task, args, kwargs)
    parent = running_job.set(str(row.pk))
    try:
        return uuid.UUID(task_backends[backend].enqueue(task, list(args), dict(kwargs)).id)
    finally:
        running_job.reset(parent)


def check_call(task: BaseTask, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    """Raise TypeError if a task does not accept these arguments, regardless of OPTIONS["check_arguments"]."""
    check_arguments(task.name, task.func, task.takes_context, args, kwargs)


def parameters_of(task: BaseTask) -> list[inspect.Parameter]:
    """Return the parameters of a task without its context. Raise ValueError if it has no signature."""
    parameters = list(inspect.signature(task.func).parameters.values())
    return parameters[1:] if task.takes_context else parameters
