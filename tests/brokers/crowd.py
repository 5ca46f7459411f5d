"""Tables with many rows, and what a database says about how it would look into them."""

import json
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import connection

from django_tasks_q.models import Statistics, Worker
from django_tasks_q.models.statistics import MINUTE, SUMS

__all__ = ["COUNT", "complaints", "fill", "fill_schedules", "fill_statistics", "fill_workers", "nodes"]

COUNT = {"postgresql": 200_000, "mysql": 100_000, "sqlite": 100_000}[settings.DATABASE]
TABLES = ("django_tasks_q_job", "django_tasks_q_result")
LOG = "django_tasks_q_job_log"
SCHEDULE, RUN = "django_tasks_q_schedule", "django_tasks_q_schedule_run"

STATISTICS, WORKER = Statistics._meta.db_table, Worker._meta.db_table
# Rows that may be sorted.
FEW = 100
LARGE = (*TABLES, LOG, SCHEDULE, RUN, STATISTICS)
SCANS = [["SCAN", name] for name in (*LARGE, "j", "m")]

DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
NUMBERS = (
    "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d + 1 AS n FROM "
    + ", ".join(f"({DIGITS}) {name}" for name in "abcefg")
    + ") numbers"
)
COMMON = {
    "backend": "'default'",
    "priority": "n % 5",
    "task_path": "'tests.tasks.noop'",
    "args": "'[]'",
    "kwargs": "'{}'",
    "options": "'{}'",
    "metadata": "'{}'",
    "failures": "0",
    "losses": "0",
    "errors": "'[]'",
    "reason": "''",
}


class Dialect:
    """How rows are made, and plans read, on PostgreSQL."""

    key = "CAST('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)"
    queue = "'queue-' || (n % 20)"
    soon, ago = "now() + (n - 1000) * interval '1 s'", "now() - n * interval '1 s'"
    minutes_ago = "date_trunc('minute', now()) - (n / 50) * interval '1 minute'"
    fifty = "'t' || (n % 50)"
    analyze = "ANALYZE {}"

    def complaints(self, sql: str, params: Any) -> Iterator[str]:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
            found = cursor.fetchone()[0]
        for node in nodes((json.loads(found) if isinstance(found, str) else found)[0]["Plan"]):
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE:
                yield f"scans {node['Relation Name']}"
            if "Sort" in node["Node Type"] and node["Plan Rows"] > FEW:
                yield "sorts"


class MySQL(Dialect):
    queue = "CONCAT('queue-', n % 20)"
    soon, ago = "UTC_TIMESTAMP(6) + INTERVAL (n - 1000) SECOND", "UTC_TIMESTAMP(6) - INTERVAL n SECOND"
    minutes_ago = "DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%d %H:%i:00') - INTERVAL (n DIV 50) MINUTE"
    fifty = "CONCAT('t', n % 50)"
    analyze = "ANALYZE TABLE {}"

    @property
    def key(self) -> str:  # type: ignore[override]
        if connection.features.has_native_uuid_field:
            return "CONCAT('00000000-0000-7000-8000-', LPAD(LOWER(HEX(n)), 12, '0'))"
        return "CONCAT('00000000000070008000', LPAD(LOWER(HEX(n)), 12, '0'))"

    def complaints(self, sql: str, params: Any) -> Iterator[str]:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}", params)
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        for row in rows:
            if row["type"] in {"ALL", "index"} and int(row["rows"] or 0) > COUNT // 10:
                yield f"scans {row['table']}"
            if "filesort" in (row["Extra"] or "") and int(row["rows"] or 0) > COUNT // 10:
                yield f"sorts {row['table']}"


class SQLite(Dialect):
    key = "'00000000000070008000' || printf('%012x', n)"
    soon, ago = "datetime('now', (n - 1000) || ' seconds')", "datetime('now', (-n) || ' seconds')"
    minutes_ago = "strftime('%Y-%m-%d %H:%M:00', 'now', (-(n / 50)) || ' minutes')"
    analyze = "ANALYZE {}"

    def complaints(self, sql: str, params: Any) -> Iterator[str]:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
            steps = [row[3] for row in cursor.fetchall()]
        for step in steps:
            if step.split()[:2] in SCANS or step.startswith("USE TEMP B-TREE"):
                yield step


DIALECT = {"postgresql": Dialect, "mysql": MySQL, "sqlite": SQLite}[settings.DATABASE]()


