"""DEP 14's TaskResult, read from a row or from a worker's frame."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.utils import timezone

from .absent import absent_task
from .compat import (
    TASK_REFRESH_ATTRS,
    BaseTask,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
)
from .exceptions import CorruptJob, UnknownTask
from .lifecycle import DEP14_STATUS, ResultStatus
from .task import Task, declared_task, varied
from .task_options import load_options
from .waiting import EndlessnessWatch, pauses, timeout_message

__all__ = [
    "Progress",
    "TasksQResult",
    "check_number",
    "missing",
    "new_result",
    "progress_of",
    "refuse_corrupt",
    "result_from_row",
    "result_of_any_task",
    "running_job",
    "task_error",
    "task_from_row",
    "worker_ids",
]

# The id of the job that is running here: jobs enqueued meanwhile have it as their parent.
running_job: ContextVar[str | None] = ContextVar("running_job", default=None)
COLUMNS = {"args": list, "kwargs": dict, "options": dict, "metadata": dict, "errors": list}
# What our results have in addition to the framework's, and its value for other backends.
OWN_ATTRS = {"progress": None, "reason": "", "is_cancelled": False}
# A damaged counter must not become a list of millions.
MOST_ATTEMPTS = 10_000
# MySQL keeps JSON integers in 64 bits.
LARGEST_NUMBER = 2**63 - 1
# What the task returns.
R = TypeVar("R", covariant=True)


class Progress(NamedTuple):
    """The progress that a task reported. at: when it did."""

    done: float
    total: float | None
    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksQResult(TaskResult, Generic[R]):
    """A TaskResult that you can wait for, and cancel.

    progress: what the task last reported with context.progress(), None if nothing. reason: why the job waits, or how
    it ended, as text: "Cancelled by ann", "OSError: no route to host". is_cancelled: whether it ended because it was
    cancelled. Its status is FAILED then, since the framework has no other one, and errors is empty if it had not
    begun.
    """

    progress: Progress | None = field(default=None, compare=False)
    reason: str = field(default="", compare=False)
    is_cancelled: bool = field(default=False, compare=False)

    @property
    def return_value(self) -> R:
        """What the task returned. Raise ValueError if it has not succeeded."""
        if self.is_cancelled:
            raise ValueError(f"Task was cancelled: {self.reason}" if self.reason else "Task was cancelled.")
        # As with __post_init__ of tasks: super() does not know a slotted dataclass.
        returned: R = vars(TaskResult)["return_value"].__get__(self)
        return returned

    if TYPE_CHECKING:
        task: Task[..., R]

    def refresh(self) -> None:
        """Read again what may have changed. Raise TaskResultDoesNotExist if the result has been pruned."""
        self._take(self.task.get_backend().get_result(self.id))

    async def arefresh(self) -> None:
        """See refresh()."""
        self._take(await self.task.get_backend().aget_result(self.id))

    def _take(self, fresh: TaskResult) -> None:
        for name in TASK_REFRESH_ATTRS | OWN_ATTRS.keys():
            object.__setattr__(self, name, getattr(fresh, name, OWN_ATTRS.get(name)))

    def cancel(self, *, by: str = "") -> bool:
        """Cancel the job: at once if it has not started, otherwise ask it to stop. Return False if it has finished.

        by: who cancels it, as text; it is recorded in the reason. This result does not change until it is refreshed.
        """
        cancelled: bool = task_backends[self.backend].cancel(self.id, by=by)
        return cancelled

    async def acancel(self, *, by: str = "") -> bool:
        """See cancel()."""
        return bool(await sync_to_async(self.cancel)(by=by))

    def __post_init__(self) -> None:
        """Leave the arguments unchanged: those of a row were already JSON. The framework would copy them."""

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until the job has finished; return this result, refreshed.

        timeout: seconds; None waits for ever. Raise TimeoutError if the job has not finished by then, EndlessWait if
        it is certain that a wait without a timeout would never end: inside the transaction that has enqueued it.
        """
        watch = EndlessnessWatch(self) if timeout is None else None
        for pause in pauses(timeout):
            time.sleep(pause)
            try:
                if self._has_finished(watch):
                    return self
            except SynchronousOnlyOperation as error:
                raise SynchronousOnlyOperation(f"{error} In async code: await result.await_result(...).") from error
        raise TimeoutError(timeout_message(self, timeout))

    async def await_result(self, timeout: float | None = None) -> Self:
        """See wait()."""
        watch = EndlessnessWatch(self) if timeout is None else None
        for pause in pauses(timeout):
            await asyncio.sleep(pause)
            if await sync_to_async(self._has_finished)(watch):
                return self
        raise TimeoutError(await sync_to_async(timeout_message)(self, timeout))

    def _has_finished(self, watch: EndlessnessWatch | None) -> bool:
        self.refresh()
        if watch is not None and not self.is_finished:
            watch.look()
        return bool(self.is_finished)


