"""Jobs become a worker's own."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from .failures import UNREADABLE
from .sql import JOB
from .values import ClaimedJob
from .verbs import Verbs

__all__ = ["BARRED", "Claim", "ClaimVerbs", "Position"]

# A priority and the id of a job.
Position = tuple[int, str]
# Reading a datetime takes a driver longer than anything else in a job, and for a first run this one has no
# information.
FIRST_STARTED = "CASE WHEN j.attempt > 1 THEN j.started_at END"
# Keeps a worker from claiming. One that was presumed dead would have the same fence again: (worker, attempt).
BARRED = (
    "EXISTS (SELECT 1 FROM django_tasks_q_queue WHERE backend = %s AND name = %s AND paused)"
    " OR EXISTS (SELECT 1 FROM django_tasks_q_worker WHERE id = %s AND status = 'LOST')"
)


class Claim(NamedTuple):
    """What a claim returned. is_cut: it stopped at the size limit, and there may be more."""

    jobs: list[ClaimedJob]
    is_cut: bool


class ClaimVerbs(Verbs):
    """claim, claim_within, set_unreadable_aside, and how a claimed job is read."""

    # Whether a claim can start behind some jobs, which pays off if dead index entries stay for long.
    claims_after: ClassVar[bool] = False
    # Bytes of payload that a worker reads at once.
    largest_claim: ClassVar[int] = 8 * 1_048_576

    def claim(
        self, worker_id: str, queue_name: str, limit: int, *, after: Sequence[Position] = ()
    ) -> list[ClaimedJob]:
        """Claim up to `limit` READY jobs of a queue for this worker, by priority, then age.

        A paused queue gives none, and a worker that is LOST gets none.

        after: where to start in each of some priorities, the highest first; only if `claims_after`.
        """
        return self.claim_within(worker_id, queue_name, limit, self.largest_claim, after=after).jobs

    def claim_within(
        self, worker_id: str, queue_name: str, limit: int, size: int, *, after: Sequence[Position] = ()
    ) -> Claim:
        """Claim jobs of at most `size` bytes of payload together, as estimated by the database; at least one.

        The rest as in claim().
        """
        raise NotImplementedError

    def first_claim(self, demand: int) -> int:
        """Return how many jobs to claim first if there may be only one, and up to `demand` are wanted."""
        return demand

    def few(self, size: int) -> int:
        """Return how many jobs fit into this many bytes, however large they are; at least one."""
        options = self.options
        # Arguments, keyword arguments, metadata and errors.
        return max(1, size // (3 * options.max_payload + options.max_errors * options.max_traceback))

    def set_unreadable_aside(self, queue_name: str) -> tuple[str, str] | None:
        """Set the next READY job of a queue to WAITING if it cannot be read; return its id and why, or None."""
        with self.transaction(), self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM {JOB} WHERE backend = %s AND status = 'READY' AND queue_name = %s"
                f" ORDER BY priority DESC, id LIMIT 1 {self.dialect.skip_locked}",
                [self.alias, queue_name],
            )
            row = cursor.fetchone()
            reason = None if row is None else self._find_damage(row[0])
            if row is None or reason is None:
                return None
            cursor.execute(
                f"UPDATE {JOB}{self.dialect.by_key} SET status = 'WAITING', reason = %s WHERE id = %s",
                [reason[:500], row[0]],
            )
        return str(row[0]), reason

    def _find_damage(self, key: Any) -> str | None:
        """Return why a job's row cannot be read; None if it can."""
        try:
            with self.transaction(), self.connection.cursor() as cursor:
                cursor.execute(f"SELECT {self._claimed_columns} FROM {JOB} j WHERE id = %s", [key])
                for row in cursor.fetchall():
                    self._claimed(row)
        except UNREADABLE as error:
            return f"It cannot be read: {error}"
        return None

    # rows

    @cached_property
    def _claimed_columns(self) -> str:
        return ", ".join(self._claimed_column(name) for name in ClaimedJob._fields)

    def _claimed_column(self, name: str) -> str:
        if name == "displaced" and self.options.max_losses == 1:
            # At most once: no job may begin before its start is recorded.
            return "1"
        return FIRST_STARTED if name == "started_at" else f"j.{name}"

    def _claimed(self, row: Sequence[Any]) -> ClaimedJob:
        values = dict(zip(ClaimedJob._fields, row, strict=True))
        values["id"] = self.dialect.from_key(values["id"])
        for name in ("run_after", "enqueued_at", "started_at"):
            values[name] = self.dialect.from_moment(values[name])
        if not isinstance(values["enqueued_at"], datetime) or not isinstance(values["priority"], int):
            raise ValueError("its enqueued_at is not a timestamp, or its priority not a number")
        return ClaimedJob(**values)

    def _that_fit(self, rows: Iterable[Sequence[Any]], most: int) -> list[Any]:
        """Return the keys of the first rows of (key, size) that fit into this many bytes together; at least one."""
        keys: list[Any] = []
        for key, size in rows:
            if keys and most <= 0:
                break
            keys.append(key)
            most -= size
        return keys
