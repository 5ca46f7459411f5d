"""How the process of a job hears that it is to be cancelled. The parent enforces the deadline."""

import _thread
import signal
import threading
import time
from types import FrameType

from ..wire.tokens import CANCEL_SIGNAL, TokenPipe
from .interruption import SOON, would_be_lost
from .run_scope import RunScope

__all__ = ["CancelListener"]


class CancelListener:
    """Cancels the running job when the parent asks for that; never another job.

    numbers: the pipe with the numbers of the jobs that are to be cancelled. A signal says that there is something to
    read; it may come before the job begins or after it has ended.
    """

    def __init__(self, numbers: TokenPipe) -> None:
        self._numbers = numbers
        self._heard: set[int] = set()
        self._running: RunScope | None = None

    def begin(self, scope: RunScope) -> None:
        """Start: this is now the running job."""
        self._running = scope
        # Every job passes here, and nearly always there is nothing.
        if self._heard:
            self._heard.difference_update([number for number in self._heard if number < scope.seq])
            if scope.seq in self._heard:
                scope.cancel()

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        self._heard.update(self._numbers.take_back())
        running = self._running
        if running is None or running.seq not in self._heard:
            return
        if would_be_lost(frame):
            # The task may ask before it is interrupted.
            running.cancel_heard = True
            # Not by an alarm, which is the soft limit's or the task's own.
            _thread.start_new_thread(_signal_again, ())
        else:
            running.cancel()


def _signal_again() -> None:
    time.sleep(SOON)
    # To this thread, or a task that waits would go on waiting.
    signal.pthread_kill(threading.main_thread().ident or 0, CANCEL_SIGNAL)
