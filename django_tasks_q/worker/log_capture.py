"""What the running job logs: a handler of the root logger hears it, and sends it to the parent."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from traceback import format_exception
from typing import NamedTuple

from ..exceptions import SoftCancel, SoftTimeout
from ..results import running_job
from .log_window import Line, LogWindow, dump_lines
from .pools.wire import LONGEST, LONGEST_LEVEL, LONGEST_NAME, LogNote
from .rows import JobRow

__all__ = ["LogCapture"]

# Seconds between two notes of one run.
INTERVAL = 0.5
# Lines that are held before they are looked through.
MOST_QUEUED = 500
# Bytes of text. A note goes through the socket in one piece, whatever interrupts the task, and so it must be small.
LONGEST_NOTE, LONGEST_LINE = 16_384, 8_192
OWN = "django_tasks_q.worker"


class Running(NamedTuple):
    """The job that runs. held: its lines are to be written with its end, and not before."""

    seq: int
    job: JobRow
    held: bool


class LogCapture(logging.Handler):
    """Hears what the running job logs and sends the first and the last of it: twice a second, and at the end.

    Any thread may log, and a signal may interrupt anything here and log as well, or raise. So lines are queued without
    a lock, and who finds the lock taken leaves them to whoever sends next.

    send: takes a note. level: the name of the lowest. most: bytes that are kept of a run.
    """

    def __init__(self, send: Callable[[LogNote], None], level: str, most: int) -> None:
        self.captured: int = logging.getLevelNamesMapping()[level]
        # What Python writes where nobody listens has to come by here: see _stand_aside().
        super().__init__(min(self.captured, logging.WARNING))
        self._send = send
        self._most = most
        self._longest = min(LONGEST_LINE, most // 4)
        self._pid = os.getpid()
        # As plain as possible, because every job comes by.
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
        """Listen; also again, where a task has set up logging anew."""
        if self not in logging.root.handlers:
            logging.root.addHandler(self)

    # the run

    def begin(self, seq: int, job: JobRow, held: bool) -> None:
        """From now on this is the running job. held: see Running."""
        self._running = (seq, job, held)

    def end(self) -> None:
        """Send what is left, and hear no more of this job."""
        running, self._running = self._running, None
        if running is not None and self._has_heard:
            # How the task has ended does not depend on what it logs, not even where there is no way to send it.
            with suppress(Exception), self._sending:
                self._pass_on(Running._make(running))
            self._start_over()

    def whole(self) -> str | None:
        """Return what there is of all that a held run has logged so far, as JSON; None where that is nothing."""
        running = self._running
        if running is None or not self._has_heard:
            return None
        with self._sending:
            self._sort(Running._make(running))
            window = self._whole
            return dump_lines([*window.take_head(), *window.take_tail()]) if window else None

    def forget(self) -> None:
        """What the run has logged is written: nothing is to be sent."""
        if self._has_heard:
            self._start_over()

    def _start_over(self) -> None:
        """Begin afresh: an interruption may have left anything behind, a lock too."""
        self._has_heard = False
        self._queue.clear()
        self._outbox.clear()
        self._window, self._whole = LogWindow(self._most), None
        self._sending, self._is_sending, self._sent_at = threading.RLock(), False, 0.0

    # a line

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a line, where it is of the running job. Nothing is raised but what interrupts the task."""
        try:
            _stand_aside(record)
            found = self._running
            if found is not None and record.levelno >= self.captured:
                self._take(Running._make(found), record)
        except (SoftTimeout, SoftCancel):
            raise
        except Exception:
            # The task is not to end because of what it logs, and there is nobody to tell.
            return False
        return True

    def _is_of(self, running: Running, record: logging.LogRecord) -> bool:
        """Say whether the job logs that. A thread knows nothing of its job, and only one job runs at a time."""
        job_id = running_job.get()
        return (job_id is None or job_id == running.job.id) and record.name != OWN and os.getpid() == self._pid

    def _take(self, running: Running, record: logging.LogRecord) -> None:
        # What is logged in the course of this, by the text of an object for instance, would have no end.
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
        """Keep of what is queued what there is room for."""
        if running.held and self._whole is None:
            self._whole = LogWindow(self._most)
        # Not more than there is now: threads may add to it for ever.
        for _ in range(len(self._queue)):
            try:
                seq, line = self._queue.popleft()
            except IndexError:
                # A signal handler that logs has been here meanwhile.
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
            # Nothing can interrupt what stands between: the lines are in the one or in the other.
            self._outbox, self._window = outbox, window
            # Taken before it is sent: what interrupts the sending comes before it or after it.
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
    level, name = _stored(str(record.levelname)[:LONGEST_LEVEL]), _stored(str(record.name)[:LONGEST_NAME])
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
    except Exception as error:  # The task's own code is run, which may raise anything.
        return f"{record.pathname}:{record.lineno} (it cannot be shown: {type(error).__name__})"


def _short(text: str, longest: int) -> str:
    """Return a text that can be stored: all of it, or its beginning and its end. longest: bytes."""
    if len(text) <= longest and len(whole := _stored(text)) <= longest:
        return whole.decode()
    half = longest // 2
    first = _stored(text[:half])[:half].decode(errors="ignore")
    last = _stored(text[-half:])[-half:].decode(errors="ignore")
    return f"{first}… {len(text) - len(first) - len(last):,} characters left out …{last}"


def _stored(text: str) -> bytes:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace")


def _stand_aside(record: logging.LogRecord) -> None:
    """Have Python write what it would write if this handler were not there: warnings that nobody else hears."""
    resort = logging.lastResort
    if resort is None or record.levelno < resort.level or len(logging.root.handlers) > 1:
        return
    logger = logging.root.manager.loggerDict.get(record.name)
    while isinstance(logger, logging.Logger) and logger is not logging.root:
        if logger.handlers:
            return
        logger = logger.parent
    resort.handle(record)
