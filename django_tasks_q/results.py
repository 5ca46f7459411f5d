"""DEP 14's TaskResult, read from a row or from what a worker was handed."""

import asyncio
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections
from django.utils import timezone

from .compat import (
    TASK_REFRESH_ATTRS,
    BaseTask,
    TaskContext,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
)
from .exceptions import CorruptJob
from .lifecycle import DEP14_STATUS
from .task import Task, declared_task, load_options, varied

__all__ = [
    "Context",
    "Progress",
    "TasksQResult",
    "missing",
    "new_result",
    "progress_of",
    "refuse_corrupt",
    "result_from_row",
    "running_job",
    "task_error",
    "task_from_row",
    "worker_ids",
]

# The id of the job that runs here: what is enqueued meanwhile has it for a parent.
running_job: ContextVar[str | None] = ContextVar("running_job", default=None)
FIRST_POLL, LONGEST_POLL = 0.005, 0.5
COLUMNS = {"args": list, "kwargs": dict, "options": dict, "metadata": dict, "errors": list}
# A damaged counter must not become a list of millions.
MOST_ATTEMPTS = 10_000
# MySQL keeps JSON integers in 64 bits.
LARGEST_NUMBER = 2**63 - 1


class Progress(NamedTuple):
    """How far a task said that it was. at: when it did."""

    done: float
    total: float | None
    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksQResult(TaskResult):
    """A TaskResult that one can wait for, and cancel.

    progress: what the task last said with context.progress(), None where it has said nothing.
    """

    progress: Progress | None = field(default=None, compare=False)

    def refresh(self) -> None:
        """Read again what may have changed. Raise TaskResultDoesNotExist where the result has been pruned."""
        self._take(self.task.get_backend().get_result(self.id))

    async def arefresh(self) -> None:
        """See refresh()."""
        self._take(await self.task.get_backend().aget_result(self.id))

    def _take(self, fresh: TaskResult) -> None:
        for name in (*TASK_REFRESH_ATTRS, "progress"):
            object.__setattr__(self, name, getattr(fresh, name, None))

    def cancel(self, *, by: str = "") -> bool:
        """Cancel the job: at once where it has not started, else ask it to stop. Return False where it has finished.

        by: who wishes it, in words; it is kept in the reason. This result stays as it is until it is refreshed.
        """
        cancelled: bool = task_backends[self.backend].cancel(self.id, by=by)
        return cancelled

    async def acancel(self, *, by: str = "") -> bool:
        """See cancel()."""
        return bool(await sync_to_async(self.cancel)(by=by))

    def __post_init__(self) -> None:
        """Leave the arguments as they are: those of a row were JSON already. The framework would copy them."""

    def wait(self, timeout: float | None = None) -> "TasksQResult":
        """Wait until the job has finished; return this result, refreshed.

        timeout: seconds; None waits for ever. Raise TimeoutError where the job has not finished by then.
        """
        for pause in self._pauses(timeout):
            time.sleep(pause)
            self.refresh()
        return self

    async def await_result(self, timeout: float | None = None) -> "TasksQResult":
        """See wait()."""
        for pause in self._pauses(timeout):
            await asyncio.sleep(pause)
            await self.arefresh()
        return self

    def _pauses(self, timeout: float | None) -> Iterator[float]:
        """Yield how long to sleep before each look, until the job has finished."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        pause = 0.0
        while True:
            # Reckoned before the look: whoever stood still in between looks once more.
            is_last = time.monotonic() + pause >= deadline
            yield pause
            if self.is_finished:
                return
            if is_last:
                raise TimeoutError(self._timeout_message(timeout))
            pause = max(0.0, min(max(FIRST_POLL, pause * 1.5), LONGEST_POLL, deadline - time.monotonic()))

    def _timeout_message(self, timeout: float | None) -> str:
        message = f"Job {self.id} ({self.task.module_path}) is still {self.status} after {timeout:g} s."
        if any(connection.in_atomic_block for connection in connections.all(initialized_only=True)):
            message += " A job that was enqueued in a transaction does not run before that transaction is committed."
        return message


class RunControl(Protocol):
    """What the process that runs a task knows of the run, and can tell of it."""

    @property
    def is_cancelled(self) -> bool: ...

    def report_progress(self, done: float, total: float | None, message: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(TaskContext):
    """What a task with takes_context=True receives first.

    attempt: the number of this run, from 1. id: the job's. metadata: what was given with the task or the call.
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)
    control: "RunControl | None" = field(default=None, repr=False, compare=False)

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody has cancelled the job while it runs; costs nothing to ask."""
        return self.control is not None and self.control.is_cancelled

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Say how far the task is: seen in the admin, and by result.progress.

        done, total: in any unit, total None where it is not known. message: up to 500 characters. It may be called as
        often as one likes: it is sent twice a second at most, and the last one always. Raise TypeError or ValueError
        for what is no number.
        """
        for name, value in (("done", done), ("total", total)):
            _check_number(name, value)
        if self.control is not None:
            self.control.report_progress(done, total, str(message))

    @property
    def id(self) -> str:
        return str(self.task_result.id)


