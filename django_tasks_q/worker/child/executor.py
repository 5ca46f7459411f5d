"""Runs one job, in a child process, to its outcome."""

import contextvars
import json
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import cached_property, lru_cache
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import async_to_sync
from django.db import transaction

from ...brokers import get_broker
from ...brokers.base import Broker
from ...brokers.values import LogLines, Outcome
from ...compat import Audience, BaseTask, task_backends, task_finished, task_started
from ...conf import Options
from ...context import Context
from ...exceptions import (
    CorruptJob,
    Ignore,
    Retry,
    SoftCancel,
    SoftTimeout,
    Superseded,
    TasksQError,
    TaskTimeout,
    UnknownTask,
    UnserializableError,
)
from ...lifecycle import Ending, ResultStatus
from ...middleware import Around
from ...payloads import NOTHING, dump_arguments, dump_return_value
from ...results import running_job, task_error, task_from_row
from ...retries import RetryDecision, decide
from ...signatures import check_arguments
from ...task import declared_task
from ...task_options import TaskOptions, resolve_options
from ..wire.frames import Limit, Run, decode_job
from .attempts import Attempt, success
from .connections import OpenConnections
from .errors import error_entry, gone_error, refusal, summary
from .forks import EndForks
from .interruption import Interruption, true_error
from .log_capture import LogCapture
from .progress import Reporter, RunControl
from .rows import JobRow, shown
from .soft_limits import await_within, soft_limit

__all__ = ["Executor"]

logger = logging.getLogger("django_tasks_q.worker")
SUCCESS = Ending.SUCCESS
STARTED, FINISHED = Audience(task_started), Audience(task_finished)
_is_async = lru_cache(maxsize=1_024)(iscoroutinefunction)


