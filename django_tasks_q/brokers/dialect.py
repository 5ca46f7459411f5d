import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import connections, transaction
from django.utils import timezone

from ..conf import Options
from .values import Snapshot

__all__ = ["Dialect"]


class Dialect:
    """How one database holds ids and moments, tells the time, and opens a transaction."""

    # The oldest version that will do.
    needs: ClassVar[str]
    # The database's clock, in Django's convention.
    now_sql: str
    # Whether a subquery with a limit of its own may look at the row outside.
    limits_by_row: ClassVar[bool] = True

    def __init__(self, alias: str, using: str, options: Options) -> None:
        self.alias = alias
        self.using = using
        self.options = options

    def transaction(self, *, durable: bool = True, savepoint: bool = True) -> AbstractContextManager[Any]:
        """Open a transaction on the queue's database, or a savepoint in the one that is open.

        durable: False where nothing would be lost with the last commits, because a crash undoes them the same way.
        savepoint: False where an error is to undo the whole transaction.
        """
        return transaction.atomic(using=self.using, savepoint=savepoint)

    @property
    def has_meanwhile(self) -> bool:
        """Whether meanwhile() calls what it is given."""
        return False

    def meanwhile(self, work: Callable[[], object]) -> AbstractContextManager[Any]:
        """Have a function called while the database works at a statement, where the driver lets one.

        It must not use the database.
        """
        return nullcontext()

    @property
    def now_once(self) -> str:
        """The database's clock, in a form that is asked once for a statement, and so can be the bound of an index."""
        return self.now_sql

    def timely(self) -> AbstractContextManager[Any]:
        """Enclose one statement that tells the time: where it is this host's, a wait for a lock comes before it."""
        return nullcontext()

    @property
    def connection(self) -> Any:
        return connections[self.using]

    def prepare_session(self) -> None:
        """Set what a supervisor's session needs: no lock of its own, or of another, may hold it up for long.

        Nor may a network that has gone silent: for the other workers it is dead after `rescue_after` seconds.
        """

    def check_settings(self) -> Iterator[CheckMessage]:
        """Yield what the settings of this kind of database ought to be."""
        return iter(())

    def check_database(self) -> Iterator[CheckMessage]:
        """Yield what this very database is not fit for."""
        if not self.connection.features.has_select_for_update_skip_locked:
            yield self._too_old("FOR UPDATE SKIP LOCKED")

    def _too_old(self, missing: str) -> CheckMessage:
        return Error(
            f'The database "{self.using}" is too old to hold the queue: it does not have {missing}.',
            hint=f"This package needs {self.needs}.",
            id="tasksq.E004",
        )

    def oldest_snapshot(self) -> Snapshot | None:
        """Return the oldest transaction that keeps dead rows of the queue alive; None where none does, or can."""
        return None

    def adding_up(self, table: str, key: Sequence[str], sums: Sequence[str]) -> str:
        """Return the end of an INSERT that adds its sums to those of a row that has the same key already."""
        changes = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
        return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"

    def _literal(self, text: str) -> str:
        """Return a name from the settings as SQL, so that a prepared plan knows it."""
        return "'" + text.replace("'", "''").replace("%", "%%") + "'"

    def to_key(self, job_id: uuid.UUID | str) -> Any:
        """Return an id as the database holds it."""
        return str(job_id).replace("-", "")

    def from_key(self, key: Any) -> str:
        """Return the canonical form of what the database holds."""
        return str(key if isinstance(key, uuid.UUID) else uuid.UUID(str(key)))

    def now(self) -> datetime:
        """Return the database's time: aware, or naive where USE_TZ is off."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {self.now_sql}")
            moment: datetime = self._from_moment(cursor.fetchone()[0])
        return moment

    def _to_moment(self, moment: datetime | None) -> Any:
        """Return a moment as a parameter. Both kinds are taken, under both settings of USE_TZ."""
        if moment is None:
            return None
        if settings.USE_TZ and timezone.is_naive(moment):
            moment = timezone.make_aware(moment)
        elif not settings.USE_TZ and timezone.is_aware(moment):
            moment = timezone.make_naive(moment)
        return self.connection.ops.adapt_datetimefield_value(moment)

    def _moment_text(self, moment: datetime) -> str:
        return str(self._to_moment(moment))

    def _from_moment(self, value: Any) -> Any:
        """Return what the driver gave as a datetime in Django's convention."""
        return value
