"""Rows of django_tasks_q by SQL: a million of them in the time that a few thousand enqueues take. PostgreSQL only."""

from datetime import timedelta
from typing import Any

from django.db import connection, models
from django.utils import timezone

from django_tasks_q.models import Job, Result, Worker

__all__ = ["clear", "fill", "stored"]

# Version 7 ids, a millisecond apart, the last of them now: as if the rows had come in one after another.
IDS = """(
    lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint - %s + n), 12, '0')
    || '7' || lpad(to_hex(n %% 4096), 3, '0') || '8' || substr(md5(n::text), 1, 15)
)::uuid"""


def clear() -> None:
    """Leave no job, no result, and no worker of a run before, and the tables as small as they were."""
    tables = [connection.ops.quote_name(model._meta.db_table) for model in (Job, Result, Worker)]
    with connection.cursor() as cursor:
        if connection.features.can_rollback_ddl and connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)}")
        else:
            for table in tables:
                cursor.execute(f"DELETE FROM {table}")


def stored() -> int:
    return Result.objects.count()


def fill(what: str, count: int, task_path: str) -> None:
    """Make `count` rows of this kind (see Peer.fill) out of one, and leave the table as autovacuum would."""
    first = _first(what, task_path)
    first.save(force_insert=True)
    _multiply(first, count)
    first.delete()
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {first._meta.db_table}")


def _first(what: str, task_path: str) -> models.Model:
    now = timezone.now()
    given: dict[str, Any] = {"task_path": task_path, "enqueued_at": now, "queue_name": "default"}
    match what:
        case "ready":
            return Job(**given, status="READY")
        case "other_queue":
            return Job(**{**given, "queue_name": "other"}, status="READY")
        case "scheduled":
            month = now + timedelta(days=30)
            return Job(**given, status="SCHEDULED", run_after=month, due_at=month)
        case "results":
            ran = {"started_at": now, "last_attempted_at": now, "attempt": 1, "worker_id": "earlier"}
            return Result(**given, **ran, status="SUCCESSFUL", finished_at=now, return_value="null")
    raise ValueError(f'django_tasks_q cannot be filled with "{what}".')


def _multiply(first: models.Model, count: int) -> None:
    columns = [field.column for field in first._meta.concrete_fields if field.column]
    values = ", ".join(IDS if column == "id" else column for column in columns)
    table = first._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)})"
            f" SELECT {values} FROM {table}, generate_series(1, %s) AS n WHERE id = %s",
            [count, count, first.pk],
        )
