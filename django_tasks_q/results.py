"""DEP 14's TaskResult, read from a row or from what a worker was handed."""

import asyncio
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connections

from .compat import BaseTask, TaskContext, TaskError, TaskResult, TaskResultDoesNotExist, TaskResultStatus
from .exceptions import CorruptJob
from .lifecycle import DEP14_STATUS
from .task import Task, declared_task, load_options, varied

__all__ = [
    "Context",
    "TasksQResult",
    "missing",
    "new_result",
    "refuse_corrupt",
    "result_from_row",
    "task_error",
    "task_from_row",
    "worker_ids",
]

FIRST_POLL, LONGEST_POLL = 0.005, 0.5
COLUMNS = {"args": list, "kwargs": dict, "options": dict, "metadata": dict, "errors": list}
# A damaged counter must not become a list of millions.
MOST_ATTEMPTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksQResult(TaskResult):
    """A TaskResult that one can wait for."""

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
            yield pause
            if self.is_finished:
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(self._timeout_message(timeout))
            pause = min(max(FIRST_POLL, pause * 1.5), LONGEST_POLL, left)

    def _timeout_message(self, timeout: float | None) -> str:
        message = f"Job {self.id} ({self.task.module_path}) is still {self.status} after {timeout:g} s."
        if any(connection.in_atomic_block for connection in connections.all(initialized_only=True)):
            message += " A job that was enqueued in a transaction does not run before that transaction is committed."
        return message


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(TaskContext):
    """What a task with takes_context=True receives first.

    attempt: the number of this run, from 1. id: the job's. metadata: what was given with the task or the call.
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)

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
    )
    if status == TaskResultStatus.SUCCESSFUL:
        object.__setattr__(result, "_return_value", row.return_value)
    return result


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
    return TasksQResult(
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


def missing(result_id: object) -> TaskResultDoesNotExist:
    return TaskResultDoesNotExist(f"There is no job and no result with the id {str(result_id)!r}.")
