"""Runs one job, in a child process, to its outcome."""

import contextvars
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from inspect import iscoroutinefunction
from types import SimpleNamespace
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils.dateparse import parse_datetime

from ..brokers import get_broker
from ..brokers.values import Outcome
from ..compat import BaseTask, task_backends, task_finished, task_started
from ..conf import Options
from ..exceptions import (
    CorruptJob,
    Superseded,
    TasksQError,
    TaskTimeout,
    UnknownTask,
    UnserializableError,
)
from ..lifecycle import JobStatus, ResultStatus
from ..payloads import NOTHING, dump_return_value
from ..results import Context, TasksQResult, refuse_corrupt, result_from_row, task_error, task_from_row
from ..retries import RetryDecision, decide
from ..task import TaskOptions, declared_task, resolve_options
from .connections import clean_connections, open_usable_connections
from .errors import error_entry, gone_error, summary, to_moment
from .pools.wire import Limit, Run, decode_job
from .time_limits import await_within, soft_limit

__all__ = ["Executor"]

_is_async = lru_cache(maxsize=1_024)(iscoroutinefunction)


@dataclass(slots=True)
class Attempt:
    """One run of a job, as it goes on."""

    seq: int
    row: SimpleNamespace
    task: BaseTask
    options: TaskOptions
    result: TasksQResult
    started_at: float


class Executor:
    """Runs jobs of one backend, one at a time.

    announce: called with the Limit of a job that has a hard time limit, before it begins.
    """

    def __init__(self, alias: str, announce: Callable[[Limit], None]) -> None:
        self.backend = task_backends[alias]
        self.announce = announce
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
        fields, payloads = decode_job(body)
        row = _row(fields, self.backend.alias, started_at)
        try:
            _add_payloads(row, payloads)
            attempt = self._prepare(seq, row, started_at)
        except UnknownTask as error:
            return self._park(seq, row, started_at, error)
        except CorruptJob as error:
            return self._failed(seq, row, started_at, error, RetryDecision(retry=False))
        if row.ended is not None:
            return self.context.copy().run(self._tell, attempt)
        self._announce_limit(attempt)
        return self.context.copy().run(self._attempt, attempt)

    # prepare

    def _prepare(self, seq: int, row: SimpleNamespace, started_at: float) -> Attempt:
        task, options = self._resolve(row)
        result = result_from_row(row, task)
        return Attempt(seq, row, task, options, result, started_at)

    def _resolve(self, row: SimpleNamespace) -> tuple[BaseTask, TaskOptions]:
        """Return the task and the options of a job; most jobs change nothing of what their task declares."""
        declared = declared_task(row.task_path)
        if not _is_plain(row, declared):
            task = task_from_row(row)
            return task, resolve_options(task, self.config)
        known = self._resolved.get(row.task_path)
        if known is None or known[0] is not declared:
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
        open_usable_connections()
        task_started.send_robust(sender=type(self.backend), task_result=attempt.result)
        try:
            run = self._run(attempt)
        except BaseException as error:
            # Inside the handler, so that receivers of the signal can see the exception.
            return self._after_error(attempt, error)
        self._announce_end(attempt, ResultStatus.SUCCESSFUL, run)
        return run

    def _run(self, attempt: Attempt) -> Run:
        try:
            if attempt.options.atomic:
                return self._run_atomically(attempt)
            return self._successful(attempt, self._call(attempt))
        finally:
            clean_connections()

    def _call(self, attempt: Attempt) -> Any:
        result, soft_timeout = attempt.result, attempt.options.soft_timeout
        args = result.args
        if attempt.task.takes_context:
            args = [Context(task_result=result, metadata=attempt.row.metadata), *args]
        function = attempt.task.func
        if _is_async(function):
            # Not asyncio.run(): so the ORM's calls come back to this thread and its connections.
            return async_to_sync(await_within)(function(*args, **result.kwargs), soft_timeout)
        if soft_timeout is None:
            return function(*args, **result.kwargs)
        with soft_limit(soft_timeout):
            return function(*args, **result.kwargs)

    def _run_atomically(self, attempt: Attempt) -> Run:
        """Run the task and record its completion in one transaction: both happen, or neither."""
        broker = get_broker(attempt.row.backend)
        with broker.transaction():
            run = self._successful(attempt, self._call(attempt))
            outcome = _outcome(attempt.row, run)
            if outcome.id not in broker.finish(attempt.row.worker_id, [outcome]):
                raise Superseded(
                    f"Job {outcome.id} belongs to another worker now; what this run did in the database is undone."
                )
        return run._replace(recorded=True)

    def _successful(self, attempt: Attempt, value: Any) -> Run:
        stored = dump_return_value(value, self.config.max_payload) if attempt.options.store_result else None
        return Run(attempt.seq, attempt.started_at, time.time(), successful=True, return_value=stored)

    # after an error

    def _after_error(self, attempt: Attempt, error: BaseException) -> Run:
        if isinstance(error, Superseded):
            now = time.time()
            return Run(attempt.seq, attempt.started_at, now, superseded=True, reason=str(error))
        decision = self._decide(attempt.row, attempt.options, error)
        run = self._failed(attempt.seq, attempt.row, attempt.started_at, error, decision)
        if not decision.retry:
            self._announce_end(attempt, ResultStatus.FAILED, run)
        return run

    def _decide(
        self, row: SimpleNamespace, options: TaskOptions, error: BaseException | type[BaseException]
    ) -> RetryDecision:
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

    def _failed(
        self, seq: int, row: SimpleNamespace, started_at: float, error: BaseException, decision: RetryDecision
    ) -> Run:
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

    def _park(self, seq: int, row: SimpleNamespace, started_at: float, error: UnknownTask) -> Run:
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
        open_usable_connections()
        run = Run(attempt.seq, attempt.started_at, time.time(), failed=True, error=attempt.row.ended)
        try:
            raise gone_error(json.loads(attempt.row.ended))
        except TasksQError:
            # Inside the handler, as for any other failure.
            self._announce_end(attempt, ResultStatus.FAILED, run)
        clean_connections()
        return run

    def _announce_end(self, attempt: Attempt, status: str, run: Run) -> None:
        result = attempt.result
        finished_at = _shown(run.finished_at + attempt.row.clock)
        changes: dict[str, Any] = {"status": type(result.status)[status], "finished_at": finished_at}
        if run.return_value is not None and run.return_value != NOTHING:
            changes["_return_value"] = json.loads(run.return_value)
        if run.error is not None:
            changes["errors"] = [*result.errors, task_error(json.loads(run.error))]
        for name, value in changes.items():
            object.__setattr__(result, name, value)
        task_finished.send_robust(sender=type(self.backend), task_result=result)


