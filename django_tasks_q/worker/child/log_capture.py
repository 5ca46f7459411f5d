"""Captures what the running job logs: a handler on the root logger, which hands it to the run's log."""

import logging
import os
import threading
import time
from traceback import format_exception

from ...exceptions import SoftCancel, SoftTimeout
from ...payloads import clean_bytes
from ...results import running_job
from ..wire.frames import LONGEST, LONGEST_LEVEL, LONGEST_NAME
from ..wire.log_window import Line
from .run_scope import RunScope

__all__ = ["LogCapture"]

# Bytes of text.
LONGEST_LINE = 8_192
OWN = "django_tasks_q.worker"


class LogCapture(logging.Handler):
    """Captures the running job's log. Any thread may log, and a signal handler in the middle of that.

    level: the name of the lowest level. most: how many bytes are kept of a run. running: the job that runs.
    """

    def __init__(self, level: str, most: int) -> None:
        self.captured: int = logging.getLevelNamesMapping()[level]
        # What Python writes if there is no handler has to pass here: see _stand_aside().
        super().__init__(min(self.captured, logging.WARNING))
        self._most = most
        self._longest = min(LONGEST_LINE, most // 4)
        self._pid = os.getpid()
        self.running: RunScope | None = None
        self._occupied = threading.local()

    def createLock(self) -> None:
        self.lock = None

    def install(self) -> None:
        """Start listening, again if a task has reconfigured logging."""
        if self not in logging.root.handlers:
            logging.root.addHandler(self)

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a line if it belongs to the running job. Nothing is raised but interruptions of the task."""
        try:
            _stand_aside(record)
            scope = self.running
            if scope is not None and record.levelno >= self.captured:
                self._take(scope, record)
        except (SoftTimeout, SoftCancel):
            raise
        except Exception:
            # Logging must not end the task, and this error cannot be reported.
            return False
        return True

    def _is_of(self, scope: RunScope, record: logging.LogRecord) -> bool:
        """Return whether the job logs this. A thread does not know its job, but only one job runs at a time."""
        job_id = running_job.get()
        return (job_id is None or job_id == scope.job.id) and record.name != OWN and os.getpid() == self._pid

    def _take(self, scope: RunScope, record: logging.LogRecord) -> None:
        # Lines logged while this runs, for instance by an object's __str__(), would cause endless recursion.
        if getattr(self._occupied, "by_line", False) or not self._is_of(scope, record):
            return
        try:
            self._occupied.by_line = True
            line = _line(record, scope.job.clock, self._longest)
            (scope.log or scope.open_log(self._most)).add(line)
        finally:
            self._occupied.by_line = False


def _line(record: logging.LogRecord, clock: float, longest: int) -> Line:
    created = record.created if 0 <= record.created < LONGEST else time.time()
    level, name = clean_bytes(str(record.levelname)[:LONGEST_LEVEL]), clean_bytes(str(record.name)[:LONGEST_NAME])
    return round(created + clock, 6), level.decode(), name.decode(), _short(_text(record), longest)


def _text(record: logging.LogRecord) -> str:
    try:
        parts = [record.getMessage()]
        if record.exc_info and record.exc_info[1] is not None:
            parts.append("".join(format_exception(*record.exc_info)).rstrip())
        elif record.exc_text:
            parts.append(record.exc_text)
        if record.stack_info:
            parts.append(record.stack_info)
        return "\n".join(parts)
    except (SoftTimeout, SoftCancel):
        raise
    except Exception as error:  # This runs the task's own code, which may raise anything.
        return f"{record.pathname}:{record.lineno} (it cannot be shown: {type(error).__name__})"


def _short(text: str, longest: int) -> str:
    """Return a text that can be stored: all of it, or its beginning and its end. longest: in bytes."""
    if len(text) <= longest and len(whole := clean_bytes(text)) <= longest:
        return whole.decode()
    half = longest // 2
    first = clean_bytes(text[:half])[:half].decode(errors="ignore")
    last = clean_bytes(text[-half:])[-half:].decode(errors="ignore")
    return f"{first}… {len(text) - len(first) - len(last):,} characters left out …{last}"


def _stand_aside(record: logging.LogRecord) -> None:
    """Let Python write what it would write without this handler: warnings that no other handler takes."""
    resort = logging.lastResort
    if resort is None or record.levelno < resort.level or len(logging.root.handlers) > 1:
        return
    logger = logging.root.manager.loggerDict.get(record.name)
    while isinstance(logger, logging.Logger) and logger is not logging.root:
        if logger.handlers:
            return
        logger = logger.parent
    resort.handle(record)
