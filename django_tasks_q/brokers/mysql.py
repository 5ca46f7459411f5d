import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from .base import Broker
from .claim import BARRED, Claim, Position
from .dialects.base import Dialect
from .dialects.mysql import MySQLDialect
from .sql import LOG, counted, placeholders
from .values import ClaimedJob

__all__ = ["MySQLBroker"]

# How many probes for one queue come before one scan of many index entries, and how many names make that one pay off.
FEW_LOOKS, MANY_ENTRIES, MANY_NAMES = 16, 1_000, 4
_NEXT_NAMES = (
    "SELECT DISTINCT queue_name FROM (SELECT queue_name FROM django_tasks_q_job FORCE INDEX (tasksq_job_claim)"
    " WHERE backend = %s AND status = 'READY' AND queue_name > %s ORDER BY queue_name LIMIT %s) q ORDER BY queue_name"
)
_NEXT_HOLDER = (
    "SELECT worker_id, backend FROM django_tasks_q_job FORCE INDEX (tasksq_job_running)"
    " WHERE status = 'RUNNING' AND worker_id > %s ORDER BY worker_id, id LIMIT 1"
)


class MySQLBroker(Broker):
    """MySQL 8 and MariaDB 10.6 or later: locks first, then writes by primary key, so that no gap lock is taken.

    Every locking statement names its index: a row that is only read is locked too, and sessions that read each other's
    rows deadlock.
    """

    dialect_class: ClassVar[type[Dialect]] = MySQLDialect
    error_group: ClassVar[str] = "LEFT(JSON_UNQUOTE(JSON_EXTRACT(o.error, '$.group')), 255)"
    # The ids are ASCII, which MySQL compares with text of any collation; Unicode text needs the same collation.
    outcome_rows: ClassVar[str] = (
        "JSON_TABLE(%s, '$[*]' COLUMNS (id VARCHAR(36) CHARACTER SET ascii PATH '$.id', attempt INT PATH '$.attempt',"
        " status VARCHAR(10) PATH '$.status', started_at DATETIME(6) PATH '$.started_at',"
        " finished_at DATETIME(6) PATH '$.finished_at',"
        " return_value LONGTEXT CHARACTER SET utf8mb4 PATH '$.return_value',"
        " error LONGTEXT CHARACTER SET utf8mb4 PATH '$.error', due_at DATETIME(6) PATH '$.due_at',"
        " failed INT PATH '$.failed', lost INT PATH '$.lost', uncharged INT PATH '$.uncharged',"
        " reason VARCHAR(500) CHARACTER SET utf8mb4 PATH '$.reason', displaced INT PATH '$.displaced')) o"
    )

    def claim_within(
        self, worker_id: str, queue_name: str, limit: int, size: int, *, after: Sequence[Position] = ()
    ) -> Claim:
        with self.transaction(durable=False), self.connection.cursor() as cursor:
            cursor.execute(self._pick_sql, [self.alias, queue_name, self.alias, queue_name, worker_id, limit])
            found = cursor.fetchall()
            keys = self._that_fit(found, size)
            if not keys:
                return Claim([], is_cut=False)
            chosen = placeholders(keys)
            cursor.execute(
                f"UPDATE django_tasks_q_job{self.dialect.by_key} SET status = 'RUNNING', worker_id = %s,"
                f" attempt = {counted('attempt')}, reason = '', last_attempted_at = {self.dialect.now_sql},"
                f" started_at = COALESCE(started_at, {self.dialect.now_sql})"
                f" WHERE id IN ({chosen})",
                [worker_id, *keys],
            )
            cursor.execute(
                f"SELECT {self._claimed_columns} FROM django_tasks_q_job j WHERE id IN ({chosen})"
                " ORDER BY priority DESC, id",
                keys,
            )
            return Claim([self._claimed(row) for row in cursor.fetchall()], len(keys) < len(found))

    def _all_ready(self, cursor: Any, paused: bool) -> list[str]:
        # From one to the next, because the server does not use the index for a comparison with another row of a
        # recursive query. Now and then many entries at once, as long as there are many names among them.
        names: list[str] = []
        looks, found = 0, [""]
        while found:
            looks += 1
            entries = 1 if looks % FEW_LOOKS else MANY_ENTRIES
            cursor.execute(_NEXT_NAMES, [self.alias, names[-1] if names else "", entries])
            found = [row[0] for row in cursor.fetchall()]
            names += found
            if entries == MANY_ENTRIES and len(found) >= MANY_NAMES:
                looks -= 1
        if names and not paused:
            cursor.execute("SELECT name FROM django_tasks_q_queue WHERE backend = %s AND paused", [self.alias])
            paused_names = {row[0] for row in cursor.fetchall()}
            return [name for name in names if name not in paused_names]
        return names

    def _holders(self, cursor: Any) -> list[str]:
        # One by one, like queues.
        found: list[tuple[str, str]] = []
        while True:
            cursor.execute(_NEXT_HOLDER, [found[-1][0] if found else ""])
            row = cursor.fetchone()
            if row is None:
                return [worker_id for worker_id, backend in found if backend == self.alias]
            found.append(row)

    @cached_property
    def _pick_sql(self) -> str:
        return (
            f"SELECT id, {self.dialect.size_sql} FROM django_tasks_q_job FORCE INDEX (tasksq_job_claim)"
            " WHERE backend = %s AND status = 'READY' AND queue_name = %s"
            f" AND NOT ({BARRED}) ORDER BY priority DESC, id LIMIT %s {self.dialect.skip_locked}"
        )

    @cached_property
    def _hand_back_sql(self) -> str:
        changes = ", ".join(f"j.{name} = {value}" for name, value in self._handed_back.items())
        return (
            f"UPDATE {self.outcome_rows} STRAIGHT_JOIN django_tasks_q_job j{self.dialect.by_key}"
            f" ON j.id = {self.outcome_key} SET {changes}"
        )

    def _delete(self, keys: Sequence[Any], table: str) -> int:
        return self._delete_by(keys, f"{table} d{self.dialect.by_key} ON d.id")

    def _delete_lines(self, keys: Sequence[Any]) -> None:
        if keys:
            self._delete_by(keys, f"{LOG} d FORCE INDEX (tasksq_job_log_run) ON d.job_id")

    def _delete_by(self, keys: Sequence[Any], found: str) -> int:
        # Key by key, because in a short table the server would read all rows to delete.
        with self.connection.cursor() as cursor:
            cursor.execute(
                "DELETE d FROM JSON_TABLE(%s, '$[*]' COLUMNS (id VARCHAR(36) CHARACTER SET ascii PATH '$')) k"
                f" STRAIGHT_JOIN {found} = k.id",
                [json.dumps([str(key) for key in keys])],
            )
            deleted: int = cursor.rowcount
        return deleted

    @cached_property
    def appended_errors(self) -> str:  # type: ignore[override]
        return (
            "CASE WHEN o.error IS NULL THEN j.errors ELSE JSON_MERGE_PRESERVE("
            f"CASE WHEN JSON_LENGTH(j.errors) >= {self.options.max_errors} THEN JSON_REMOVE(j.errors, '$[0]')"
            " ELSE j.errors END, CONCAT('[', o.error, ']')) END"
        )

    def _claimed(self, row: Sequence[Any]) -> ClaimedJob:
        return super()._claimed([item.decode() if isinstance(item, bytes) else item for item in row])
