"""Runs one job, in a child process, to its outcome."""

import contextvars
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import async_to_sync
from django.db import transaction

from ..brokers import get_broker
from ..brokers.base import Broker
from ..brokers.values import LogLines, Outcome
from ..compat import Audience, BaseTask, task_backends, task_finished, task_started
from ..conf import Options
from ..exceptions import (
    CorruptJob,
    SoftCancel,
    Superseded,
    TasksQError,
    TaskTimeout,
    UnknownTask,
    UnserializableError,
)
from ..lifecycle import ResultStatus
from ..payloads import NOTHING, dump_return_value
from ..results import Context, TasksQResult, result_from_row, running_job, task_error, task_from_row
from ..retries import RetryDecision, decide
from ..task import TaskOptions, declared_task, resolve_options
from .connections import OpenConnections
from .errors import error_entry, gone_error, summary, to_moment
from .forks import EndForks
from .interruption import Interruption
from .log_capture import LogCapture
from .pools.wire import Limit, Run, decode_job
from .reporter import Reporter, RunControl
from .rows import JobRow, shown
from .time_limits import await_within, soft_limit

__all__ = ["Executor"]

logger = logging.getLogger("django_tasks_q.worker")
STARTED, FINISHED = Audience(task_started), Audience(task_finished)
_is_async = lru_cache(maxsize=1_024)(iscoroutinefunction)


@dataclass(slots=True)
class Attempt:
    """One run of a job, as it goes on."""

    seq: int
    row: JobRow
    task: BaseTask
    options: TaskOptions
    started_at: float
    _result: TasksQResult | None = None

    @property
    def result(self) -> TasksQResult:
        """What receivers, and tasks with a context, see of the job. Raise CorruptJob where it cannot be shown."""
        if self._result is None:
            is_known = self.row.options or _is_plain(self.row, self.task)
            self._result = result_from_row(self.row, self.task if is_known else None)
        return self._result


