import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cached_property
from operator import attrgetter
from typing import Any, ClassVar

from ..lifecycle import SUCCESSFUL, JobStatus
from .batches import in_batches, weight_of
from .cancelling import CancelVerbs
from .counters import MOST_LOSSES, counted
from .losses import untouched_outcome
from .operator import JOB, marks
from .reports import ReportVerbs
from .values import ClaimedJob, JobSpec, Outcome, Recorded

__all__ = ["Broker", "Position"]

_id = attrgetter("id")
# A priority and the id of a job.
Position = tuple[int, str]

ENQUEUED = (
    "id", "queue_name", "priority", "task_path", "args", "kwargs", "options", "metadata", "run_after", "enqueued_at",
    "parent_id", "due_at", "status",
)  # fmt: skip
CLAIMED = (
    "id", "queue_name", "priority", "task_path", "args", "kwargs", "options", "metadata", "errors", "run_after",
    "enqueued_at", "started_at", "attempt", "failures", "losses",
)  # fmt: skip
# To read a moment takes a driver longer than anything else of a job, and in its first run this one says nothing.
FIRST_STARTED = "CASE WHEN j.attempt > 1 THEN j.started_at END"
# What a job takes along into the history as it is.
KEPT = (
    "id", "backend", "queue_name", "priority", "task_path", "args", "kwargs", "options", "metadata", "run_after",
    "enqueued_at", "attempt", "worker_id", "parent_id", "progress",
)  # fmt: skip
# Seconds for which a worker waits for a row: another one may have been frozen with it in its hands.
LONGEST_LOCK_WAIT = 5


