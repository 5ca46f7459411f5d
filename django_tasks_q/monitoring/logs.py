"""The worker's log lines: a listener to the worker's events, and the two formats."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from ..brokers.values import ClaimedJob, Outcome
from ..compat import FRAMEWORK
from ..lifecycle import ResultStatus
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
        # Where DEBUG is on, Django prints it as text as well; where it is off, it mails errors to the admins.
        framework.propagate = not settings.DEBUG
    elif not framework.hasHandlers():
        # Or Python would write its lines to stderr by itself, in neither format.
        framework.addHandler(logging.NullHandler())
    if verbosity < 2 and framework.level == logging.NOTSET:
        # It says of each job what our own lines say; its errors, with their tracebacks, are heard.
        framework.setLevel(logging.WARNING)


def _has_handler(package: logging.Logger) -> bool:
    return bool(package.handlers) or (package.propagate and bool(logging.getLogger().handlers))


class TextFormatter(logging.Formatter):
    """2026-01-31 12:00:00.123 INFO message"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _one_line(super().formatMessage(record))


class JSONFormatter(logging.Formatter):
    """One JSON object for each line, with the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
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
    """What a task wrote must not look like a line of its own, nor drive a terminal."""
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


def _log_finished(job: ClaimedJob, outcome: Outcome, **kwargs: Any) -> None:
    if outcome.status == ResultStatus.SUCCESSFUL:
        if logger.isEnabledFor(logging.INFO):
            _log_job(logging.INFO, "%s %s succeeded in %s", job, outcome, _runtime(outcome))
    elif outcome.status == ResultStatus.CANCELLED:
        _log_job(logging.WARNING, "%s %s was cancelled after %s: %s", job, outcome, _runtime(outcome), outcome.reason)
    else:
        _log_job(logging.ERROR, "%s %s failed in %s: %s", job, outcome, _runtime(outcome), outcome.reason)


def _log_retrying(job: ClaimedJob, outcome: Outcome, **kwargs: Any) -> None:
    when = f"in {outcome.retry_in:.3g} s" if outcome.retry_in else "now"
    _log_job(logging.WARNING, "%s %s runs again %s: %s", job, outcome, when, outcome.reason)


def _log_superseded(job: ClaimedJob, outcome: Outcome, **kwargs: Any) -> None:
    _log_job(logging.WARNING, "%s %s belongs to another worker now; this run is not recorded", job, outcome)


def _log_job(level: int, message: str, job: ClaimedJob, outcome: Outcome, *values: Any) -> None:
    if logger.isEnabledFor(level):
        extra = {
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


def _log_started(worker_id: str, worker: Any, **kwargs: Any) -> None:
    queues = f"queues {', '.join(worker.queues)}" if worker.queues else "all queues"
    excluded = f" except {', '.join(worker.excluded_queues)}" if worker.excluded_queues else ""
    logger.info(
        "Worker %s is ready: backend %s, %s%s, %s children.",
        worker_id,
        worker.backend,
        queues,
        excluded,
        worker.concurrency,
    )


def _log_stopped(worker_id: str, exit_code: int, **kwargs: Any) -> None:
    logger.info("Worker %s has stopped.", worker_id, extra={"exit_code": exit_code})


def _log_child_started(pid: int, **kwargs: Any) -> None:
    logger.debug("Child %s has started.", pid)


def _log_child_exited(pid: int, cause: str | None, **kwargs: Any) -> None:
    if cause is None:
        logger.debug("Child %s has ended as planned.", pid)
    else:
        logger.warning("Child %s %s; it is replaced.", pid, cause)
