"""Cancellation of jobs that have not started and of running ones."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from ..lifecycle import SUCCESSFUL, JobStatus, ResultStatus
from .record import RecordVerbs
from .sql import JOB, RESULT, placeholders
from .values import Cancelled, Outcome, Recorded

__all__ = ["CancelVerbs"]


class CancelVerbs(RecordVerbs):
    """cancel, find_cancelled, and what happens to a run of a job that is to be cancelled.

    A job that has not started moves to the history. A running one belongs to its worker: it only gets a mark, which
    lasts as long as this run. If a run with the mark ends in any way but success, the job ends as CANCELLED.
    """

    def cancel(self, job_ids: Iterable[uuid.UUID | str], *, reason: str = "", running: bool = True) -> Cancelled:
        """Cancel jobs; return the ids of those that are now CANCELLED, and of running ones that are to stop.

        running: False leaves running jobs unchanged. Finished ones are always left unchanged.
        """
        now = timezone.now()
        with self.transaction():
            # Running jobs that are left unchanged are not locked either: their worker may be about to finish them.
            found = self._lock(JOB, job_ids, "" if running else "AND status <> 'RUNNING'")
            started = [key for key, status in found.items() if status == JobStatus.RUNNING]
            waiting = [key for key in found if key not in set(started)]
            self._move_cancelled(waiting, now, reason)
            if started:
                self._ask_to_stop(started, now, reason)
            from_key = self.dialect.from_key
            cancelled = Cancelled(frozenset(map(from_key, waiting)), frozenset(map(from_key, started)))
            self._ended(cancelled.done, ran=False)
        return cancelled

    def find_cancelled(self, worker_id: str, job_ids: Iterable[str]) -> set[str]:
        """Return those of a worker's jobs that are to be cancelled."""
        keys = [self.dialect.to_key(job_id) for job_id in job_ids]
        if not keys:
            return set()
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM {JOB}{self.dialect.by_key} WHERE id IN ({placeholders(keys)}) AND worker_id = %s"
                " AND status = 'RUNNING' AND cancel_requested_at IS NOT NULL",
                [*keys, worker_id],
            )
            return {self.dialect.from_key(row[0]) for row in cursor.fetchall()}

    def _ask_to_stop(self, keys: Sequence[Any], now: datetime, reason: str) -> None:
        # The first request is the one that is recorded.
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {JOB}{self.dialect.by_key} SET cancel_requested_at = %s, cancel_reason = %s"
                f" WHERE id IN ({placeholders(keys)}) AND cancel_requested_at IS NULL",
                [self.dialect.to_moment(now), reason[:500], *keys],
            )

    def _move_cancelled(self, keys: Sequence[Any], finished_at: datetime, reason: str, **changes: Any) -> None:
        # A job with the id of an existing result: this one replaces it, as after a requeue.
        self._delete(keys, RESULT)
        ending = {"status": ResultStatus.CANCELLED.value, "finished_at": self.dialect.to_moment(finished_at)}
        self._move(keys, JOB, RESULT, {**ending, "reason": reason[:500], **changes})

    # what ran

    def _cancel_refused(
        self, worker_id: str, outcomes: Sequence[Outcome], recorded: Recorded, *, skip_locked: bool
    ) -> Recorded:
        """End those as CANCELLED that were not recorded because they are to be cancelled."""
        refused = {outcome.id: outcome for outcome in outcomes if outcome.id not in recorded}
        reasons = self._take_marks(worker_id, refused, skip_locked=skip_locked)
        for job_id, reason in reasons.items():
            outcome = refused[job_id]
            # Back to the live table, with everything that this run leaves behind, and from there into the history.
            back = outcome._replace(status=JobStatus.READY, retry_in=0.0, return_value=None)
            self._record(worker_id, [back], skip_locked=False)
            holder = {"worker_id": worker_id} if outcome.charged else {}
            self._move_cancelled([self.dialect.to_key(job_id)], outcome.finished_at, reason, **holder)
        return Recorded(recorded.finished | reasons.keys(), recorded.retried, reasons)

    def _take_marks(self, worker_id: str, outcomes: dict[str, Outcome], *, skip_locked: bool) -> dict[str, str]:
        """Remove the marks from the jobs of these outcomes; return the reasons of those with a valid fence."""
        attempts = {
            self.dialect.to_key(outcome.id): outcome.attempt for outcome in outcomes.values() if _may_be(outcome)
        }
        if not attempts:
            return {}
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, attempt, cancel_reason FROM {JOB}{self.dialect.by_key}"
                f" WHERE id IN ({placeholders(attempts)})"
                " AND worker_id = %s AND status = 'RUNNING' AND cancel_requested_at IS NOT NULL"
                f" ORDER BY id {self.dialect.locking(skip=skip_locked)}",
                [*sorted(attempts), worker_id],
            )
            known = {str(key): attempt for key, attempt in attempts.items()}
            found = {key: reason or "" for key, attempt, reason in cursor.fetchall() if known[str(key)] == attempt}
            if found:
                cursor.execute(
                    f"UPDATE {JOB}{self.dialect.by_key} SET cancel_requested_at = NULL, cancel_reason = NULL"
                    f" WHERE id IN ({placeholders(found)})",
                    list(found),
                )
        return {self.dialect.from_key(key): reason for key, reason in found.items()}


def _may_be(outcome: Outcome) -> bool:
    """Return whether the mark could be the reason for refusing an outcome: never for a success."""
    return outcome.status != SUCCESSFUL
