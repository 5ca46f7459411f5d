"""Cancellation, of what has not started and of what runs."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from ..lifecycle import SUCCESSFUL, JobStatus, ResultStatus
from .operator import JOB, RESULT, OperatorVerbs, marks
from .values import Cancelled, Outcome, Recorded

__all__ = ["CancelVerbs"]


class CancelVerbs(OperatorVerbs):
    """cancel, find_cancelled, and what becomes of a run of a job that is to be cancelled.

    A job that has not started moves to the history. One that runs is its worker's: it only gets a mark, which stays as
    long as this run. A run with the mark that ends in any way but with success ends the job as CANCELLED.
    """

    def cancel(self, job_ids: Iterable[uuid.UUID | str], *, reason: str = "", running: bool = True) -> Cancelled:
        """Cancel jobs; return the ids of those that are CANCELLED now, and of those that run and are to stop.

        running: False leaves those alone that run. Finished ones are left alone.
        """
        now = timezone.now()
        with self.transaction():
            # What is left alone is not locked either: its worker may be about to finish it.
            found = self._lock(JOB, job_ids, "" if running else "AND status <> 'RUNNING'")
            started = [key for key, status in found.items() if status == JobStatus.RUNNING]
            waiting = [key for key in found if key not in set(started)]
            self._move_cancelled(waiting, now, reason)
            if started:
                self._ask_to_stop(started, now, reason)
        return Cancelled(frozenset(map(self.from_key, waiting)), frozenset(map(self.from_key, started)))

    def find_cancelled(self, worker_id: str, job_ids: Iterable[str]) -> set[str]:
        """Return those among the jobs of a worker that are to be cancelled."""
        keys = [self.to_key(job_id) for job_id in job_ids]
        if not keys:
            return set()
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM {JOB}{self.by_key} WHERE id IN ({marks(keys)}) AND worker_id = %s"
                " AND status = 'RUNNING' AND cancel_requested_at IS NOT NULL",
                [*keys, worker_id],
            )
            return {self.from_key(row[0]) for row in cursor.fetchall()}

    def _ask_to_stop(self, keys: Sequence[Any], now: datetime, reason: str) -> None:
        # Who asked first stays the one who did.
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {JOB}{self.by_key} SET cancel_requested_at = %s, cancel_reason = %s"
                f" WHERE id IN ({marks(keys)}) AND cancel_requested_at IS NULL",
                [self._to_moment(now), reason[:500], *keys],
            )

    def _move_cancelled(self, keys: Sequence[Any], finished_at: datetime, reason: str, **changes: Any) -> None:
        ending = {"status": ResultStatus.CANCELLED.value, "finished_at": self._to_moment(finished_at)}
        self._move(keys, JOB, RESULT, {**ending, "reason": reason[:500], **changes})

    # what ran

    def _cancel_refused(self, worker_id: str, outcomes: Sequence[Outcome], recorded: Recorded) -> Recorded:
        """End those as CANCELLED that were not recorded because they are to be cancelled."""
        refused = {outcome.id: outcome for outcome in outcomes if outcome.id not in recorded}
        reasons = self._take_marks(worker_id, refused)
        for job_id, reason in reasons.items():
            outcome = refused[job_id]
            # Back to where it came from, with all that this run leaves behind, and from there into the history.
            self._hand_back(worker_id, [outcome._replace(status=JobStatus.READY, retry_in=0.0, return_value=None)])
            holder = {"worker_id": worker_id} if outcome.charged else {}
            self._move_cancelled([self.to_key(job_id)], outcome.finished_at, reason, **holder)
        return Recorded(recorded.finished | reasons.keys(), recorded.retried, reasons)

    def _take_marks(self, worker_id: str, outcomes: dict[str, Outcome]) -> dict[str, str]:
        """Take the marks off the jobs of these outcomes; return the reasons of those whose fence holds."""
        attempts = {self.to_key(outcome.id): outcome.attempt for outcome in outcomes.values() if _may_be(outcome)}
        if not attempts:
            return {}
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, attempt, cancel_reason FROM {JOB}{self.by_key} WHERE id IN ({marks(attempts)})"
                " AND worker_id = %s AND status = 'RUNNING' AND cancel_requested_at IS NOT NULL"
                f" ORDER BY id {self.lock_rows}",
                [*sorted(attempts), worker_id],
            )
            known = {str(key): attempt for key, attempt in attempts.items()}
            found = {key: reason or "" for key, attempt, reason in cursor.fetchall() if known[str(key)] == attempt}
            if found:
                cursor.execute(
                    f"UPDATE {JOB}{self.by_key} SET cancel_requested_at = NULL, cancel_reason = NULL"
                    f" WHERE id IN ({marks(found)})",
                    list(found),
                )
        return {self.from_key(key): reason for key, reason in found.items()}

    def _hand_back(self, worker_id: str, outcomes: Sequence[Outcome]) -> list[str]:
        raise NotImplementedError


def _may_be(outcome: Outcome) -> bool:
    """Say whether the mark could be why an outcome was refused: it never is with a success."""
    return outcome.status != SUCCESSFUL
