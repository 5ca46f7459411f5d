"""What runs now."""

from dataclasses import dataclass
from datetime import datetime

from ..brokers import get_broker
from ..lifecycle import JobStatus
from ..models import Job
from ..results import Progress, progress_of

__all__ = ["RunningJob", "running_jobs"]


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker holds. seconds: for how long, by the database's clock.

    progress: what its task last reported. cancel_requested_at: when its cancellation was requested, or None.
    """

    id: str
    task_path: str
    queue_name: str
    worker_id: str
    attempt: int
    started_at: datetime | None
    seconds: float
    progress: Progress | None
    cancel_requested_at: datetime | None


FIELDS = (
    "id", "task_path", "queue_name", "worker_id", "attempt", "last_attempted_at", "progress", "cancel_requested_at",
)  # fmt: skip


def running_jobs(backend: str = "default", limit: int = 20) -> list[RunningJob]:
    """Return the running jobs, the longest-running first."""
    broker = get_broker(backend)
    rows = Job.objects.using(broker.using).filter(backend=backend, status=JobStatus.RUNNING)
    found = list(rows.order_by("last_attempted_at").only(*FIELDS)[:limit])
    now = broker.dialect.now()
    return [_running(row, now) for row in found]


def _running(row: Job, now: datetime) -> RunningJob:
    return RunningJob(
        id=str(row.pk),
        task_path=row.task_path,
        queue_name=row.queue_name,
        worker_id=row.worker_id or "",
        attempt=row.attempt,
        started_at=row.last_attempted_at,
        seconds=_seconds(now, row.last_attempted_at),
        progress=progress_of(row),
        cancel_requested_at=row.cancel_requested_at,
    )


def _seconds(now: datetime, started: datetime | None) -> float:
    return 0.0 if started is None else max(0.0, (now - started).total_seconds())
