import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from django.db import DatabaseError, connections

from ..dialects.postgresql import PostgreSQLDialect
from ..enqueue import EnqueueVerbs
from ..sql import JOB
from ..values import JobSpec

__all__ = ["EnqueueStatements"]

logger = logging.getLogger("django_tasks_q")


class EnqueueStatements(EnqueueVerbs):
    """One job and its wake-up in one round trip, and many by COPY."""

    dialect: PostgreSQLDialect

    def enqueue_and_run(self, spec: JobSpec, statement: tuple[str, Sequence[Any]] | None) -> bool:
        if statement is None or not self.dialect.takes_several():
            return False
        sql, parameters = statement
        (row,) = self._rows([spec])
        with connections[self.using].cursor() as cursor:
            try:
                cursor.execute(f"BEGIN; {self._insert_sql}; COMMIT; {sql}", [*row, *parameters])
            except BaseException as error:
                in_transaction = self.dialect.leave_transaction()
                if in_transaction or not isinstance(error, DatabaseError) or not self._is_stored(spec):
                    raise
                logger.exception("Job %s is stored, but the statement after it failed.", spec.id)
        return True

    @cached_property
    def _to_key(self) -> Callable[[str], Any]:
        # The server reads the text as well, and the driver writes it in half the time.
        return str

    def _is_stored(self, spec: JobSpec) -> bool:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM django_tasks_q_job WHERE id = %s UNION ALL"
                " SELECT 1 FROM django_tasks_q_result WHERE id = %s",
                [spec.id, spec.id],
            )
            return cursor.fetchone() is not None

    def _insert_many(self, cursor: Any, rows: Sequence[list[Any]]) -> None:
        if not hasattr(cursor, "copy"):
            # psycopg2
            super()._insert_many(cursor, rows)
            return

        def execute(statement: str, *context: Any) -> None:
            with self.connection.wrap_database_errors, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row + rest)

        rest = [*self._given.values()]
        # As Django's cursor does with any statement: wrappers that count or refuse statements see this one too.
        cursor._execute_with_wrappers(self._copy_sql, None, many=False, executor=execute)

    @cached_property
    def _copy_sql(self) -> str:
        return f"COPY {JOB} ({self._new_columns}) FROM STDIN"
