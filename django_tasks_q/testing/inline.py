"""One run of a job in the test's own thread: the worker's executor, with what a child process has beside it."""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.utils import timezone

from ..brokers.base import Broker
from ..brokers.values import ClaimedJob
from ..compat import task_backends
from ..context import Context
from ..exceptions import TaskTimeout
from ..middleware import Hook
from ..moments import to_aware
from ..retries import RetryDecision
from ..worker.child.attempts import Attempt
from ..worker.child.executor import Executor
from ..worker.child.log_capture import LogCapture
from ..worker.child.outbox import Outbox
from ..worker.child.run_scope import RunScope, raise_cancelled
from ..worker.recording.log_book import LogBook
from ..worker.wire.frames import LogNote, ProgressNote, Run
from ..worker.wire.jobs import JobRow
from .connections import BorrowedConnections, is_boundary

__all__ = ["InlineExecutor", "InlineOutbox", "InlineScope"]

logger = logging.getLogger("django_tasks_q.worker")
# How a statement begins that asks running jobs to stop: see brokers.cancel.
ASKS_TO_STOP = "cancel_requested_at = %s"
# What ends a task in a worker; whatever else is no Exception is meant for the test: Ctrl-C, pytest.fail().
ENDS = (Exception, SystemExit, asyncio.CancelledError)


class InlineOutbox(Outbox):
    """Keeps what a run says until it is recorded. latest: the last progress, as JSON text."""

    def __init__(self, job: ClaimedJob, lines: LogBook) -> None:
        self._job = job
        self._lines = lines
        self.latest = ""

    def progress(self, note: ProgressNote) -> None:
        self.latest = note.text

    def logs(self, note: LogNote) -> None:
        self._lines.take(self._job, note)


class InlineScope(RunScope):
    """Hears the wish to cancel the job as it is written by this thread, and asks the database for others'.

    A sync task is interrupted at its next statement on the queue's connection, but for the queue's own.
    """

    def __init__(self, seq: int, job: JobRow, outbox: Outbox, broker: Broker) -> None:
        super().__init__(seq, job, outbox)
        self._broker = broker
        self._key = broker.dialect.to_key(job.id)

    @property
    def is_cancelled(self) -> bool:
        """Whether the job is to be cancelled. A task that is async hears only of this thread's."""
        return self.cancel_heard or (not self.has_ended and not _is_async() and self._is_marked())

    def _is_marked(self) -> bool:
        return bool(self._broker.find_cancelled(self.job.worker_id, [self.job.id]))

    def call(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        soft_timeout: float | None = None,
    ) -> Any:
        if threading.current_thread() is not threading.main_thread():
            # The limit is a signal, which only the main thread can have.
            soft_timeout = None
        return super().call(function, args, kwargs, soft_timeout)

    def execute(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """Listen to the statements on a connection, as one of its wrappers."""
        if self._armed and self.cancel_heard and not _is_own(sql):
            self._interrupt()
        done = execute(sql, params, many, context)
        if ASKS_TO_STOP in str(sql) and self._key in params:
            self.cancel_heard = True
            if self._armed and self._armed[-1] is not raise_cancelled:
                # An async task is told, nothing is raised here.
                self._interrupt()
        return done


class InlineExecutor(Executor):
    """Runs jobs on the connections of the test. error: what the last run failed with, None if it did not fail."""

    connections: BorrowedConnections
    logged = ENDS

    def __init__(self, alias: str, capture: LogCapture | None) -> None:
        super().__init__(alias, capture, BorrowedConnections())
        # A worker knows nothing of the language and the time zone of a test.
        self.context = contextvars.Context()
        # The framework keeps the backends there.
        self.context.run(task_backends.__getitem__, alias)
        if self.middleware:
            self.middleware = (Hook("run_jobs()", self._commit_after), *self.middleware)
        self.error: BaseException | None = None

    def run(self, scope: RunScope) -> Run:
        self.error = None
        return super().run(scope)

    @contextmanager
    def _commit_after(self, context: Context) -> Iterator[None]:
        """Around all middleware, do what it has left to on_commit(); in a worker it is in no transaction."""
        try:
            yield
        except ENDS:
            self.connections.commit()
            raise
        self.connections.commit()

    def _call(self, attempt: Attempt) -> Any:
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

    def _failed(self, scope: RunScope, error: BaseException, decision: RetryDecision) -> Run:
        self.error = error
        return super()._failed(scope, error, decision)


def _refuse_late(attempt: Attempt) -> None:
    """Raise TaskTimeout for a run in which a worker would have killed its process."""
    limit = attempt.options.timeout
    elapsed = to_aware(timezone.now()).timestamp() - attempt.row.began_at - attempt.row.clock
    if limit is not None and elapsed > limit:
        raise TaskTimeout(
            f"The job ran longer than its timeout of {limit:g} s; a worker would have killed its process."
        )


def _is_own(sql: object) -> bool:
    """Return whether a statement is the queue's: what cancels a job is not to be interrupted by that."""
    return is_boundary(sql) or "django_tasks_q_" in str(sql) or "pg_notify" in str(sql)


def _is_async() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
