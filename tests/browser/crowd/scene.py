"""A million results, 200,000 live jobs and three months of statistics, made by a few statements of PostgreSQL."""

import json
from collections.abc import Mapping

from django.db import connection

from django_tasks_q.models.statistics import COUNTS, RUNS, SUMS, WAITS

from .tasks import report

__all__ = ["EVIL", "fill"]

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"
JOBS, RESULTS, STATISTICS, SCHEDULES = (
    f"django_tasks_q_{name}" for name in ("job", "result", "statistics", "schedule")
)
# How long ago the first result of a crowd ended: the more the newer.
WEEKS = 4
TRACEBACK = (
    """Traceback (most recent call last):
  File "/srv/shop/payments.py", line 87, in charge
    answer = self.session.post(self.url, json=order)
  File "/srv/venv/lib/python3.13/site-packages/requests/sessions.py", line 637, in post
    return self.request("POST", url, data=data, json=json, **kwargs)
TimeoutError: payments.example.com did not answer within 5 s """
    + EVIL
)

TASK = "'shop.tasks.task_' || lpad(({n} % 40)::text, 2, '0')"
# The queue of a task is the same each time, but for those that nobody listens to.
QUEUE = "(ARRAY['mail', 'images', 'payments', 'search', 'exports', 'imports', 'reports', 'a queue <b>'])[1 + {n} % 8]"
ID = (
    "(lpad(to_hex((extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex({n} % 4096), 3, '0')"
    " || '8' || lpad(to_hex({n}), 15, '0'))::uuid"
)
FAILED, CANCELLED = "n % 20 = 7", "n % 100 = 3"
COMMON = {
    "backend": "'default'",
    "priority": "(n % 3)::smallint",
    "kwargs": "json_build_object('order_id', n, 'address', 'customer-' || n || '@example.com')",
    "args": "json_build_array(n % 100, 'a word')",
    "options": "'{}'",
    "metadata": "json_build_object('trace', md5(n::text))",
    "losses": "0",
}


def fill(results: int, jobs: int) -> None:
    """Fill the empty tables, and tell the planner."""
    with connection.cursor() as cursor:
        cursor.execute(_insert(RESULTS, _results(results), f"generate_series(1, {results}) n, {_ages(results)}"))
        cursor.execute(_insert(JOBS, _jobs(jobs), f"generate_series(1, {jobs}) n, {_arrivals(jobs)}"))
        for seconds, step, number in ((60, "1 minute", 1_440), (3_600, "1 hour", 24 * 60)):
            cursor.execute(_insert(STATISTICS, _statistics(seconds, step), _cells(number)))
        # The server of the tests does not do it by itself.
        for table in (JOBS, RESULTS, STATISTICS):
            cursor.execute(f"VACUUM (ANALYZE) {table}")


def _insert(table: str, columns: Mapping[str, str], source: str) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM {source}"


def _ages(number: int) -> str:
    share = f"power(1 - n / {number}::float8, 2)"
    return f"LATERAL (SELECT now() - interval '10 s' - {share} * interval '{WEEKS} weeks' AS at) times"


def _arrivals(number: int) -> str:
    return f"LATERAL (SELECT now() - interval '1 s' - (1 - n / {number}::float8) * interval '6 hours' AS at) times"


def _results(number: int) -> dict[str, str]:
    entry = {
        "exception": "builtins.TimeoutError",
        "group": "",
        "traceback": TRACEBACK,
        "worker": "web-1",
        "attempt": 1,
    }
    error = json.dumps([entry | {"kind": "error"}]).replace("'", "''")
    group = "'builtins.TimeoutError at shop.payments.charge_' || (n / 20 % 60)"
    moments = "jsonb_build_object('started_at', at, 'finished_at', at)"
    return COMMON | {
        "id": ID.format(at="at - interval '2 s'", n="n"),
        "task_path": TASK.format(n="n"),
        "queue_name": QUEUE.format(n="n"),
        "enqueued_at": "at - interval '2 s'",
        "started_at": "at - interval '1 s'",
        "last_attempted_at": "at - interval '1 s'",
        "finished_at": "at",
        "attempt": "1",
        "failures": f"CASE WHEN {FAILED} THEN 1 ELSE 0 END",
        "worker_id": "'web-' || n % 8",
        "status": f"CASE WHEN {FAILED} THEN 'FAILED' WHEN {CANCELLED} THEN 'CANCELLED' ELSE 'SUCCESSFUL' END",
        "error_group": f"CASE WHEN {FAILED} THEN {group} END",
        "errors": f"CASE WHEN {FAILED} THEN jsonb_build_array('{error}'::jsonb -> 0 || {moments}) ELSE '[]' END",
        "reason": f"CASE WHEN {FAILED} THEN 'TimeoutError: no answer <b>within</b> 5 s' ELSE '' END",
        "return_value": f"CASE WHEN {FAILED} OR {CANCELLED} THEN NULL ELSE to_json(n) END",
    }


def _jobs(number: int) -> dict[str, str]:
    scheduled, waiting = "n % 10 IN (4, 9)", "n % 20 = 13"
    # What the worker takes has to be a task that it knows.
    queue, task = QUEUE.format(n="n"), TASK.format(n="n")
    return COMMON | {
        "id": ID.format(at="at", n="n"),
        "task_path": f"CASE WHEN {queue} = 'reports' THEN '{report.module_path}' ELSE {task} END",
        "args": f"CASE WHEN {queue} = 'reports' THEN json_build_array(n) ELSE json_build_array(n, 'a word') END",
        "kwargs": f"CASE WHEN {queue} = 'reports' THEN '{{}}' ELSE {COMMON['kwargs']} END",
        "queue_name": queue,
        "enqueued_at": "at",
        "run_after": f"CASE WHEN {scheduled} THEN now() + interval '1 hour' + n * interval '1 s' END",
        "due_at": f"CASE WHEN {scheduled} THEN now() + interval '1 hour' + n * interval '1 s' END",
        "attempt": "0",
        "failures": "0",
        "errors": "'[]'",
        "reason": f"CASE WHEN {waiting} THEN 'Waits for a slot of the limit <i>api</i>.' ELSE '' END",
        "status": f"CASE WHEN {scheduled} THEN 'SCHEDULED' WHEN {waiting} THEN 'WAITING' ELSE 'READY' END",
    }


def _cells(number: int) -> str:
    return f"generate_series(1, {number}) p, generate_series(0, 39) n"


def _statistics(seconds: int, step: str) -> dict[str, str]:
    """Return what 40 tasks did in each period, of which minutes are kept for a day."""
    unit = "minute" if seconds == 60 else "hour"
    since = "0 s" if seconds == 60 else "1 day"
    columns = {
        "backend": "'default'",
        "period": str(seconds),
        "at": f"date_trunc('{unit}', now() - interval '{since}' - p * interval '{step}')",
        "queue_name": QUEUE.format(n="n"),
        "task_path": TASK.format(n="n"),
        **dict.fromkeys(SUMS, "0"),
        "run_seconds": "100",
        "wait_seconds": "30",
    }
    columns |= {
        name: f"({number} * {seconds // 60} * (1 + n % 7)) / 7"
        for name, number in zip(COUNTS, (700, 20, 4, 9, 1), strict=True)
    }
    columns |= dict.fromkeys((*RUNS[3:9], *WAITS[2:7]), f"({seconds} * (1 + (n + p) % 5)) / 2")
    return columns
