"""A run of a job in progress, in a child."""

from dataclasses import dataclass
from typing import Any

from ...brokers.outcomes import success_outcome
from ...brokers.values import Outcome
from ...compat import BaseTask
from ...context import Context
from ...results import TasksQResult, result_from_row
from ...task_options import TaskOptions
from ..wire.frames import Run
from ..wire.jobs import JobRow
from .run_scope import RunScope

__all__ = ["Attempt", "success"]


@dataclass(slots=True)
class Attempt:
    """One run of a job in progress, as the executor has it: of what task, and how.

    context: what the task and the middleware see of it, if any of them looks.
    """

    scope: RunScope
    row: JobRow
    task: BaseTask
    options: TaskOptions
    context: Context | None = None
    _result: TasksQResult[Any] | None = None

    @property
    def result(self) -> TasksQResult[Any]:
        """The job as receivers, and tasks with a context, see it. Raise CorruptJob if it cannot be built."""
        if self._result is None:
            is_known = self.row.options or _is_plain(self.row, self.task)
            self._result = result_from_row(self.row, self.task if is_known else None)
        return self._result


def _is_plain(row: JobRow, task: BaseTask) -> bool:
    return (
        not row.options
        and row.run_after is None
        and row.priority == task.priority
        and row.queue_name == task.queue_name
        and row.backend == task.backend
        and row.metadata == (getattr(task, "metadata", None) or {})
    )


def success(row: JobRow, run: Run) -> Outcome:
    """Return the outcome of a run that records itself."""
    started_at, finished_at = run.started_at + row.clock, run.finished_at + row.clock
    return success_outcome(row.id, row.attempt, started_at, finished_at, run.return_value)
