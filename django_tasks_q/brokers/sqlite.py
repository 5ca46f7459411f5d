from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from .base import Broker
from .claim import BARRED, Claim, Position
from .dialects.base import Dialect
from .dialects.sqlite import SQLiteDialect
from .sql import JOB, counted, placeholders

__all__ = ["SQLiteBroker"]


class SQLiteBroker(Broker):
    """One writer at a time: every transaction takes the write lock when it begins, or waits for it."""

    dialect_class: ClassVar[type[Dialect]] = SQLiteDialect
    outcome_rows: ClassVar[str] = (
        "(SELECT value ->> '$.id' AS id, value ->> '$.attempt' AS attempt, value ->> '$.status' AS status,"
        " value ->> '$.started_at' AS started_at, value ->> '$.finished_at' AS finished_at,"
        " value ->> '$.return_value' AS return_value, value ->> '$.error' AS error,"
        " value ->> '$.due_at' AS due_at, value ->> '$.failed' AS failed, value ->> '$.lost' AS lost,"
        " value ->> '$.uncharged' AS uncharged, value ->> '$.reason' AS reason,"
        " value ->> '$.displaced' AS displaced FROM json_each(%s)) o"
    )
    error_group: ClassVar[str] = "substr(o.error ->> '$.group', 1, 255)"

    def claim_within(
        self, worker_id: str, queue_name: str, limit: int, size: int, *, after: Sequence[Position] = ()
    ) -> Claim:
        with self.transaction(), self.connection.cursor() as cursor:
            now = self.dialect.now_sql
            cursor.execute(
                f"SELECT id, {self.dialect.size_sql} FROM {JOB}"
                " WHERE backend = %s AND status = 'READY' AND queue_name = %s"
                f" AND NOT ({BARRED}) ORDER BY priority DESC, id LIMIT %s",
                [self.alias, queue_name, self.alias, queue_name, worker_id, limit],
            )
            found = cursor.fetchall()
            keys = self._that_fit(found, size)
            cursor.execute(
                f"UPDATE {JOB} AS j SET status = 'RUNNING', worker_id = %s, attempt = {counted('attempt')},"
                f" reason = '', last_attempted_at = {now}, started_at = COALESCE(started_at, {now})"
                f" WHERE id IN ({placeholders(keys)})"
                f" RETURNING {', '.join(self._claimed_columns.replace('j.', '').split(', '))}",
                [worker_id, *keys],
            )
            jobs = [self._claimed(row) for row in cursor.fetchall()]
        jobs.sort(key=lambda job: (-job.priority, job.id))
        return Claim(jobs, len(keys) < len(found))

    @cached_property
    def _hand_back_sql(self) -> str:
        changes = ", ".join(f"{name} = {value}" for name, value in self._handed_back.items())
        return f"UPDATE django_tasks_q_job AS j SET {changes} FROM {self.outcome_rows} WHERE j.id = {self.outcome_key}"

    @cached_property
    def appended_errors(self) -> str:  # type: ignore[override]
        return (
            "CASE WHEN o.error IS NULL THEN j.errors ELSE json_insert("
            f"CASE WHEN json_array_length(j.errors) >= {self.options.max_errors} THEN json_remove(j.errors, '$[0]')"
            " ELSE j.errors END, '$[#]', json(o.error)) END"
        )