def _row(fields: Mapping[str, Any], alias: str, started_at: float) -> SimpleNamespace:
    row = SimpleNamespace(**fields, backend=alias, status=JobStatus.RUNNING)
    for name in ("run_after", "enqueued_at", "started_at"):
        value = getattr(row, name)
        setattr(row, name, parse_datetime(value) if value else None)
    row.last_attempted_at = _shown(started_at + row.clock)
    if row.attempt == 1:
        # As the history will have it.
        row.started_at = row.last_attempted_at
    return row


def _is_plain(row: SimpleNamespace, task: BaseTask) -> bool:
    return (
        not row.options
        and row.run_after is None
        and row.priority == task.priority
        and row.queue_name == task.queue_name
        and row.backend == task.backend
        and row.metadata == (getattr(task, "metadata", None) or {})
    )


def _add_payloads(row: SimpleNamespace, payloads: str) -> None:
    """Read the JSON columns into the row. Raise CorruptJob where they cannot be a call."""
    row.errors = []
    try:
        row.__dict__.update(json.loads(payloads))
    except ValueError as error:
        raise CorruptJob(f"A column of the job does not hold JSON: {error}.") from error
    refuse_corrupt(row)


def _outcome(row: SimpleNamespace, run: Run) -> Outcome:
    return Outcome(
        id=uuid.UUID(row.id),
        attempt=row.attempt,
        status=ResultStatus.SUCCESSFUL,
        started_at=to_moment(run.started_at + row.clock),
        finished_at=to_moment(run.finished_at + row.clock),
        return_value=run.return_value,
    )


def _shown(timestamp: float) -> datetime:
    """Return a moment as tasks and receivers see it: aware, or naive where USE_TZ is off."""
    return datetime.fromtimestamp(timestamp, UTC if settings.USE_TZ else None)
