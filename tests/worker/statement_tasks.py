"""Tasks that are interrupted in the middle of a statement, in blocks of every kind."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from asgiref.sync import sync_to_async
from django.db import connection, transaction

from django_tasks_q import Context, SoftCancel, SoftTimeout, task
from tests import tasks as usual
from tests.models import Effect

from .tasks import await_file

__all__ = ["BLOCKS", "STATEMENT", "WAITS_ON", "enqueue_in_vain", "run", "run_async"]

# Whether the driver comes back to Python only when it has its answer.
WAITS_ON = connection.Database.__name__ in {"psycopg2", "sqlite3.dbapi2", "MySQLdb"}
BRIEF = 1
SECONDS = BRIEF if WAITS_ON else 120
# What takes this many seconds, and names the process; with SQLite it takes about one.
STATEMENT = {
    "postgresql": "SELECT pg_sleep({}), {}",
    "mysql": "SELECT SLEEP({}), {}",
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5000000) SELECT count(*) FROM n",
}[connection.vendor]


def wait(seconds: float = SECONDS) -> None:
    with connection.cursor() as cursor:
        cursor.execute(STATEMENT.format(seconds, os.getpid()))


def in_transaction(body: Callable[[], None] = wait) -> None:
    with transaction.atomic():
        Effect.objects.create(label="undone", attempt=1)
        body()


def between() -> None:
    """Catch what interrupts the inner block, and go on with the outer one."""
    with transaction.atomic():
        try:
            in_transaction()
        except (SoftTimeout, SoftCancel) as error:
            Effect.objects.create(label="went on", attempt=1)
            caught = error
    raise caught


def at_commit() -> None:
    with transaction.atomic():
        transaction.on_commit(wait)


def in_iteration() -> None:
    """Read on and on from a cursor of the server's."""
    statement = STATEMENT.format(SECONDS, os.getpid())
    if connection.vendor == "postgresql" and not WAITS_ON:
        statement = f"{STATEMENT.format(0.01, os.getpid())} FROM generate_series(1, 100000)"
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(statement)
        while cursor.fetchmany(10):
            pass


BLOCKS: dict[str, Callable[[], None]] = {
    "statement": wait,
    "transaction": in_transaction,
    "nested": partial(in_transaction, in_transaction),
    "between": between,
    "at commit": at_commit,
    "iteration": in_iteration,
}


@task(takes_context=True, max_attempts=2, backoff=0, retry_on=(SoftTimeout,))
def run(context: Context, block: str) -> None:
    """Wait in a block, and clean up in the database where it is interrupted."""
    Effect.objects.create(label="begun", job_id=context.id, attempt=context.attempt, pid=os.getpid())
    try:
        BLOCKS[block]()
    except (SoftTimeout, SoftCancel) as error:
        if not connection.in_atomic_block:
            label = f"cleaned up after {type(error).__name__}"
            Effect.objects.create(label=label, job_id=context.id, attempt=context.attempt)
        raise


@task(takes_context=True, soft_timeout=0.3, max_attempts=2, backoff=0, retry_on=(SoftTimeout,))
async def run_async(context: Context) -> None:
    """Wait in a statement for a second: that one is not interrupted, only what awaits it."""
    await Effect.objects.acreate(label="begun", job_id=context.id, attempt=context.attempt, pid=os.getpid())
    await sync_to_async(wait)(BRIEF)


@task(takes_context=True)
def enqueue_in_vain(context: Context, directory: str) -> None:
    """Enqueue when told to; say what came of it, and enqueue once more when told to."""
    Effect.objects.create(label="begun", job_id=context.id, attempt=context.attempt, pid=os.getpid())
    await_file(f"{directory}/go", "go")
    try:
        usual.noop.enqueue()
    except BaseException as error:
        Path(directory, type(error).__name__).touch()
        await_file(f"{directory}/go on", "go on")
        usual.noop.enqueue()
        raise
