"""The frozen values that travel into a broker and out of it.

Ids are in their canonical form, as TaskResult has them. Payloads are JSON text, passed through unread.

Named tuples: several are created for each job, and a frozen dataclass takes ten times as long to create.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from ..lifecycle import FINAL_STATUSES, Ending, JobStatus, ResultStatus
from ..moments import to_aware

__all__ = [
    "Cancelled",
    "ClaimedJob",
    "Ended",
    "JobSpec",
    "LogLines",
    "Outcome",
    "Pruned",
    "Recorded",
    "Snapshot",
    "cancel_reason",
    "queues_of",
]


class JobSpec(NamedTuple):
    """A job to enqueue. run_after is an aware datetime, or naive if USE_TZ is off."""

    id: str
    queue_name: str
    priority: int
    task_path: str
    args: str
    kwargs: str
    options: str
    metadata: str
    run_after: datetime | None
    enqueued_at: datetime
    parent_id: str | None = None

    @property
    def status(self) -> str:
        waits = self.run_after is not None and to_aware(self.run_after) > to_aware(self.enqueued_at)
        return JobStatus.SCHEDULED if waits else JobStatus.READY


class ClaimedJob(NamedTuple):
    """A job that this worker owns: (worker, attempt) is the fence of everything it will record.

    started_at: when its first run began; None if this is its first. displaced: set if its worker was lost and it is
    not known whether the job had begun: it runs alone, and its start is recorded first.
    """

    id: str
    queue_name: str
    priority: int
    task_path: str
    args: str
    kwargs: str
    options: str
    metadata: str
    errors: str
    run_after: datetime | None
    enqueued_at: datetime
    started_at: datetime | None
    attempt: int
    failures: int
    losses: int
    displaced: int | None = None


class Outcome(NamedTuple):
    """How one run ended.

    status: a ResultStatus, or a JobStatus if the job is to run again: READY now, SCHEDULED after retry_in seconds.
    started_at, finished_at: aware, on the database's clock.
    return_value: JSON text. error: JSON text of one entry of Job.errors.
    reason: why the job waits or how it ended, in plain text for an operator.
    arguments: what the job is called with from now on, args and kwargs as JSON text, if it runs again.
    is_refused: the database refused to record it, so that the job FAILED. was_to_run_again: so it was said to the
    process that ran it, but the job has ended.
    """

    id: str
    attempt: int
    ending: Ending
    status: str
    started_at: datetime
    finished_at: datetime
    return_value: str | None = None
    error: str | None = None
    retry_in: float = 0.0
    reason: str = ""
    arguments: tuple[str, str] | None = None
    is_refused: bool = False
    was_to_run_again: bool = False

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES

    @property
    def failed(self) -> bool:
        """Whether the run counts against max_attempts."""
        return self.ending.is_failure or self.is_refused

    @property
    def lost(self) -> bool:
        """Whether it ended with its process, and counts against max_losses."""
        return self.ending.is_loss

    @property
    def charged(self) -> bool:
        """Whether it counts as an attempt at all: not if the job never started, or was stopped by us."""
        return self.ending.is_charged

    @property
    def displaced(self) -> bool:
        """Whether its worker was lost, and it is not known to have begun."""
        return self.ending is Ending.DISPLACED

    @property
    def was_announced(self) -> bool:
        """Whether the process that ran it has announced its end, if there is one to announce."""
        return self.ending.was_announced and not self.was_to_run_again


class Ended(NamedTuple):
    """A job that has left the live table. status: a ResultStatus. ran: whether it was RUNNING until then."""

    id: str
    queue_name: str
    task_path: str
    status: str
    ran: bool


class LogLines(NamedTuple):
    """Lines that a run of a job has logged. entries: JSON text, as JobLog has it."""

    job_id: str
    attempt: int
    entries: str


class Pruned(NamedTuple):
    """What prune_next() did. position: when the last one ended. is_full: there may be more after it."""

    deleted: int
    is_full: bool
    position: datetime | None


class Cancelled(NamedTuple):
    """What cancel() did: the ids of the jobs that are now CANCELLED, and of running ones that were asked to stop."""

    done: frozenset[str]
    asked: frozenset[str]


def cancel_reason(by: str) -> str:
    """Return the reason of a cancelled job. by: who cancelled it, as text."""
    return f"Cancelled by {by}." if by else "Cancelled."


@dataclass(frozen=True, slots=True)
class Recorded:
    """The ids that finish() recorded; the others no longer belonged to this worker.

    locked: those that still belong to it, but that another session has locked: to be tried again. cancelled: finished
    jobs that would have failed or run again, but ended as CANCELLED because that was requested; each with its reason.
    """

    finished: frozenset[str] = frozenset()
    retried: frozenset[str] = frozenset()
    cancelled: Mapping[str, str] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()

    def with_locked(self, job_ids: Iterable[str]) -> "Recorded":
        """Return a copy, with these as locked."""
        return replace(self, locked=frozenset(job_ids))

    def actual(self, outcome: Outcome) -> Outcome:
        """Return an outcome as it was recorded."""
        reason = self.cancelled.get(outcome.id)
        if reason is None:
            return outcome
        again = outcome.charged and not outcome.is_final
        return outcome._replace(status=ResultStatus.CANCELLED, retry_in=0.0, reason=reason, was_to_run_again=again)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self.finished or job_id in self.retried


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A transaction that keeps the database from cleaning up. seconds: for how long. session: used to end it."""

    session: int
    user: str
    seconds: float


def queues_of(jobs: Iterable[JobSpec | ClaimedJob]) -> Counter[str]:
    """Return how many jobs there are in each queue."""
    return Counter([job.queue_name for job in jobs])
