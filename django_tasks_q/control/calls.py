"""New calls at an operator's wish."""

import inspect
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from ..brokers import get_broker
from ..calls import find_task
from ..compat import BaseTask, task_backends
from ..exceptions import JobNotFound
from ..models import Result
from ..results import running_job, task_from_row
from ..task import varied

__all__ = ["check_call", "enqueue_call", "parameters_of", "retry_edited"]


def enqueue_call(
    path: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    backend: str = "default",
    queue: str | None = None,
    priority: int | None = None,
    run_after: datetime | timedelta | None = None,
) -> uuid.UUID:
    """Enqueue a call of the task at a dotted path, and return the id of the job.

    Raise InvalidTask where there is none, or where it cannot have what is given, TypeError for arguments that the task
    does not take or that cannot be stored.
    """
    task: Any = find_task(path)
    check_call(task, args, kwargs)
    chosen = task.using(queue_name=queue, priority=priority, run_after=run_after, backend=backend)
    return uuid.UUID(chosen.enqueue(*args, **kwargs).id)


def retry_edited(
    result_id: uuid.UUID | str, args: Sequence[Any], kwargs: Mapping[str, Any], *, backend: str = "default"
) -> uuid.UUID:
    """Enqueue what a finished job called once more, with other arguments; return the id of the new job.

    The new job has the old one for its parent, and its queue, priority, options and metadata. The old one stays in the
    history as it was: whoever holds its id asked for other arguments. Raise JobNotFound, UnknownTask, CorruptJob, or
    TypeError for arguments that the task does not take or that cannot be stored.
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


def check_call(task: BaseTask, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise TypeError where a task does not take these arguments."""
    with suppress(ValueError):
        # Some functions of C have no signature that could be asked.
        signature = inspect.signature(task.func)
        context = [None] if task.takes_context else []
        try:
            signature.bind(*context, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{task.name}() does not take these arguments: {error}.") from None


def parameters_of(task: BaseTask) -> list[inspect.Parameter]:
    """Return the parameters of a task without its context. Raise ValueError where it has no signature."""
    parameters = list(inspect.signature(task.func).parameters.values())
    return parameters[1:] if task.takes_context else parameters
