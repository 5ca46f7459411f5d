"""What a run reports about itself while it is running."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .batches import bytes_of, in_batches
from .holders import HolderVerbs
from .sql import JOB, LOG, placeholders
from .values import ClaimedJob, LogLines

__all__ = ["ReportVerbs"]

# Rows in one statement, of three parameters each.
MOST_ROWS = 200


class ReportVerbs(HolderVerbs):
    """record_begun, save_progress, and append_logs."""

    def record_begun(self, worker_id: str, jobs: Iterable[ClaimedJob], *, durable: bool = False) -> set[str]:
        """Record that these jobs have begun: if their worker is lost, they are lost with it, and charged.

        Return the ids of those recorded: not of jobs that now belong to another worker, or are locked by another
        session. durable: whether this has to survive a crash of the database.
        """
        attempts = {job.id: job.attempt for job in jobs}
        if not attempts:
            return set()
        with self.transaction(durable=durable):
            keys = sorted(map(self.dialect.to_key, attempts))
            self._update_running(
                "begun_at", self.dialect.now_sql, [], worker_id, keys, skip_locked=True, unless_lost=True
            )
            begun = self._begun_under(worker_id)
        return {job_id for job_id, attempt in attempts.items() if begun.get(job_id) == attempt}

    def save_progress(self, worker_id: str, progress: Mapping[str, str], *, skip_locked: bool = False) -> None:
        """Write the progress of a worker's jobs: JSON text by id. Jobs that no longer belong to it are left unchanged.

        skip_locked: leave jobs that another session has locked unchanged too, rather than wait for it.
        """
        if not progress:
            return
        said = {self.dialect.to_key(job_id): text for job_id, text in sorted(progress.items())}
        cases = f"CASE id {f'WHEN %s THEN {self.dialect.json_parameter} ' * len(said)}END"
        values = [value for pair in said.items() for value in pair]
        self._update_running("progress", cases, values, worker_id, [*said], skip_locked=skip_locked)

    def _update_running(
        self,
        column: str,
        value: str,
        parameters: Sequence[Any],
        worker_id: str,
        keys: Sequence[Any],
        *,
        skip_locked: bool,
        unless_lost: bool = False,
    ) -> None:
        """Set a column of those jobs among these that a worker is RUNNING.

        value: SQL, with these parameters. unless_lost: only as long as the worker is not LOST.
        """
        barred = " AND NOT EXISTS (SELECT 1 FROM django_tasks_q_worker WHERE id = %s AND status = 'LOST')"
        self.dialect.update_rows(
            JOB,
            f"{column} = {value}",
            parameters,
            f"id IN ({placeholders(keys)}) AND worker_id = %s AND status = 'RUNNING'{barred if unless_lost else ''}",
            [*keys, worker_id, *([worker_id] if unless_lost else [])],
            skip_locked=skip_locked,
        )

    def append_logs(self, worker_id: str, lines: Sequence[LogLines], *, skip_locked: bool = False) -> None:
        """Add the log lines of a worker's runs; one row for each. Jobs that no longer belong to it are left out.

        skip_locked: do not wait for jobs that another session has locked; their lines are added anyway.
        If a job runs again and again, only the lines of the last runs are kept: as many runs as errors.
        """
        if not lines:
            return
        ordered = sorted(lines)
        with self.transaction(savepoint=False):
            for batch in in_batches(ordered, lambda item: bytes_of(item.entries), MOST_ROWS):
                self._add_lines(worker_id, batch, skip_locked=skip_locked)

    def _add_lines(self, worker_id: str, lines: Sequence[LogLines], *, skip_locked: bool) -> None:
        keys = sorted({self.dialect.to_key(item.job_id) for item in lines})
        # So that none can be deleted before they are committed.
        owned = self._find_running(worker_id, keys, f"ORDER BY id {self.dialect.locking(skip=skip_locked)}")
        if skip_locked and len(owned) < len(keys):
            owned |= self._find_running(worker_id, keys)
        attempts = {self.dialect.from_key(key): attempt for key, attempt in owned.items()}
        kept = [item for item in lines if attempts.get(item.job_id) == item.attempt]
        if not kept:
            return
        rows: list[Any] = [value for item in kept for value in (self.dialect.to_key(item.job_id), *item[1:])]
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {LOG} (job_id, attempt, entries)"
                f" VALUES {', '.join([f'(%s, %s, {self.dialect.json_parameter})'] * len(kept))}",
                rows,
            )
        self._trim([item for item in kept if item.attempt > self.options.max_errors])

    def _find_running(self, worker_id: str, keys: Collection[Any], locking: str = "") -> dict[Any, int]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, attempt FROM {JOB}{self.dialect.by_key} WHERE id IN ({placeholders(keys)})"
                f" AND worker_id = %s AND status = 'RUNNING' {locking}",
                [*keys, worker_id],
            )
            return dict(cursor.fetchall())

    def _trim(self, lines: Sequence[LogLines]) -> None:
        with self.connection.cursor() as cursor:
            for item in lines:
                cursor.execute(
                    f"DELETE FROM {LOG} WHERE job_id = %s AND attempt <= %s",
                    [self.dialect.to_key(item.job_id), item.attempt - self.options.max_errors],
                )
