"""A database of the floor's own, with django_tasks_q's tables in it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from .. import databases

__all__ = ["Tables", "identifiers", "temporary_tables"]

TOP = Path(__file__).parents[3]
COLUMNS = (
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
    " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
FILLED_AT_ONCE = 10_000


class Tables:
    """The two tables as the migrations made them.

    job, result: their columns, each with its type. pattern: a job as enqueue() stored it, its columns as text.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as connection:
            self.job: dict[str, str] = dict(connection.execute(COLUMNS, ["django_tasks_q_job"]).fetchall())
            self.result: dict[str, str] = dict(connection.execute(COLUMNS, ["django_tasks_q_result"]).fetchall())
            with connection.cursor(row_factory=dict_row) as cursor:
                texts = ", ".join(f"{name}::text" for name in self.job)
                (self.pattern,) = cursor.execute(f"SELECT {texts} FROM pattern").fetchall()

    def fill(self, count: int) -> None:
        """Leave so many READY jobs, no results, and no dead rows."""
        ids = identifiers()
        others = ", ".join(name for name in self.job if name != "id")
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("TRUNCATE django_tasks_q_job, django_tasks_q_result")
            for start in range(0, count, FILLED_AT_ONCE):
                connection.execute(
                    f"INSERT INTO django_tasks_q_job (id, {others})"
                    f" SELECT given.id, {others} FROM UNNEST(%s::uuid[]) AS given(id),"
                    f" (SELECT {others} FROM pattern) AS same",
                    [[next(ids) for _ in range(min(FILLED_AT_ONCE, count - start))]],
                )
            connection.execute("VACUUM ANALYZE django_tasks_q_job, django_tasks_q_result")


def identifiers() -> Iterator[str]:
    """Yield UUIDs of version 7 in rising order, at next to no cost."""
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    start = f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-"
    return (f"{start}{number:012x}" for number in range(2**48))


@contextmanager
def temporary_tables(url: str) -> Iterator[Tables]:
    """Make a database on the server at this URL, and drop it afterwards."""
    name = f"bench_floor_{os.getpid()}"
    own = databases.named(url, name)
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            _migrate(own)
            with psycopg.connect(own) as connection:
                connection.execute("CREATE TABLE pattern AS SELECT * FROM django_tasks_q_job")
            yield Tables(own)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _migrate(url: str) -> None:
    # In a separate process: the caller's Django, if it has one, is set up for something else.
    given = {"DJANGO_SETTINGS_MODULE": "tests.benchmarks.floor.settings", "FLOOR_DATABASE_URL": url}
    make = "from tests.benchmarks.floor.origin import make; make()"
    subprocess.run([sys.executable, "-c", make], cwd=TOP, env={**os.environ, **given}, check=True)
