"""Cancels a job, inside the process that runs it. The parent enforces the deadline."""

import _thread
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.transaction import TransactionManagementError

from ...exceptions import SoftCancel, SoftTimeout
from ..wire.tokens import CANCEL_SIGNAL, TokenPipe

__all__ = ["CANCELLED", "SOON", "Interruption", "pass_through_handlers", "true_error", "would_be_lost"]

CANCELLED = "The job was cancelled."
# Seconds until an interruption that would be lost is tried again.
SOON = 0.001
# It swallows what is raised while it asks for the names of the process and of the asyncio task.
SWALLOWS = logging.LogRecord.__init__.__code__
# Errors of a connection that has been closed, or was left in the middle of a statement or a transaction.
_COMPLAINTS = (OperationalError, InterfaceError, TransactionManagementError)


class Interruption:
    """Interrupts the running job, once, when the parent asks for that; never another job.

    numbers: the pipe with the numbers of the jobs that are to be cancelled. A signal says that there is something to
    read; it may come before the job begins or after it has ended.
    """

    def __init__(self, numbers: TokenPipe | None = None) -> None:
        self._numbers = numbers
        self._running = 0
        self._heard: set[int] = set()
        # At most one, and a list, because taking it is one step: only one caller gets it.
        self._armed: list[Callable[[], object]] = []

    def begin(self, seq: int) -> None:
        """Start: this is now the running job."""
        self._running = seq
        if self._heard:
            self._heard.difference_update([number for number in self._heard if number < seq])

    @property
    def is_cancelled(self) -> bool:
        """Whether the running job is to be cancelled."""
        return self._running in self._heard

    def is_meant(self, seq: int) -> bool:
        """Return whether this job is to be cancelled."""
        return seq in self._heard

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        if self._numbers is not None:
            self._heard.update(self._numbers.take_back())
        if not self.is_cancelled:
            return
        if would_be_lost(frame):
            # Not by an alarm, which is the soft limit's or the task's own.
            _thread.start_new_thread(_signal_again, ())
        else:
            self._interrupt()

    def arm(self, interrupt: Callable[[], object]) -> None:
        """Have this called on cancellation, at once if the job is already to be cancelled."""
        self._armed.append(interrupt)
        if self.is_cancelled:
            self._interrupt()

    def disarm(self) -> None:
        self._armed.clear()

    def _interrupt(self) -> None:
        try:
            interrupt = self._armed.pop()
        except IndexError:
            return
        interrupt()

    def run(self, function: Callable[..., Any], *args: object, **kwargs: object) -> Any:
        """Call a function in the main thread, and raise SoftCancel in it if the job is to be cancelled."""
        try:
            self._armed.append(raise_cancelled)
            # Every job passes here, and nearly always there is nothing.
            if self._heard and self.is_cancelled:
                self._interrupt()
            return function(*args, **kwargs)
        finally:
            self._armed.clear()


def would_be_lost(frame: FrameType | None) -> bool:
    """Return whether what is raised in this frame would be swallowed by logging."""
    while frame is not None:
        if frame.f_code is SWALLOWS:
            return True
        frame = frame.f_back
    return False


def _signal_again() -> None:
    time.sleep(SOON)
    # To this thread, or a task that waits would go on waiting.
    signal.pthread_kill(threading.main_thread().ident or 0, CANCEL_SIGNAL)


def pass_through_handlers() -> None:
    """Make logging's handlers let interruptions of a task pass: they take them for errors of their own."""
    handle_error = logging.Handler.handleError

    def handle_or_raise(handler: logging.Handler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, SoftTimeout | SoftCancel):
            raise error
        handle_error(handler, record)

    # For all handlers, however and whenever logging is configured.
    setattr(logging.Handler, "handleError", handle_or_raise)  # noqa: B010 - mypy knows no assignment to a method


def true_error(error: BaseException) -> BaseException:
    """Return what has interrupted a task, if an interrupted connection raised an error of its own instead."""
    found: BaseException | None = error if isinstance(error, _COMPLAINTS) else None
    while found is not None:
        if isinstance(found, SoftTimeout | SoftCancel):
            return found
        found = found.__context__
    return error


def raise_cancelled() -> None:
    raise SoftCancel(CANCELLED)
