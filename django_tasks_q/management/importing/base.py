from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ...schedules.definitions import Definition

__all__ = ["Foreign", "Inexpressible", "Reader", "Row", "moment_of", "read_table"]


class Inexpressible(ValueError):
    """A schedule cannot be expressed here; the message says why."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Another queue's schedule. define: returns its definition here, or raises Inexpressible. notes: what is lost."""

    name: str
    define: Callable[[], Definition]
    notes: tuple[str, ...] = ()


# Takes a connection to the database, and returns the schedules that it finds there.
Reader = Callable[[BaseDatabaseWrapper], list[Foreign]]
# A row of a table that is not ours: columns and their values.
Row = dict[str, Any]


def read_table(connection: BaseDatabaseWrapper, table: str) -> Iterator[Row]:
    """Yield the rows of a table as dicts, in the order of their ids. Raise DatabaseError if there is none."""
    # A savepoint, if a transaction is open: it has to survive a missing table.
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} ORDER BY id")
        names = [column[0] for column in cursor.description]
        for row in cursor.fetchall():
            yield dict(zip(names, row, strict=True))


def moment_of(value: str | datetime | None) -> datetime | None:
    """Return a driver's datetime, aware; a naive one is in UTC, as Django stores it."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
