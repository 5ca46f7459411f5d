import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import connections, transaction
from django.utils import timezone

from ...conf import Options
from ...moments import seconds_left, utc_after
from ..failures import UNREADABLE, Failure
from ..values import Snapshot

__all__ = ["LONGEST_LOCK_WAIT", "Dialect"]

# Seconds until a new connection to a server is given up.
LONGEST_CONNECT = 10
# Seconds that a worker waits for a lock, if the database supports fractions: then it continues without the row.
LONGEST_LOCK_WAIT = 0.1
# Seconds until a timestamp that could not be read is queried again.
LOOK_AGAIN = 60.0


class Dialect:
    """How one database holds ids and moments, tells the time, and opens a transaction."""

    # Whether there is a process at the other end of a socket that may stand still.
    has_server: ClassVar[bool] = True
    # The oldest version that will do.
    needs: ClassVar[str]
    # The database's clock, in Django's convention; and in seconds since 1970, which no clock change affects.
    now_sql: str
    epoch_sql: str
    # How the first rows in some order are deleted.
    _delete_first_sql: ClassVar[str]
    # Whether a subquery with its own limit may refer to the outer row.
    limits_by_row: ClassVar[bool] = True
    # How rows are locked: all of them, or those that no other session has locked.
    lock_rows: ClassVar[str] = "FOR UPDATE"
    skip_locked: ClassVar[str] = "FOR UPDATE SKIP LOCKED"
    # Whether an open transaction may see what others have committed since it began.
    sees_commits: ClassVar[bool] = True
    # The approximate bytes of payload in a job's row, without more work than needed.
    size_sql: str
    # Named after a table, makes the database find its rows by their keys alone, where it might prefer to read, and
    # lock, all of them; or find those that are due in the index for that.
    by_key: ClassVar[str] = ""
    by_due_at: ClassVar[str] = ""
    by_next_run: ClassVar[str] = ""
    # A parameter with JSON text, as a value for a column.
    json_parameter: ClassVar[str] = "%s"

    def __init__(self, using: str, options: Options) -> None:
        self.using = using
        self.options = options

    @cached_property
    def repeats_reads(self) -> bool:
        """Whether a transaction refuses to change rows that another one has changed since it began."""
        return False

    def locking(self, *, skip: bool) -> str:
        """Return how a SELECT locks its rows. skip: skip rows that another session has locked, rather than wait."""
        return self.skip_locked if skip else self.lock_rows

    def update_rows(
        self,
        table: str,
        changes: str,
        values: Sequence[Any],
        condition: str,
        parameters: Sequence[Any],
        *,
        skip_locked: bool,
    ) -> int:
        """Change the rows that meet a condition; return how many.

        skip_locked: leave those that another session has locked unchanged, rather than wait for it.
        """
        locking = self.locking(skip=skip_locked)
        with self.connection.cursor() as cursor:
            cursor.execute(*self._update(table, changes, values, condition, parameters, locking))
            changed: int = cursor.rowcount
        return changed

    def _update(
        self, table: str, changes: str, values: Sequence[Any], condition: str, parameters: Sequence[Any], locking: str
    ) -> tuple[str, list[Any]]:
        """Return the statement of update_rows(), and its parameters."""
        found = f"SELECT id FROM {table} WHERE {condition} ORDER BY id {locking}"
        return f"UPDATE {table} SET {changes} WHERE id IN ({found})", [*values, *parameters]

    def failure(self, error: Exception) -> Failure:
        """Return why a statement failed."""
        raise NotImplementedError

    def transaction(self, *, durable: bool = True, savepoint: bool = True) -> AbstractContextManager[Any]:
        """Open a transaction on the queue's database, or a savepoint in the open one.

        durable: False if losing the last commits does no harm, because a crash undoes them in the same way.
        savepoint: False if an error should undo the whole transaction.
        """
        return transaction.atomic(using=self.using, savepoint=savepoint)

    @property
    def has_meanwhile(self) -> bool:
        """Whether meanwhile() calls its function."""
        return False

    def meanwhile(self, work: Callable[[], object]) -> AbstractContextManager[Any]:
        """Have a function called while the database executes a statement, if the driver allows that.

        It must not use the database.
        """
        return nullcontext()

    @property
    def now_once(self) -> str:
        """The database's clock, evaluated once per statement, so that it can be an index bound."""
        return self.now_sql

    def timely(self) -> AbstractContextManager[Any]:
        """Enclose one statement that uses the clock: if that is this host's, the wait for a lock comes before."""
        return nullcontext()

    @property
    def connection(self) -> Any:
        return connections[self.using]

    def prepare_session(self, *, ours: bool = True) -> None:
        """Configure a supervisor's session: no lock, its own or another's, may delay it for long.

        Nor may a silent network: the other workers presume it dead after `rescue_after` seconds.
        ours: False if a pooler may give the session to others after each transaction, so that nothing may stay on it.
        """

    def longest_waits(self) -> dict[str, int]:
        """Return options of a connection that ends its own waits, in seconds."""
        return {"connect_timeout": LONGEST_CONNECT} if self.has_server else {}

    @contextmanager
    def limited_waits(self) -> Iterator[None]:
        """Have a connection that is opened in this block end its own waits, unless the settings say when.

        Not one that is opened later: the children inherit the settings, and a task may wait as long as it likes.
        """
        options = self.connection.settings_dict["OPTIONS"]
        added = {name: value for name, value in self.longest_waits().items() if name not in options}
        options.update(added)
        try:
            yield
        finally:
            for name in added:
                del options[name]

    def descriptor(self) -> int:
        """Return the descriptor of the socket of the open connection, if there is a server."""
        raw = self.connection.connection
        # PyMySQL does not tell it in any other way.
        return int(getattr(raw, "_sock", raw).fileno())

    def check_settings(self) -> Iterator[CheckMessage]:
        """Yield warnings about the settings for this kind of database."""
        return iter(())

    def check_database(self) -> Iterator[CheckMessage]:
        """Yield what is wrong with this particular database."""
        if not self.connection.features.has_select_for_update_skip_locked:
            yield self._too_old("FOR UPDATE SKIP LOCKED")

    def _too_old(self, missing: str) -> CheckMessage:
        return Error(
            f'The database "{self.using}" is too old to hold the queue: it does not have {missing}.',
            hint=f"This package needs {self.needs}.",
            id="tasksq.E004",
        )

    def oldest_snapshot(self) -> Snapshot | None:
        """Return the oldest transaction that keeps dead rows of the queue from being cleaned up, or None."""
        return None

    def adding_up(self, table: str, key: Sequence[str], sums: Sequence[str]) -> str:
        """Return the end of an INSERT that adds its sums to those of an existing row with the same key."""
        changes = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
        return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"

    def delete_first(
        self, table: str, condition: str, order: str, parameters: Sequence[Any], *, limit: int = 1_000
    ) -> int:
        """Delete the first `limit` rows that meet a condition, in an index's order; return how many."""
        statement = self._delete_first_sql.format(table=table, condition=condition, order=order)
        with self.connection.cursor() as cursor:
            cursor.execute(statement, [*parameters, limit])
            deleted: int = cursor.rowcount
        return deleted

    def literal(self, text: str) -> str:
        """Return a name from the settings as SQL, so that a prepared plan knows it."""
        return "'" + text.replace("'", "''").replace("%", "%%") + "'"

    def to_key(self, job_id: uuid.UUID | str) -> Any:
        """Return an id as the database stores it."""
        return str(job_id).replace("-", "")

    def from_key(self, key: Any) -> str:
        """Return the canonical form of an id as the database stores it."""
        return str(key if isinstance(key, uuid.UUID) else uuid.UUID(str(key)))

    def now(self) -> datetime:
        """Return the database's time: aware, or naive where USE_TZ is off."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {self.now_sql}")
            moment: datetime = self.from_moment(cursor.fetchone()[0])
        return moment

    def utc_now(self) -> datetime:
        """Return the database's time: aware, under both settings of USE_TZ."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {self.epoch_sql}")
            return utc_after(float(cursor.fetchone()[0]))

    def seconds_until(self, column: str, source: str, parameters: Sequence[Any]) -> float | None:
        """Return the seconds until the time in a column of the first row of a source; None if there is no row.

        0 or less if a comparison in the database finds it due.
        """
        try:
            return self._seconds_until(column, source, parameters)
        except UNREADABLE:
            # Such as infinity, which does not mean soon.
            return LOOK_AGAIN

    def _seconds_until(self, column: str, source: str, parameters: Sequence[Any]) -> float | None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {column}, {self.now_sql}, {self.epoch_sql} {source}", parameters)
            row = cursor.fetchone()
        if row is None:
            return None
        return seconds_left(self.from_moment(row[0]), self.from_moment(row[1]), utc_after(float(row[2])))

    def moment_sql(self, moment: datetime) -> str:
        """Return a moment as SQL of the type that a column of moments has."""
        return f"CAST({self.literal(self.moment_text(moment))} AS {self.connection.data_types['DateTimeField']})"

    def to_moment(self, moment: datetime | None) -> Any:
        """Return a datetime as a parameter. Aware and naive ones are accepted, under both settings of USE_TZ."""
        if moment is None:
            return None
        if settings.USE_TZ and timezone.is_naive(moment):
            moment = timezone.make_aware(moment)
        elif not settings.USE_TZ and timezone.is_aware(moment):
            moment = timezone.make_naive(moment)
        return self.connection.ops.adapt_datetimefield_value(moment)

    def moment_text(self, moment: datetime) -> str:
        return str(self.to_moment(moment))

    def from_moment(self, value: Any) -> Any:
        """Return what the driver returned as a datetime in Django's convention."""
        return value
