import math
import os
import signal
import time
from enum import IntEnum
from typing import Any

from ..lifecycle import WorkerRequest

__all__ = ["Phase", "Shutdown", "ShutdownSignals"]


class ShutdownSignals:
    """SIGTERM, SIGINT, and SIGHUP unless run by nohup: the first asks to drain, the second to stop now.

    The handlers only count. descriptor: becomes readable with a signal.
    """

    def __init__(self) -> None:
        self.count = 0
        self.descriptor = -1
        # The previous handlers, and the previous descriptor that Python writes to.
        self._handlers: dict[int, Any] = {}
        self._wakeup = -1

    def install(self) -> None:
        """Install the handlers."""
        self.descriptor, writer = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(writer, False)
        self._wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._count)

    def restore(self) -> None:
        """Restore the previous handlers, if these are installed."""
        if self.descriptor < 0:
            return
        for number, handler in self._handlers.items():
            # A handler that was not installed from Python cannot be restored from Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        os.close(signal.set_wakeup_fd(self._wakeup))
        os.close(self.descriptor)
        self.descriptor = -1

    def drain(self) -> None:
        """Empty the descriptor."""
        try:
            while os.read(self.descriptor, 512):
                continue
        except BlockingIOError:
            return

    def _count(self, number: int, frame: object) -> None:
        self.count += 1


class Phase(IntEnum):
    """How far a worker's shutdown has come.

    DRAINING: it takes no more jobs, and waits for those that run. STOPPING: those that ran have been stopped.
    """

    RUNNING = 0
    DRAINING = 1
    STOPPING = 2


class Shutdown:
    """How far a worker's exit has come, and what is wanted: by signals, or by an operator's request in its row.

    timeout: seconds that running jobs may continue after a signal. A worker that is asked to drain lets them finish.
    """

    def __init__(self, signals: ShutdownSignals, timeout: float) -> None:
        self.signals = signals
        self.timeout = timeout
        self.phase = Phase.RUNNING
        # Whether the worker takes no more jobs.
        self.has_begun = False
        self.request: str | None = None
        # Monotonic seconds: when the jobs that are still running are stopped.
        self.deadline = math.inf

    def ask(self, request: str | None) -> None:
        """Note an operator's request, if any."""
        self.request = request or self.request

    def wanted(self) -> Phase:
        """Return the phase that is to be reached by now; the first signal seen sets the deadline."""
        if not self.signals.count and not self.request:
            return Phase.RUNNING
        now = time.monotonic()
        if self.signals.count and self.deadline == math.inf:
            self.deadline = now + self.timeout
        if self.signals.count > 1 or self.request == WorkerRequest.STOP:
            self.deadline = min(self.deadline, now)
        return Phase.STOPPING if now >= self.deadline else Phase.DRAINING

    def enter(self, phase: Phase) -> None:
        self.phase, self.has_begun = phase, True

    @property
    def due_at(self) -> float:
        """When the next phase is to be reached, in monotonic seconds; infinity if that is now, or unknown."""
        return self.deadline if self.phase is Phase.DRAINING and self.deadline > time.monotonic() else math.inf

    def describe(self, running: int) -> str:
        """Return what the worker waits for, and how long at most. running: how many jobs it runs now."""
        if not running:
            return "no job is running"
        patience = f"up to {self.timeout:g} s" if self.signals.count else "as long as needed"
        return f"waiting {patience} for {running} running {'job' if running == 1 else 'jobs'}"
