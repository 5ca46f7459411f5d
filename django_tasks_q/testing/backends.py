"""Backends for tests, in the place of the real one: TASKS["default"]["BACKEND"]."""

import threading
from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from importlib import import_module
from typing import Any, Self

from django.core.signals import setting_changed
from django.utils import timezone

from ..backend import TasksQBackend
from ..brokers.values import JobSpec, cancel_reason
from ..compat import TaskResultStatus
from ..results import TasksQResult, missing
from ..specs import Prepared

__all__ = ["ImmediateBackend", "RecordingBackend"]


class _Running(threading.local):
    """The aliases that this thread runs jobs for; kept here because the framework makes a backend for each context."""

    def __init__(self) -> None:
        self.aliases: set[str] = set()


_running = _Running()
# The results of a RecordingBackend, by its alias; for the same reason.
_recorded: dict[str, list[TasksQResult[Any]]] = {}


class ImmediateBackend(TasksQBackend):
    """The real backend, but enqueue() also runs the job, at once and in the caller's transaction; see run_jobs().

    What the task enqueues runs after it, before enqueue() returns. Delays are ignored: run_after, and the waits
    between attempts. A queue that is paused keeps its jobs. OPTIONS["raise_errors"]: whether enqueue() raises what a
    task has raised. OPTIONS["max_runs"]: as of run_jobs().
    """

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        options = dict(params.get("OPTIONS") or {})
        self.raise_errors = bool(options.pop("raise_errors", False))
        self.max_runs = int(options.pop("max_runs", 1_000))
        super().__init__(alias, {**params, "OPTIONS": options})

    def _enqueue(self, prepared: list[Prepared]) -> list[TasksQResult[Any]]:
        results = super()._enqueue(prepared)
        if results and self.alias not in _running.aliases:
            self._run()
            for result in results:
                result.refresh()
        return results

    def _run(self) -> None:
        # Models cannot be imported while tasks are being defined.
        run_jobs = import_module("django_tasks_q.testing.running").run_jobs
        _running.aliases.add(self.alias)
        try:
            run_jobs(backend=self.alias, ignore_delays=True, raise_errors=self.raise_errors, max_runs=self.max_runs)
        finally:
            _running.aliases.discard(self.alias)


class RecordingBackend(TasksQBackend):
    """Checks calls as the real backend does, and keeps their results in memory: nothing runs, and no table is needed.

    results: of all calls, the oldest first.
    """

    @property
    def results(self) -> list[TasksQResult[Any]]:
        return _recorded.setdefault(self.alias, [])

    def clear(self) -> None:
        """Forget all calls."""
        self.results.clear()

    def _enqueue(self, prepared: list[Prepared]) -> list[TasksQResult[Any]]:
        recorded = [(spec, _to_recorded(result)) for spec, result in prepared]
        # First: a receiver of the signal may look.
        self.results.extend(copy(result) for _, result in recorded)
        return super()._enqueue(recorded)

    def _store(self, specs: Sequence[JobSpec]) -> None:
        """Keep nothing: there may be no table."""

    def get_result(self, result_id: Any) -> TasksQResult[Any]:
        """Return a copy of the result with this id. Raise TaskResultDoesNotExist."""
        return copy(self._find(result_id))

    def _find(self, result_id: Any) -> TasksQResult[Any]:
        for result in self.results:
            if result.id == str(result_id):
                return result
        raise missing(result_id)

    def cancel(self, result_id: Any, *, by: str = "") -> bool:
        """Cancel a call; return False if it was cancelled before."""
        result = self._find(result_id)
        if result.is_finished:
            return False
        changes = {
            "status": TaskResultStatus.FAILED,
            "finished_at": timezone.now(),
            "reason": cancel_reason(by),
            "is_cancelled": True,
        }
        for name in changes.keys() & {item.name for item in fields(result)}:
            object.__setattr__(result, name, changes[name])
        return True


class _RecordedResult(TasksQResult[Any]):
    """The result of a call that nobody runs."""

    __slots__ = ()

    def wait(self, timeout: float | None = None) -> Self:
        """Return this result if the call was cancelled. Raise TimeoutError at once if not."""
        self.refresh()
        if not self.is_finished:
            raise TimeoutError(
                f"wait() would never end: RecordingBackend has recorded the call {self.id} of {self.task.module_path} "
                'and runs nothing. Use "django_tasks_q.testing.ImmediateBackend", or run_jobs() with the real backend.'
            )
        return self

    async def await_result(self, timeout: float | None = None) -> Self:
        """See wait()."""
        return self.wait(timeout)


def _to_recorded(result: TasksQResult[Any]) -> TasksQResult[Any]:
    return _RecordedResult(**{item.name: getattr(result, item.name) for item in fields(result) if item.init})


def _forget_recorded(*, setting: str, **kwargs: object) -> None:
    if setting == "TASKS":
        _recorded.clear()


setting_changed.connect(_forget_recorded)
