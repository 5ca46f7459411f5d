"""Which jobs are ready, and when others are."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from .sql import JOB, placeholders
from .verbs import Verbs

__all__ = ["QueueVerbs"]

# SQLite combines no more than 500 queries into one.
MOST_NAMES = 100


class QueueVerbs(Verbs):
    """ready_queues, ready_among, ready_left, next_due, and promote."""

    def ready_queues(self, *, among: Sequence[str] = (), paused: bool = True) -> list[str]:
        """Return the names of the queues that have READY jobs.

        among: only these, if any are given. paused: False leaves out paused queues.
        """
        with self.connection.cursor() as cursor:
            if not among:
                return self._all_ready(cursor, paused)
            batches = [among[start : start + MOST_NAMES] for start in range(0, len(among), MOST_NAMES)]
            return [name for batch in batches for name in self._ready_among(cursor, batch, paused)]

    def _all_ready(self, cursor: Any, paused: bool) -> list[str]:
        """Skip from one name to the next in the index."""
        unpaused, rest = ("", []) if paused else (f" AND {_NOT_PAUSED.format('q.name')}", [self.alias])
        cursor.execute(_READY_QUEUES + unpaused, [self.alias, self.alias, *rest])
        return [row[0] for row in cursor.fetchall()]

    def _ready_among(self, cursor: Any, names: Sequence[str], paused: bool) -> list[str]:
        # Each with its own limit, because only then is each one a single index probe.
        unpaused, rest = ("", []) if paused else (f" AND {_NOT_PAUSED.format('queue_name')}", [self.alias])
        look = (
            "SELECT queue_name FROM django_tasks_q_job"
            f" WHERE backend = %s AND status = 'READY' AND queue_name = %s{unpaused} LIMIT 1"
        )
        cursor.execute(
            " UNION ALL ".join(f"SELECT queue_name FROM ({look}) q{number}" for number in range(len(names))),
            [value for name in names for value in (self.alias, name, *rest)],
        )
        return [row[0] for row in cursor.fetchall()]

    def ready_among(self, job_ids: Iterable[uuid.UUID | str]) -> dict[str, int]:
        """Return how many of these jobs are READY, by queue."""
        keys = [self.dialect.to_key(job_id) for job_id in job_ids]
        if not keys:
            return {}
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT queue_name, COUNT(*) FROM {JOB}{self.dialect.by_key} WHERE id IN ({placeholders(keys)})"
                " AND status = 'READY' GROUP BY queue_name",
                keys,
            )
            return dict(cursor.fetchall())

    def ready_left(self, queue: str, most: int = 100) -> int:
        """Return how many READY jobs there are in a queue, counting no more than `most`."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT COUNT(*) FROM (SELECT 1 FROM {JOB} WHERE backend = %s AND status = 'READY'"
                " AND queue_name = %s LIMIT %s) r",
                [self.alias, queue, most],
            )
            left: int = cursor.fetchone()[0]
        return left

    def next_due(self) -> float | None:
        """Return the seconds until the first SCHEDULED job is due, 0 or less if it is due; None if there is none."""
        return self.dialect.seconds_until("due_at", _FIRST_SCHEDULED, [self.alias])

    def promote(self, limit: int = 1_000) -> int:
        """Make up to `limit` SCHEDULED jobs that are due READY; return how many."""
        with self.transaction(durable=False), self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM django_tasks_q_job{self.dialect.by_due_at}"
                " WHERE backend = %s AND status = 'SCHEDULED'"
                f" AND due_at <= {self.dialect.now_once} ORDER BY due_at LIMIT %s {self.dialect.skip_locked}",
                [self.alias, limit],
            )
            keys = [row[0] for row in cursor.fetchall()]
            if keys:
                cursor.execute(
                    f"UPDATE django_tasks_q_job{self.dialect.by_key} SET status = 'READY', reason = ''"
                    f" WHERE id IN ({placeholders(keys)})",
                    keys,
                )
        return len(keys)


_NOT_PAUSED = "NOT EXISTS (SELECT 1 FROM django_tasks_q_queue p WHERE p.backend = %s AND p.name = {} AND p.paused)"
# The smallest queue name, then the next greater one, and so on: one index probe each.
_READY_QUEUES = """
WITH RECURSIVE q(name) AS (
    SELECT MIN(queue_name) FROM django_tasks_q_job WHERE backend = %s AND status = 'READY'
    UNION ALL
    SELECT (SELECT MIN(j.queue_name) FROM django_tasks_q_job j
            WHERE j.backend = %s AND j.status = 'READY' AND j.queue_name > q.name)
    FROM q WHERE q.name IS NOT NULL
)
SELECT name FROM q WHERE name IS NOT NULL"""
# Without a time there is nothing to wait for: such a row, which is not ours, is left unchanged.
_FIRST_SCHEDULED = (
    "FROM django_tasks_q_job WHERE backend = %s AND status = 'SCHEDULED'"
    " AND due_at IS NOT NULL ORDER BY due_at LIMIT 1"
)
