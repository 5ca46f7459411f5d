"""The progress that a running task reports: sent to the parent, which writes it."""

import json
import threading
import time
from collections.abc import Callable

from ...moments import utc_after
from ...payloads import clean_text
from ..wire.frames import ProgressNote
from .interruption import Interruption

__all__ = ["Reporter", "RunControl"]

# Seconds between two notes of one job.
INTERVAL = 0.5
# Short enough for a note to go through the socket in one piece, whatever interrupts the task.
LONGEST_MESSAGE = 500


class Reporter:
    """Sends the running job's progress: at most twice a second, and always the last report.

    send: takes a note; called from any thread, one at a time.
    """

    def __init__(self, send: Callable[[ProgressNote], None] | None = None) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._seq = 0
        self._clock = 0.0
        self._sent_at = 0.0
        self._pending = ""
        self.latest = ""

    def begin(self, seq: int, clock: float) -> None:
        """Start: this is now the running job. clock: how many seconds the database's clock is ahead."""
        self._seq, self._clock, self._sent_at = seq, clock, 0.0
        self._pending = self.latest = ""

    def report(self, seq: int, done: float, total: float | None, message: str) -> None:
        """Take a report of this job; those of an ended job are dropped: one of its threads may live on."""
        text = json.dumps(
            {
                "done": done,
                "total": total,
                "message": clean_text(message[:LONGEST_MESSAGE]),
                "at": utc_after(time.time() + self._clock).isoformat(),
            }
        )
        with self._lock:
            if seq == self._seq:
                self._pending = self.latest = text
                if time.monotonic() - self._sent_at >= INTERVAL:
                    self._flush()

    def end(self) -> None:
        """Send what is left, and take no more reports of this job."""
        with self._lock:
            self._flush()
            self._seq = 0

    def _flush(self) -> None:
        if self._pending and self._send is not None:
            self._send(ProgressNote(self._seq, self._pending))
            self._pending, self._sent_at = "", time.monotonic()


class RunControl:
    """What the context of one job is connected to."""

    def __init__(self, seq: int, interruption: Interruption, reporter: Reporter) -> None:
        self.seq = seq
        self.interruption = interruption
        self.reporter = reporter

    @property
    def is_cancelled(self) -> bool:
        return self.interruption.is_meant(self.seq)

    def report_progress(self, done: float, total: float | None, message: str) -> None:
        self.reporter.report(self.seq, done, total, message)
