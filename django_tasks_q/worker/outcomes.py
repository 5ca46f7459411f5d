"""From what the pool says to what the broker records."""

import json
from datetime import UTC, datetime, timedelta

from ..brokers.losses import cancelled_outcome, lost_outcome, timeout_outcome
from ..brokers.values import ClaimedJob, Outcome
from ..conf import Options
from ..lifecycle import SUCCESSFUL, JobStatus, ResultStatus
from ..task import EXPIRES_AT
from .pools.base import Finished, Lost, Stopped
from .pools.wire import Run

__all__ = ["expired_outcome", "outcome_of"]


def expired_outcome(job: ClaimedJob, clock: float) -> Outcome | None:
    """Return the outcome of a job that has not begun before it expired; None for one that may begin.

    clock: the seconds by which the database's clock is ahead.
    """
    # Nearly no job has the option: it is looked for in the text, which is not read otherwise.
    if EXPIRES_AT not in job.options or job.attempt > 1:
        return None
    expires_at = json.loads(job.options).get(EXPIRES_AT)
    now = datetime.now(UTC) + timedelta(seconds=clock)
    if not expires_at or now <= datetime.fromisoformat(expires_at):
        return None
    reason = f"It expired at {expires_at}, before a worker was free."
    return Outcome(job.id, job.attempt, ResultStatus.CANCELLED, now, now, charged=False, reason=reason)


def outcome_of(
    event: Finished | Lost | Stopped, *, worker_id: str, clock: float, now: float, options: Options
) -> Outcome:
    """Return the outcome of a run.

    clock: the seconds by which the database's clock is ahead. now: this host's clock.
    """
    if isinstance(event, Finished):
        return _of_run(event.job, event.run, clock, now)
    finished_at = _moment(now + clock)
    if isinstance(event, Stopped):
        return _of_stopped(event.job, finished_at)
    started_at = _moment(now + clock - event.seconds)
    if event.limit is not None:
        retry_in = event.limit.retry_in if event.limit.retry else None
        return timeout_outcome(event.job, worker_id, event.limit.timeout, started_at, finished_at, retry_in)
    if event.cancelled:
        return cancelled_outcome(event.job, worker_id, options.cancel_grace, started_at, finished_at)
    cause = f"The job's {event.cause}."
    return lost_outcome(event.job, worker_id, cause, started_at, finished_at, options.max_losses, memory=event.memory)


def _of_run(job: ClaimedJob, run: Run, clock: float, now: float) -> Outcome:
    if run.successful:
        started_at, finished_at = _moment(run.started_at + clock), _moment(run.finished_at + clock)
        return Outcome(job.id, job.attempt, SUCCESSFUL, started_at, finished_at, run.return_value)
    # Somebody may have set the host's clock since the run ended; then a retry would be due an hour late.
    ended_at = now if run.retry else run.finished_at
    return Outcome(
        id=job.id,
        attempt=job.attempt,
        status=_status(run),
        started_at=_moment(run.started_at + clock),
        finished_at=_moment(ended_at + clock),
        error=run.error,
        retry_in=run.retry_in,
        failed=run.failed,
        charged=run.charged,
        reason=run.reason,
    )


def _status(run: Run) -> str:
    if not run.retry:
        return ResultStatus.FAILED
    return JobStatus.SCHEDULED if run.retry_in > 0 else JobStatus.READY


def _of_stopped(job: ClaimedJob, moment: datetime) -> Outcome:
    return Outcome(
        job.id, job.attempt, JobStatus.READY, moment, moment, charged=False, reason="Its worker was stopped."
    )


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
