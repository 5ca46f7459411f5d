"""Round trips to the server."""

from collections.abc import Sequence
from typing import Any

import psycopg

from .bench import Bench, Operation
from .inserts import insert_sql, insert_values

__all__ = ["connect", "listen_notify", "listen_notify_insert", "select_1"]

# Seconds; far longer than a notification takes.
LONGEST_WAIT = 30


def select_1(bench: Bench) -> Sequence[Operation]:
    """The smallest statement, and its answer."""
    connection = bench.connect()

    def select() -> int:
        connection.execute("SELECT 1", prepare=True).fetchall()
        return 1

    return [select]


def connect(bench: Bench) -> Sequence[Operation]:
    """Connect, SELECT 1, close."""
    bench.count_whole_server()

    def connect_and_close() -> int:
        with psycopg.connect(bench.tables.url, autocommit=True) as connection:
            connection.execute("SELECT 1").fetchall()
        return 1

    return [connect_and_close]


def listen_notify(bench: Bench) -> Sequence[Operation]:
    """NOTIFY in one session, until it is heard in another."""
    speaker, listener = bench.connect(), _listener(bench)

    def notify() -> int:
        speaker.execute("NOTIFY floor")
        _hear(listener)
        return 1

    return [notify]


def listen_notify_insert(bench: Bench) -> Sequence[Operation]:
    """The same in the transaction of an INSERT, from before that until after its commit."""
    bench.tables.fill(0)
    speaker, listener = bench.connect(), _listener(bench)
    statement, rows = insert_sql(bench.tables), insert_values(bench.tables)

    def insert_and_notify() -> int:
        with speaker.transaction():
            speaker.execute(statement, next(rows), prepare=True)
            speaker.execute("NOTIFY floor")
        _hear(listener)
        return 1

    return [insert_and_notify]


def _listener(bench: Bench) -> "psycopg.Connection[Any]":
    connection = bench.connect()
    connection.execute("LISTEN floor")
    return connection


def _hear(listener: "psycopg.Connection[Any]") -> None:
    if not list(listener.notifies(timeout=LONGEST_WAIT, stop_after=1)):
        raise TimeoutError(f"No notification was heard in {LONGEST_WAIT} s. Is the server overloaded?")
