import math
import os
import signal
import time
from typing import Any

from ..lifecycle import WorkerRequest

__all__ = ["Ending", "StopSignals"]


class StopSignals:
    """SIGTERM, SIGINT, and SIGHUP unless nohup is at work: the first asks to drain, the second to stop now.

    The handlers count, nothing else. descriptor: becomes readable with a signal.
    """

    def __init__(self) -> None:
        self.count = 0
        self.descriptor = -1

    def install(self) -> None:
        """Install the handlers."""
        self.descriptor, writer = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._count)

    def drain(self) -> None:
        """Empty the descriptor."""
        try:
            while os.read(self.descriptor, 512):
                continue
        except BlockingIOError:
            return

    def _count(self, number: int, frame: Any) -> None:
        self.count += 1


class Ending:
    """Whether a worker is to end, and by when: as signals tell it, or as an operator asks through its row.

    timeout: seconds for which running jobs may go on after a signal. Who is asked to drain lets them finish.
    """

    def __init__(self, signals: StopSignals, timeout: float) -> None:
        self.signals = signals
        self.timeout = timeout
        self.request: str | None = None
        # Monotonic seconds: when what still runs is stopped.
        self.deadline = math.inf

    def ask(self, request: str | None) -> None:
        """Take up what an operator wants, if anything."""
        self.request = request or self.request

    @property
    def is_wanted(self) -> bool:
        """Whether no more jobs are to be taken; the first signal to be seen sets the deadline."""
        if self.signals.count and self.deadline == math.inf:
            self.deadline = time.monotonic() + self.timeout
        return bool(self.signals.count or self.request)

    @property
    def is_due(self) -> bool:
        """Whether what still runs is to be stopped now."""
        if self.signals.count > 1 or self.request == WorkerRequest.STOP:
            self.deadline = min(self.deadline, time.monotonic())
        return time.monotonic() >= self.deadline

    def __str__(self) -> str:
        return f"within {self.timeout:g} s" if self.signals.count else "in their own time"