class Broker(ReportVerbs, CancelVerbs):
    """The only code that changes jobs and results.

    A broker is bound to a backend (`alias`), its options, and the database alias (`using`) that holds the tables. Each
    verb is one transaction, or part of the caller's. Rows change hands only under a lock, and whatever a worker
    records carries its fence: the job must still be RUNNING under that worker and that attempt.
    """

    # Where several sessions may claim at once.
    skip_locked: ClassVar[str] = "FOR UPDATE SKIP LOCKED"
    by_due_at: ClassVar[str] = ""
    by_next_run: ClassVar[str] = ""
    # Whether a claim can begin behind some jobs, which pays where dead index entries stay for long.
    claims_after: ClassVar[bool] = False
    bulk_size: ClassVar[int] = 1_000

    # enqueue

    def enqueue(self, specs: Sequence[JobSpec]) -> None:
        """Insert jobs, as part of the caller's transaction: one statement for each thousand."""
        with self.connection.cursor() as cursor:
            for batch in in_batches(specs, lambda spec: len(spec.args) + len(spec.kwargs), self.bulk_size):
                self._insert(cursor, batch)

    def enqueue_and_run(self, spec: JobSpec, statement: tuple[str, Sequence[Any]] | None) -> bool:
        """Insert one job, commit, and run another statement, in one round trip.

        Say whether it was done: nothing has been where the database cannot, or a transaction is open already.
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
    def _insert_sql(self) -> str:
        return (
            f"INSERT INTO django_tasks_q_job ({', '.join(ENQUEUED)},"
            " backend, attempt, failures, losses, errors, reason)"
            f" VALUES ({', '.join(['%s'] * len(ENQUEUED))}, {self._literal(self.alias)}, 0, 0, 0, '[]', '')"
        )

    def _spec_values(self, spec: JobSpec) -> tuple[Any, ...]:
        return (
            self.to_key(spec.id),
            spec.queue_name,
            spec.priority,
            spec.task_path,
            spec.args,
            spec.kwargs,
            spec.options,
            spec.metadata,
            self._to_moment(spec.run_after),
            self._to_moment(spec.enqueued_at),
            None if spec.parent_id is None else self.to_key(spec.parent_id),
            self._to_moment(spec.run_after) if spec.status == JobStatus.SCHEDULED else None,
            str(spec.status),
        )

    # claim

    def claim(
        self, worker_id: str, queue_name: str, limit: int, *, after: Sequence[Position] = ()
    ) -> list[ClaimedJob]:
        """Make up to `limit` READY jobs of a queue this worker's, by priority, then age. A paused queue gives none.

        after: where to begin in each of some priorities, the highest first; only if `claims_after`.
        """
        raise NotImplementedError

    def ready_queues(self) -> list[str]:
        """Return the names of the queues that have READY jobs, by skipping from one to the next in the index."""
        with self.connection.cursor() as cursor:
            cursor.execute(_READY_QUEUES, [self.alias, self.alias])
            return [row[0] for row in cursor.fetchall()]

    def next_due(self) -> float | None:
        """Return the seconds until the first SCHEDULED job is due, 0 or less where it is; None where there is none."""
        return self.seconds_until(f"SELECT due_at, {self.now_sql} {_FIRST_SCHEDULED}", [self.alias])

    def seconds_until(self, statement: str, parameters: Sequence[Any]) -> float | None:
        """Return the seconds from the second to the first moment that a statement gives; None where it gives none."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            row = cursor.fetchone()
        if row is None:
            return None
        wait: timedelta = self._from_moment(row[0]) - self._from_moment(row[1])
        return wait.total_seconds()

    def promote(self, limit: int = 1_000) -> int:
        """Make up to `limit` SCHEDULED jobs READY whose time has come; return how many."""
        with self.transaction(durable=False), self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM django_tasks_q_job{self.by_due_at} WHERE backend = %s AND status = 'SCHEDULED'"
                f" AND due_at <= {self.now_once} ORDER BY due_at LIMIT %s {self.skip_locked}",
                [self.alias, limit],
            )
            keys = [row[0] for row in cursor.fetchall()]
            if keys:
                cursor.execute(
                    f"UPDATE django_tasks_q_job{self.by_key} SET status = 'READY', reason = ''"
                    f" WHERE id IN ({marks(keys)})",
                    keys,
                )
        return len(keys)

    # finish

    def finish(self, worker_id: str, outcomes: Sequence[Outcome]) -> Recorded:
        """Record how jobs ended: final ones move to the history, the others go back to the queue.

        What is not this worker's any more (see the class) is left alone and missing from the answer. What somebody
        has asked to cancel, and has not succeeded, ends CANCELLED.
        """
        # Once each, and in the order of their keys, so that two sessions lock the same rows in the same order.
        ordered = sorted({outcome.id: outcome for outcome in outcomes}.values(), key=_id)
        final = [outcome for outcome in ordered if outcome.is_final]
        again = [outcome for outcome in ordered if not outcome.is_final]
        # One that the caller's whole round stands or falls with; a savepoint would cost two more round trips.
        with self.transaction(savepoint=False):
            finished = [
                key for batch in in_batches(final, weight_of) for key in self._move_to_history(worker_id, batch)
            ]
            retried = [key for batch in in_batches(again, weight_of) for key in self._hand_back(worker_id, batch)]
            if len(finished) + len(retried) < len(ordered):
                return self._cancel_refused(worker_id, ordered, Recorded(frozenset(finished), frozenset(retried)))
        return Recorded(frozenset(finished), frozenset(retried))

    def release(self, worker_id: str, jobs: Iterable[ClaimedJob], *, reason: str = "") -> Recorded:
        """Make jobs READY that this worker claimed and never started, without charging an attempt.

        What is to be cancelled ends instead.
        """
        return self.finish(worker_id, [untouched_outcome(job, reason) for job in jobs])

    def held_by(self, worker_id: str, *, limit: int = 1_000, but: Iterable[str] = ()) -> list[ClaimedJob]:
        """Return the jobs that are RUNNING under a worker, except those in `but`."""
        known = set(but)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {self._claimed_columns} FROM django_tasks_q_job j"
                f" WHERE status = 'RUNNING' AND worker_id = %s ORDER BY id LIMIT %s",
                [worker_id, limit + len(known)],
            )
            jobs = [self._claimed(row) for row in cursor.fetchall()]
        return [job for job in jobs if job.id not in known]

    def is_recorded(self, worker_id: str, outcome: Outcome) -> bool:
        """Say whether the history holds this very run: a commit may succeed although its connection broke."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM django_tasks_q_result WHERE id = %s AND worker_id = %s AND attempt = %s",
                [self.to_key(outcome.id), worker_id, outcome.attempt],
            )
            return cursor.fetchone() is not None

    def _move_to_history(self, worker_id: str, outcomes: Sequence[Outcome]) -> list[str]:
        rows = self._still_owned(worker_id, outcomes)
        if not rows:
            return []
        source, keys = json.dumps(rows), [row["id"] for row in rows]
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO django_tasks_q_result ({self._history_columns}) SELECT {self._history_values}"
                f" FROM {self.outcome_rows} JOIN django_tasks_q_job j ON j.id = {self.outcome_key}",
                [source],
            )
        self._delete(keys, JOB)
        return [self.from_key(key) for key in keys]

    def _hand_back(self, worker_id: str, outcomes: Sequence[Outcome]) -> list[str]:
        rows = self._still_owned(worker_id, outcomes)
        if rows:
            with self.connection.cursor() as cursor:
                cursor.execute(self._hand_back_sql, [json.dumps(rows)])
        return [self.from_key(row["id"]) for row in rows]

    def _still_owned(self, worker_id: str, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
        """Lock the jobs of these outcomes and return the outcomes whose fence holds, as rows.

        Without those that are to be cancelled, and have not succeeded.
        """
        rows = {self.to_key(outcome.id): self._outcome_row(outcome) for outcome in outcomes}
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, attempt, cancel_requested_at FROM django_tasks_q_job{self.by_key}"
                f" WHERE id IN ({marks(rows)}) AND worker_id = %s AND status = 'RUNNING' ORDER BY id {self.lock_rows}",
                [*sorted(rows), worker_id],
            )
            held = {(str(key), attempt): asked is not None for key, attempt, asked in cursor.fetchall()}
        found = ((row, held.get((str(key), row["attempt"]))) for key, row in rows.items())
        return [row for row, asked in found if asked is False or (asked and row["status"] == SUCCESSFUL)]

    def _outcome_row(self, outcome: Outcome) -> dict[str, Any]:
        """Return what there is to say of an outcome; the database takes the rest for NULL."""
        row: dict[str, Any] = {
            "id": str(self.to_key(outcome.id)),
            "attempt": outcome.attempt,
            "status": outcome.status,
            "started_at": self._moment_text(outcome.started_at),
            "finished_at": self._moment_text(outcome.finished_at),
        }
        if outcome.return_value is not None:
            row["return_value"] = outcome.return_value
        if outcome.error is not None:
            row["error"] = outcome.error
        if outcome.status == JobStatus.SCHEDULED:
            row["due_at"] = self._moment_text(outcome.finished_at + timedelta(seconds=outcome.retry_in))
        if outcome.reason:
            row["reason"] = outcome.reason[:500]
        flags = {"failed": outcome.failed, "lost": outcome.lost, "uncharged": not outcome.charged}
        return row | {name: 1 for name, is_set in flags.items() if is_set}

    # What vendors differ in.

    # Rows of outcomes, made from one JSON parameter, under the name o; and their key, to compare with a job's.
    outcome_rows: ClassVar[str]
    outcome_key: ClassVar[str] = "o.id"
    # The errors of job j, with the one of outcome o appended and at most options.max_errors of them.
    appended_errors: str
    return_value: ClassVar[str] = "o.return_value"
    # The "group" of the error of outcome o: see tracebacks.error_group().
    error_group: ClassVar[str]

    @property
    def _hand_back_sql(self) -> str:
        raise NotImplementedError

    @cached_property
    def _history_columns(self) -> str:
        return ", ".join([*KEPT, *self._history_expressions])

    @cached_property
    def _history_values(self) -> str:
        return ", ".join([*(f"j.{name}" for name in KEPT), *self._history_expressions.values()])

    @cached_property
    def _history_expressions(self) -> dict[str, str]:
        return {
            "failures": counted("j.failures", "COALESCE(o.failed, 0)"),
            "losses": counted("j.losses", "COALESCE(o.lost, 0)", most=MOST_LOSSES),
            "started_at": "CASE WHEN j.attempt <= 1 THEN o.started_at ELSE j.started_at END",
            "last_attempted_at": "o.started_at",
            "finished_at": "o.finished_at",
            "errors": self.appended_errors,
            "status": "o.status",
            "reason": "COALESCE(o.reason, '')",
            "return_value": self.return_value,
            "error_group": f"CASE WHEN o.status = 'FAILED' THEN {self.error_group} END",
        }

    @cached_property
    def _handed_back(self) -> dict[str, str]:
        """What each column of a job becomes; in this order, because MySQL sees the earlier assignments."""
        return {
            "errors": self.appended_errors,
            "started_at": "CASE WHEN o.uncharged = 1 AND j.attempt <= 1 THEN NULL ELSE j.started_at END",
            "last_attempted_at": "CASE WHEN o.uncharged = 1 AND j.attempt <= 1 THEN NULL ELSE j.last_attempted_at END",
            "attempt": "j.attempt - COALESCE(o.uncharged, 0)",
            "failures": counted("j.failures", "COALESCE(o.failed, 0)"),
            "losses": counted("j.losses", "COALESCE(o.lost, 0)", most=MOST_LOSSES),
            "due_at": "CASE WHEN o.due_at IS NULL THEN j.due_at ELSE o.due_at END",
            "status": "o.status",
            "reason": "COALESCE(o.reason, '')",
            "worker_id": "NULL",
        }

    @cached_property
    def _claimed_columns(self) -> str:
        return ", ".join(self._claimed_column(name) for name in CLAIMED)

    def _claimed_column(self, name: str) -> str:
        return FIRST_STARTED if name == "started_at" else f"j.{name}"

    def _claimed(self, row: Sequence[Any]) -> ClaimedJob:
        values = dict(zip(CLAIMED, row, strict=True))
        values["id"] = self.from_key(values["id"])
        for name in ("run_after", "enqueued_at", "started_at"):
            values[name] = self._from_moment(values[name])
        return ClaimedJob(**values)


# The smallest queue name, then the next greater one, and so on: one index probe each.
_READY_QUEUES = """
WITH RECURSIVE q(name) AS (
    SELECT MIN(queue_name) FROM django_tasks_q_job WHERE backend = %s AND status = 'READY'
    UNION ALL
    SELECT (SELECT MIN(j.queue_name) FROM django_tasks_q_job j
            WHERE j.backend = %s AND j.status = 'READY' AND j.queue_name > q.name)
    FROM q WHERE q.name IS NOT NULL
)
SELECT name FROM q WHERE name IS NOT NULL
"""
# Without a time there is nothing to wait for: such a row, which is not ours, stays as it is.
_FIRST_SCHEDULED = (
    "FROM django_tasks_q_job WHERE backend = %s AND status = 'SCHEDULED'"
    " AND due_at IS NOT NULL ORDER BY due_at LIMIT 1"
)
