"""Runs one job, in the process that is there for it, to its outcome."""

import contextvars
import json
import logging
import time
from functools import cached_property, lru_cache
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import async_to_sync
from django.db import transaction

from ...brokers import get_broker
from ...brokers.base import Broker
from ...brokers.values import LogLines, Outcome
from ...compat import BaseTask, task_backends
from ...conf import Options
from ...context import Context
from ...exceptions import CorruptJob, Ignore, SoftCancel, Superseded, TasksQError, TaskTimeout, UnknownTask
from ...lifecycle import Ending, ResultStatus
from ...middleware import Around
from ...payloads import dump_return_value
from ...results import running_job, task_from_row
from ...retries import RetryDecision
from ...task import declared_task
from ...task_options import TaskOptions, resolve_options
from ..wire.frames import Limit, Run
from ..wire.jobs import JobRow
from .announcements import STARTED, announce_end, announce_start
from .attempts import Attempt, success
from .connections import OpenConnections
from .errors import gone_error
from .failures import NO_RETRY, decide_retry, failed, judge, parked, set_aside
from .forks import EndForks
from .interruption import true_error
from .log_capture import LogCapture
from .progress import ProgressReporter
from .run_scope import RunScope

__all__ = ["Executor"]

logger = logging.getLogger("django_tasks_q.worker")
SUCCESS = Ending.SUCCESS
_is_async = lru_cache(maxsize=1_024)(iscoroutinefunction)


