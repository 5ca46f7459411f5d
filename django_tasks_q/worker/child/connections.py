"""The database connections of a process that runs tasks.

A connection lives as long as the process: CONN_MAX_AGE=0, Django's default, is meant for requests and would make each
job pay for a new one. A positive CONN_MAX_AGE is obeyed.
"""

import logging
import select
import threading
import time
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import Error, connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from .statements import hides_its_state, make_interruptible

__all__ = ["OpenConnections"]

logger = logging.getLogger("django_tasks_q.worker")


class OpenConnections:
    """The connections that this thread has opened, whatever happened to them.

    Django announces each when it is opened; asking it for all of them costs more than many a job.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._known: list[Any] = [*connections.all(initialized_only=True)]
        for connection in self._connected():
            make_interruptible(connection)
        connection_created.connect(self._note)

    def make_usable(self) -> None:
        """Before a job: close connections that the server has closed, so that the first query opens a new one."""
        for connection in self._connected():
            if _is_too_old(connection) or _has_unexpected_input(connection):
                _close(connection)

    def clean(self) -> None:
        """After a job: leave no transaction open and no broken connection."""
        for connection in self._connected():
            if connection.in_atomic_block or not connection.get_autocommit() or _in_raw_transaction(connection):
                logger.warning(
                    'The task left a transaction open on the database "%s"; it is rolled back.', connection.alias
                )
                _abandon(connection)
            elif connection.errors_occurred:
                connection.close_if_unusable_or_obsolete()
            elif hides_its_state(connection):
                _roll_back(connection)
        if settings.DEBUG:
            reset_queries()

    def _connected(self) -> list[Any]:
        return [connection for connection in self._known if connection.connection is not None]

    def _note(self, connection: Any, **kwargs: Any) -> None:
        # One of the task's threads may be in the middle of something.
        if threading.get_ident() == self._thread:
            self._known = [*(other for other in self._connected() if other is not connection), connection]
            make_interruptible(connection)


def _is_too_old(connection: Any) -> bool:
    max_age = connection.settings_dict["CONN_MAX_AGE"]
    return bool(max_age) and connection.close_at is not None and time.monotonic() >= connection.close_at


def _has_unexpected_input(connection: Any) -> bool:
    """Return whether the server has sent something unasked, which means that it has closed the connection."""
    raw = connection.connection
    if not hasattr(raw, "fileno"):
        return not _was_used_lately(connection) and not connection.is_usable()
    if raw.closed:
        return True
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _was_used_lately(connection: BaseDatabaseWrapper) -> bool:
    # SQLite has no server; MySQL's driver exposes no socket, so we ping.
    return not connection.features.has_select_for_update


def _in_raw_transaction(connection: Any) -> bool:
    raw = connection.connection
    try:
        if hasattr(raw, "in_transaction"):
            return bool(raw.in_transaction)
    except connection.Database.ProgrammingError:
        # SQLite's, closed behind Django's back: abandon it as well.
        return True
    status = getattr(getattr(raw, "info", None), "transaction_status", 0)
    return bool(status)


def _roll_back(connection: Any) -> None:
    """End a transaction that may be open without Django's knowledge, or the next job would never commit."""
    try:
        connection.connection.rollback()
    except connection.Database.Error:
        _abandon(connection)


def _abandon(connection: BaseDatabaseWrapper) -> None:
    """Close a connection, whatever it is in the middle of."""
    connection.in_atomic_block = False
    connection.savepoint_ids = []
    connection.atomic_blocks = []
    connection.run_on_commit = []
    connection.needs_rollback = False
    connection.closed_in_transaction = False
    _close(connection)


def _close(connection: BaseDatabaseWrapper) -> None:
    # A driver may refuse to close a closed connection; Django has dropped it by then.
    with suppress(Error):
        connection.close()