class Executor:
    """Runs jobs of one backend, one at a time.

    announce: called with the Limit of a job that has a hard time limit, before it begins.
    interruption: how a running job is cancelled. reporter: takes what it says of itself. capture: what it logs.
    """

    def __init__(
        self,
        alias: str,
        announce: Callable[[Limit], None],
        interruption: Interruption | None = None,
        reporter: Reporter | None = None,
        capture: LogCapture | None = None,
    ) -> None:
        self.backend = task_backends[alias]
        self.announce = announce
        self.connections = OpenConnections()
        self.interruption = interruption or Interruption()
        self.reporter = reporter or Reporter()
        self.capture = capture
        self.forks = EndForks()
        # Each job gets a copy: what it sets (language, time zone, …) ends with it.
        self.context = contextvars.copy_context()
        self._resolved: dict[str, tuple[BaseTask, TaskOptions]] = {}

    @cached_property
    def config(self) -> Options:
        config: Options = self.backend.config
        return config

    def execute(self, seq: int, body: bytes) -> Run:
        """Run the job of a frame and say how it ended, whatever the task raises."""
        started_at = time.time()
        self.interruption.begin(seq)
        frame = decode_job(body)
        row = JobRow(frame, self.backend.alias, started_at)
        try:
            row.read_payloads()
            attempt = self._prepare(seq, row, started_at)
        except UnknownTask as error:
            return self._park(seq, row, started_at, error)
        except CorruptJob as error:
            return self._failed(seq, row, started_at, error, RetryDecision(retry=False))
        if frame.has_ended:
            return self.context.copy().run(self._tell, attempt)
        self._announce_limit(attempt)
        return self.context.copy().run(self._attempt, attempt)

    # prepare

    def _prepare(self, seq: int, row: JobRow, started_at: float) -> Attempt:
        task, options = self._resolve(row)
        attempt = Attempt(seq, row, task, options, started_at)
        if task.takes_context or STARTED.is_heard():
            # Before it begins: the row may be damaged.
            attempt.result  # noqa: B018 - read for what it raises
        return attempt

    def _resolve(self, row: JobRow) -> tuple[BaseTask, TaskOptions]:
        """Return the task and the options of a job; most jobs change nothing of what their task declares."""
        if row.options:
            task = task_from_row(row)
            return task, resolve_options(task, self.config)
        known = self._resolved.get(row.task_path)
        if known is None:
            declared = declared_task(row.task_path)
            known = self._resolved[row.task_path] = declared, resolve_options(declared, self.config)
        return known

    def _announce_limit(self, attempt: Attempt) -> None:
        if attempt.options.timeout is not None:
            decision = self._decide(attempt.row, attempt.options, TaskTimeout)
            self.announce(
                Limit(attempt.seq, time.monotonic(), attempt.options.timeout, decision.retry, decision.delay),
            )

    # run

    def _attempt(self, attempt: Attempt) -> Run:
        self.connections.make_usable()
        running_job.set(attempt.row.id)
        if STARTED.is_heard():
            task_started.send_robust(sender=type(self.backend), task_result=attempt.result)
        try:
            run = self._run(attempt)
        except BaseException as error:
            # Inside the handler, so that receivers of the signal can see the exception.
            return self._after_error(attempt, error)
        self._announce_end(attempt, ResultStatus.SUCCESSFUL, run)
        return run

    def _run(self, attempt: Attempt) -> Run:
        if self.capture is not None:
            self.capture.begin(attempt.seq, attempt.row, attempt.options.atomic)
        try:
            if attempt.options.atomic:
                return self._run_atomically(attempt)
            return self._successful(attempt, self._call(attempt))
        finally:
            if attempt.task.takes_context:
                self.reporter.end()
            if self.capture is not None:
                self.capture.end()
            self.connections.clean()

    def _call(self, attempt: Attempt) -> Any:
        args, kwargs, soft_timeout = attempt.row.args, attempt.row.kwargs, attempt.options.soft_timeout
        if attempt.task.takes_context:
            self.reporter.begin(attempt.seq, attempt.row.clock)
            control = RunControl(attempt.seq, self.interruption, self.reporter)
            args = [Context(task_result=attempt.result, metadata=attempt.row.metadata, control=control), *args]
        function = attempt.task.func
        if _is_async(function):
            # Not asyncio.run(): so the ORM's calls come back to this thread and its connections.
            return async_to_sync(self._await)(function(*args, **kwargs), soft_timeout)
        with self.forks:
            if soft_timeout is None:
                return self.interruption.run(function, *args, **kwargs)
            with soft_limit(soft_timeout):
                return self.interruption.run(function, *args, **kwargs)

    async def _await(self, awaitable: Awaitable[Any], soft_timeout: float | None) -> Any:
        # Here, because a fork has this thread alone.
        with self.forks:
            return await await_within(awaitable, soft_timeout, self.interruption)

    def _run_atomically(self, attempt: Attempt) -> Run:
        """Run the task and record its completion in one transaction: both happen, or neither."""
        broker, committed = get_broker(attempt.row.backend), list[Run]()
        try:
            with broker.transaction():
                # Before any callback of the task's, which may raise.
                transaction.on_commit(lambda: committed.append(run), using=broker.using)
                run = self._successful(attempt, self._call(attempt))
                self._finish(broker, attempt, run)
        except BaseException:
            if not committed:
                raise
            logger.exception(
                "What %s left to on_commit() failed; job %s is done.", attempt.row.task_path, attempt.row.id
            )
        if self.capture is not None:
            self.capture.forget()
        return run._replace(recorded=True)

    def _finish(self, broker: Broker, attempt: Attempt, run: Run) -> None:
        outcome = _outcome(attempt.row, run)
        self._note_reports(broker, attempt, outcome)
        if outcome.id not in broker.finish(attempt.row.worker_id, [outcome]):
            raise Superseded(
                f"Job {outcome.id} belongs to another worker now; what this run did in the database is undone."
            )

    def _note_reports(self, broker: Broker, attempt: Attempt, outcome: Outcome) -> None:
        """Write what the task has said of itself: the supervisor would come too late."""
        if attempt.task.takes_context and self.reporter.latest:
            broker.note_progress(attempt.row.worker_id, {outcome.id: self.reporter.latest})
        if self.capture is not None and (lines := self.capture.whole()):
            broker.note_logs(attempt.row.worker_id, [LogLines(outcome.id, outcome.attempt, lines)])

    def _successful(self, attempt: Attempt, value: Any) -> Run:
        stored = dump_return_value(value, self.config.max_payload) if attempt.options.store_result else None
        return Run(attempt.seq, attempt.started_at, time.time(), successful=True, return_value=stored)

    # after an error

    def _after_error(self, attempt: Attempt, error: BaseException) -> Run:
        if isinstance(error, Superseded):
            now = time.time()
            return Run(attempt.seq, attempt.started_at, now, superseded=True, reason=str(error))
        decision = self._decide(attempt.row, attempt.options, error)
        cancelled = self.interruption.is_cancelled
        if cancelled:
            # Whatever it was: there is no other attempt.
            decision = RetryDecision(retry=False)
        run = self._failed(attempt.seq, attempt.row, attempt.started_at, error, decision)
        if cancelled and isinstance(error, SoftCancel):
            run = run._replace(failed=False)
        if not decision.retry:
            self._announce_end(attempt, ResultStatus.FAILED, run)
        return run

    def _decide(self, row: JobRow, options: TaskOptions, error: BaseException | type[BaseException]) -> RetryDecision:
        # What cannot be stored now cannot be stored next time.
        if isinstance(error, UnserializableError):
            return RetryDecision(retry=False)
        return decide(
            error,
            failures=row.failures + 1,
            max_attempts=options.max_attempts,
            backoff=options.backoff,
            retry_on=options.retry_on,
        )

    def _failed(self, seq: int, row: JobRow, started_at: float, error: BaseException, decision: RetryDecision) -> Run:
        now = time.time()
        entry = error_entry(row, error, started_at, now, self.config.max_traceback)
        return Run(
            seq,
            started_at,
            now,
            decision.delay,
            retry=decision.retry,
            failed=True,
            error=entry,
            reason=summary(error),
        )

    def _park(self, seq: int, row: JobRow, started_at: float, error: UnknownTask) -> Run:
        """Put back a job whose task this worker does not know; fail it when none has known it for long enough."""
        now = time.time()
        since = next((entry.get("started_at") for entry in row.errors if entry.get("kind") == "parked"), None)
        entry = error_entry(row, error, started_at, now, self.config.max_traceback, kind="parked")
        if since is None:
            return Run(
                seq, started_at, now, self.config.unknown_task_delay, retry=True, charged=False, error=entry,
                reason=str(error),
            )  # fmt: skip
        waited = now + row.clock - datetime.fromisoformat(since).timestamp()
        if waited < self.config.unknown_task_grace:
            delay = self.config.unknown_task_delay
            return Run(seq, started_at, now, delay, retry=True, charged=False, reason=str(error))
        return Run(seq, started_at, now, failed=True, error=entry, reason=str(error))

    def _tell(self, attempt: Attempt) -> Run:
        """Announce the end of a job whose own process could not."""
        self.connections.make_usable()
        run = Run(attempt.seq, attempt.started_at, time.time(), failed=True, error=attempt.row.ended)
        try:
            raise gone_error(json.loads(attempt.row.ended))
        except TasksQError:
            # Inside the handler, as for any other failure.
            self._announce_end(attempt, ResultStatus.FAILED, run)
        self.connections.clean()
        return run

    def _announce_end(self, attempt: Attempt, status: str, run: Run) -> None:
        if not FINISHED.is_heard(failed=status == ResultStatus.FAILED):
            return
        result = attempt.result
        finished_at = shown(run.finished_at + attempt.row.clock)
        changes: dict[str, Any] = {"status": type(result.status)[status], "finished_at": finished_at}
        if run.return_value is not None and run.return_value != NOTHING:
            changes["_return_value"] = json.loads(run.return_value)
        if run.error is not None:
            changes["errors"] = [*result.errors, task_error(json.loads(run.error))]
        for name, value in changes.items():
            object.__setattr__(result, name, value)
        task_finished.send_robust(sender=type(self.backend), task_result=result)


def _is_plain(row: JobRow, task: BaseTask) -> bool:
    return (
        not row.options
        and row.run_after is None
        and row.priority == task.priority
        and row.queue_name == task.queue_name
        and row.backend == task.backend
        and row.metadata == (getattr(task, "metadata", None) or {})
    )


def _outcome(row: JobRow, run: Run) -> Outcome:
    return Outcome(
        id=row.id,
        attempt=row.attempt,
        status=ResultStatus.SUCCESSFUL,
        started_at=to_moment(run.started_at + row.clock),
        finished_at=to_moment(run.finished_at + row.clock),
        return_value=run.return_value,
    )
