"""The backend of Django's Tasks framework."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, NamedTuple

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import transaction
from django.utils import timezone

from .brokers import get_broker, get_database
from .brokers.values import JobSpec, cancel_reason
from .compat import BaseTask, BaseTaskBackend, InvalidTask, task_enqueued
from .conf import Options, read_options
from .ids import uuid7
from .notifiers import get_notifier, notify, notify_cancelled
from .payloads import dump_arguments, dump_value
from .results import TasksQResult, missing, new_result, result_from_row, running_job
from .task import Task, overrides

__all__ = ["Call", "TasksQBackend"]

Call = tuple[BaseTask, Sequence[Any], Mapping[str, Any]]
LONGEST_PATH, LONGEST_QUEUE_NAME = 255, 128


class TasksQBackend(BaseTaskBackend):
    """Stores jobs in the project's own database; `manage.py taskworker` runs them.

    enqueue() is part of the caller's transaction. Raise ImproperlyConfigured at first use where OPTIONS is wrong.
    """

    task_class = Task
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    @cached_property
    def config(self) -> Options:
        """OPTIONS, read and checked."""
        return read_options(self.alias, self.options)

    def validate_task(self, task: Any) -> None:
        if isinstance(task.run_after, timedelta):
            # Django documents a timedelta, but does not take one.
            task = replace(task, run_after=_moment(task.run_after, timezone.now()))
        if not isinstance(task.priority, int | float):
            raise InvalidTask(f"priority must be a whole number, not {task.priority!r}.")
        if not isinstance(task.run_after, datetime | None):
            raise InvalidTask(f"run_after must be a datetime or a timedelta, not {task.run_after!r}.")
        super().validate_task(task)
        if len(task.module_path) > LONGEST_PATH:
            raise InvalidTask(f"The path {task.module_path!r} has more than {LONGEST_PATH} characters.")
        if len(task.queue_name) > LONGEST_QUEUE_NAME or not task.queue_name:
            raise InvalidTask(f"The queue name {task.queue_name!r} must have 1 to {LONGEST_QUEUE_NAME} characters.")

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TasksQResult:
        """Store a call as a job, in the current transaction, and return its result.

        Raise InvalidTask for a task that no worker could run, UnserializableError (a TypeError) naming an argument
        that cannot be stored.
        """
        return self.enqueue_many([(task, args, kwargs)])[0]

    def enqueue_many(self, calls: Iterable[Call]) -> list[TasksQResult]:
        """Store many calls, all or none: one statement for each thousand. Return their results in the same order."""
        now = timezone.now()
        prepared = self._prepare_all(calls, now)
        if not prepared:
            return []
        self._store([spec for spec, _ in prepared])
        results = [result for _, result in prepared]
        for result in results:
            task_enqueued.send(sender=type(self), task_result=result)
        return results

    def _store(self, specs: Sequence[JobSpec]) -> None:
        broker = get_broker(self.alias)
        if len(specs) > 1:
            with broker.transaction():
                broker.enqueue(specs)
        elif broker.enqueue_and_run(specs[0], get_notifier(self.alias, broker.using).wake_up):
            return
        else:
            broker.enqueue(specs)
        notify(self.alias, broker.using)

    def enqueue_on_commit(self, task: BaseTask, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Store a call once the current transaction of the default database has committed.

        What is wrong with the call is raised now.
        """
        # The arguments as they are now: the caller may change them before the commit.
        ((_, result),) = self._prepare_all([(task, args, kwargs)], timezone.now())
        transaction.on_commit(partial(self.enqueue, task, result.args, result.kwargs))

    def get_result(self, result_id: Any) -> TasksQResult:
        """Return the result with this id, of whatever status. Raise TaskResultDoesNotExist."""
        # Models cannot be imported while tasks are being defined.
        from .models import Job, Result  # noqa: PLC0415

        try:
            key = result_id if isinstance(result_id, uuid.UUID) else uuid.UUID(str(result_id))
        except ValueError:
            raise missing(result_id) from None
        using = get_database(self.alias)
        # A job moves between the tables while one looks: what is in neither at first may have come back.
        for model in (Job, Result, Job):
            row = model.objects.using(using).filter(pk=key, backend=self.alias).first()
            if row is not None:
                return result_from_row(row)
        raise missing(result_id)

    def cancel(self, result_id: uuid.UUID | str, *, by: str = "") -> bool:
        """Cancel a job; return False where it has finished. See TasksQResult.cancel()."""
        broker = get_broker(self.alias)
        cancelled = broker.cancel([result_id], reason=cancel_reason(by))
        if cancelled.asked:
            notify_cancelled(self.alias, broker.using)
        return bool(cancelled.done or cancelled.asked)

    def check(self, **kwargs: Any) -> Iterable[CheckMessage]:
        """Yield what keeps the app's own checks from being heard: see `checks` for all others."""
        if not apps.is_installed("django_tasks_q"):
            yield Error(
                f'TASKS["{self.alias}"] is {type(self).__name__}, but its app is not installed: it has no tables.',
                hint='Add "django_tasks_q" to INSTALLED_APPS.',
                id="tasksq.E008",
            )

    def _prepare_all(self, calls: Iterable[Call], now: datetime) -> list[tuple[JobSpec, TasksQResult]]:
        # By identity: tasks with the same settings are equal, but to compare them takes longer than to look again. The
        # task is kept with what was found, so that no other one can have its place.
        known: dict[int, tuple[BaseTask, _Common]] = {}
        prepared = []
        for task, args, kwargs in calls:
            if id(task) not in known:
                known[id(task)] = task, self._look_at(task, now)
            prepared.append(self._prepare(known[id(task)][1], args, kwargs, now))
        return prepared

    def _look_at(self, task: Any, now: datetime) -> "_Common":
        self.validate_task(task)
        run_after = _moment(task.run_after, now)
        if run_after != task.run_after:
            task = task.using(run_after=run_after)
        limit = self.config.max_payload
        metadata = getattr(task, "metadata", None)
        return _Common(
            task=task,
            task_path=task.module_path,
            priority=int(task.priority),
            run_after=run_after,
            options=dump_value(changed, "options", limit) if (changed := overrides(task)) else "{}",
            metadata=dump_value(metadata, "metadata", limit) if metadata else "{}",
        )

    def _prepare(
        self, common: "_Common", args: Sequence[Any], kwargs: Mapping[str, Any], now: datetime
    ) -> tuple[JobSpec, TasksQResult]:
        stored_args, stored_kwargs = dump_arguments(args, kwargs, self.config.max_payload)
        job_id = str(uuid7())
        spec = JobSpec(
            id=job_id,
            queue_name=common.task.queue_name,
            priority=common.priority,
            task_path=common.task_path,
            args=stored_args,
            kwargs=stored_kwargs,
            options=common.options,
            metadata=common.metadata,
            run_after=common.run_after,
            enqueued_at=now,
            parent_id=running_job.get(),
        )
        return spec, new_result(job_id, common.task, now, args, kwargs, self.alias)


class _Common(NamedTuple):
    """What all calls of one task have in common."""

    task: BaseTask
    task_path: str
    priority: int
    run_after: datetime | None
    options: str
    metadata: str


def _moment(run_after: datetime | timedelta | None, now: datetime) -> datetime | None:
    """Return an aware datetime where USE_TZ is on, else a naive one. Raise InvalidTask where no datetime is so far."""
    try:
        moment = now + run_after if isinstance(run_after, timedelta) else run_after
    except OverflowError:
        raise InvalidTask(f"run_after is {run_after} from now, which is more than a datetime can say.") from None
    if moment is None or settings.USE_TZ == timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment) if settings.USE_TZ else timezone.make_naive(moment)
