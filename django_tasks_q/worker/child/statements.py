"""Statements that a soft limit or a cancel interrupts: the connection has to stay usable."""

import select
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from django.db import Error

from ...exceptions import SoftCancel, SoftTimeout
from .interruption import true_error

__all__ = ["hides_its_state", "make_interruptible"]

# psycopg.pq.TransactionStatus.ACTIVE: a statement is running, and the connection cannot do anything else.
ACTIVE = 1
# Seconds that the server has to end a statement.
LONGEST_END = 5.0


def make_interruptible(connection: Any) -> None:
    """Make an interruption of a statement on this Django connection end the statement too.

    With psycopg 3 the server is asked to cancel it; the transaction stays open, as after any error, and can be rolled
    back to a savepoint. With MySQL's drivers the connection is closed, which rolls the transaction back. psycopg2 and
    SQLite return to Python, where the exception is raised, only after the statement.
    """
    raw = connection.connection
    if connection.Database.__name__ == "psycopg":
        # A pool may return the same one again.
        if "wait" not in vars(raw):
            raw.wait = partial(_wait, raw, raw.wait, connection.Database.Error)
    elif hides_its_state(connection) and _close_after not in connection.execute_wrappers:
        # At the beginning: code that adds another one temporarily removes the last one.
        connection.execute_wrappers.insert(0, _close_after)


def hides_its_state(connection: Any) -> bool:
    """Return whether the driver does not report a transaction that was begun by SQL, like MySQL's drivers."""
    raw = connection.connection
    return not hasattr(raw, "in_transaction") and not hasattr(getattr(raw, "info", None), "transaction_status")


def _wait(
    raw: Any, wait: Callable[..., Any], error: type[Exception], statement: Any, *args: Any, **kwargs: Any
) -> Any:
    try:
        return wait(statement, *args, **kwargs)
    except (SoftTimeout, SoftCancel):
        try:
            if raw.info.transaction_status == ACTIVE:
                # The error says that it was cancelled.
                with suppress(error):
                    _end(raw, partial(wait, statement))
        finally:
            if raw.info.transaction_status == ACTIVE:
                raw.close()
        raise


def _end(raw: Any, receive: Callable[[], Any]) -> None:
    raw.cancel_safe(timeout=LONGEST_END)
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLIN)
    if poll.poll(LONGEST_END * 1_000):
        receive()


def _is_behind(error: BaseException | None, earlier: BaseException) -> bool:
    """Return whether an error is the earlier one, or was raised while that was handled."""
    while error is not None and error is not earlier:
        error = error.__context__
    return error is earlier


def _close_after(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    handled = sys.exc_info()[1]
    try:
        return execute(sql, params, many, context)
    except (SoftTimeout, SoftCancel, Error) as error:
        # SoftTimeout is an OSError, which PyMySQL turns into an error of its own.
        interruption = true_error(error)
        if not isinstance(interruption, SoftTimeout | SoftCancel) or _is_behind(handled, interruption):
            raise
        # PyMySQL has already closed it, and mysqlclient may have left an answer unread.
        with suppress(Error):
            context["connection"].close()
        if interruption is error:
            raise
        raise interruption from None
