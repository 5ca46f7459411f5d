"""What a running task says of itself: sent to the parent, which writes it."""

import json
import threading
import time
from collections.abc import Callable

from .errors import to_moment
from .interruption import Interruption
from .pools.wire import ProgressNote

__all__ = ["Reporter", "RunControl"]

# Seconds between two notes of one job.
INTERVAL = 0.5
# So short that a note goes through the socket in one piece, whatever interrupts the task.
LONGEST_MESSAGE = 500


class Reporter:
    """Sends what the running job says of how far it is: at most twice a second, and the last of it always.

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
        """From now on this is the running job. clock: the seconds by which the database's clock is ahead."""
        self._seq, self._clock, self._sent_at = seq, clock, 0.0
        self._pending = self.latest = ""

    def report(self, seq: int, done: float, total: float | None, message: str) -> None:
        """Take a note of this job; one of a job that has ended is forgotten: a thread of it may live on."""
        text = json.dumps(
            {
                "done": done,
                "total": total,
                "message": _storable(message[:LONGEST_MESSAGE]),
                "at": to_moment(time.time() + self._clock).isoformat(),
            }
        )
        with self._lock:
            if seq == self._seq:
                self._pending = self.latest = text
                if time.monotonic() - self._sent_at >= INTERVAL:
                    self._flush()

    def end(self) -> None:
        """Send what is left to say, and hear no more of this job."""
        with self._lock:
            self._flush()
            self._seq = 0

    def _flush(self) -> None:
        if self._pending and self._send is not None:
            self._send(ProgressNote(self._seq, self._pending))
            self._pending, self._sent_at = "", time.monotonic()


class RunControl:
    """What the context of one job is connected with."""

    def __init__(self, seq: int, interruption: Interruption, reporter: Reporter) -> None:
        self.seq = seq
        self.interruption = interruption
        self.reporter = reporter

    @property
    def is_cancelled(self) -> bool:
        return self.interruption.is_meant(self.seq)

    def report_progress(self, done: float, total: float | None, message: str) -> None:
        self.reporter.report(self.seq, done, total, message)


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
