"""A context for a task that is called without a queue."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from ..compat import BaseTask, TaskResultStatus
from ..context import Context
from ..ids import new_id
from ..results import Progress, TasksQResult

__all__ = ["Reports", "make_context"]


class Reports:
    """What is connected with a context that make_context() has made: context.control.

    is_cancelled: what the task is told; it can be changed. progress: all that the task has said of how far it is.
    """

    def __init__(self, *, is_cancelled: bool) -> None:
        self.is_cancelled = is_cancelled
        self.progress: list[Progress] = []

    def report_progress(self, done: float, total: float | None, message: str) -> None:
        self.progress.append(Progress(done, total, message, timezone.now()))


def make_context(
    task: BaseTask | None = None,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    id: str | None = None,
    attempt: int = 1,
    metadata: Mapping[str, Any] | None = None,
    is_cancelled: bool = False,
) -> Context:
    """Return a Context, to call a task that takes one: task.call(make_context(), …). It needs no database.

    task, args, kwargs: what context.task_result says of the job. id: the job's; None makes one. attempt: the number
    of the run. metadata: None takes the task's. is_cancelled: what the task is told when it asks.
    context.control.progress lists what the task has said with context.progress().
    """
    now = timezone.now()
    result: TasksQResult[Any] = TasksQResult(
        task=task,  # type: ignore[arg-type,unused-ignore] # what is not given is not needed
        id=id or new_id(),
        status=TaskResultStatus.RUNNING,
        enqueued_at=now,
        started_at=now,
        last_attempted_at=now,
        finished_at=None,
        args=list(args),
        kwargs=dict(kwargs or {}),
        backend=task.backend if task is not None else "default",
        errors=[],
        worker_ids=["make_context"] * attempt,
    )
    given = metadata if metadata is not None else getattr(task, "metadata", None)
    return Context(task_result=result, metadata=dict(given or {}), control=Reports(is_cancelled=is_cancelled))
