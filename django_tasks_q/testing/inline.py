"""One run of a job in the test's own thread: the worker's executor, with what a child process has beside it."""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from inspect import iscoroutinefunction
from typing import Any

from django.utils import timezone

from ..compat import task_backends
from ..exceptions import TaskTimeout
from ..moments import to_aware
from ..retries import RetryDecision
from ..worker.child.attempts import Attempt
from ..worker.child.executor import Executor
from ..worker.child.interruption import Interruption, raise_cancelled
from ..worker.child.log_capture import LogCapture
from ..worker.child.progress import Reporter
from ..worker.child.rows import JobRow
from ..worker.wire.frames import Limit, Run
from .connections import BorrowedConnections, is_boundary

__all__ = ["InlineExecutor", "InlineInterruption"]

logger = logging.getLogger("django_tasks_q.worker")
# How a statement begins that asks running jobs to stop: see brokers.cancel.
ASKS_TO_STOP = "cancel_requested_at = %s"
# What ends a task in a worker; whatever else is no Exception is meant for the test: Ctrl-C, pytest.fail().
ENDS = (Exception, SystemExit, asyncio.CancelledError)


class InlineInterruption(Interruption):
    """Hears the wish to cancel the running job as it is written by this thread, and asks the database for others'.

    find: returns whether the database has a mark on the running job. A sync task is interrupted at its next statement
    on the queue's connection, but for the queue's own.
    """

    def __init__(self, find: Callable[[], bool]) -> None:
        super().__init__()
        self._find = find
        self._key: object = None

    def expect(self, key: object) -> None:
        """From now on the running job has this key."""
        self._key = key

    def is_meant(self, seq: int) -> bool:
        """Return whether this job is to be cancelled. A task that is async hears only of this thread's."""
        return super().is_meant(seq) or (seq == self._running and not _is_async() and self._find())

    def execute(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """Listen to the statements on a connection, as one of its wrappers."""
        if self._armed and self.is_cancelled and not _is_own(sql):
            self._interrupt()
        done = execute(sql, params, many, context)
        if ASKS_TO_STOP in str(sql) and self._key in params:
            self._heard.add(self._running)
            if self._armed and self._armed[-1] is not raise_cancelled:
                # An async task is told, nothing is raised here.
                self._interrupt()
        return done


class InlineExecutor(Executor):
    """Runs jobs on the connections of the test. error: what the last run failed with, None if it did not fail."""

    connections: BorrowedConnections
    logged = ENDS

    def __init__(self, alias: str, interruption: Interruption, reporter: Reporter, capture: LogCapture | None) -> None:
        super().__init__(alias, _ignore, interruption, reporter, capture, connections=BorrowedConnections())
        # A worker knows nothing of the language and the time zone of a test.
        self.context = contextvars.Context()
        # The framework keeps the backends there.
        self.context.run(task_backends.__getitem__, alias)
        self.error: BaseException | None = None

    def execute(self, seq: int, body: bytes) -> Run:
        self.error = None
        return super().execute(seq, body)

    def _call(self, attempt: Attempt) -> Any:
        if threading.current_thread() is not threading.main_thread() and not iscoroutinefunction(attempt.task.func):
            # The limit is a signal, which only the main thread can have.
            attempt.options = replace(attempt.options, soft_timeout=None)
        try:
            value = super()._call(attempt)
        except Exception:
            _refuse_late(attempt)
            self._commit(attempt)
            raise
        _refuse_late(attempt)
        self._commit(attempt)
        return value

    def _commit(self, attempt: Attempt) -> None:
        if not attempt.options.atomic:
            self.connections.commit()

    def _run_atomically(self, attempt: Attempt) -> Run:
        run = super()._run_atomically(attempt)
        try:
            self.connections.commit()
        except Exception:
            logger.exception("What %s left to on_commit() failed; the job is done.", attempt.row.task_path)
        return run

    def _after_error(self, attempt: Attempt, error: BaseException) -> Run:
        if not isinstance(error, ENDS) or error is self.connections.fatal:
            raise error
        return super()._after_error(attempt, error)

    def _failed(self, seq: int, row: JobRow, started_at: float, error: BaseException, decision: RetryDecision) -> Run:
        self.error = error
        return super()._failed(seq, row, started_at, error, decision)


def _refuse_late(attempt: Attempt) -> None:
    """Raise TaskTimeout for a run in which a worker would have killed its process."""
    limit = attempt.options.timeout
    elapsed = to_aware(timezone.now()).timestamp() - attempt.started_at - attempt.row.clock
    if limit is not None and elapsed > limit:
        raise TaskTimeout(
            f"The job ran longer than its timeout of {limit:g} s; a worker would have killed its process."
        )


def _ignore(limit: Limit) -> None:
    """Do nothing: nobody could kill the process of the test."""


def _is_own(sql: object) -> bool:
    """Return whether a statement is the queue's: what cancels a job is not to be interrupted by that."""
    return is_boundary(sql) or "django_tasks_q_" in str(sql) or "pg_notify" in str(sql)


def _is_async() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
