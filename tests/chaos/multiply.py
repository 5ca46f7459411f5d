"""Jobs by the hundred thousand: one is enqueued, one statement makes many of it, one commit shows all."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from django_tasks_q import enqueue
from django_tasks_q.models import Job

from .heavy import SWARMING
from .history import Swarm
from .models import Mark

__all__ = ["make_swarm"]

# A UUIDv7 of now, as 32 hexadecimal digits, made from n.
DIGITS = {
    "postgresql": (
        "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')"
        " || '7' || lpad(to_hex(n %% 4096), 3, '0') || '8' || substr(md5(n::text || random()::text), 1, 15))::uuid"
    ),
    "mysql": (
        "LOWER(CONCAT(LPAD(HEX(FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)), 12, '0'), '7', LPAD(HEX(seq %% 4096), 3, '0'),"
        " '8', SUBSTR(MD5(CONCAT(seq, RAND())), 1, 15)))"
    ),
    "sqlite": (
        "lower(printf('%%012x', CAST(unixepoch('subsec') * 1000 AS INTEGER)) || '7' || printf('%%03x', n %% 4096)"
        " || '8' || substr(hex(randomblob(8)), 1, 15))"
    ),
}
NUMBERS = {
    "postgresql": "generate_series(1, {}) AS n",
    "mysql": "seq_1_to_{}",
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {}) SELECT n FROM s)",
}


def make_swarm(
    swarm: Swarm, queue: str, *, run_after: datetime | None = None, changes: Mapping[str, str] | None = None
) -> None:
    """Make the jobs of a swarm in one transaction, which leaves its mark.

    changes: columns, and what stands in them instead, as SQL in which {n} is the number of the row.
    """
    given: dict[str, Any] = {"queue_name": queue} | ({"run_after": run_after} if run_after else {})
    with transaction.atomic():
        Mark.objects.create(batch=swarm.name)
        first = enqueue(SWARMING[swarm.task].using(**given), swarm.name)
        _multiply(str(first.id), swarm.count, changes or {})
        # It was only the pattern.
        Job.objects.filter(id=first.id).delete()


def _multiply(job_id: str, count: int, changes: Mapping[str, str]) -> None:
    vendor = connection.vendor
    columns = [field.column for field in Job._meta.concrete_fields if field.column]
    values = {"id": DIGITS[vendor], **{name: _with_number(sql, vendor) for name, sql in changes.items()}}
    table = Job._meta.db_table
    selected = ", ".join(values.get(column, column) for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)})"
            f" SELECT {selected} FROM {table}, {NUMBERS[vendor].format(count)} WHERE id = %s",
            [Job._meta.pk.get_db_prep_value(job_id, connection)],
        )


def _with_number(sql: str, vendor: str) -> str:
    return sql.replace("{n}", "seq" if vendor == "mysql" else "n").replace("%", "%%")
