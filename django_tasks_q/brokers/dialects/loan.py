"""A PostgreSQL session that a pooler gives to others between two transactions: nothing may stay on it."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from django.db import Error

__all__ = ["OnLoan"]

# Of transaction_status, in psycopg and in psycopg2: no transaction is open.
IDLE = 0
BEGIN = "BEGIN;"


class OnLoan:
    """Begins every transaction with SET LOCAL: an execute_wrapper of Django's, for one process.

    A statement without a transaction gets one. A statement with its own begins with "BEGIN;", and finds that many more
    results before those of its other parts. Costs one round trip for a transaction, and three for a statement that had
    none. settings: names and values.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = "; ".join(f"SET LOCAL {name} TO '{value}'" for name, value in settings.items())
        self._pid = os.getpid()

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        connection = context["connection"]
        raw = connection.connection
        # A process forked from this one runs tasks, which have their own settings.
        if raw.info.transaction_status != IDLE or os.getpid() != self._pid:
            return execute(sql, params, many, context)
        if isinstance(sql, str) and sql.startswith(BEGIN):
            return execute(f"{BEGIN} {self._settings};{sql.removeprefix(BEGIN)}", params, many, context)
        if raw.autocommit:
            return self._in_transaction(connection, lambda: execute(sql, params, many, context))
        _run(connection, self._settings)
        return execute(sql, params, many, context)

    def _in_transaction(self, connection: Any, execute: Callable[[], Any]) -> Any:
        # By hand: Django's own commit would run on_commit() callbacks, and leave an atomic block that the caller is
        # not in.
        _run(connection, f"{BEGIN} {self._settings}")
        try:
            answer = execute()
        except BaseException:
            _give_up(connection)
            raise
        _run(connection, "COMMIT")
        return answer


def _give_up(connection: Any) -> None:
    """Roll back; if that fails, close the connection, or the next statements would never be committed."""
    try:
        _run(connection, "ROLLBACK")
    except Error:
        connection.close()


def _run(connection: Any, sql: str) -> None:
    guard: AbstractContextManager[Any] = connection.wrap_database_errors
    with guard, connection.connection.cursor() as cursor:
        cursor.execute(sql)
