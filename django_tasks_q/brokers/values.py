"""The frozen values that travel into a broker and out of it. Payloads are JSON text, passed through unread.

Named tuples: several are made for each job, and a frozen dataclass takes ten times as long to make.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ..lifecycle import FINAL_STATUSES, JobStatus

__all__ = ["ClaimedJob", "JobSpec", "Outcome", "Recorded"]


class JobSpec(NamedTuple):
    """A job to enqueue. run_after is an aware datetime, or naive where USE_TZ is off."""

    id: uuid.UUID
    queue_name: str
    priority: int
    task_path: str
    args: str
    kwargs: str
    options: str
    metadata: str
    run_after: datetime | None
    enqueued_at: datetime

    @property
    def status(self) -> str:
        return JobStatus.SCHEDULED if self.run_after and self.run_after > self.enqueued_at else JobStatus.READY


class ClaimedJob(NamedTuple):
    """A job that this worker owns: (worker, attempt) is the fence of whatever it will record."""

    id: uuid.UUID
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
    started_at: datetime
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
    child_is_gone: the process that ran it ended before it could announce the end.
    reason: why the job waits or how it ended, in words for an operator.
    """

    id: uuid.UUID
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
    child_is_gone: bool = False
    reason: str = ""

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES


@dataclass(frozen=True, slots=True)
class Recorded:
    """The ids that finish() recorded; the others were not this worker's any more."""

    finished: frozenset[uuid.UUID]
    retried: frozenset[uuid.UUID]

    def __contains__(self, job_id: uuid.UUID) -> bool:
        return job_id in self.finished or job_id in self.retried
