"""What happened to a job, announced once, for logs, metrics and receivers."""

from typing import Any

from ...brokers.values import ClaimedJob, Outcome
from ...signals import job_finished, job_lost, job_retrying, job_superseded

__all__ = ["send_recorded", "send_superseded"]


def send_recorded(sender: type[Any], job: ClaimedJob, outcome: Outcome) -> None:
    if outcome.ending.is_loss:
        job_lost.send_robust(sender=sender, job=job, outcome=outcome, reason=outcome.reason)
    signal = job_finished if outcome.is_final else job_retrying
    signal.send_robust(sender=sender, job=job, outcome=outcome)


def send_superseded(sender: type[Any], job: ClaimedJob, outcome: Outcome) -> None:
    job_superseded.send_robust(sender=sender, job=job, outcome=outcome)
