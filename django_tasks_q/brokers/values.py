"""The frozen values that travel into a broker and out of it.

Ids are in their canonical form, as TaskResult has them. Payloads are JSON text, passed through unread.

Named tuples: several are made for each job, and a frozen dataclass takes ten times as long to make.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ..lifecycle import FINAL_STATUSES, JobStatus, ResultStatus

__all__ = ["Cancelled", "ClaimedJob", "JobSpec", "LogLines", "Outcome", "Recorded", "Snapshot", "cancel_reason"]


class JobSpec(NamedTuple):
    """A job to enqueue. run_after is an aware datetime, or naive where USE_TZ is off."""

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
        return JobStatus.SCHEDULED if self.run_after and self.run_after > self.enqueued_at else JobStatus.READY


class ClaimedJob(NamedTuple):
    """A job that this worker owns: (worker, attempt) is the fence of whatever it will record.

    started_at: when its first run began; None where this is its first.
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


class Outcome(NamedTuple):
    """How one run ended.

    status: a ResultStatus, or a JobStatus where the job is to run again: READY now, SCHEDULED after retry_in seconds.
    started_at, finished_at: aware, on the database's clock.
    return_value: JSON text. error: JSON text of one entry of Job.errors.
    failed: the run counts against max_attempts. lost: it ended with its process and counts against max_losses.
    charged: it counts as an attempt at all; a job that never started, or was stopped by us, is not charged.
    unannounced: the process that ran it did not announce its end, and cannot any more.
    reason: why the job waits or how it ended, in words for an operator.
    """

    id: str
    attempt: int
    status: str
    started_at: datetime
    finished_at: datetime
    return_value: str | None = None
    error: str | None = None
    retry_in: float = 0.0
    failed: bool = False
    lost: bool = False
    charged: bool = True
    unannounced: bool = False
    reason: str = ""

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES


class LogLines(NamedTuple):
    """Lines that a run of a job has logged. entries: JSON text, as JobLog has it."""

    job_id: str
    attempt: int
    entries: str


class Cancelled(NamedTuple):
    """What cancel() did: the ids of the jobs that are CANCELLED now, and of those that run and are asked to stop."""

    done: frozenset[str]
    asked: frozenset[str]


def cancel_reason(by: str) -> str:
    """Return the reason of a cancelled job. by: who wished it, in words."""
    return f"Cancelled by {by}." if by else "Cancelled."


@dataclass(frozen=True, slots=True)
class Recorded:
    """The ids that finish() recorded; the others were not this worker's any more.

    cancelled: those of the finished that were to fail or to run again, and ended CANCELLED because somebody had asked
    for that; each with its reason.
    """

    finished: frozenset[str] = frozenset()
    retried: frozenset[str] = frozenset()
    cancelled: Mapping[str, str] = field(default_factory=dict)

    def actual(self, outcome: Outcome) -> Outcome:
        """Return an outcome as it was recorded."""
        reason = self.cancelled.get(outcome.id)
        if reason is None:
            return outcome
        # Whoever ran it and took it for one that runs again has not said that it ended.
        unannounced = outcome.unannounced or (outcome.charged and not outcome.is_final)
        return outcome._replace(status=ResultStatus.CANCELLED, retry_in=0.0, unannounced=unannounced, reason=reason)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self.finished or job_id in self.retried


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A transaction that keeps the database from cleaning up. seconds: for how long. session: by which it is ended."""

    session: int
    user: str
    seconds: float
