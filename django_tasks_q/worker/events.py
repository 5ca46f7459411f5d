"""What happened to a job, said once; logs, metrics and receivers listen."""

from typing import Any

from django.db import DatabaseError

from ..brokers.values import ClaimedJob, Outcome
from ..lifecycle import ResultStatus
from ..signals import job_finished, job_lost, job_retrying, job_superseded

__all__ = ["refused", "send_recorded", "send_superseded"]


def send_recorded(sender: type[Any], job: ClaimedJob, outcome: Outcome) -> None:
    if outcome.lost:
        job_lost.send_robust(sender=sender, job=job, outcome=outcome, reason=outcome.reason)
    signal = job_finished if outcome.is_final else job_retrying
    signal.send_robust(sender=sender, job=job, outcome=outcome)


def send_superseded(sender: type[Any], job: ClaimedJob, outcome: Outcome) -> None:
    job_superseded.send_robust(sender=sender, job=job, outcome=outcome)


def refused(outcome: Outcome, error: DatabaseError) -> Outcome:
    """Return what to record where the database refuses an outcome for what it holds."""
    # In ASCII: it may have been refused for a character.
    cause = str(error).encode("ascii", "backslashreplace").decode()
    reason = f"The database refused the outcome of this run: {cause}"[:500]
    return outcome._replace(status=ResultStatus.FAILED, return_value=None, error=None, failed=True, reason=reason)
