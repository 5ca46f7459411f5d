"""How runs end: the verbs that a worker calls, each with its fence."""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from .cancel import CancelVerbs
from .outcomes import released_outcome
from .record import LONGEST_REASON
from .reports import ReportVerbs
from .sql import JOB, RESULT
from .values import ClaimedJob, Outcome, Recorded

__all__ = ["FinishVerbs"]


class FinishVerbs(ReportVerbs, CancelVerbs):
    """finish, release, and what happens to a run that cannot be recorded."""

    def finish(self, worker_id: str, outcomes: Sequence[Outcome], *, skip_locked: bool = False) -> Recorded:
        """Record how jobs ended: final ones move to the history, the others go back to the queue.

        Jobs that no longer belong to this worker (see Broker) are left unchanged and missing from the answer. Jobs
        that are to be cancelled, and have not succeeded, end as CANCELLED. skip_locked: skip jobs that another session
        has locked, and return them, rather than wait.
        """
        # Once each, and in the order of their keys, so that two sessions lock the same rows in the same order.
        ordered = sorted({outcome.id: outcome for outcome in outcomes}.values(), key=attrgetter("id"))
        # The caller's whole round depends on it; a savepoint would cost two more round trips.
        with self.transaction(savepoint=False):
            recorded = self._record(worker_id, ordered, skip_locked=skip_locked)
            if recorded.retried:
                self._replace_arguments([outcome for outcome in ordered if outcome.id in recorded.retried])
            if len(recorded.finished) + len(recorded.retried) < len(ordered):
                recorded = self._cancel_refused(worker_id, ordered, recorded, skip_locked=skip_locked)
                if skip_locked:
                    left = [outcome for outcome in ordered if outcome.id not in recorded]
                    recorded = recorded.with_locked(self._still_running(worker_id, left))
            self._ended(recorded.finished, ran=True)
        return recorded

    def finish_instead(self, worker_id: str, outcome: Outcome) -> Recorded:
        """Record how a job ended that already has a result: this one replaces it, as after a requeue."""
        with self.transaction(savepoint=False):
            with self.connection.cursor() as cursor:
                cursor.execute(
                    f"DELETE FROM {RESULT} WHERE id = %s AND EXISTS (SELECT 1 FROM {JOB} WHERE {JOB}.id = {RESULT}.id"
                    " AND worker_id = %s AND attempt = %s AND status = 'RUNNING')",
                    [self.dialect.to_key(outcome.id), worker_id, outcome.attempt],
                )
            return self.finish(worker_id, [outcome])

    def set_aside(self, worker_id: str, outcome: Outcome, reason: str) -> bool:
        """Set a job to WAITING if the database refuses its outcome in every form; return whether it was ours."""
        with self.transaction(), self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {JOB}{self.dialect.by_key} SET status = 'WAITING', worker_id = NULL, begun_at = NULL,"
                " reason = %s"
                " WHERE id = %s AND worker_id = %s AND attempt = %s AND status = 'RUNNING'",
                [reason[:LONGEST_REASON], self.dialect.to_key(outcome.id), worker_id, outcome.attempt],
            )
            return bool(cursor.rowcount)

    def release(
        self, worker_id: str, jobs: Iterable[ClaimedJob], *, reason: str = "", skip_locked: bool = False
    ) -> Recorded:
        """Make jobs READY that this worker claimed and never started, without charging an attempt.

        Jobs that are to be cancelled end instead.
        """
        return self.finish(worker_id, [released_outcome(job, reason) for job in jobs], skip_locked=skip_locked)

    def is_recorded(self, worker_id: str, outcome: Outcome) -> bool:
        """Return whether the history has this very run: a commit may succeed although its connection broke."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT 1 FROM {RESULT} WHERE id = %s AND worker_id = %s AND attempt = %s",
                [self.dialect.to_key(outcome.id), worker_id, outcome.attempt],
            )
            return cursor.fetchone() is not None

    def _still_running(self, worker_id: str, outcomes: Sequence[Outcome]) -> set[str]:
        """Return the ids of those that were not recorded despite a valid fence: another session has locked them."""
        attempts = {self.dialect.to_key(outcome.id): outcome.attempt for outcome in outcomes}
        if not attempts:
            return set()
        running = self._find_running(worker_id, sorted(attempts))
        known = {str(key): attempt for key, attempt in attempts.items()}
        return {self.dialect.from_key(key) for key, attempt in running.items() if known[str(key)] == attempt}