class Executor:
    """Runs jobs of one backend, one at a time.

    capture: takes their log lines. connections: those of this thread.
    """

    # Of the errors that middleware raises after the end of a run, those that are logged.
    logged: type[BaseException] | tuple[type[BaseException], ...] = BaseException

    def __init__(
        self, alias: str, capture: LogCapture | None = None, connections: OpenConnections | None = None
    ) -> None:
        self.backend = task_backends[alias]
        self.middleware = self.backend.middleware.run
        self.capture = capture
        self.connections = connections or OpenConnections()
        self.forks = EndForks()
        # Each job gets a copy: what it sets (language, time zone, …) ends with it.
        self.context = contextvars.copy_context()
        self._resolved: dict[str, tuple[BaseTask, TaskOptions]] = {}

    @cached_property
    def config(self) -> Options:
        config: Options = self.backend.config
        return config

    def run(self, scope: RunScope) -> Run:
        """Run a job and return how it ended, whatever the task raises."""
        row = scope.job
        try:
            row.read_payloads()
            attempt = self._prepare(scope, row)
        except UnknownTask as error:
            return parked(scope, error, self.config)
        except CorruptJob as error:
            return self._failed(scope, error, NO_RETRY)._replace(ending=Ending.CORRUPT)
        if row.has_ended:
            return self.context.copy().run(self._tell, attempt)
        scope.is_atomic = attempt.options.atomic
        scope.outbox.begin(scope.seq, displaced=row.displaced, atomic=scope.is_atomic)
        self._announce_limit(attempt)
        return self.context.copy().run(self._attempt, attempt)

    # prepare

    def _prepare(self, scope: RunScope, row: JobRow) -> Attempt:
        task, options = self._resolve(row)
        attempt = Attempt(scope, row, task, options)
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
        timeout, scope = attempt.options.timeout, attempt.scope
        if timeout is not None:
            then = decide_retry(attempt.row, attempt.options, TaskTimeout)
            scope.outbox.limit(Limit(scope.seq, time.monotonic(), timeout, then.retry, then.delay))

    # run

    def _attempt(self, attempt: Attempt) -> Run:
        self.connections.make_usable()
        running_job.set(attempt.row.id)
        announce_start(type(self.backend), attempt)
        try:
            run = self._run(attempt)
        except BaseException as error:
            # Inside the handler, so that receivers of the signal can see the exception.
            return self._after_error(attempt, true_error(error))
        announce_end(type(self.backend), attempt, ResultStatus.SUCCESSFUL, run)
        return run

    def _run(self, attempt: Attempt) -> Run:
        if self.capture is not None:
            self.capture.running = attempt.scope
        try:
            if not self.middleware:
                return self._perform(attempt)
            with Around(self.middleware, self._context(attempt), self.logged):
                return self._perform(attempt)
        finally:
            if self.capture is not None:
                self.capture.running = None
            attempt.scope.end()
            self.connections.clean()

    def _perform(self, attempt: Attempt) -> Run:
        if attempt.options.atomic:
            return self._run_atomically(attempt)
        return self._successful(attempt, self._call(attempt))

    def _context(self, attempt: Attempt) -> Context:
        if attempt.context is None:
            scope = attempt.scope
            scope.progress = ProgressReporter(scope.seq, attempt.row.clock, scope.outbox)
            attempt.context = Context(task_result=attempt.result, metadata=attempt.row.metadata, control=scope)
        return attempt.context

    def _call(self, attempt: Attempt) -> Any:
        args, kwargs, soft_timeout = attempt.row.args, attempt.row.kwargs, attempt.options.soft_timeout
        if attempt.task.takes_context:
            args = [self._context(attempt), *args]
        function = attempt.task.func
        if _is_async(function):
            # Not asyncio.run(): this way the ORM's calls come back to this thread and its connections.
            return async_to_sync(self._await)(attempt.scope, function(*args, **kwargs), soft_timeout)
        with self.forks:
            return attempt.scope.call(function, args, kwargs, soft_timeout)

    async def _await(self, scope: RunScope, awaitable: Any, soft_timeout: float | None) -> Any:
        # Here, because a fork has only this thread.
        with self.forks:
            return await scope.wait_for(awaitable, soft_timeout)

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
        if attempt.scope.log is not None:
            attempt.scope.log.forget()
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
        progress, log = attempt.scope.progress, attempt.scope.log
        if progress is not None and progress.latest:
            broker.save_progress(attempt.row.worker_id, {outcome.id: progress.latest})
        if log is not None and (lines := log.whole()):
            broker.append_logs(attempt.row.worker_id, [LogLines(outcome.id, outcome.attempt, lines)])

    def _successful(self, attempt: Attempt, value: Any) -> Run:
        stored = dump_return_value(value, self.config.max_payload) if attempt.options.store_result else None
        return Run(attempt.scope.seq, attempt.row.began_at, time.time(), SUCCESS, return_value=stored)

    # after an error

    def _after_error(self, attempt: Attempt, error: BaseException) -> Run:
        if isinstance(error, Superseded | Ignore):
            # Not announced: the framework would take it for a failure, and log it as one.
            return set_aside(attempt, error)
        # Once: it may be heard at any time.
        cancelled = attempt.scope.cancel_heard
        error, decision, arguments = judge(attempt, error, self.config, cancelled=cancelled)
        run = self._failed(attempt.scope, error, decision)
        if arguments is not None:
            run = run._replace(arguments=arguments)
        if cancelled and isinstance(error, SoftCancel):
            run = run._replace(ending=Ending.CANCELLED)
        if not run.retry:
            announce_end(type(self.backend), attempt, ResultStatus.FAILED, run)
        return run

    def _failed(self, scope: RunScope, error: BaseException, decision: RetryDecision) -> Run:
        return failed(scope, error, decision, self.config.max_traceback)

    def _tell(self, attempt: Attempt) -> Run:
        """Announce the end of a job whose own process could not."""
        self.connections.make_usable()
        ended = attempt.row.ended
        run = Run(attempt.scope.seq, attempt.row.began_at, time.time(), Ending.ERROR, error=ended)
        try:
            raise gone_error(json.loads(ended))
        except TasksQError:
            # Inside the handler, as for any other failure.
            announce_end(type(self.backend), attempt, ResultStatus.FAILED, run)
        self.connections.clean()
        return run
