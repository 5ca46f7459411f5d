import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from django.utils import timezone

from ..failures import Failure, of_postgresql
from ..keepalive import set_keepalive
from ..values import Snapshot
from .base import LONGEST_LOCK_WAIT, Dialect
from .loan import OnLoan
from .meanwhile import meanwhile

__all__ = ["LARGEST_RATIO", "LAZILY", "PostgreSQLDialect"]

# The commit of this transaction does not wait for the disk.
LAZILY = "SET LOCAL synchronous_commit TO off"
ACTIVE = 1  # psycopg.pq.TransactionStatus.ACTIVE
# The factor by which a text may be larger than stored: no compression of the server reaches it.
LARGEST_RATIO = 100
# Values of up to this many bytes are not measured exactly.
SMALL = 500
# Not autovacuum's own, which holds nothing back. Of other users' sessions only those that this user may see.
OLDEST_SNAPSHOT = """
SELECT pid, usename::text, extract(epoch FROM clock_timestamp() - xact_start)::float FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND xact_start IS NOT NULL AND datname = current_database()
AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1
"""


class PostgreSQLDialect(Dialect):
    """PostgreSQL, with psycopg 3 or psycopg2."""

    needs: ClassVar[str] = "PostgreSQL 14 or later"
    now_sql = "clock_timestamp()"
    now_once = "(SELECT clock_timestamp())"
    epoch_sql = "extract(epoch FROM clock_timestamp())"
    _delete_first_sql: ClassVar[str] = (
        "DELETE FROM {table} WHERE ctid = ANY (ARRAY("
        "SELECT ctid FROM {table} WHERE {condition} ORDER BY {order} LIMIT %s FOR UPDATE SKIP LOCKED))"
    )
    json_parameter: ClassVar[str] = "%s::json"

    @contextmanager
    def transaction(self, *, durable: bool = True, savepoint: bool = True) -> Iterator[None]:
        with super().transaction(savepoint=savepoint):
            if not durable and not self.connection.savepoint_ids:
                with self.connection.cursor() as cursor:
                    cursor.execute(LAZILY)
            yield

    def meanwhile(self, work: Callable[[], object]) -> AbstractContextManager[Any]:
        if not self.has_meanwhile:
            return super().meanwhile(work)
        self.connection.ensure_connection()
        return meanwhile(self.connection.connection, work)

    @property
    def has_meanwhile(self) -> bool:
        return self._has_psycopg_3

    def prepare_session(self, *, ours: bool = True) -> None:
        # The server counts milliseconds in 31 bits.
        seconds = min(max(1, round(self.options.rescue_after)), 2_000_000)
        wait = f"{round(LONGEST_LOCK_WAIT * 1_000)}ms"
        settings = {"idle_in_transaction_session_timeout": f"{seconds}s", "lock_timeout": wait}
        connection = self.connection
        wrappers = connection.execute_wrappers
        wrappers[:] = [wrapper for wrapper in wrappers if not isinstance(wrapper, OnLoan)]
        connection.ensure_connection()
        if ours:
            with connection.cursor() as cursor:
                cursor.execute("; ".join(f"SET {name} TO '{value}'" for name, value in settings.items()))
        else:
            wrappers.append(OnLoan(settings))
        set_keepalive(self.descriptor(), seconds)

    @cached_property
    def repeats_reads(self) -> bool:
        with self.transaction(), self.connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            return cursor.fetchone()[0] not in ("read committed", "read uncommitted")

    def oldest_snapshot(self) -> Snapshot | None:
        with self.connection.cursor() as cursor:
            cursor.execute(OLDEST_SNAPSHOT)
            row = cursor.fetchone()
        return None if row is None else Snapshot(*row)

    def takes_several(self) -> bool:
        """Return whether several statements, with their transaction, can be sent as one."""
        connection = self.connection
        return (
            not connection.in_atomic_block
            and connection.get_autocommit()
            and self._has_psycopg_3
            and not connection.features.uses_server_side_binding
        )

    @cached_property
    def _has_psycopg_3(self) -> bool:
        return bool(self.connection.Database.__name__ == "psycopg")

    def leave_transaction(self) -> bool:
        """Return whether the server is still in a transaction, and end it; True if the server no longer answers."""
        raw = self.connection.connection
        if raw is None or raw.closed:
            return True
        status = raw.info.transaction_status
        if status == ACTIVE:
            # Whatever interrupted the statement, it was not its own error: this connection cannot be used any more.
            self.connection.close()
            return True
        with self.connection.wrap_database_errors:
            raw.rollback()
        return bool(status)

    def failure(self, error: Exception) -> Failure:
        return of_postgresql(error)

    @cached_property
    def size_sql(self) -> str:  # type: ignore[override]
        payload = self.options.max_payload
        errors = self.options.max_errors * self.options.max_traceback
        return _size_of_columns({"args": payload, "kwargs": payload, "metadata": payload, "errors": errors})

    def _seconds_until(self, column: str, source: str, parameters: Sequence[Any]) -> float | None:
        # The column has a time zone, regardless of USE_TZ; the driver's value may not have one.
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT extract(epoch FROM {column} - {self.now_sql}) {source}", parameters)
            row = cursor.fetchone()
        return None if row is None else float(row[0])

    def to_moment(self, moment: datetime | None) -> Any:
        return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment

    def moment_text(self, moment: datetime) -> str:
        return str(self.to_moment(moment).isoformat())

    def to_key(self, job_id: uuid.UUID | str) -> Any:
        return job_id if isinstance(job_id, uuid.UUID) else uuid.UUID(job_id)


def _size_of_columns(largest: Mapping[str, int]) -> str:
    """Return SQL for the approximate size of some JSON columns, in UTF-8 bytes, without more work than needed.

    largest: the maximum size of each.
    """
    stored = " + ".join(f"pg_column_size({column})" for column in largest)
    exactly = " + ".join(_size(column, most) for column, most in largest.items())
    return f"CASE WHEN {stored} < {SMALL} THEN {SMALL} ELSE {exactly} END"


def _size(column: str, most: int) -> str:
    """Compressed values are only unpacked if that is little work."""
    stored = f"pg_column_size({column})"
    return (
        f"CASE WHEN {stored} < 200 THEN {stored} WHEN pg_column_compression({column}) IS NULL THEN {stored}"
        f" WHEN {stored} < 4096 THEN octet_length({column}::text) ELSE LEAST({most}, {stored} * {LARGEST_RATIO}) END"
    )
