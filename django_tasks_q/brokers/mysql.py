import json
import uuid
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.utils import timezone

from .base import LONGEST_LOCK_WAIT, Broker, Position
from .counters import counted
from .operator import LOG
from .silence import end_silence
from .values import ClaimedJob

__all__ = ["MySQLBroker"]


class MySQLBroker(Broker):
    """MySQL 8 and MariaDB 10.6 or later: locks first, then writes by primary key, so that no gap lock is taken.

    Every statement that locks is told its index: a row that is only looked at is locked too, and sessions that look at
    each other's rows deadlock.
    """

    by_key: ClassVar[str] = " FORCE INDEX (PRIMARY)"
    by_due_at: ClassVar[str] = " FORCE INDEX (tasksq_job_scheduled)"
    by_next_run: ClassVar[str] = " FORCE INDEX (tasksq_schedule_due)"
    needs: ClassVar[str] = "MySQL 8.0.11 or MariaDB 10.6 or later"
    # MySQL can, MariaDB cannot.
    limits_by_row: ClassVar[bool] = False
    error_group: ClassVar[str] = "LEFT(JSON_UNQUOTE(JSON_EXTRACT(o.error, '$.group')), 255)"
    # The ids are ASCII, which MySQL compares with text of any collation; with Unicode it must be of the same one.
    outcome_rows: ClassVar[str] = (
        "JSON_TABLE(%s, '$[*]' COLUMNS (id VARCHAR(36) CHARACTER SET ascii PATH '$.id', attempt INT PATH '$.attempt',"
        " status VARCHAR(10) PATH '$.status', started_at DATETIME(6) PATH '$.started_at',"
        " finished_at DATETIME(6) PATH '$.finished_at',"
        " return_value LONGTEXT CHARACTER SET utf8mb4 PATH '$.return_value',"
        " error LONGTEXT CHARACTER SET utf8mb4 PATH '$.error', due_at DATETIME(6) PATH '$.due_at',"
        " failed INT PATH '$.failed', lost INT PATH '$.lost', uncharged INT PATH '$.uncharged',"
        " reason VARCHAR(500) CHARACTER SET utf8mb4 PATH '$.reason')) o"
    )

    def check_database(self) -> Iterator[CheckMessage]:
        yield from super().check_database()
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT @@character_set_database")
            (charset,) = cursor.fetchone()
        if charset != "utf8mb4":
            yield Warning(
                f'The database "{self.using}" stores text in {charset}, which does not hold every character: what a '
                "task says of itself may be refused.",
                hint=f"Run: ALTER DATABASE {self.connection.settings_dict['NAME']} CHARACTER SET utf8mb4, "
                "and convert the tables that are there.",
                id="tasksq.W007",
            )

    def prepare_session(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = %s", [LONGEST_LOCK_WAIT])
        raw = self.connection.connection
        # PyMySQL does not tell it in any other way.
        end_silence(getattr(raw, "_sock", raw).fileno(), self.options.rescue_after)

    @property
    def now_sql(self) -> str:  # type: ignore[override]
        """The server's clock in the time zone in which Django stores: its session's own may be any other."""
        zone = self.connection.timezone if settings.USE_TZ else timezone.get_default_timezone()
        offset = timezone.now().astimezone(zone).utcoffset()
        seconds = int(offset.total_seconds()) if offset else 0
        return f"(UTC_TIMESTAMP(6) + INTERVAL {seconds} SECOND)" if seconds else "UTC_TIMESTAMP(6)"

    def claim(
        self, worker_id: str, queue_name: str, limit: int, *, after: Sequence[Position] = ()
    ) -> list[ClaimedJob]:
        with self.transaction(durable=False), self.connection.cursor() as cursor:
            cursor.execute(self._pick_sql, [self.alias, queue_name, self.alias, queue_name, limit])
            keys = [row[0] for row in cursor.fetchall()]
            if not keys:
                return []
            marks = ", ".join(["%s"] * len(keys))
            cursor.execute(
                f"UPDATE django_tasks_q_job{self.by_key} SET status = 'RUNNING', worker_id = %s,"
                f" attempt = {counted('attempt')}, reason = '', last_attempted_at = {self.now_sql},"
                f" started_at = COALESCE(started_at, {self.now_sql})"
                f" WHERE id IN ({marks})",
                [worker_id, *keys],
            )
            cursor.execute(
                f"SELECT {self._claimed_columns} FROM django_tasks_q_job j WHERE id IN ({marks})"
                " ORDER BY priority DESC, id",
                keys,
            )
            return [self._claimed(row) for row in cursor.fetchall()]

    def ready_queues(self) -> list[str]:
        # One by one: the server does not use the index for a comparison with another row of a recursive query.
        names: list[str] = []
        with self.connection.cursor() as cursor:
            while True:
                cursor.execute(
                    "SELECT MIN(queue_name) FROM django_tasks_q_job"
                    " WHERE backend = %s AND status = 'READY' AND queue_name > %s",
                    [self.alias, names[-1] if names else ""],
                )
                name = cursor.fetchone()[0]
                if name is None:
                    return names
                names.append(name)

    @cached_property
    def _pick_sql(self) -> str:
        return (
            "SELECT id FROM django_tasks_q_job FORCE INDEX (tasksq_job_claim)"
            " WHERE backend = %s AND status = 'READY' AND queue_name = %s"
            " AND NOT EXISTS (SELECT 1 FROM django_tasks_q_queue WHERE backend = %s AND name = %s AND paused)"
            f" ORDER BY priority DESC, id LIMIT %s {self.skip_locked}"
        )

    @cached_property
    def _hand_back_sql(self) -> str:
        changes = ", ".join(f"j.{name} = {value}" for name, value in self._handed_back.items())
        return (
            f"UPDATE {self.outcome_rows} STRAIGHT_JOIN django_tasks_q_job j{self.by_key}"
            f" ON j.id = {self.outcome_key} SET {changes}"
        )

    def _delete(self, keys: Sequence[Any], table: str) -> int:
        return self._delete_by(keys, f"{table} d{self.by_key} ON d.id")

    def _delete_lines(self, keys: Sequence[Any]) -> None:
        if keys:
            self._delete_by(keys, f"{LOG} d FORCE INDEX (tasksq_job_log_run) ON d.job_id")

    def _delete_by(self, keys: Sequence[Any], found: str) -> int:
        # Key by key, because of a short table the server would delete by looking at all of it.
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

    def adding_up(self, table: str, key: Sequence[str], sums: Sequence[str]) -> str:
        changes = ", ".join(f"{table}.{name} = {table}.{name} + VALUES({name})" for name in sums)
        return f"ON DUPLICATE KEY UPDATE {changes}"

    def _literal(self, text: str) -> str:
        # A backslash escapes here, as it does in no other database.
        return super()._literal(text.replace("\\", "\\\\"))

    def to_key(self, job_id: uuid.UUID | str) -> Any:
        return str(job_id) if self.connection.features.has_native_uuid_field else super().to_key(job_id)

    def _from_moment(self, value: Any) -> Any:
        if value is None or not settings.USE_TZ:
            return value
        return timezone.make_aware(value, self.connection.timezone)

    def _claimed(self, row: Sequence[Any]) -> ClaimedJob:
        return super()._claimed([item.decode() if isinstance(item, bytes) else item for item in row])