def result_from_row(row: Any, task: BaseTask | None = None) -> TasksQResult[Any]:
    """Return the TaskResult of a Job, a Result, or any object with their attributes.

    task: the row's task, if known. Raise UnknownTask if this process cannot import it, CorruptJob if the row is not a
    valid call.
    """
    status = TaskResultStatus[DEP14_STATUS[row.status]]
    known: Any = task or task_from_row(row)
    result: TasksQResult[Any] = TasksQResult(
        task=known,
        id=str(row.id),
        status=status,
        enqueued_at=row.enqueued_at,
        started_at=row.started_at,
        last_attempted_at=row.last_attempted_at,
        finished_at=getattr(row, "finished_at", None),
        args=row.args,
        kwargs=row.kwargs,
        backend=row.backend,
        errors=[task_error(entry) for entry in row.errors],
        worker_ids=worker_ids(row),
        progress=progress_of(row),
        reason=getattr(row, "reason", ""),
        is_cancelled=row.status == ResultStatus.CANCELLED,
    )
    if status == TaskResultStatus.SUCCESSFUL:
        object.__setattr__(result, "_return_value", row.return_value)
    return result


def result_of_any_task(row: Any) -> TasksQResult[Any]:
    """Return the TaskResult of a row even if its task is gone or renamed. Raise CorruptJob."""
    try:
        return result_from_row(row)
    except UnknownTask:
        return result_from_row(row, absent_task(row))


def progress_of(row: Any) -> Progress | None:
    """Return the progress that a row's task last reported, None if it has reported none, or if that is damaged."""
    said = getattr(row, "progress", None)
    try:
        return None if said is None else _load_progress(**said)
    except (TypeError, ValueError):
        return None


def _load_progress(done: float, total: float | None, message: str, at: str) -> Progress:
    moment = datetime.fromisoformat(at)
    for name, value in (("done", done), ("total", total)):
        check_number(name, value)
    return Progress(done, total, str(message), moment if settings.USE_TZ else timezone.make_naive(moment))


def check_number(name: str, value: Any) -> None:
    """Raise TypeError or ValueError where a report of progress cannot have this value."""
    if value is None and name == "total":
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {value!r:.80}.")
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise ValueError(f"{name} is {value!r:.80}, which cannot be stored.")


def task_error(entry: Mapping[str, Any]) -> TaskError:
    return TaskError(exception_class_path=entry.get("exception", ""), traceback=entry.get("traceback", ""))


def worker_ids(row: Any) -> list[str]:
    """Return the worker of each attempt: those that failed are in their errors, the last one in the row."""
    if row.attempt == 1 and not row.errors:
        return [row.worker_id or ""]
    ids = [entry.get("worker") or "" for entry in row.errors if entry.get("attempt", 0) < row.attempt]
    if row.attempt > len(ids):
        # Errors are limited in number: the oldest workers may be forgotten, their attempts are not.
        forgotten = min(row.attempt, MOST_ATTEMPTS) - 1 - len(ids)
        ids = [""] * forgotten + ids + [row.worker_id or _last_worker(row.errors)]
    return ids


def _last_worker(errors: Iterable[Mapping[str, Any]]) -> str:
    return next((entry.get("worker") or "" for entry in reversed(list(errors))), "")


def task_from_row(row: Any) -> BaseTask:
    """Return the task of a row as it was enqueued. Raise UnknownTask or CorruptJob."""
    refuse_corrupt(row)
    declared = declared_task(row.task_path)
    changes: dict[str, Any] = {}
    if row.run_after is not None:
        changes["run_after"] = row.run_after
    if row.priority != declared.priority:
        changes["priority"] = row.priority
    if row.queue_name != declared.queue_name:
        changes["queue_name"] = row.queue_name
    if row.backend != declared.backend:
        changes["backend"] = row.backend
    if isinstance(declared, Task):
        changes |= load_options(row.options)
        if row.metadata != (declared.metadata or {}):
            changes["metadata"] = row.metadata
    return varied(declared, changes) if changes else declared


def refuse_corrupt(row: Any) -> None:
    """Raise CorruptJob if the JSON columns of a row are not a valid call."""
    for name, kind in COLUMNS.items():
        value = getattr(row, name)
        if not isinstance(value, kind):
            raise CorruptJob(f"The job's {name} must be a JSON {kind.__name__}, but the row holds {value!r:.80}.")
    if not all(isinstance(entry, dict) for entry in row.errors):
        raise CorruptJob(f"The job's errors must be JSON dicts, but the row holds {row.errors!r:.80}.")


def new_result(job_id: str, task: Any, enqueued_at: datetime, args: Any, kwargs: Any, alias: str) -> TasksQResult[Any]:
    """Return the result of a job that is about to be enqueued; it makes its own copy of the arguments."""
    result: TasksQResult[Any] = TasksQResult(
        task=task,
        id=job_id,
        status=TaskResultStatus.READY,
        enqueued_at=enqueued_at,
        started_at=None,
        last_attempted_at=None,
        finished_at=None,
        args=args,
        kwargs=kwargs,
        backend=alias,
        errors=[],
        worker_ids=[],
    )
    TaskResult.__post_init__(result)
    return result


def missing(result_id: object) -> TaskResultDoesNotExist:
    return TaskResultDoesNotExist(f"There is no job and no result with the id {str(result_id)!r}.")
