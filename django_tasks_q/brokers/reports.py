"""What a run says of itself while it goes on."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .batches import in_batches
from .dialect import Dialect
from .operator import JOB, LOG, marks
from .values import LogLines

__all__ = ["ReportVerbs"]

# Rows in one statement, of three parameters each.
MOST_ROWS = 200


class ReportVerbs(Dialect):
    """note_progress and note_logs."""

    by_key: ClassVar[str] = ""
    lock_rows: ClassVar[str] = "FOR UPDATE"
    # A parameter with JSON text, as a value for a column.
    json_parameter: ClassVar[str] = "%s"

    def note_progress(self, worker_id: str, progress: Mapping[str, str]) -> None:
        """Write how far jobs of a worker are: JSON text by id. What is not the worker's any more is left alone."""
        if not progress:
            return
        said = {self.to_key(job_id): text for job_id, text in sorted(progress.items())}
        cases: list[Any] = [value for pair in said.items() for value in pair]
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {JOB}{self.by_key} SET progress ="
                f" CASE id {f'WHEN %s THEN {self.json_parameter} ' * len(said)}END"
                f" WHERE id IN ({marks(said)}) AND worker_id = %s AND status = 'RUNNING'",
                [*cases, *said, worker_id],
            )

    def note_logs(self, worker_id: str, lines: Sequence[LogLines]) -> None:
        """Add what runs of a worker have logged; one row for each. What is not the worker's any more is left out.

        Of a job that runs again and again, only the lines of the last runs stay: as many as errors do.
        """
        if not lines:
            return
        ordered = sorted(lines)
        with self.transaction(savepoint=False):
            for batch in in_batches(ordered, lambda item: len(item.entries), MOST_ROWS):
                self._add_lines(worker_id, batch)

    def _add_lines(self, worker_id: str, lines: Sequence[LogLines]) -> None:
        owned = self._lock_running(worker_id, lines)
        kept = [item for item in lines if (item.job_id, item.attempt) in owned]
        if not kept:
            return
        rows: list[Any] = [value for item in kept for value in (self.to_key(item.job_id), *item[1:])]
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {LOG} (job_id, attempt, entries)"
                f" VALUES {', '.join([f'(%s, %s, {self.json_parameter})'] * len(kept))}",
                rows,
            )
        self._trim([item for item in kept if item.attempt > self.options.max_errors])

    def _lock_running(self, worker_id: str, lines: Sequence[LogLines]) -> set[tuple[str, int]]:
        """Lock the jobs of these lines, so that none can be deleted before they stand; return whose fence holds."""
        keys = sorted({self.to_key(item.job_id) for item in lines})
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, attempt FROM {JOB}{self.by_key} WHERE id IN ({marks(keys)})"
                f" AND worker_id = %s AND status = 'RUNNING' ORDER BY id {self.lock_rows}",
                [*keys, worker_id],
            )
            return {(self.from_key(key), attempt) for key, attempt in cursor.fetchall()}

    def _trim(self, lines: Sequence[LogLines]) -> None:
        with self.connection.cursor() as cursor:
            for item in lines:
                cursor.execute(
                    f"DELETE FROM {LOG} WHERE job_id = %s AND attempt <= %s",
                    [self.to_key(item.job_id), item.attempt - self.options.max_errors],
                )
