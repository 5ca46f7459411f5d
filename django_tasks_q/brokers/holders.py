"""Which workers hold jobs, and which jobs."""

from collections.abc import Iterable
from typing import Any

from .claim import ClaimVerbs
from .sql import JOB, placeholders
from .values import ClaimedJob

__all__ = ["HolderVerbs"]


class HolderVerbs(ClaimVerbs):
    """holders, running_under, begun_under, and held_by."""

    def holders(self) -> list[str]:
        """Return the ids of the workers that hold RUNNING jobs of this backend, each once."""
        with self.connection.cursor() as cursor:
            return self._holders(cursor)

    def _holders(self, cursor: Any) -> list[str]:
        cursor.execute(_HOLDERS, [self.alias])
        return [row[0] for row in cursor.fetchall()]

    def running_under(self, worker_id: str, *, limit: int) -> dict[str, int]:
        """Return the ids of up to `limit` jobs that are RUNNING under a worker, each with its attempt."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, attempt FROM {JOB} WHERE status = 'RUNNING' AND worker_id = %s ORDER BY id LIMIT %s",
                [worker_id, limit],
            )
            return {self.dialect.from_key(key): attempt for key, attempt in cursor.fetchall()}

    def begun_under(self, worker_id: str) -> set[str]:
        """Return the ids of the jobs that are RUNNING under a worker and are known to have begun."""
        return set(self._begun_under(worker_id))

    def _begun_under(self, worker_id: str) -> dict[str, int]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, attempt FROM {JOB} WHERE status = 'RUNNING' AND worker_id = %s AND begun_at IS NOT NULL",
                [worker_id],
            )
            return {self.dialect.from_key(key): attempt for key, attempt in cursor.fetchall()}

    def held_by(self, worker_id: str, *, limit: int = 1_000, but: Iterable[str] = ()) -> list[ClaimedJob]:
        """Return jobs that are RUNNING under a worker, except those in `but`: at least one if there is one.

        No more than `limit` of them, and no more than fit into a claim.
        """
        known = {self.dialect.to_key(job_id) for job_id in but}
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, {self.dialect.size_sql} FROM {JOB} WHERE status = 'RUNNING' AND worker_id = %s"
                " ORDER BY id LIMIT %s",
                [worker_id, limit + len(known)],
            )
            found = [row for row in cursor.fetchall() if row[0] not in known]
            keys = self._that_fit(found, self.largest_claim)
            if not keys:
                return []
            cursor.execute(
                f"SELECT {self._claimed_columns} FROM {JOB} j WHERE id IN ({placeholders(keys)})"
                " AND status = 'RUNNING' AND worker_id = %s ORDER BY id",
                [*keys, worker_id],
            )
            return [self._claimed(row) for row in cursor.fetchall()]


# From one worker to the next in the index, reading one row of each, to see the backend.
_HOLDERS = """
WITH RECURSIVE h(worker_id) AS (
    SELECT MIN(worker_id) FROM django_tasks_q_job WHERE status = 'RUNNING'
    UNION ALL
    SELECT (SELECT MIN(j.worker_id) FROM django_tasks_q_job j
            WHERE j.status = 'RUNNING' AND j.worker_id > h.worker_id)
    FROM h WHERE h.worker_id IS NOT NULL
)
SELECT worker_id FROM h WHERE worker_id IS NOT NULL AND %s = (
    SELECT j.backend FROM django_tasks_q_job j
    WHERE j.status = 'RUNNING' AND j.worker_id = h.worker_id ORDER BY j.id LIMIT 1
)"""
