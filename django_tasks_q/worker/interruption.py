"""The wish to cancel a job, inside the process that runs it. The deadline is the parent's."""

import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

from ..exceptions import SoftCancel, SoftTimeout
from .pools.tokens import TokenPipe

__all__ = ["CANCELLED", "CANCEL_SIGNAL", "Interruption", "pass_through_handlers"]

# A program that a task has started, or a child that is not ready yet, ignores it.
CANCEL_SIGNAL = signal.SIGURG
CANCELLED = "The job was cancelled."


class Interruption:
    """Interrupts the running job, once, when the parent asks for that; never another job.

    numbers: the pipe with the numbers of the jobs that are to be cancelled. A signal tells to look into it, and may
    come before the job begins or after it has ended.
    """

    def __init__(self, numbers: TokenPipe | None = None) -> None:
        self._numbers = numbers
        self._running = 0
        self._heard: set[int] = set()
        # At most one, and a list, because taking it is one step: whoever gets it calls it.
        self._armed: list[Callable[[], object]] = []

    def begin(self, seq: int) -> None:
        """From now on this is the running job."""
        self._running = seq
        if self._heard:
            self._heard.difference_update([number for number in self._heard if number < seq])

    @property
    def is_cancelled(self) -> bool:
        """Whether the running job is to be cancelled."""
        return self._running in self._heard

    def is_meant(self, seq: int) -> bool:
        """Say whether this job is to be cancelled."""
        return seq in self._heard

    def hear(self, number: int, frame: Any) -> None:
        """Handle the signal."""
        if self._numbers is not None:
            self._heard.update(self._numbers.take_back())
        if self.is_cancelled:
            self._interrupt()

    def arm(self, interrupt: Callable[[], object]) -> None:
        """Have this called, at once where the job is to be cancelled already."""
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

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function in the main thread, and raise SoftCancel in it where the job is to be cancelled."""
        try:
            self._armed.append(raise_cancelled)
            # Nearly always there is nothing, and every job comes by.
            if self._heard and self.is_cancelled:
                self._interrupt()
            return function(*args, **kwargs)
        finally:
            self._armed.clear()


def pass_through_handlers() -> None:
    """Have logging's handlers let go what interrupts a task while it logs: they take it for an error of their own."""
    handle_error = logging.Handler.handleError

    def handle_or_raise(handler: logging.Handler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, SoftTimeout | SoftCancel):
            raise error
        handle_error(handler, record)

    # For all of them, whoever sets up logging and when.
    setattr(logging.Handler, "handleError", handle_or_raise)  # noqa: B010 - mypy knows no assignment to a method


def raise_cancelled() -> None:
    raise SoftCancel(CANCELLED)
