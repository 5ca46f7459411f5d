"""What a task finds in its process, and what is restored if an earlier task has changed it."""

# signal.getsignal makes an enum of each answer, which takes longer than many a task. Typeshed does not know it.
import _signal  # type: ignore[import-not-found]
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from typing import Any

from ..wire.tokens import CANCEL_SIGNAL
from .log_capture import LogCapture

__all__ = ["ProcessState"]

SIGNALS = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE,
    signal.SIGUSR1, signal.SIGUSR2, CANCEL_SIGNAL,
)  # fmt: skip
STREAMS = ("stdin", "stdout", "stderr")
OUTPUTS = (1, 2)
# Seconds between checks that open files are still the same.
INTERVAL = 0.1


class ProcessState:
    """Signals, the alarm, the streams, the recursion limit, and the log handlers, as they are now.

    All other state of the process (environment, working directory, modules) stays as tasks leave it.

    Only what our own code depends on is restored.

    channel, pipes: the descriptors through which this process and its parent communicate.
    """

    def __init__(self, channel: int, pipes: Iterable[int], capture: LogCapture | None = None) -> None:
        self._capture = capture
        found = {int(number): _signal.getsignal(number) for number in SIGNALS}
        # A handler that was not installed from Python cannot be restored from Python.
        self._handlers: dict[int, Any] = {number: kept for number, kept in found.items() if kept is not None}
        self._blocked = _signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._streams = [(name, getattr(sys, name)) for name in STREAMS]
        self._recursion_limit = sys.getrecursionlimit()
        self._descriptors = Descriptors((*OUTPUTS, *pipes), every=INTERVAL)
        # What is written into it next must not end up in a database's socket.
        self._channel = Descriptors((channel,), every=0.0)

    def restore(self) -> bool:
        """Undo what a task has done to them. Return False if no other task should run in this process."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._handlers.items():
            if _signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        if _signal.pthread_sigmask(signal.SIG_BLOCK, ()) != self._blocked:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        if sys.getrecursionlimit() != self._recursion_limit:
            sys.setrecursionlimit(self._recursion_limit)
        if self._capture is not None:
            self._capture.install()
        are_open = True
        for name, stream in self._streams:
            if getattr(sys, name, None) is not stream:
                setattr(sys, name, stream)
            are_open &= stream is None or not stream.closed
        # The next database connection would get the number of the closed descriptor, and all printed output.
        return are_open and self._descriptors.are_same()

    def is_connected(self) -> bool:
        """Return whether the channel is unchanged: a task may have closed it, and opened something else since."""
        return self._channel.are_same()


class Descriptors:
    """Files that a task should not have touched.

    every: seconds for which open files are assumed to be the same, because checking that they are open costs less.
    """

    def __init__(self, numbers: Iterable[int], *, every: float) -> None:
        self._found = {number: _identity(number) for number in numbers}
        self._every = every
        self._looked_at = time.monotonic()
        self._poll = select.poll()
        for number, identity in self._found.items():
            if identity is not None:
                self._poll.register(number, 0)

    def are_same(self) -> bool:
        if self._every:
            for _, event in self._poll.poll(0):
                if event & select.POLLNVAL:
                    return False
            now = time.monotonic()
            if now < self._looked_at + self._every:
                return True
            self._looked_at = now
        return {number: _identity(number) for number in self._found} == self._found


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