def result_from_row(row: Any, task: BaseTask | None = None) -> TasksQResult:
    """Return the TaskResult of a Job, a Result, or whatever has their attributes.

    task: the row's task, where it is known. Raise UnknownTask where this process cannot import it, CorruptJob where
    the row cannot be a call.
    """
    status = TaskResultStatus[DEP14_STATUS[row.status]]
    result = TasksQResult(
        task=task or task_from_row(row),
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
    )
    if status == TaskResultStatus.SUCCESSFUL:
        object.__setattr__(result, "_return_value", row.return_value)
    return result


def progress_of(row: Any) -> Progress | None:
    """Return what the task of a row last said of how far it is, None where it has not, or where that was damaged."""
    said = getattr(row, "progress", None)
    try:
        return None if said is None else _load_progress(**said)
    except (TypeError, ValueError):
        return None


def _load_progress(done: float, total: float | None, message: str, at: str) -> Progress:
    moment = datetime.fromisoformat(at)
    for name, value in (("done", done), ("total", total)):
        _check_number(name, value)
    return Progress(done, total, str(message), moment if settings.USE_TZ else timezone.make_naive(moment))


def _check_number(name: str, value: Any) -> None:
    if value is None and name == "total":
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {value!r:.80}.")
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise ValueError(f"{name} is {value!r:.80}, which cannot be stored.")


def task_error(entry: Mapping[str, Any]) -> TaskError:
    return TaskError(exception_class_path=entry.get("exception", ""), traceback=entry.get("traceback", ""))


def worker_ids(row: Any) -> list[str]:
    """Return the worker of each attempt: those that failed stand with their errors, the last one in the row."""
    if row.attempt == 1 and not row.errors:
        return [row.worker_id or ""]
    ids = [entry.get("worker") or "" for entry in row.errors if entry.get("attempt", 0) < row.attempt]
    if row.attempt > len(ids):
        # Errors are bounded in number: the oldest workers may be forgotten, their attempts are not.
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
    """Raise CorruptJob where the JSON columns of a row cannot be a call of anything."""
    for name, kind in COLUMNS.items():
        value = getattr(row, name)
        if not isinstance(value, kind):
            raise CorruptJob(f"The job's {name} must be a JSON {kind.__name__}, but the row holds {value!r:.80}.")
    if not all(isinstance(entry, dict) for entry in row.errors):
        raise CorruptJob(f"The job's errors must be JSON dicts, but the row holds {row.errors!r:.80}.")


def new_result(
    job_id: str, task: BaseTask, enqueued_at: datetime, args: Sequence[Any], kwargs: Mapping[str, Any], alias: str
) -> TasksQResult:
    """Return the result of a job that is about to be enqueued; it makes its own copy of the arguments."""
    result = TasksQResult(
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
