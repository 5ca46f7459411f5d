"""What should have happened by now: jobs to be made ready, and schedules to be fired."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from ...schedules.firing import next_due
from ..formatting import duration_text
from ..hints import start_worker
from .base import LATE, Severity, Situation, Subject, Trouble

__all__ = ["late_jobs", "late_schedules"]


def late_jobs(situation: Situation) -> Iterator[Trouble]:
    if (late := _late_by(situation.broker.next_due())) is not None:
        yield Trouble(
            "late_jobs",
            Severity.CRITICAL,
            Subject.JOB,
            _("A scheduled job has been due for %(time)s, and no worker has made it ready.") % {"time": late},
            _("Start a worker, or check the log of a running one for what it is waiting for."),
            start_worker(situation.backend),
        )


def late_schedules(situation: Situation) -> Iterator[Trouble]:
    if (late := _late_by(next_due(situation.broker))) is not None:
        yield Trouble(
            "late_schedules",
            Severity.CRITICAL,
            Subject.SCHEDULE,
            _("A schedule has been due for %(time)s, and no worker has enqueued its job.") % {"time": late},
            _("Start a worker without --no-scheduler, or check the log of a running one for what it is waiting for."),
            start_worker(situation.backend),
        )


def _late_by(seconds_until_due: float | None) -> str | None:
    """Return how long something has been due, as text, if that is too long."""
    if seconds_until_due is None or -seconds_until_due <= LATE:
        return None
    return duration_text(-seconds_until_due)
