import uuid
from collections.abc import Iterator, Sequence
from functools import cached_property
from math import ceil
from typing import Any, ClassVar

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.utils import timezone

from ..failures import Failure, of_mysql
from ..keepalive import set_keepalive
from .base import LONGEST_LOCK_WAIT, Dialect

__all__ = ["MySQLDialect"]


class MySQLDialect(Dialect):
    """MySQL 8 and MariaDB 10.6 or later."""

    by_key: ClassVar[str] = " FORCE INDEX (PRIMARY)"
    by_due_at: ClassVar[str] = " FORCE INDEX (tasksq_job_scheduled)"
    by_next_run: ClassVar[str] = " FORCE INDEX (tasksq_schedule_due)"
    needs: ClassVar[str] = "MySQL 8.0.11 or MariaDB 10.6 or later"
    epoch_sql = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6"
    _delete_first_sql: ClassVar[str] = "DELETE FROM {table} WHERE {condition} ORDER BY {order} LIMIT %s"
    # MySQL can, MariaDB cannot.
    limits_by_row: ClassVar[bool] = False
    size_sql = "LENGTH(args) + LENGTH(kwargs) + LENGTH(metadata) + LENGTH(errors)"

    def check_database(self) -> Iterator[CheckMessage]:
        yield from super().check_database()
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT @@character_set_database")
            (charset,) = cursor.fetchone()
        if charset != "utf8mb4":
            yield Warning(
                f'The database "{self.using}" stores text in {charset}, which cannot store every character: text '
                "from tasks may be refused.",
                hint=f"Run: ALTER DATABASE {self.connection.settings_dict['NAME']} CHARACTER SET utf8mb4, "
                "and convert the existing tables.",
                id="tasksq.W007",
            )

    def prepare_session(self, *, ours: bool = True) -> None:
        # Also if it is not: ProxySQL tracks these variables, and hides them from other clients. The second one is for
        # table locks, for which the server would wait a day.
        seconds = max(1, round(LONGEST_LOCK_WAIT))
        with self.connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = %s, lock_wait_timeout = %s", [seconds, seconds])
        set_keepalive(self.descriptor(), self.options.rescue_after)

    def longest_waits(self) -> dict[str, int]:
        # The other limit is over when the server's host has accepted: its greeting is awaited for ever.
        return super().longest_waits() | {"read_timeout": max(1, ceil(self.options.rescue_after))}

    @property
    def now_sql(self) -> str:  # type: ignore[override]
        """The server's clock in the time zone in which Django stores: the session's may be different."""
        zone = self.connection.timezone if settings.USE_TZ else timezone.get_default_timezone()
        offset = timezone.now().astimezone(zone).utcoffset()
        seconds = int(offset.total_seconds()) if offset else 0
        return f"(UTC_TIMESTAMP(6) + INTERVAL {seconds} SECOND)" if seconds else "UTC_TIMESTAMP(6)"

    def failure(self, error: Exception) -> Failure:
        return of_mysql(error)

    @cached_property
    def repeats_reads(self) -> bool:
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')")
            return cursor.fetchone()[1] not in ("READ-COMMITTED", "READ-UNCOMMITTED")

    def _update(
        self, table: str, changes: str, values: Sequence[Any], condition: str, parameters: Sequence[Any], locking: str
    ) -> tuple[str, list[Any]]:
        # Found first, and then by key: the statement would wait for rows that it only reads.
        found = f"SELECT id AS held FROM {table}{self.by_key} WHERE {condition} ORDER BY id {locking}"
        statement = f"UPDATE ({found}) k STRAIGHT_JOIN {table} t{self.by_key} ON t.id = k.held SET {changes}"
        return statement, [*parameters, *values]

    def adding_up(self, table: str, key: Sequence[str], sums: Sequence[str]) -> str:
        changes = ", ".join(f"{table}.{name} = {table}.{name} + VALUES({name})" for name in sums)
        return f"ON DUPLICATE KEY UPDATE {changes}"

    def literal(self, text: str) -> str:
        # A backslash escapes here, unlike in any other database.
        return super().literal(text.replace("\\", "\\\\"))

    def to_key(self, job_id: uuid.UUID | str) -> Any:
        return str(job_id) if self.connection.features.has_native_uuid_field else super().to_key(job_id)

    def from_moment(self, value: Any) -> Any:
        if value is None or not settings.USE_TZ:
            return value
        return timezone.make_aware(value, self.connection.timezone)
