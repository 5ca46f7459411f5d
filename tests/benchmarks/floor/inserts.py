"""Jobs put into their table, one at a time or a thousand."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.db.utils import ConnectionHandler

from .. import databases
from .bench import Bench, Operation
from .tables import Tables, identifiers

__all__ = ["copy", "insert", "insert_async", "insert_django_cursor", "insert_sql", "insert_values", "unnest"]

ROWS = 1_000
# What differs from call to call. The rest stands in the statement.
CALL = ("id", "queue_name", "priority", "task_path", "args", "kwargs", "options", "metadata", "enqueued_at")


def insert(bench: Bench) -> Sequence[Operation]:
    """One row, and its commit."""
    return [_insert(bench, _prepared(bench.connect()))]


def insert_async(bench: Bench) -> Sequence[Operation]:
    """One row, and its commit that does not wait for the disk."""
    connection = bench.connect()
    connection.execute("SET synchronous_commit TO off")
    return [_insert(bench, _prepared(connection))]


def insert_django_cursor(bench: Bench) -> Sequence[Operation]:
    """One row, and its commit, through Django's own cursor: what an enqueue in a view could be at best."""
    _set_up_django()
    connection = ConnectionHandler({"default": databases.settings(bench.tables.url)})["default"]
    connection.ensure_connection()
    bench.closing.callback(connection.close)
    bench.count_session(connection.connection.info.backend_pid)

    def execute(statement: str, values: Sequence[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)

    return [_insert(bench, execute)]


def unnest(bench: Bench) -> Sequence[Operation]:
    """A thousand rows from one array for each column, and their commit."""
    bench.tables.fill(0)
    connection, rows = bench.connect(), insert_values(bench.tables)
    constants = _constants(bench.tables)
    arrays = ", ".join(f"%s::{bench.tables.job[name]}[]" for name in CALL)
    statement = (
        f"INSERT INTO django_tasks_q_job ({', '.join([*CALL, *constants])})"
        f" SELECT given.*, {', '.join(constants.values())} FROM UNNEST({arrays}) AS given"
    )

    def thousand() -> int:
        columns = zip(*islice(rows, ROWS), strict=True)
        connection.execute(statement, [list(column) for column in columns], prepare=True)
        return ROWS

    return [thousand]


def copy(bench: Bench) -> Sequence[Operation]:
    """A thousand rows by COPY, and their commit."""
    bench.tables.fill(0)
    connection, rows = bench.connect(), insert_values(bench.tables)
    constants = _constants(bench.tables)
    statement = f"COPY django_tasks_q_job ({', '.join([*CALL, *constants])}) FROM STDIN"
    rest = tuple(bench.tables.pattern[name] for name in constants)

    def thousand() -> int:
        with connection.cursor() as cursor, cursor.copy(statement) as target:
            for row in islice(rows, ROWS):
                target.write_row(row + rest)
        return ROWS

    return [thousand]


def insert_sql(tables: Tables) -> str:
    """Return the statement that inserts one row of insert_values()."""
    constants = _constants(tables)
    return (
        f"INSERT INTO django_tasks_q_job ({', '.join([*CALL, *constants])})"
        f" VALUES ({', '.join(['%s'] * len(CALL))}, {', '.join(constants.values())})"
    )


def insert_values(tables: Tables) -> Iterator[tuple[str, ...]]:
    """Yield the rows of ever new jobs."""
    rest = tuple(tables.pattern[name] for name in CALL[1:])
    return ((one, *rest) for one in identifiers())


def _set_up_django() -> None:
    """Let Django's connections be used, whatever else it is set up for."""
    if not settings.configured and "DJANGO_SETTINGS_MODULE" not in os.environ:
        settings.configure(USE_TZ=True)
    if not apps.ready:
        django.setup()


def _prepared(connection: Any) -> Callable[[str, Sequence[Any]], None]:
    return lambda statement, values: connection.execute(statement, values, prepare=True)


def _insert(bench: Bench, execute: Callable[[str, Sequence[Any]], None]) -> Operation:
    bench.tables.fill(0)
    statement, rows = insert_sql(bench.tables), insert_values(bench.tables)

    def one() -> int:
        execute(statement, next(rows))
        return 1

    return one


def _constants(tables: Tables) -> dict[str, str]:
    """Return the columns that are the same for every job, as SQL; without those that are NULL."""
    return {
        name: "'" + value.replace("'", "''").replace("%", "%%") + "'"
        for name, value in tables.pattern.items()
        if name not in CALL and value is not None
    }
