"""Makes outcomes, the same for a run that a child reports, a child that is gone, a worker and a host."""

import json
from datetime import UTC, datetime, timedelta

from ..exceptions import JobLost, MemoryLimitExceeded, TaskCancelled, TasksQError, TaskTimeout
from ..lifecycle import SUCCESSFUL, Ending, JobStatus, ResultStatus
from ..task_options import EXPIRES_AT
from ..tracebacks import error_group
from .values import ClaimedJob, Outcome

__all__ = [
    "ERRORS",
    "cancelled_outcome",
    "displaced_outcome",
    "expired_outcome",
    "lost_outcome",
    "released_outcome",
    "released_run",
    "reported_outcome",
    "stopped_outcome",
    "success_outcome",
    "timeout_outcome",
]

SUCCESS = Ending.SUCCESS
# What a job fails with whose process is gone.
ERRORS: dict[Ending, type[TasksQError]] = {
    Ending.LOST: JobLost,
    Ending.OUT_OF_MEMORY: MemoryLimitExceeded,
    Ending.TIMEOUT: TaskTimeout,
    Ending.CANCEL_KILLED: TaskCancelled,
}


def success_outcome(
    job_id: str, attempt: int, started_at: float, finished_at: float, return_value: str | None
) -> Outcome:
    """Return the outcome of a run that has succeeded. Times are timestamps by the database's clock."""
    began, ended = datetime.fromtimestamp(started_at, UTC), datetime.fromtimestamp(finished_at, UTC)
    return Outcome(job_id, attempt, SUCCESS, SUCCESSFUL, began, ended, return_value)


def reported_outcome(
    job: ClaimedJob,
    ending: Ending,
    started_at: datetime,
    finished_at: datetime,
    retry_in: float | None,
    *,
    error: str | None = None,
    reason: str = "",
    arguments: tuple[str, str] | None = None,
) -> Outcome:
    """Return the outcome of a run whose process says how it ended; retry_in is None if it was the last."""
    return Outcome(
        job.id,
        job.attempt,
        ending,
        ResultStatus.CANCELLED if ending is Ending.IGNORED else _status(retry_in),
        started_at,
        finished_at,
        error=error,
        retry_in=retry_in or 0.0,
        reason=reason,
        arguments=arguments,
    )


def lost_outcome(
    job: ClaimedJob,
    worker_id: str,
    cause: str,
    started_at: datetime,
    finished_at: datetime,
    max_losses: int,
    *,
    ending: Ending = Ending.LOST,
) -> Outcome:
    """Return the outcome of a run that was lost with its process: it runs again, but not for ever."""
    final = job.losses + 1 >= max_losses
    text = f"{cause} This run of the job was lost with it ({job.losses + 1} of at most {max_losses} losses)."
    return _killed(job, ending, worker_id, text, started_at, finished_at, None if final else 0.0)


def timeout_outcome(
    job: ClaimedJob,
    worker_id: str,
    timeout: float,
    started_at: datetime,
    finished_at: datetime,
    retry_in: float | None,
) -> Outcome:
    """Return the outcome of a run that was killed at its hard time limit; retry_in is None if it was the last."""
    text = f"The job ran longer than its timeout of {timeout:g} s; its process was killed."
    return _killed(job, Ending.TIMEOUT, worker_id, text, started_at, finished_at, retry_in)


def cancelled_outcome(
    job: ClaimedJob, worker_id: str, grace: float, started_at: datetime, finished_at: datetime
) -> Outcome:
    """Return the outcome of a run that was killed because its job was cancelled."""
    text = f"The job was cancelled and did not end within {grace:g} s; its process was killed."
    return _killed(job, Ending.CANCEL_KILLED, worker_id, text, started_at, finished_at, None)


def _killed(
    job: ClaimedJob,
    ending: Ending,
    worker_id: str,
    text: str,
    started_at: datetime,
    finished_at: datetime,
    retry_in: float | None,
) -> Outcome:
    error = _entry(job, ending, worker_id, text, started_at, finished_at)
    return reported_outcome(job, ending, started_at, finished_at, retry_in, error=error, reason=text)


def _status(retry_in: float | None) -> str:
    if retry_in is None:
        return ResultStatus.FAILED
    return JobStatus.SCHEDULED if retry_in > 0 else JobStatus.READY


def _entry(
    job: ClaimedJob, ending: Ending, worker_id: str, text: str, started_at: datetime, finished_at: datetime
) -> str:
    error = ERRORS[ending]
    exception = f"{error.__module__}.{error.__qualname__}"
    return json.dumps(
        {
            "exception": exception,
            # It is not known where it was, only what it was running.
            "group": error_group(f"{exception} in {job.task_path}", []),
            "traceback": f"{exception}: {text}\n",
            "worker": worker_id,
            "attempt": job.attempt,
            "kind": ending.kind,
            "started_at": started_at.isoformat(),
            "finished_at": finished_at.isoformat(),
        }
    )


def stopped_outcome(job: ClaimedJob, at: datetime) -> Outcome:
    """Return the outcome of a run that was stopped together with its worker."""
    return reported_outcome(job, Ending.STOPPED, at, at, 0.0, reason="Its worker was stopped.")


def expired_outcome(job: ClaimedJob, clock: float) -> Outcome | None:
    """Return the outcome of a job that expired before it began; None if it may begin.

    clock: the seconds by which the database's clock is ahead.
    """
    # Hardly any job has the option: search the text, rather than parse it.
    if EXPIRES_AT not in job.options or job.attempt > 1:
        return None
    expires_at = json.loads(job.options).get(EXPIRES_AT)
    now = datetime.now(UTC) + timedelta(seconds=clock)
    if not expires_at or now <= datetime.fromisoformat(expires_at):
        return None
    reason = f"It expired at {expires_at}, before a worker was free."
    return Outcome(job.id, job.attempt, Ending.EXPIRED, ResultStatus.CANCELLED, now, now, reason=reason)


def released_outcome(job: ClaimedJob, reason: str = "") -> Outcome:
    """Return the outcome of a job that was claimed and has not begun."""
    released = released_run(job.id, job.attempt)._replace(reason=reason)
    return released._replace(ending=Ending.DISPLACED) if job.displaced else released


def released_run(job_id: str, attempt: int) -> Outcome:
    """Return the outcome of a run about which only one thing is known: it has not begun."""
    now = datetime.now(UTC)
    return Outcome(job_id, attempt, Ending.RELEASED, JobStatus.READY, now, now)


def displaced_outcome(job: ClaimedJob, cause: str) -> Outcome:
    """Return the outcome of a job that is not known to have begun when its worker was lost."""
    reason = f"{cause} It is not known to have begun."
    return released_run(job.id, job.attempt)._replace(ending=Ending.DISPLACED, reason=reason)
