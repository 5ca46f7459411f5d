import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.utils import timezone

from ..failures import Failure, of_sqlite
from .base import Dialect

__all__ = ["SQLiteDialect"]


class SQLiteDialect(Dialect):
    """SQLite: one writer at a time, and this host's clock."""

    needs: ClassVar[str] = "SQLite 3.38 or later"
    lock_rows: ClassVar[str] = ""
    skip_locked: ClassVar[str] = ""
    sees_commits: ClassVar[bool] = False
    has_server: ClassVar[bool] = False
    _delete_first_sql: ClassVar[str] = (
        "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {condition} ORDER BY {order} LIMIT %s)"
    )
    size_sql = " + ".join(f"length(CAST({name} AS BLOB))" for name in ("args", "kwargs", "metadata", "errors"))

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
                f'The SQLite database "{self.using}" is in journal mode {mode}: readers and workers block each other.',
                hint=f'Set DATABASES["{self.using}"]["OPTIONS"]["init_command"] = '
                '"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;".',
                id="tasksq.W001",
            )

    @contextmanager
    def transaction(self, *, durable: bool = True, savepoint: bool = True) -> Iterator[None]:
        connection = self.connection
        # Django reads the mode from the settings when it connects, not before.
        connection.ensure_connection()
        self._begin_by_hand()
        before = connection.transaction_mode
        # A transaction that reads first and writes later fails at once if another has written in between.
        connection.transaction_mode = "IMMEDIATE"
        try:
            with super().transaction(savepoint=savepoint):
                connection.transaction_mode = before
                yield
        finally:
            connection.transaction_mode = before

    def _begin_by_hand(self) -> None:
        """Begin the transaction of a caller that has turned autocommit off.

        The driver begins one before a change, but not before a savepoint, which would then commit when it is released.
        """
        connection = self.connection
        by_hand = not connection.in_atomic_block and not connection.get_autocommit()
        if by_hand and not connection.connection.in_transaction:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN IMMEDIATE")

    def timely(self) -> AbstractContextManager[Any]:
        return self.transaction()

    @property
    def now_sql(self) -> str:  # type: ignore[override]
        """The clock of this host, which is the database's: microseconds, as Django writes them."""
        return self.moment_sql(timezone.now())

    def moment_sql(self, moment: datetime) -> str:
        # Moments are text here.
        return self.literal(self.moment_text(moment))

    @property
    def epoch_sql(self) -> str:  # type: ignore[override]
        return repr(time.time())

    def failure(self, error: Exception) -> Failure:
        return of_sqlite(error)

    def from_moment(self, value: Any) -> Any:
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if settings.USE_TZ and timezone.is_naive(moment):
            return timezone.make_aware(moment, self.connection.timezone)
        return moment
