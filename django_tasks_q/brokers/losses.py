"""How a run ends whose process is gone, the same for a child, a worker and a host; and one that never began."""

import json
from datetime import UTC, datetime

from ..exceptions import JobLost, MemoryLimitExceeded, TaskCancelled, TaskTimeout
from ..lifecycle import JobStatus, ResultStatus
from ..tracebacks import error_group
from .values import ClaimedJob, Outcome

__all__ = ["cancelled_outcome", "lost_outcome", "timeout_outcome", "untouched_outcome"]


def lost_outcome(
    job: ClaimedJob,
    worker_id: str,
    cause: str,
    started_at: datetime,
    finished_at: datetime,
    max_losses: int,
    *,
    memory: bool = False,
) -> Outcome:
    """Return the outcome of a run that ended with its process: it runs again, but not for ever."""
    final = job.losses + 1 >= max_losses
    kind = MemoryLimitExceeded if memory else JobLost
    text = f"{cause} This run of the job was lost with it ({job.losses + 1} of at most {max_losses} losses)."
    return Outcome(
        job.id,
        job.attempt,
        ResultStatus.FAILED if final else JobStatus.READY,
        started_at,
        finished_at,
        error=_entry(kind, text, "lost", job, worker_id, started_at, finished_at),
        lost=True,
        unannounced=True,
        reason=text,
    )


def timeout_outcome(
    job: ClaimedJob,
    worker_id: str,
    timeout: float,
    started_at: datetime,
    finished_at: datetime,
    retry_in: float | None,
) -> Outcome:
    """Return the outcome of a run that was killed for its hard time limit; retry_in is None where it was the last."""
    text = f"The job ran longer than its timeout of {timeout:g} s; its process was killed."
    again = JobStatus.SCHEDULED if retry_in else JobStatus.READY
    return Outcome(
        job.id,
        job.attempt,
        ResultStatus.FAILED if retry_in is None else again,
        started_at,
        finished_at,
        error=_entry(TaskTimeout, text, "timeout", job, worker_id, started_at, finished_at),
        retry_in=retry_in or 0.0,
        failed=True,
        unannounced=True,
        reason=text,
    )


def cancelled_outcome(
    job: ClaimedJob, worker_id: str, grace: float, started_at: datetime, finished_at: datetime
) -> Outcome:
    """Return the outcome of a run that was killed because its job was cancelled."""
    text = f"The job was cancelled and did not end within {grace:g} s; its process was killed."
    return Outcome(
        job.id,
        job.attempt,
        ResultStatus.FAILED,
        started_at,
        finished_at,
        error=_entry(TaskCancelled, text, "cancelled", job, worker_id, started_at, finished_at),
        unannounced=True,
        reason=text,
    )


def _entry(
    kind: type[Exception],
    text: str,
    name: str,
    job: ClaimedJob,
    worker_id: str,
    started_at: datetime,
    finished_at: datetime,
) -> str:
    exception = f"{kind.__module__}.{kind.__qualname__}"
    return json.dumps(
        {
            "exception": exception,
            # Nothing is known of where it was, but what it was doing.
            "group": error_group(f"{exception} in {job.task_path}", []),
            "traceback": f"{exception}: {text}\n",
            "worker": worker_id,
            "attempt": job.attempt,
            "kind": name,
            "started_at": started_at.isoformat(),
            "finished_at": finished_at.isoformat(),
        }
    )


def untouched_outcome(job: ClaimedJob, reason: str = "") -> Outcome:
    """Return the outcome of a job that was claimed and has not begun."""
    now = datetime.now(UTC)
    return Outcome(job.id, job.attempt, JobStatus.READY, now, now, charged=False, reason=reason)
