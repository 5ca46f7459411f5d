"""How a call becomes a job: the only place that builds a JobSpec.

A backend makes one of each call of a task, a schedule one of each occurrence. A column that travels to the task is a
field of JobSpec, which the brokers derive their statements from, and gets its value in make_template().
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone

from .brokers.values import JobSpec
from .compat import BaseTask, InvalidTask
from .conf import Options
from .exceptions import UnknownTask
from .ids import new_id
from .moments import to_aware, to_stored
from .payloads import NO_ARGS, NO_KWARGS, dump_arguments, dump_value
from .results import TasksQResult, new_result, running_job
from .signatures import check_arguments
from .task import Task, declared_task
from .task_options import OPTION_NAMES, dump_option

__all__ = [
    "NO_METADATA",
    "Prepared",
    "TaskTemplate",
    "changed_options",
    "fill_template",
    "find_run_after",
    "look_at_task",
    "make_template",
]

# As JSON.
NO_OPTIONS = NO_METADATA = "{}"
# A job that is to be stored, and what its enqueue() returns.
Prepared = tuple[JobSpec, TasksQResult[Any]]


def make_template(
    task_path: str,
    now: datetime,
    max_payload: int,
    *,
    queue_name: str,
    priority: float,
    options: Mapping[str, object],
    metadata: Mapping[str, object],
    run_after: datetime | None = None,
    parent_id: str | None = None,
) -> JobSpec:
    """Return what jobs of one task, or of one schedule, have in common: one that lacks its id and its arguments.

    max_payload: bytes. options: in JSON's types, see dump_option(). Raise UnserializableError for metadata that cannot
    be stored.
    """
    return JobSpec(
        id="",
        queue_name=queue_name,
        priority=int(priority),
        task_path=task_path,
        args=NO_ARGS,
        kwargs=NO_KWARGS,
        options=dump_value(options, "options", max_payload) if options else NO_OPTIONS,
        metadata=dump_value(metadata, "metadata", max_payload) if metadata else NO_METADATA,
        run_after=run_after,
        enqueued_at=now,
        parent_id=parent_id,
    )


def fill_template(
    template: JobSpec, args: Sequence[object], kwargs: Mapping[str, object], max_payload: int
) -> JobSpec:
    """Return the job of one call. Raise UnserializableError naming an argument that cannot be stored."""
    stored_args, stored_kwargs = dump_arguments(args, kwargs, max_payload)
    return template._replace(id=new_id(), args=stored_args, kwargs=stored_kwargs)


class TaskTemplate(NamedTuple):
    """What all calls of one task have in common: see look_at_task(). alias: of the backend that stores them."""

    task: BaseTask
    spec: JobSpec
    options: Options
    alias: str

    def prepare(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prepared:
        """Return the job of a call. Raise TypeError if the task does not take it, or it cannot be stored."""
        task = self.task
        spec = fill_template(self.spec, args, kwargs, self.options.max_payload)
        if self.options.check_arguments:
            check_arguments(task.name, task.func, task.takes_context, args, kwargs)
        return spec, new_result(spec.id, task, spec.enqueued_at, args, kwargs, self.alias)


def look_at_task(task: Any, now: datetime, options: Options, alias: str) -> TaskTemplate:
    """Return what all calls of a task that its backend has validated have in common, if they are enqueued now.

    Raise InvalidTask if no worker could find the task.
    """
    run_after = find_run_after(task.run_after, now)
    if run_after != task.run_after:
        task = task.using(run_after=run_after)
    spec = make_template(
        task.module_path,
        now,
        options.max_payload,
        queue_name=task.queue_name,
        priority=task.priority,
        options=changed_options(task),
        metadata=getattr(task, "metadata", None) or {},
        run_after=run_after,
        parent_id=running_job.get(),
    )
    return TaskTemplate(task, spec, options, alias)


def find_run_after(run_after: datetime | timedelta | None, now: datetime) -> datetime | None:
    """Return an aware datetime if USE_TZ is on, else a naive one. Raise InvalidTask if no datetime is so far."""
    try:
        # Not on the wall, whose clock may be changed in between.
        moment = to_stored(to_aware(now) + run_after) if isinstance(run_after, timedelta) else run_after
    except OverflowError:
        raise InvalidTask(f"run_after is {run_after} from now, which is more than a datetime can say.") from None
    if moment is None or settings.USE_TZ == timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment) if settings.USE_TZ else timezone.make_naive(moment)


def changed_options(task: BaseTask) -> dict[str, Any]:
    """Return, as JSON, the options that differ from those of the task at its path.

    Raise InvalidTask if no worker could find the task at its path.
    """
    try:
        declared = declared_task(task.module_path)
    except UnknownTask:
        declared = None
    if declared is None or declared.func is not task.func or task.func.__module__ == "__main__":
        raise InvalidTask(
            f"A worker could not import the task from {task.module_path!r}. Define it in a module of the project "
            "(not in a script that is run), and keep it there under the function's own name."
        )
    if declared is task or not isinstance(task, Task):
        return {}
    changed = {name: getattr(task, name) for name in OPTION_NAMES if name != "metadata"}
    return {
        name: dump_option(name, value)
        for name, value in changed.items()
        if value is not None and value != getattr(declared, name, None)
    }
