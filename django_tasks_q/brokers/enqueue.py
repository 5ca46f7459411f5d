"""Jobs enter the live table."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar

from django.db import connections

from ..lifecycle import JobStatus
from .batches import in_batches, weight_of_spec
from .sql import JOB
from .values import JobSpec
from .verbs import Verbs

__all__ = ["EnqueueVerbs"]

# What each job brings with it; and where in it are the fields that databases store in forms of their own.
BROUGHT = (*JobSpec._fields, "due_at", "status")
ID, RUN_AFTER, ENQUEUED_AT, PARENT_ID = map(BROUGHT.index, ("id", "run_after", "enqueued_at", "parent_id"))
READY = JobStatus.READY.value


class EnqueueVerbs(Verbs):
    """enqueue, and enqueue_and_run."""

    bulk_size: ClassVar[int] = 1_000

    def enqueue(self, specs: Sequence[JobSpec]) -> None:
        """Insert jobs, as part of the caller's transaction: one statement for each thousand."""
        with connections[self.using].cursor() as cursor:
            # One alone needs no batches, and nearly all are enqueued alone.
            for batch in [specs] if len(specs) == 1 else in_batches(specs, weight_of_spec, self.bulk_size):
                self._insert(cursor, self._rows(batch))

    def enqueue_and_run(self, spec: JobSpec, statement: tuple[str, Sequence[Any]] | None) -> bool:
        """Insert one job, commit, and run another statement, in one round trip.

        Return whether it was done: nothing happens if the database does not support it, or in an open transaction.
        """
        return False

    def _insert(self, cursor: Any, rows: Sequence[list[Any]]) -> None:
        if len(rows) == 1:
            cursor.execute(self._insert_sql, rows[0])
        else:
            self._insert_many(cursor, rows)

    def _insert_many(self, cursor: Any, rows: Sequence[list[Any]]) -> None:
        cursor.executemany(self._insert_sql, rows)

    @cached_property
    def _given(self) -> dict[str, int | str]:
        """The columns that are the same for all new jobs."""
        return {"backend": self.alias, "attempt": 0, "failures": 0, "losses": 0, "errors": "[]", "reason": ""}

    @cached_property
    def _new_columns(self) -> str:
        return ", ".join([*BROUGHT, *self._given])

    @cached_property
    def _insert_sql(self) -> str:
        literal = self.dialect.literal
        given = [literal(value) if isinstance(value, str) else str(value) for value in self._given.values()]
        return f"INSERT INTO {JOB} ({self._new_columns}) VALUES ({', '.join(['%s'] * len(BROUGHT) + given)})"

    @cached_property
    def _to_key(self) -> Callable[[str], Any]:
        """How an id is written to the columns of a new job."""
        return self.dialect.to_key

    def _rows(self, specs: Iterable[JobSpec]) -> list[list[Any]]:
        """Return what each job brings with it, as the database stores it."""
        to_key, to_moment = self._to_key, self.dialect.to_moment
        rows: list[list[Any]] = []
        now = now_stored = None
        for spec in specs:
            row = [*spec, None, READY]
            row[ID] = to_key(spec.id)
            if spec.enqueued_at is not now:
                # All that are enqueued together have the same.
                now, now_stored = spec.enqueued_at, to_moment(spec.enqueued_at)
            row[ENQUEUED_AT] = now_stored
            if spec.parent_id is not None:
                row[PARENT_ID] = to_key(spec.parent_id)
            if spec.run_after is not None:
                row[RUN_AFTER] = to_moment(spec.run_after)
                if spec.status == JobStatus.SCHEDULED:
                    row[-2:] = row[RUN_AFTER], JobStatus.SCHEDULED.value
            rows.append(row)
        return rows