def complaints(sql: str, params: Any) -> list[str]:
    """Return what is wrong with the plan of a statement: a whole table that it would read, or sort."""
    return list(DIALECT.complaints(sql, params))


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a node of a plan of PostgreSQL, and all below it."""
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def fill(count: int = COUNT) -> None:
    """Fill both tables with so many rows in every state, and that of their lines; tell the planner."""
    jobs = {
        "id": DIALECT.key,
        "queue_name": DIALECT.queue,
        "attempt": "0",
        "enqueued_at": DIALECT.ago,
        "due_at": f"CASE WHEN n % 10 IN (7, 8) THEN {DIALECT.soon} END",
        "worker_id": "CASE WHEN n % 10 = 9 THEN 'w0' END",
        "status": "CASE WHEN n % 10 < 7 THEN 'READY' WHEN n % 10 = 9 THEN 'RUNNING' ELSE 'SCHEDULED' END",
    }
    results = {
        "id": DIALECT.key.replace("7000", "7001"),
        "queue_name": DIALECT.queue,
        "attempt": "1",
        "enqueued_at": DIALECT.ago,
        "finished_at": DIALECT.ago,
        "status": "CASE WHEN n % 10 = 0 THEN 'FAILED' ELSE 'SUCCESSFUL' END",
    }
    lines = {"job_id": results["id"], "attempt": "1", "entries": f"'{json.dumps([[0, '', '', 'x' * 300]])}'"}
    filled = (jobs | COMMON, results | COMMON, lines)
    with connection.cursor() as cursor:
        for table, columns in zip((*TABLES, LOG), filled, strict=True):
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
                f" FROM {NUMBERS} WHERE n <= {count}"
            )
            cursor.execute(DIALECT.analyze.format(table))
            cursor.fetchall() if cursor.description else None


def fill_statistics(period: int = MINUTE) -> None:
    """Count a day and more of fifty tasks, which ended once a minute, or once an hour."""
    columns = {"backend": "'default'", "period": f"{period}", "at": DIALECT.minutes_ago, "queue_name": "'default'"}
    _insert(STATISTICS, columns | {"task_path": DIALECT.fifty} | dict.fromkeys(SUMS, "1"), 100_000)


def fill_workers(count: int = 5_000) -> None:
    """Make rows of workers that have gone: each now and then one, for days."""
    columns = {
        "id": DIALECT.fifty.replace("50", "1000000"),
        "backend": "'default'",
        "status": "'OFFLINE'",
        "idle": "(1 = 0)",
        "host": "'h'",
        "node": "''",
        "pid": "1",
        "process_start": "''",
        "queues": "'[]'",
        "excluded_queues": "'[]'",
        "concurrency": "1",
        "started_at": DIALECT.ago,
        "heartbeat_at": DIALECT.ago,
        "running": "0",
        "finished": "0",
        "memory": "0",
    }
    _insert(WORKER, columns, count)


def _insert(table: str, columns: dict[str, str], count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
            f" FROM {NUMBERS} WHERE n <= {count}"
        )
        cursor.execute(DIALECT.analyze.format(table))
        cursor.fetchall() if cursor.description else None


def fill_schedules(template: Any, count: int) -> None:
    """Make so many copies of a schedule, a thousand of them due by now; and three runs of each."""
    columns = [item.column for item in template._meta.concrete_fields if item.column != "id"]
    values = {column: column for column in columns}
    values |= {"name": "TRIM(CAST(n AS CHAR(20)))", "next_run_at": DIALECT.soon}
    job_id = DIALECT.key.replace("(n)", "(t.id)").replace(", n)", ", t.id)")
    run = {
        "job_id": job_id,
        "schedule_id": "t.id",
        "slot": DIALECT.ago,
        "status": "'ENQUEUED'",
        "fired_at": DIALECT.ago,
        "reason": "''",
    }
    statements = (
        (SCHEDULE, values, f"{SCHEDULE} t, {NUMBERS} WHERE t.id = {template.pk} AND n <= {count}"),
        (RUN, run, f"{SCHEDULE} t, {NUMBERS} WHERE n <= 3 AND t.id <> {template.pk}"),
    )
    with connection.cursor() as cursor:
        for table, given, source in statements:
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(given)}) SELECT {', '.join(given.values())} FROM {source}"
            )
            cursor.execute(DIALECT.analyze.format(table))
            cursor.fetchall() if cursor.description else None
