"""From what the pool says to what the broker records."""

from datetime import UTC, datetime

from ..brokers.losses import lost_outcome, timeout_outcome
from ..brokers.values import ClaimedJob, Outcome
from ..conf import Options
from ..lifecycle import SUCCESSFUL, JobStatus, ResultStatus
from .pools.base import Finished, Lost, Stopped
from .pools.wire import Run

__all__ = ["outcome_of"]


def outcome_of(
    event: Finished | Lost | Stopped, *, worker_id: str, clock: float, now: float, options: Options
) -> Outcome:
    """Return the outcome of a run.

    clock: the seconds by which the database's clock is ahead. now: this host's clock.
    """
    if isinstance(event, Finished):
        return _of_run(event.job, event.run, clock)
    finished_at = _moment(now + clock)
    if isinstance(event, Stopped):
        return _of_stopped(event.job, finished_at)
    started_at = _moment(now + clock - event.seconds)
    if event.limit is not None:
        retry_in = event.limit.retry_in if event.limit.retry else None
        return timeout_outcome(event.job, worker_id, event.limit.timeout, started_at, finished_at, retry_in)
    cause = f"The job's {event.cause}."
    return lost_outcome(event.job, worker_id, cause, started_at, finished_at, options.max_losses, memory=event.memory)


def _of_run(job: ClaimedJob, run: Run, clock: float) -> Outcome:
    return Outcome(
        id=job.id,
        attempt=job.attempt,
        status=_status(run),
        started_at=_moment(run.started_at + clock),
        finished_at=_moment(run.finished_at + clock),
        return_value=run.return_value,
        error=run.error,
        retry_in=run.retry_in,
        failed=run.failed,
        charged=run.charged,
        reason=run.reason,
    )


def _status(run: Run) -> str:
    if run.successful:
        return SUCCESSFUL
    if not run.retry:
        return ResultStatus.FAILED
    return JobStatus.SCHEDULED if run.retry_in > 0 else JobStatus.READY


def _of_stopped(job: ClaimedJob, moment: datetime) -> Outcome:
    return Outcome(
        job.id, job.attempt, JobStatus.READY, moment, moment, charged=False, reason="Its worker was stopped."
    )


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
