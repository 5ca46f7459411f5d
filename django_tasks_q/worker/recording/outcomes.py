"""Turns the pool's events into outcomes that the broker records."""

from ...brokers.outcomes import (
    cancelled_outcome,
    lost_outcome,
    reported_outcome,
    stopped_outcome,
    success_outcome,
    timeout_outcome,
)
from ...brokers.values import ClaimedJob, Outcome
from ...conf import Options
from ...lifecycle import Ending
from ...moments import utc_after
from ..pools.base import Lost
from ..wire.frames import Run

__all__ = ["outcome_of_lost", "outcome_of_run"]

SUCCESS = Ending.SUCCESS


def outcome_of_run(job: ClaimedJob, run: Run, clock: float, now: float) -> Outcome:
    """Return the outcome of a run that a child has reported.

    clock: the seconds by which the database's clock is ahead. now: this host's clock.
    """
    if run.ending is SUCCESS:
        return success_outcome(job.id, job.attempt, run.started_at + clock, run.finished_at + clock, run.return_value)
    # The host's clock may have been set since the run ended; then a retry would be due an hour late.
    ended_at = now if run.retry else run.finished_at
    return reported_outcome(
        job,
        run.ending,
        utc_after(run.started_at + clock),
        utc_after(ended_at + clock),
        run.retry_in if run.retry else None,
        error=run.error,
        reason=run.reason,
        arguments=run.arguments,
    )


def outcome_of_lost(event: Lost, worker_id: str, clock: float, now: float, options: Options) -> Outcome:
    """Return the outcome of a run that has ended with its child; see outcome_of_run()."""
    job, ending, cause, seconds, limit = event
    started_at, finished_at = utc_after(now + clock - seconds), utc_after(now + clock)
    if ending is Ending.STOPPED:
        return stopped_outcome(job, finished_at)
    if limit is not None:
        retry_in = limit.retry_in if limit.retry else None
        return timeout_outcome(job, worker_id, limit.timeout, started_at, finished_at, retry_in)
    if ending is Ending.CANCEL_KILLED:
        return cancelled_outcome(job, worker_id, options.cancel_grace, started_at, finished_at)
    cause = f"The job's {cause}."
    return lost_outcome(job, worker_id, cause, started_at, finished_at, options.max_losses, ending=ending)
