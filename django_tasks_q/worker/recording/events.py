"""What happened to a job, announced once, for logs, metrics and receivers."""

from typing import Any

from ...brokers.values import ClaimedJob, Outcome
from ...services.registry import Registry
from ...services.statistics import StatisticsCollector
from ...signals import job_finished, job_lost, job_retrying, job_superseded

__all__ = ["Announcer", "send_recorded", "send_superseded"]


class Announcer:
    """Announces how runs have ended, once the database has it: in statistics and signals."""

    def __init__(self, registry: Registry) -> None:
        self.sender = registry.sender
        self.statistics = StatisticsCollector(registry)
        self._unannounced: list[tuple[ClaimedJob, str]] = []

    def note_recorded(self, job: ClaimedJob, outcome: Outcome) -> None:
        """An outcome is in the database."""
        self.statistics.note(job, outcome)
        send_recorded(self.sender, job, outcome)
        if outcome.error is not None and outcome.is_final and not outcome.was_announced:
            self._unannounced.append((job, outcome.error))

    def note_superseded(self, job: ClaimedJob, outcome: Outcome) -> None:
        """The job of an outcome belongs to another worker, or to nobody."""
        send_superseded(self.sender, job, outcome)

    def take_unannounced(self) -> list[tuple[ClaimedJob, str]]:
        """Return the jobs that FAILED since the last call and had no child to announce it, each with its error."""
        unannounced, self._unannounced = self._unannounced, []
        return unannounced


def send_recorded(sender: type[Any], job: ClaimedJob, outcome: Outcome) -> None:
    if outcome.ending.is_loss:
        job_lost.send_robust(sender=sender, job=job, outcome=outcome, reason=outcome.reason)
    signal = job_finished if outcome.is_final else job_retrying
    signal.send_robust(sender=sender, job=job, outcome=outcome)


def send_superseded(sender: type[Any], job: ClaimedJob, outcome: Outcome) -> None:
    job_superseded.send_robust(sender=sender, job=job, outcome=outcome)
