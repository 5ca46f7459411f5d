"""The connections of a test, for the task that it runs."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError

from ..exceptions import SoftCancel, SoftTimeout
from ..worker.child.connections import OpenConnections
from ..worker.child.statements import hides_its_state, make_interruptible

__all__ = ["BorrowedConnections", "is_boundary"]

logger = logging.getLogger("django_tasks_q.worker")
_BOUNDARIES = ("SAVEPOINT", "RELEASE", "ROLLBACK")


class BorrowedConnections(OpenConnections):
    """Those that are inside a transaction of the test behave as a worker's, and stay inside of it.

    A statement that fails undoes itself and nothing else, so that a task may catch its error and go on; what a task
    leaves to on_commit() is done at its end.
    """

    def __init__(self) -> None:
        self._lent: list[_Lent] = []
        # What a task has done that no test can go on after.
        self.fatal: TransactionManagementError | None = None

    def make_usable(self) -> None:
        """Before a job: note how they are."""
        opened = [each for each in connections.all(initialized_only=True) if each.connection is not None]
        for connection in opened:
            if not hides_its_state(connection):
                make_interruptible(connection)
        self._lent = [_Lent(connection) for connection in opened if connection.in_atomic_block]

    def clean(self) -> None:
        """After a job: take back what it left open. Raise TransactionManagementError if it has closed one."""
        lent, self._lent = self._lent, []
        try:
            for each in reversed(lent):
                each.take_back()
        except TransactionManagementError as error:
            self.fatal = error
            raise

    def commit(self) -> None:
        """Do what has been left to on_commit() since the job began."""
        for each in self._lent:
            each.run_callbacks()


def is_boundary(sql: object) -> bool:
    """Return whether a statement is about a transaction itself."""
    return str(sql).lstrip().upper().startswith(_BOUNDARIES)


class _Lent:
    """A connection inside a transaction, from the beginning of a job to its end."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._blocks, self._atomics = len(connection.savepoint_ids), len(connection.atomic_blocks)
        self._callbacks = len(connection.run_on_commit)
        self._savepoint = connection.savepoint()
        self._aborts = _aborts(connection)
        connection.execute_wrappers.append(self._execute)

    def _execute(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if is_boundary(sql) or self._is_in_transaction():
            return execute(sql, params, many, context)
        # Set by an error before this statement, which would have been that statement's own affair.
        self.connection.needs_rollback = False
        if not self._aborts:
            return execute(sql, params, many, context)
        savepoint = self.connection.savepoint()
        try:
            done = execute(sql, params, many, context)
        except (DatabaseError, SoftTimeout, SoftCancel):
            self.connection.savepoint_rollback(savepoint)
            raise
        self.connection.savepoint_commit(savepoint)
        return done

    def _is_in_transaction(self) -> bool:
        """Return whether the task has opened a transaction of its own."""
        return any(savepoint is not None for savepoint in self.connection.savepoint_ids[self._blocks :])

    def run_callbacks(self) -> None:
        while pending := self.connection.run_on_commit[self._callbacks :]:
            del self.connection.run_on_commit[self._callbacks :]
            for _, function, is_robust in pending:
                _call(function, is_robust)

    def take_back(self) -> None:
        connection = self.connection
        connection.execute_wrappers.remove(self._execute)
        if connection.closed_in_transaction:
            raise TransactionManagementError(
                f'The task has closed the connection "{connection.alias}", and with it the transaction of the test is '
                "gone. Test it in a TransactionTestCase (with pytest: transactional_db)."
            )
        del connection.run_on_commit[self._callbacks :]
        is_open = len(connection.savepoint_ids) > self._blocks
        if is_open:
            logger.warning(
                'The task left a transaction open on the database "%s"; it is rolled back.', connection.alias
            )
            del connection.savepoint_ids[self._blocks :]
            del connection.atomic_blocks[self._atomics :]
        connection.needs_rollback = False
        if not is_open:
            # Refused if the server has aborted the transaction.
            with suppress(DatabaseError):
                connection.savepoint_commit(self._savepoint)
                return
        connection.savepoint_rollback(self._savepoint)


def _call(function: Callable[[], object], is_robust: bool) -> None:
    try:
        function()
    except Exception:
        if not is_robust:
            raise
        logger.exception("What a task left to on_commit() failed.")


def _aborts(connection: BaseDatabaseWrapper) -> bool:
    """Return whether an error of one statement aborts the whole transaction: then the driver tells of its state."""
    return hasattr(getattr(connection.connection, "info", None), "transaction_status")
