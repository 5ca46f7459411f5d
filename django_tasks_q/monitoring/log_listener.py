"""The worker's log lines: a listener to the worker's events, and the two formats."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from ..brokers.values import ClaimedJob, Outcome
from ..compat import FRAMEWORK
from ..lifecycle import Ending, ResultStatus
from ..signals import (
    child_exited,
    child_started,
    job_finished,
    job_retrying,
    job_superseded,
    worker_started,
    worker_stopped,
)

__all__ = ["configure_logging", "listen"]

logger = logging.getLogger("django_tasks_q.worker")
# The worker of this process: events of jobs do not name it.
_worker = {"id": ""}
# No task has raised an error: the framework hears nothing of it.
UNTOLD = (Ending.UNKNOWN_TASK, Ending.CORRUPT)
LEVELS = {0: logging.WARNING, 1: logging.INFO}
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logging(log_format: str, verbosity: int) -> None:
    """Write the worker's log to stderr, unless the project's LOGGING has a handler for it.

    log_format: "text" or "json". verbosity: 0 warnings, 1 each job, 2 or 3 everything.
    """
    package = logging.getLogger("django_tasks_q")
    package.setLevel(LEVELS.get(verbosity, logging.DEBUG))
    if log_format == "json" or not _has_handler(package):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JSONFormatter() if log_format == "json" else TextFormatter())
        package.handlers = [handler]
        package.propagate = False
    framework = logging.getLogger(FRAMEWORK)
    if log_format == "json":
        framework.handlers = package.handlers
        # If DEBUG is on, Django prints it as text as well; if it is off, Django mails errors to the admins.
        framework.propagate = not settings.DEBUG
    elif not framework.hasHandlers():
        # Or Python itself would write its lines to stderr, in neither format.
        framework.addHandler(logging.NullHandler())
    if verbosity < 2 and framework.level == logging.NOTSET:
        # It logs the same about each job as our own lines; its errors, with their tracebacks, are kept.
        framework.setLevel(logging.WARNING)


def _has_handler(package: logging.Logger) -> bool:
    return bool(package.handlers) or (package.propagate and bool(logging.getLogger().handlers))


class TextFormatter(logging.Formatter):
    """2026-01-31 12:00:00.123 INFO message"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")
        self._second, self._text = -1, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        second = int(record.created)
        if second != self._second:
            # A busy worker writes thousands of lines in a second.
            self._second, self._text = second, super().formatTime(record, datefmt)
        return self._text

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _one_line(super().formatMessage(record))


class JSONFormatter(logging.Formatter):
    """One JSON object for each line, with the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _one_line(text: str) -> str:
    """Escape control characters: text from a task cannot forge a log line or control a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def listen() -> None:
    """Log the worker's events from now on."""
    job_finished.connect(_log_finished)
    job_retrying.connect(_log_retrying)
    job_superseded.connect(_log_superseded)
    worker_started.connect(_log_started)
    worker_stopped.connect(_log_stopped)
    child_started.connect(_log_child_started)
    child_exited.connect(_log_child_exited)


def _log_finished(job: ClaimedJob, outcome: Outcome, **kwargs: object) -> None:
    if outcome.status == ResultStatus.SUCCESSFUL:
        if logger.isEnabledFor(logging.INFO):
            _log_job(logging.INFO, "%s %s succeeded in %s", job, outcome, _runtime(outcome))
    elif outcome.status == ResultStatus.CANCELLED:
        _log_job(logging.WARNING, "%s %s was cancelled after %s: %s", job, outcome, _runtime(outcome), outcome.reason)
    else:
        level = logging.WARNING if _is_told_elsewhere(outcome) else logging.ERROR
        _log_job(level, "%s %s failed in %s: %s", job, outcome, _runtime(outcome), outcome.reason)


def _is_told_elsewhere(outcome: Outcome) -> bool:
    """Return whether the framework logs the same failure as an error, from a process of the pool, with its traceback.

    Error trackers and mail_admins would take two errors for two failures.
    """
    return outcome.error is not None and outcome.ending not in UNTOLD


def _log_retrying(job: ClaimedJob, outcome: Outcome, **kwargs: object) -> None:
    when = f"in {outcome.retry_in:.3g} s" if outcome.retry_in else "now"
    _log_job(logging.WARNING, "%s %s will be retried %s: %s", job, outcome, when, outcome.reason)


def _log_superseded(job: ClaimedJob, outcome: Outcome, **kwargs: object) -> None:
    _log_job(logging.WARNING, "%s %s now belongs to another worker; this run is not recorded", job, outcome)


def _log_job(level: int, message: str, job: ClaimedJob, outcome: Outcome, *values: object) -> None:
    if logger.isEnabledFor(level):
        extra = {
            "worker": _worker["id"],
            "job": str(job.id),
            "task": job.task_path,
            "queue": job.queue_name,
            "attempt": job.attempt,
            "status": str(outcome.status),
            "seconds": round((outcome.finished_at - outcome.started_at).total_seconds(), 6),
        }
        logger.log(level, message, job.task_path, job.id, *values, extra=extra)


def _runtime(outcome: Outcome) -> str:
    seconds = (outcome.finished_at - outcome.started_at).total_seconds()
    return f"{seconds * 1_000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _log_started(worker_id: str, worker: Any, **kwargs: object) -> None:
    _worker["id"] = worker_id
    queues = f"queues {', '.join(worker.queues)}" if worker.queues else "all queues"
    excluded = f" except {', '.join(worker.excluded_queues)}" if worker.excluded_queues else ""
    logger.info(
        "Worker %s is ready: backend %s, %s%s, %s %s.",
        worker_id,
        worker.backend,
        queues,
        excluded,
        worker.concurrency,
        "child" if worker.concurrency == 1 else "children",
    )


def _log_stopped(worker_id: str, exit_code: int, **kwargs: object) -> None:
    extra = {"exit_code": exit_code}
    if worker_id:
        logger.info("Worker %s has stopped.", worker_id, extra=extra)
    else:
        logger.info("The worker has stopped without having reached its database.", extra=extra)


def _log_child_started(pid: int, **kwargs: object) -> None:
    logger.debug("Child %s has started.", pid)


def _log_child_exited(pid: int, cause: str | None, **kwargs: object) -> None:
    if cause is None:
        logger.debug("Child %s exited as planned.", pid)
    else:
        logger.warning("Child %s %s; it is replaced.", pid, cause)
