import os
import signal
from typing import Any

__all__ = ["StopSignals"]


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
