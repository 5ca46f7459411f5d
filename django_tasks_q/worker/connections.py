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
from django.db.backends.signals import connection_created

__all__ = ["OpenConnections"]

logger = logging.getLogger("django_tasks_q.worker")


class OpenConnections:
    """The connections that this thread has opened, whatever became of them.

    Django tells of each as it is opened; to ask it for all of them costs more than many a job.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._known: list[Any] = [*connections.all(initialized_only=True)]
        connection_created.connect(self._note)

    def make_usable(self) -> None:
        """Before a job: close what the server has closed, so that its first query opens a new connection."""
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
            elif _hides_its_state(connection):
                _roll_back(connection)
        if settings.DEBUG:
            reset_queries()

    def _connected(self) -> list[Any]:
        return [connection for connection in self._known if connection.connection is not None]

    def _note(self, connection: Any, **kwargs: Any) -> None:
        # A thread of the task's may be in the middle of something.
        if threading.get_ident() == self._thread:
            self._known = [*(other for other in self._connected() if other is not connection), connection]


def _is_too_old(connection: Any) -> bool:
    max_age = connection.settings_dict["CONN_MAX_AGE"]
    return bool(max_age) and connection.close_at is not None and time.monotonic() >= connection.close_at


def _has_unexpected_input(connection: Any) -> bool:
    """Say whether a server that was asked nothing has something to say: good-bye."""
    raw = connection.connection
    if not hasattr(raw, "fileno"):
        return not _was_used_lately(connection) and not connection.is_usable()
    if raw.closed:
        return True
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _was_used_lately(connection: Any) -> bool:
    # SQLite has no server; MySQL's driver shows no socket, so a ping has to do.
    return not connection.features.has_select_for_update


def _in_raw_transaction(connection: Any) -> bool:
    raw = connection.connection
    try:
        if hasattr(raw, "in_transaction"):
            return bool(raw.in_transaction)
    except connection.Database.ProgrammingError:
        # SQLite's, closed behind Django's back: to be abandoned as well.
        return True
    status = getattr(getattr(raw, "info", None), "transaction_status", 0)
    return bool(status)


def _hides_its_state(connection: Any) -> bool:
    """Say whether the driver does not tell of a transaction that was begun by SQL, as MySQL's do not."""
    raw = connection.connection
    return not hasattr(raw, "in_transaction") and not hasattr(getattr(raw, "info", None), "transaction_status")


def _roll_back(connection: Any) -> None:
    """End a transaction that may be open without Django's knowledge; the next job would never commit."""
    try:
        connection.connection.rollback()
    except connection.Database.Error:
        _abandon(connection)


def _abandon(connection: Any) -> None:
    """Close a connection in the middle of whatever it is doing."""
    connection.in_atomic_block = False
    connection.savepoint_ids = []
    connection.atomic_blocks = []
    connection.run_on_commit = []
    connection.needs_rollback = False
    connection.closed_in_transaction = False
    _close(connection)


def _close(connection: Any) -> None:
    # A driver may refuse to close what is closed already; Django has let go of it then.
    with suppress(Error):
        connection.close()
