"""What one run has logged, on its way to the parent."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress

from ..wire.frames import LONGEST_NAME, LogNote
from ..wire.log_window import Line, LogWindow, dump_lines
from .outbox import Outbox

__all__ = ["RunLog"]

# Seconds between two notes of one run.
INTERVAL = 0.5
# Lines that are collected before they are sorted.
MOST_QUEUED = 500
# Bytes of text. A note goes through the socket in one piece, whatever interrupts the task, so it has to be small.
LONGEST_NOTE = 16_384


class RunLog:
    """Keeps the first and the last lines of a run, and sends them: twice a second, and at the end.

    Any thread may add lines, and a signal may interrupt anything here and add some as well, or raise. So lines are
    queued without a lock, and a thread that finds the lock taken leaves them to the next one that sends.

    seq: the number of the job. most: how many bytes are kept. held: the lines are written when the run ends, and not
    before.
    """

    def __init__(self, seq: int, outbox: Outbox, most: int, *, held: bool) -> None:
        self.seq = seq
        self.held = held
        self._outbox = outbox
        self._most = most
        self._has_ended = False
        self._queue: deque[Line] = deque()
        self.forget()

    def forget(self) -> None:
        """Start over: what was logged so far is written."""
        # All of it is new: an interruption may have left anything behind, even a lock.
        self._queue.clear()
        self._unsent: deque[LogNote] = deque()
        self._window = LogWindow(self._most)
        self._whole = LogWindow(self._most)
        self._sending, self._is_sending, self._sent_at = threading.RLock(), False, 0.0

    def add(self, line: Line) -> None:
        """Take a line; those of a run that has ended are dropped: one of its threads may live on."""
        self._queue.append(line)
        if len(self._queue) >= MOST_QUEUED or self._is_due():
            self._try_to_send()

    def close(self) -> None:
        """Send nothing from now on."""
        self._has_ended = True

    def end(self) -> None:
        """Send what is left, and nothing after that."""
        self.close()
        # How the task has ended does not depend on its log, not even if the log cannot be sent.
        with suppress(Exception), self._sending:
            self._pass_on()

    def whole(self) -> str | None:
        """Return what is kept of a held run's log so far, as JSON; None if that is nothing."""
        with self._sending:
            self._sort()
            window = self._whole
            return dump_lines([*window.take_head(), *window.take_tail()]) if window else None

    def _is_due(self) -> bool:
        return time.monotonic() >= self._sent_at + INTERVAL

    def _try_to_send(self) -> None:
        if not self._sending.acquire(blocking=False):
            return
        try:
            if self._is_sending or self._has_ended:
                return
            self._sort()
            if self._is_due():
                self._pass_on()
        finally:
            self._sending.release()

    # under the lock

    def _sort(self) -> None:
        """Keep as much of the queue as there is room for."""
        # No more than there is now: threads may add to it for ever.
        for _ in range(len(self._queue)):
            try:
                line = self._queue.popleft()
            except IndexError:
                # A signal handler that logs has been here in between.
                return
            self._window.add(line)
            if self.held:
                self._whole.add(line)

    def _pass_on(self) -> None:
        self._is_sending = True
        try:
            self._sort()
            unsent, window = deque([*self._unsent, *self._notes()]), LogWindow(self._most)
            # Nothing can interrupt this: the lines are in one or in the other.
            self._unsent, self._window = unsent, window
            # Taken before it is sent: an interruption of the sending comes before or after it.
            while self._unsent:
                self._outbox.logs(self._unsent.popleft())
            self._sent_at = time.monotonic()
        finally:
            self._is_sending = False

    def _notes(self) -> Iterator[LogNote]:
        for lines in _pieces(self._window.head):
            yield LogNote(self.seq, self.held, 0, lines)
        left_out = self._window.left_out
        for lines in _pieces(self._window.tail):
            yield LogNote(self.seq, self.held, left_out, lines)
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