class Executor:
    """Runs jobs of one backend, one at a time.

    announce: called with the Limit of a job that has a hard time limit, before it begins. interruption: how a running
    job is cancelled. reporter: takes its progress. capture: takes its log lines. connections: those of this process.
    begin: called before each task runs, with the job's number, whether it was displaced, and whether it is atomic.
    """

    # Of the errors that middleware raises after the end of a run, those that are logged.
    logged: type[BaseException] | tuple[type[BaseException], ...] = BaseException

    def __init__(
        self,
        alias: str,
        announce: Callable[[Limit], None],
        interruption: Interruption | None = None,
        reporter: Reporter | None = None,
        capture: LogCapture | None = None,
        begin: Callable[[int, bool, bool], None] | None = None,
        connections: OpenConnections | None = None,
    ) -> None:
        self.backend = task_backends[alias]
        self.middleware = self.backend.middleware.run
        self.announce = announce
        self.connections = connections or OpenConnections()
        self.interruption = interruption or Interruption()
        self.reporter = reporter or Reporter()
        self.capture = capture
        self.begin = begin
        self.forks = EndForks()
        # Each job gets a copy: what it sets (language, time zone, …) ends with it.
        self.context = contextvars.copy_context()
        self._resolved: dict[str, tuple[BaseTask, TaskOptions]] = {}

    @cached_property
    def config(self) -> Options:
        config: Options = self.backend.config
        return config

    def execute(self, seq: int, body: bytes) -> Run:
        """Run the job of a frame and return how it ended, whatever the task raises."""
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
            run = self._failed(seq, row, started_at, error, RetryDecision(retry=False))
            return run._replace(ending=Ending.CORRUPT)
        if frame.has_ended:
            return self.context.copy().run(self._tell, attempt)
        if self.begin is not None:
            self.begin(seq, frame.displaced, attempt.options.atomic)
        self._announce_limit(attempt)
        return self.context.copy().run(self._attempt, attempt)

    # prepare

    def _prepare(self, seq: int, row: JobRow, started_at: float) -> Attempt:
        task, options = self._resolve(row)
        attempt = Attempt(seq, row, task, options, started_at)
        if task.takes_context or self.middleware or STARTED.is_heard():
            # Before it begins: the row may be damaged.
            attempt.result  # noqa: B018 - read for what it raises
        return attempt

    def _resolve(self, row: JobRow) -> tuple[BaseTask, TaskOptions]:
        """Return the task and the options of a job; most jobs change none of their task's options."""
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
            then = self._decide(attempt.row, attempt.options, TaskTimeout)
            self.announce(Limit(attempt.seq, time.monotonic(), attempt.options.timeout, then.retry, then.delay))

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
            return self._after_error(attempt, true_error(error))
        self._announce_end(attempt, ResultStatus.SUCCESSFUL, run)
        return run

    def _run(self, attempt: Attempt) -> Run:
        if self.capture is not None:
            self.capture.begin(attempt.seq, attempt.row, attempt.options.atomic)
        try:
            if not self.middleware:
                return self._perform(attempt)
            with Around(self.middleware, self._context(attempt), self.logged):
                return self._perform(attempt)
        finally:
            if attempt.context is not None:
                self.reporter.end()
            if self.capture is not None:
                self.capture.end()
            self.connections.clean()

    def _perform(self, attempt: Attempt) -> Run:
        if attempt.options.atomic:
            return self._run_atomically(attempt)
        return self._successful(attempt, self._call(attempt))

    def _context(self, attempt: Attempt) -> Context:
        if attempt.context is None:
            self.reporter.begin(attempt.seq, attempt.row.clock)
            control = RunControl(attempt.seq, self.interruption, self.reporter)
            attempt.context = Context(task_result=attempt.result, metadata=attempt.row.metadata, control=control)
        return attempt.context

    def _call(self, attempt: Attempt) -> Any:
        args, kwargs, soft_timeout = attempt.row.args, attempt.row.kwargs, attempt.options.soft_timeout
        if attempt.task.takes_context:
            args = [self._context(attempt), *args]
        function = attempt.task.func
        if _is_async(function):
            # Not asyncio.run(): this way the ORM's calls come back to this thread and its connections.
            return async_to_sync(self._await)(function(*args, **kwargs), soft_timeout)
        with self.forks:
            if soft_timeout is None:
                return self.interruption.run(function, *args, **kwargs)
            with soft_limit(soft_timeout):
                return self.interruption.run(function, *args, **kwargs)

    async def _await(self, awaitable: Awaitable[Any], soft_timeout: float | None) -> Any:
        # Here, because a fork has only this thread.
        with self.forks:
            return await await_within(awaitable, soft_timeout, self.interruption)

    def _run_atomically(self, attempt: Attempt) -> Run:
        """Run the task and record its completion in one transaction: both happen, or neither."""
        broker, committed = get_broker(attempt.row.backend), list[Run]()
        try:
            with broker.transaction():
                # Before any of the task's callbacks, which may raise.
                transaction.on_commit(lambda: committed.append(run), using=broker.using)
                run = self._successful(attempt, self._call(attempt))
                self._finish(broker, attempt, run)
        except BaseException:
            if not committed:
                raise
            logger.exception(
                "An on_commit() callback of %s failed; job %s is done.", attempt.row.task_path, attempt.row.id
            )
        if self.capture is not None:
            self.capture.forget()
        return run._replace(recorded=True)

    def _finish(self, broker: Broker, attempt: Attempt, run: Run) -> None:
        outcome = success(attempt.row, run)
        self._note_reports(broker, attempt, outcome)
        if outcome.id not in broker.finish(attempt.row.worker_id, [outcome]):
            raise Superseded(
                f"Job {outcome.id} now belongs to another worker; what this run did in the database is rolled back."
            )

    def _note_reports(self, broker: Broker, attempt: Attempt, outcome: Outcome) -> None:
        """Write the task's progress and log lines: the supervisor would come too late."""
        if attempt.context is not None and self.reporter.latest:
            broker.save_progress(attempt.row.worker_id, {outcome.id: self.reporter.latest})
        if self.capture is not None and (lines := self.capture.whole()):
            broker.append_logs(attempt.row.worker_id, [LogLines(outcome.id, outcome.attempt, lines)])

    def _successful(self, attempt: Attempt, value: Any) -> Run:
        stored = dump_return_value(value, self.config.max_payload) if attempt.options.store_result else None
        return Run(attempt.seq, attempt.started_at, time.time(), SUCCESS, return_value=stored)

    # after an error

    def _after_error(self, attempt: Attempt, error: BaseException) -> Run:
        now = time.time()
        if isinstance(error, Superseded):
            return Run(attempt.seq, attempt.started_at, now, Ending.SUPERSEDED, reason=str(error))
        if isinstance(error, Ignore):
            # Not announced: the framework would take it for a failure, and log it as one.
            return Run(attempt.seq, attempt.started_at, now, Ending.IGNORED, reason=summary(error, named=False))
        decision = self._decide(attempt.row, attempt.options, error)
        arguments = None
        if decision.retry and isinstance(error, Retry):
            try:
                arguments = self._arguments_of_next(attempt, error)
            except TypeError as refused:
                decision = RetryDecision(retry=False)
                error = refusal(refused, error)
        cancelled = self.interruption.is_cancelled
        if cancelled:
            # Whatever the error was, there is no other attempt.
            decision = RetryDecision(retry=False)
        run = self._failed(attempt.seq, attempt.row, attempt.started_at, error, decision)
        run = run._replace(arguments=arguments) if arguments else run
        if cancelled and isinstance(error, SoftCancel):
            run = run._replace(ending=Ending.CANCELLED)
        if not decision.retry:
            self._announce_end(attempt, ResultStatus.FAILED, run)
        return run

    def _arguments_of_next(self, attempt: Attempt, retry: Retry) -> tuple[str, str] | None:
        """Return what the next attempt is called with; None if that is the same. Raise TypeError as enqueue() does."""
        if retry.args_of_next is None and retry.kwargs_of_next is None:
            return None
        same_args, same_kwargs = attempt.row.stored_arguments
        # Not those of the row: the task may have changed what is in them.
        args = json.loads(same_args) if retry.args_of_next is None else retry.args_of_next
        kwargs = json.loads(same_kwargs) if retry.kwargs_of_next is None else retry.kwargs_of_next
        new_args, new_kwargs = dump_arguments(args, kwargs, self.config.max_payload)
        if self.config.check_arguments:
            check_arguments(attempt.task.name, attempt.task.func, attempt.task.takes_context, args, kwargs)
        return (
            same_args if retry.args_of_next is None else new_args,
            same_kwargs if retry.kwargs_of_next is None else new_kwargs,
        )

    def _decide(self, row: JobRow, options: TaskOptions, error: BaseException | type[BaseException]) -> RetryDecision:
        # A value that cannot be stored now cannot be stored next time.
        if isinstance(error, UnserializableError):
            return RetryDecision(retry=False)
        return decide(
            error,
            failures=row.failures + 1,
            max_attempts=options.max_attempts,
            backoff=options.backoff,
            retry_on=options.retry_on,
            dont_retry_on=options.dont_retry_on,
            job=row.as_failed(),
        )

    def _failed(self, seq: int, row: JobRow, started_at: float, error: BaseException, decision: RetryDecision) -> Run:
        now, reason = time.time(), summary(error, decision.note)
        if not decision.charged:
            return Run(seq, started_at, now, Ending.REJECTED, decision.delay, decision.retry, reason=reason)
        ending = Ending.SOFT_TIMEOUT if isinstance(error, SoftTimeout) else Ending.ERROR
        entry = error_entry(row, error, started_at, now, self.config.max_traceback)
        return Run(seq, started_at, now, ending, decision.delay, decision.retry, error=entry, reason=reason)

    def _park(self, seq: int, row: JobRow, started_at: float, error: UnknownTask) -> Run:
        """Put back a job with an unknown task; fail it if no worker has known the task for long enough."""
        now, why = time.time(), f"{error} If the site knows it, this worker runs older code: restart it."
        since = next((entry.get("started_at") for entry in row.errors if entry.get("kind") == Ending.PARKED), None)
        waited = None if since is None else now + row.clock - datetime.fromisoformat(since).timestamp()
        parked = Run(seq, started_at, now, Ending.PARKED, self.config.unknown_task_delay, retry=True, reason=why)
        if waited is not None and waited < self.config.unknown_task_grace:
            return parked
        entry = error_entry(row, error, started_at, now, self.config.max_traceback, Ending.PARKED)
        if waited is None:
            return parked._replace(error=entry)
        return Run(seq, started_at, now, Ending.UNKNOWN_TASK, error=entry, reason=str(error))

    def _tell(self, attempt: Attempt) -> Run:
        """Announce the end of a job whose own process could not."""
        self.connections.make_usable()
        run = Run(attempt.seq, attempt.started_at, time.time(), Ending.ERROR, error=attempt.row.ended)
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
