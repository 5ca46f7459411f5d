from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.utils import timezone

from .base import Broker, Position
from .counters import counted
from .values import ClaimedJob

__all__ = ["SQLiteBroker"]


class SQLiteBroker(Broker):
    """One writer at a time: every transaction takes the write lock at its beginning, or waits for it."""

    needs: ClassVar[str] = "SQLite 3.38 or later"
    lock_rows: ClassVar[str] = ""
    skip_locked: ClassVar[str] = ""
    outcome_rows: ClassVar[str] = (
        "(SELECT value ->> '$.id' AS id, value ->> '$.attempt' AS attempt, value ->> '$.status' AS status,"
        " value ->> '$.started_at' AS started_at, value ->> '$.finished_at' AS finished_at,"
        " value ->> '$.return_value' AS return_value, value ->> '$.error' AS error,"
        " value ->> '$.due_at' AS due_at, value ->> '$.failed' AS failed, value ->> '$.lost' AS lost,"
        " value ->> '$.uncharged' AS uncharged, value ->> '$.reason' AS reason FROM json_each(%s)) o"
    )

    error_group: ClassVar[str] = "substr(o.error ->> '$.group', 1, 255)"

    def check_settings(self) -> Iterator[CheckMessage]:
        options = self.connection.settings_dict.get("OPTIONS") or {}
        if str(options.get("transaction_mode", "")).upper() not in {"IMMEDIATE", "EXCLUSIVE"}:
            yield Warning(
                f'Transactions of the SQLite database "{self.using}" are deferred: one that reads before it writes '
                'fails with "database is locked" when another has written in between.',
                hint=f'Set DATABASES["{self.using}"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE".',
                id="tasksq.W002",
            )

    def check_database(self) -> Iterator[CheckMessage]:
        with self.connection.cursor() as cursor:
            if self.connection.Database.sqlite_version_info < (3, 38):
                yield self._too_old("the operator ->>")
            cursor.execute("PRAGMA journal_mode")
            mode = cursor.fetchone()[0]
        if mode not in {"wal", "memory"}:
            yield Warning(
                f'The SQLite database "{self.using}" is in journal mode {mode}: whoever reads blocks the workers, '
                "and they block him.",
                hint=f'Set DATABASES["{self.using}"]["OPTIONS"]["init_command"] = '
                '"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;".',
                id="tasksq.W001",
            )

    @contextmanager
    def transaction(self, *, durable: bool = True, savepoint: bool = True) -> Iterator[None]:
        connection = self.connection
        # Django reads the mode from the settings when it connects, not before.
        connection.ensure_connection()
        before = connection.transaction_mode
        # A transaction that reads first and writes later fails at once where another has written in between.
        connection.transaction_mode = "IMMEDIATE"
        try:
            with super().transaction(savepoint=savepoint):
                connection.transaction_mode = before
                yield
        finally:
            connection.transaction_mode = before

    def timely(self) -> AbstractContextManager[Any]:
        return self.transaction()

    @property
    def now_sql(self) -> str:  # type: ignore[override]
        """The clock of this host, which is the database's: microseconds, as Django writes them."""
        return self._literal(str(self._to_moment(timezone.now())))

    def claim(
        self, worker_id: str, queue_name: str, limit: int, *, after: Sequence[Position] = ()
    ) -> list[ClaimedJob]:
        with self.transaction(), self.connection.cursor() as cursor:
            now = self.now_sql
            cursor.execute(
                "UPDATE django_tasks_q_job AS j SET status = 'RUNNING', worker_id = %s,"
                f" attempt = {counted('attempt')},"
                f" reason = '', last_attempted_at = {now}, started_at = COALESCE(started_at, {now})"
                " WHERE id IN (SELECT id FROM django_tasks_q_job WHERE backend = %s AND status = 'READY'"
                " AND queue_name = %s AND NOT EXISTS (SELECT 1 FROM django_tasks_q_queue"
                " WHERE backend = %s AND name = %s AND paused) ORDER BY priority DESC, id LIMIT %s)"
                f" RETURNING {', '.join(self._claimed_columns.replace('j.', '').split(', '))}",
                [worker_id, self.alias, queue_name, self.alias, queue_name, limit],
            )
            jobs = [self._claimed(row) for row in cursor.fetchall()]
        jobs.sort(key=lambda job: (-job.priority, job.id))
        return jobs

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

    def _from_moment(self, value: Any) -> Any:
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if settings.USE_TZ and timezone.is_naive(moment):
            return timezone.make_aware(moment, self.connection.timezone)
        return moment
