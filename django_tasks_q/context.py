"""What a task is told of its own run, and what it reports of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .compat import TaskContext
from .results import check_number

__all__ = ["Context", "RunControl"]


class RunControl(Protocol):
    """What the process that runs a task knows about the run, and can report."""

    @property
    def is_cancelled(self) -> bool: ...

    def report_progress(self, done: float, total: float | None, message: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(TaskContext):
    """The first argument of a task with takes_context=True.

    attempt: the number of this run, from 1. id: the job's. metadata: that of the task and the call.
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)
    control: "RunControl | None" = field(default=None, repr=False, compare=False)

    @property
    def is_cancelled(self) -> bool:
        """Whether the job has been cancelled while it runs; costs nothing to check."""
        return self.control is not None and self.control.is_cancelled

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Report the task's progress: shown in the admin, and by result.progress.

        done, total: in any unit, total None if it is unknown. message: up to 500 characters. Call it as often as you
        like: it is sent twice a second at most, and the last report always. Raise TypeError or ValueError for values
        that are not numbers.
        """
        for name, value in (("done", done), ("total", total)):
            check_number(name, value)
        if self.control is not None:
            self.control.report_progress(done, total, str(message))

    @property
    def id(self) -> str:
        return str(self.task_result.id)
