"""The process that a worker is started in: its requirements, and what is restored at the end."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from ..compat import FRAMEWORK

__all__ = ["borrowed", "refuse_connections", "refuse_unsuitable"]

TESTING = (
    "In a test, run_jobs() of django_tasks_q.testing runs jobs without a worker; with a worker it must be a "
    "TransactionTestCase (with pytest: transactional_db), on a database that other processes can open. See "
    "docs/how-to/testing.md."
)


def refuse_unsuitable(using: str) -> None:
    """Raise ImproperlyConfigured if a worker in this process would hang, or lose what its tasks write.

    using: the alias of the queue's database.
    """
    thread = threading.current_thread()
    if thread is not threading.main_thread():
        raise ImproperlyConfigured(
            f'A worker handles signals, which only the main thread can; this is "{thread.name}". Start it '
            "as a separate process: manage.py taskworker."
        )
    refuse_connections(using)


def refuse_connections(using: str) -> None:
    """Raise ImproperlyConfigured where a worker would not see what this process writes, or this one not what it does.

    using: the alias of the queue's database.
    """
    used = {connection.alias: connection for connection in connections.all(initialized_only=True)}
    for alias, connection in (used | {using: connections[using]}).items():
        if connection.in_atomic_block:
            raise ImproperlyConfigured(
                f'The connection "{alias}" is inside a transaction, as in a TestCase or in atomic(). A worker cannot '
                f"commit there, and its processes see nothing of it. {TESTING}"
            )
        if getattr(connection, "is_in_memory_db", bool)():
            raise ImproperlyConfigured(
                f'The SQLite database "{alias}" is in memory: each process of a worker would have its own copy, '
                f'and what tasks write there would be lost. Use a file: DATABASES["{alias}"]["NAME"], and for tests '
                f'DATABASES["{alias}"]["TEST"] = {{"NAME": "test.sqlite3"}}. {TESTING}'
            )


@contextmanager
def borrowed(using: str) -> Iterator[None]:
    """Restore what a worker changes in a process that outlives it: logging, and the database session."""
    loggers = [logging.getLogger(name) for name in ("django_tasks_q", FRAMEWORK)]
    kept = [(logger, logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    try:
        yield
    finally:
        for logger, level, propagate, handlers in kept:
            logger.setLevel(level)
            logger.propagate, logger.handlers = propagate, handlers
        # The worker has configured it for itself.
        connections[using].close()
