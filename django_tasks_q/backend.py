"""The backend of Django's Tasks framework."""

import difflib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, cached_property, partial
from itertools import count
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, register
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from .brokers import get_broker, get_database
from .brokers.hints import ENQUEUE_ERRORS, add_hint
from .brokers.values import JobSpec, cancel_reason, queues_of
from .compat import BaseTask, BaseTaskBackend, InvalidTask, configured_aliases, task_enqueued
from .conf import Options, read_options
from .exceptions import UnserializableError
from .installation import find_missing_app, require_app
from .middleware import ENDS_CALLER, Around, Chain, NewJob, load_chain
from .notifiers import get_notifier, notify, notify_cancelled
from .payloads import dump_value
from .results import TasksQResult, missing, result_of_any_task
from .sending import Call
from .specs import NO_METADATA, Prepared, TaskTemplate, find_run_after, look_at_task
from .task import Task, varied
from .task_options import LONGEST_PATH, LONGEST_QUEUE_NAME

if TYPE_CHECKING:
    from .models import Job, Result

__all__ = ["Call", "TasksQBackend", "aliases_in", "backend_aliases", "check_app", "find_row"]


class TasksQBackend(BaseTaskBackend):
    """Stores jobs in the project's own database; `manage.py taskworker` runs them.

    enqueue() is part of the caller's transaction. Raise ImproperlyConfigured at first use where OPTIONS is wrong, and
    AppNotInstalled if "django_tasks_q" is not in INSTALLED_APPS.
    """

    task_class = Task
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: Any) -> None:
        require_app(alias)
        super().__init__(alias, params)

    @cached_property
    def config(self) -> Options:
        """OPTIONS, read and checked."""
        return read_options(self.alias, self.options)

    @cached_property
    def middleware(self) -> Chain:
        """OPTIONS["middleware"], imported at first use."""
        return load_chain(self.alias, self.config.middleware)

    def validate_task(self, task: Any) -> None:
        if isinstance(task.run_after, timedelta):
            # Django documents a timedelta, but does not take one.
            task = replace(task, run_after=find_run_after(task.run_after, timezone.now()))
        if not isinstance(task.priority, int | float):
            raise InvalidTask(f"priority must be a whole number, not {task.priority!r}.")
        if not isinstance(task.run_after, datetime | None):
            raise InvalidTask(f"run_after must be a datetime or a timedelta, not {task.run_after!r}.")
        super().validate_task(task)
        if len(task.module_path) > LONGEST_PATH:
            raise InvalidTask(f"The path {task.module_path!r} has more than {LONGEST_PATH} characters.")
        if len(task.queue_name) > LONGEST_QUEUE_NAME or not task.queue_name:
            raise InvalidTask(f"The queue name {task.queue_name!r} must have 1 to {LONGEST_QUEUE_NAME} characters.")

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TasksQResult[Any]:
        """Store a call as a job, in the current transaction, and return its result.

        Raise InvalidTask for a task that no worker could run, TypeError where it does not take these arguments,
        UnserializableError (a TypeError) naming one that cannot be stored.
        """
        return self._pass_on([self._look_at(task, timezone.now()).prepare(args, kwargs)])[0]

    def enqueue_many(self, calls: Iterable[Call], *, numbers: Iterable[int] | None = None) -> list[TasksQResult[Any]]:
        """Store many calls, all or none: one statement for each thousand. Return their results in the same order.

        numbers: what an error calls them; where there are none, they are counted from 0. Raise as enqueue().
        """
        return self._pass_on(self._prepare_all(calls, timezone.now(), numbers))

    def _pass_on(self, prepared: list[Prepared]) -> list[TasksQResult[Any]]:
        if not (prepared and self.middleware.enqueue):
            return self._enqueue(prepared)
        jobs = tuple(_new_job(spec, result) for spec, result in prepared)
        with Around(self.middleware.enqueue, jobs, raised=ENDS_CALLER):
            return self._enqueue(
                [self._with_metadata(spec, job) for (spec, _), job in zip(prepared, jobs, strict=True)]
            )

    def _with_metadata(self, spec: JobSpec, job: NewJob) -> Prepared:
        """Return a job with what middleware has put into its metadata."""
        try:
            stored = dump_value(job.metadata, "metadata", self.config.max_payload)
        except UnserializableError as error:
            error.add_note(f"Changed by the middleware {', '.join(hook.name for hook in self.middleware.enqueue)}.")
            raise
        if (job.task_result.task.metadata or {}) != job.metadata:
            _give_metadata(job.task_result, stored)
        return spec._replace(metadata=stored), job.task_result

    def _enqueue(self, prepared: list[Prepared]) -> list[TasksQResult[Any]]:
        if not prepared:
            return []
        try:
            self._store([spec for spec, _ in prepared])
        except ENQUEUE_ERRORS as error:
            add_hint(error, get_database(self.alias))
            raise
        results = [result for _, result in prepared]
        for result in results:
            task_enqueued.send(sender=type(self), task_result=result)
        return results

    def _store(self, specs: Sequence[JobSpec]) -> None:
        broker = get_broker(self.alias)
        notifier = get_notifier(self.alias, broker.using)
        if len(specs) > 1:
            with broker.transaction():
                broker.enqueue(specs)
        else:
            statement = notifier.wake_up(specs[0].queue_name) if notifier.wakes else None
            if statement is not None and broker.enqueue_and_run(specs[0], statement):
                return
            broker.enqueue(specs)
        if notifier.wakes:
            notify(self.alias, broker.using, queues_of(specs))

    def enqueue_on_commit(self, task: BaseTask, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Store a call once the current transaction of the default database has committed.

        What is wrong with the call is raised now.
        """
        # The arguments as they are now: the caller may change them before the commit.
        _, result = self._look_at(task, timezone.now()).prepare(args, kwargs)
        enqueue = partial(self.enqueue, task, result.args, result.kwargs)
        # What middleware reads may be another's by then.
        transaction.on_commit(partial(copy_context().run, enqueue) if self.middleware.enqueue else enqueue)

    def get_result(self, result_id: Any) -> TasksQResult[Any]:
        """Return the result with this id, of whatever status. Raise TaskResultDoesNotExist, CorruptJob.

        Where its task is gone or renamed, its `task` has the old path, and can be neither called nor enqueued.
        """
        try:
            key = result_id if isinstance(result_id, uuid.UUID) else uuid.UUID(str(result_id))
        except ValueError:
            raise missing(result_id) from None
        row = find_row(key, self.alias)
        if row is None:
            raise missing(result_id)
        return result_of_any_task(row)

    def refusal_of_queue(self, name: str) -> str | None:
        """Return why QUEUES allows no job in a queue of this name, and which are near it; None if it allows it."""
        if not self.queues or name in self.queues:
            return None
        known = sorted(self.queues)
        refusal = _("There is no queue “%(queue)s” in TASKS, only %(known)s.")
        near = difflib.get_close_matches(name, known, n=1)
        parts = [refusal % {"queue": name, "known": ", ".join(known)}]
        parts += [_("Did you mean “%(near)s”?") % {"near": near[0]}] if near else []
        return " ".join(parts)

    def cancel(self, result_id: uuid.UUID | str, *, by: str = "") -> bool:
        """Cancel a job; return False where it has finished. See TasksQResult.cancel()."""
        broker = get_broker(self.alias)
        cancelled = broker.cancel([result_id], reason=cancel_reason(by))
        if cancelled.asked:
            notify_cancelled(self.alias, broker.using)
        return bool(cancelled.done or cancelled.asked)

    def _prepare_all(
        self, calls: Iterable[Call], now: datetime, numbers: Iterable[int] | None = None
    ) -> list[Prepared]:
        # By identity: tasks with the same settings are equal, but to compare them takes longer than to look again. The
        # task is kept with what was found, so that no other one can have its place.
        known: dict[int, tuple[BaseTask, TaskTemplate]] = {}
        prepared = []
        for number, (task, args, kwargs) in zip(count() if numbers is None else numbers, calls, strict=False):
            try:
                if id(task) not in known:
                    known[id(task)] = task, self._look_at(task, now)
                prepared.append(known[id(task)][1].prepare(args, kwargs))
            except (InvalidTask, TypeError) as error:
                raise type(error)(f"Call {number} of enqueue_many(): {error}") from error
        return prepared

    def _look_at(self, task: BaseTask, now: datetime) -> TaskTemplate:
        self.validate_task(task)
        return look_at_task(task, now, self.config, self.alias)


def backend_aliases() -> list[str]:
    """Return the aliases of this package's backends, as TASKS has them.

    No backend is made: one of another package may be broken, or not installed, and ours do not depend on it.
    """
    return [alias for alias, parameters in configured_aliases().items() if _is_ours(parameters)]


def aliases_in(using: str) -> list[str]:
    """Return the aliases of this package's backends that have their tables in a database."""
    return [alias for alias in backend_aliases() if get_database(alias) == using]


def find_row(key: uuid.UUID, alias: str) -> "Job | Result | None":
    """Return a backend's job or result with this id, or None.

    Do not call it before the apps are ready: it imports the models.
    """
    from .models import Job, Result  # noqa: PLC0415

    using = get_database(alias)
    # A job may move between the tables during the look-up: if it is in neither, look again.
    for model in (Job, Result, Job):
        row: Job | Result | None = model._default_manager.using(using).filter(pk=key, backend=alias).first()
        if row is not None:
            return row
    return None


@register()
def check_app(**kwargs: Any) -> Iterable[CheckMessage]:
    """Check that the app is installed. All other checks are registered by the app itself."""
    return find_missing_app(backend_aliases())


def _is_ours(parameters: Any) -> bool:
    try:
        return _is_our_class(parameters["BACKEND"])
    except Exception:  # Whatever a module of others raises when it is imported.
        return False


@cache
def _is_our_class(path: str) -> bool:
    # What cannot be imported is not remembered: it may be later, once the apps are ready.
    found = import_string(path)
    return isinstance(found, type) and issubclass(found, TasksQBackend)


def _new_job(spec: JobSpec, result: TasksQResult[Any]) -> NewJob:
    """Return a job as middleware sees it, which may change its metadata: not those of the task, or of other jobs."""
    if spec.metadata != NO_METADATA:
        _give_metadata(result, spec.metadata)
    return NewJob(result, json.loads(spec.metadata))


def _give_metadata(result: TasksQResult[Any], stored: str) -> None:
    """Have the task of a result hold a copy of its own of a job's metadata, as it will be read from the row."""
    object.__setattr__(result, "task", varied(result.task, {"metadata": json.loads(stored)}))
