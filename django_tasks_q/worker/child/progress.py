"""The progress that a running task reports: sent to the parent, which writes it."""

import json
import threading
import time

from ...moments import utc_after
from ...payloads import clean_text
from ..wire.frames import ProgressNote
from .outbox import Outbox

__all__ = ["ProgressReporter"]

# Seconds between two notes of one run.
INTERVAL = 0.5
# Short enough for a note to go through the socket in one piece, whatever interrupts the task.
LONGEST_MESSAGE = 500


class ProgressReporter:
    """Sends the progress of one run: at most twice a second, and always the last report; from any thread.

    clock: how many seconds the database's clock is ahead. latest: the last report as JSON, empty if there is none.
    """

    def __init__(self, seq: int, clock: float, outbox: Outbox) -> None:
        self.latest = ""
        self._seq = seq
        self._clock = clock
        self._outbox = outbox
        self._lock = threading.Lock()
        self._has_ended = False
        self._is_unsent = False
        self._sent_at = 0.0

    def report(self, done: float, total: float | None, message: str) -> None:
        """Take a report; dropped when the run has ended: one of its threads may live on."""
        text = json.dumps(
            {
                "done": done,
                "total": total,
                "message": clean_text(message[:LONGEST_MESSAGE]),
                "at": utc_after(time.time() + self._clock).isoformat(),
            }
        )
        with self._lock:
            if not self._has_ended:
                self.latest, self._is_unsent = text, True
                if time.monotonic() - self._sent_at >= INTERVAL:
                    self._flush()

    def end(self) -> None:
        """Send what is left, and take no more reports."""
        with self._lock:
            self._flush()
            self._has_ended = True

    def _flush(self) -> None:
        if self._is_unsent:
            self._outbox.progress(ProgressNote(self._seq, self.latest))
            self._is_unsent, self._sent_at = False, time.monotonic()
