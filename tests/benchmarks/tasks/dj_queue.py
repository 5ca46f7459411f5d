import time

from dj_queue.postgres_diagnostics import postgres_autovacuum_sql
from django.db import connection
from django.tasks import task

from .. import marks

__all__ = ["noop", "sleep", "take", "tune_autovacuum"]


@task
def noop() -> None:
    marks.mark()


@task
def sleep(seconds: float) -> None:
    time.sleep(seconds)


@task
def take(text: str) -> None:
    marks.mark()


def tune_autovacuum() -> None:
    """Apply what `manage.py dj_queue_postgres_autovacuum` prints."""
    with connection.cursor() as cursor:
        for statement in postgres_autovacuum_sql(connection):
            cursor.execute(statement)
