"""Jobs enter the live table."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

from ..lifecycle import JobStatus
from .batches import in_batches, weight_of_spec
from .sql import JOB
from .values import JobSpec
from .verbs import Verbs

__all__ = ["EnqueueVerbs"]

# What each job brings with it: see _spec_values().
BROUGHT = (*JobSpec._fields, "due_at", "status")


class EnqueueVerbs(Verbs):
    """enqueue, and enqueue_and_run."""

    bulk_size: ClassVar[int] = 1_000

    def enqueue(self, specs: Sequence[JobSpec]) -> None:
        """Insert jobs, as part of the caller's transaction: one statement for each thousand."""
        with self.connection.cursor() as cursor:
            for batch in in_batches(specs, weight_of_spec, self.bulk_size):
                self._insert(cursor, batch)

    def enqueue_and_run(self, spec: JobSpec, statement: tuple[str, Sequence[Any]] | None) -> bool:
        """Insert one job, commit, and run another statement, in one round trip.

        Return whether it was done: nothing happens if the database does not support it, or in an open transaction.
        """
        return False

    def _insert(self, cursor: Any, specs: Sequence[JobSpec]) -> None:
        rows = [self._spec_values(spec) for spec in specs]
        if len(rows) == 1:
            cursor.execute(self._insert_sql, rows[0])
        else:
            self._insert_many(cursor, rows)

    def _insert_many(self, cursor: Any, rows: Sequence[tuple[Any, ...]]) -> None:
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
    def _conversions(self) -> list[Callable[[Any], Any] | None]:
        """How the database stores each field of a JobSpec; None as it is."""
        to_key, to_moment = self.dialect.to_key, self.dialect.to_moment
        known: dict[str, Callable[[Any], Any]] = {
            "id": to_key, "run_after": to_moment, "enqueued_at": to_moment, "parent_id": to_key,
        }  # fmt: skip
        return [known.get(name) for name in JobSpec._fields]

    def _spec_values(self, spec: JobSpec) -> tuple[Any, ...]:
        status = spec.status
        due_at = self.dialect.to_moment(spec.run_after) if status == JobStatus.SCHEDULED else None
        stored = [
            value if convert is None or value is None else convert(value)
            for convert, value in zip(self._conversions, spec, strict=True)
        ]
        return (*stored, due_at, str(status))
