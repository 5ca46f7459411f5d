"""Captures what the running job logs: a handler on the root logger sends it to the parent."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from traceback import format_exception
from typing import NamedTuple

from ...exceptions import SoftCancel, SoftTimeout
from ...payloads import clean_bytes
from ...results import running_job
from ..wire.frames import LONGEST, LONGEST_LEVEL, LONGEST_NAME, LogNote
from ..wire.log_window import Line, LogWindow, dump_lines
from .rows import JobRow

__all__ = ["LogCapture"]

# Seconds between two notes of one run.
INTERVAL = 0.5
# Lines that are collected before they are sorted.
MOST_QUEUED = 500
# Bytes of text. A note goes through the socket in one piece, whatever interrupts the task, so it has to be small.
LONGEST_NOTE, LONGEST_LINE = 16_384, 8_192
OWN = "django_tasks_q.worker"


class Running(NamedTuple):
    """The running job. held: its lines are written when it ends, and not before."""

    seq: int
    job: JobRow
    held: bool


class LogCapture(logging.Handler):
    """Captures the running job's log and sends its first and last lines: twice a second, and at the end.

    Any thread may log, and a signal may interrupt anything here and log as well, or raise. So lines are queued without
    a lock, and a thread that finds the lock taken leaves them to the next one that sends.

    send: takes a note. level: the name of the lowest level. most: how many bytes are kept of a run.
    """

    def __init__(self, send: Callable[[LogNote], None], level: str, most: int) -> None:
        self.captured: int = logging.getLevelNamesMapping()[level]
        # What Python writes if there is no handler has to pass here: see _stand_aside().
        super().__init__(min(self.captured, logging.WARNING))
        self._send = send
        self._most = most
        self._longest = min(LONGEST_LINE, most // 4)
        self._pid = os.getpid()
        # As simple as possible, because every job passes here.
        self._running: tuple[int, JobRow, bool] | None = None
        self._has_heard = False
        self._queue: deque[tuple[int, Line]] = deque()
        self._outbox: deque[LogNote] = deque()
        self._window = LogWindow(most)
        self._whole: LogWindow | None = None
        self._sending = threading.RLock()
        self._is_sending = False
        self._sent_at = 0.0
        self._occupied = threading.local()

    def createLock(self) -> None:
        self.lock = None

    def install(self) -> None:
        """Start listening, again if a task has reconfigured logging."""
        if self not in logging.root.handlers:
            logging.root.addHandler(self)

    # the run

    def begin(self, seq: int, job: JobRow, held: bool) -> None:
        """Start: this is now the running job. held: see Running."""
        self._running = (seq, job, held)

    def end(self) -> None:
        """Send what is left, and capture no more of this job."""
        running, self._running = self._running, None
        if running is not None and self._has_heard:
            # How the task has ended does not depend on its log, not even if the log cannot be sent.
            with suppress(Exception), self._sending:
                self._pass_on(Running._make(running))
            self._start_over()

    def whole(self) -> str | None:
        """Return what is kept of a held run's log so far, as JSON; None if that is nothing."""
        running = self._running
        if running is None or not self._has_heard:
            return None
        with self._sending:
            self._sort(Running._make(running))
            window = self._whole
            return dump_lines([*window.take_head(), *window.take_tail()]) if window else None

    def forget(self) -> None:
        """The run's log is written: nothing is to be sent."""
        if self._has_heard:
            self._start_over()

    def _start_over(self) -> None:
        """Start over: an interruption may have left anything behind, even a lock."""
        self._has_heard = False
        self._queue.clear()
        self._outbox.clear()
        self._window, self._whole = LogWindow(self._most), None
        self._sending, self._is_sending, self._sent_at = threading.RLock(), False, 0.0

    # a line

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a line if it belongs to the running job. Nothing is raised but interruptions of the task."""
        try:
            _stand_aside(record)
            found = self._running
            if found is not None and record.levelno >= self.captured:
                self._take(Running._make(found), record)
        except (SoftTimeout, SoftCancel):
            raise
        except Exception:
            # Logging must not end the task, and this error cannot be reported.
            return False
        return True

    def _is_of(self, running: Running, record: logging.LogRecord) -> bool:
        """Return whether the job logs this. A thread does not know its job, but only one job runs at a time."""
        job_id = running_job.get()
        return (job_id is None or job_id == running.job.id) and record.name != OWN and os.getpid() == self._pid

    def _take(self, running: Running, record: logging.LogRecord) -> None:
        # Lines logged while this runs, for instance by an object's __str__(), would cause endless recursion.
        if getattr(self._occupied, "by_line", False) or not self._is_of(running, record):
            return
        try:
            self._occupied.by_line = True
            self._has_heard = True
            self._queue.append((running.seq, _line(record, running.job.clock, self._longest)))
            if len(self._queue) >= MOST_QUEUED or time.monotonic() >= self._sent_at + INTERVAL:
                self._try_to_send(running)
        finally:
            self._occupied.by_line = False

    def _try_to_send(self, running: Running) -> None:
        if not self._sending.acquire(blocking=False):
            return
        try:
            if self._is_sending or self._running != running:
                return
            self._sort(running)
            if time.monotonic() >= self._sent_at + INTERVAL:
                self._pass_on(running)
        finally:
            self._sending.release()

    # to the parent; under the lock

    def _sort(self, running: Running) -> None:
        """Keep as much of the queue as there is room for."""
        if running.held and self._whole is None:
            self._whole = LogWindow(self._most)
        # No more than there is now: threads may add to it for ever.
        for _ in range(len(self._queue)):
            try:
                seq, line = self._queue.popleft()
            except IndexError:
                # A signal handler that logs has been here in between.
                return
            if seq == running.seq:
                self._window.add(line)
                if self._whole is not None:
                    self._whole.add(line)

    def _pass_on(self, running: Running) -> None:
        self._is_sending = True
        try:
            self._sort(running)
            outbox, window = deque([*self._outbox, *_notes(running, self._window)]), LogWindow(self._most)
            # Nothing can interrupt this: the lines are in one or in the other.
            self._outbox, self._window = outbox, window
            # Taken before it is sent: an interruption of the sending comes before or after it.
            while self._outbox:
                self._send(self._outbox.popleft())
            self._sent_at = time.monotonic()
        finally:
            self._is_sending = False


def _notes(running: Running, window: LogWindow) -> Iterator[LogNote]:
    for lines in _pieces(window.head):
        yield LogNote(running.seq, running.held, 0, lines)
    left_out = window.left_out
    for lines in _pieces(window.tail):
        yield LogNote(running.seq, running.held, left_out, lines)
        left_out = 0


def _pieces(lines: Iterable[Line]) -> Iterator[tuple[Line, ...]]:
    piece: list[Line] = []
    size = 0
    for line in lines:
        length = len(line[3].encode()) + LONGEST_NAME
        if piece and size + length > LONGEST_NOTE:
            yield tuple(piece)
            piece, size = [], 0
        piece.append(line)
        size += length
    if piece:
        yield tuple(piece)


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
