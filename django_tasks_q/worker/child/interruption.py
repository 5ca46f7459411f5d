"""SoftTimeout and SoftCancel, which a signal raises in the middle of a task, on their way to it."""

import logging
import sys
from types import FrameType

from django.db import InterfaceError, OperationalError
from django.db.transaction import TransactionManagementError

from ...exceptions import SoftCancel, SoftTimeout

__all__ = ["CANCELLED", "SOON", "pass_through_handlers", "true_error", "would_be_lost"]

CANCELLED = "The job was cancelled."
# Seconds until an interruption that would be lost is tried again.
SOON = 0.001
# It swallows what is raised while it asks for the names of the process and of the asyncio task.
_SWALLOWS = logging.LogRecord.__init__.__code__
# Errors of a connection that has been closed, or was left in the middle of a statement or a transaction.
_COMPLAINTS = (OperationalError, InterfaceError, TransactionManagementError)


def would_be_lost(frame: FrameType | None) -> bool:
    """Return whether what is raised in this frame would be swallowed by logging."""
    while frame is not None:
        if frame.f_code is _SWALLOWS:
            return True
        frame = frame.f_back
    return False


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
