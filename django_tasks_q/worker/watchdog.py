"""Cuts a connection on which a statement gets no answer."""

import signal
import socket
import threading
import time
from os import dup

from .shutdown import Shutdown

__all__ = ["Watchdog"]

# Seconds between two looks; and for which a worker that is to stop waits for an answer at most.
INTERVAL, LONGEST_WHILE_STOPPING = 1.0, 10.0


class Watchdog:
    """Watches the supervisor's statements from a thread of its own.

    If the server's process stands still, its host goes on to confirm what it receives: TCP's own limits never pass.

    seconds: how long a statement may take. A worker that is told to stop is less patient.
    """

    def __init__(self, shutdown: Shutdown, seconds: float) -> None:
        self.shutdown = shutdown
        self.seconds = seconds
        # The statement that is being waited for, by its number, or 0.
        self.current = 0
        self._count = 0
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    @property
    def is_watching(self) -> bool:
        """Whether it watches a connection, and has not cut it."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self) -> None:
        """A statement is sent."""
        self._count += 1
        self.current = self._count

    def end(self) -> None:
        """It was answered."""
        self.current = 0

    def start(self, descriptor: int) -> None:
        """Watch the connection with this descriptor from now on."""
        self.stop()
        # Its own descriptor: the number of one that is closed is soon another file's.
        line = socket.socket(fileno=dup(descriptor))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(line, self._stopped), name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if there is one."""
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            self._thread = None

    def _run(self, line: socket.socket, stopped: threading.Event) -> None:
        # The signals are for the main thread, which may have to wake up for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        watched, waited = 0, 0.0
        with line:
            looked_at = time.monotonic()
            while not stopped.wait(INTERVAL):
                # After a standstill of the whole machine the server gets its time again.
                elapsed, looked_at = min(time.monotonic() - looked_at, 2 * INTERVAL), time.monotonic()
                waited = waited + elapsed if self.current and self.current == watched else 0.0
                watched = self.current
                if waited > self._limit():
                    _cut(line)
                    return

    def _limit(self) -> float:
        return min(self.seconds, LONGEST_WHILE_STOPPING) if self.shutdown.signals.count else self.seconds


def _cut(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # It is cut already.
