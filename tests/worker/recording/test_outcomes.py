"""From what a child says to what is recorded."""

import pytest

from django_tasks_q.lifecycle import Ending, JobStatus
from django_tasks_q.worker.recording.outcomes import outcome_of_run
from django_tasks_q.worker.wire.frames import Run

from ..jobs import make_job

NOW, HOUR = 1_800_000_000.0, 3_600.0


def test_a_retry_waits_from_now_whatever_the_clock_was() -> None:
    """The child has ended before somebody set the clock of its host back by an hour."""
    run = Run(1, NOW + HOUR - 1, NOW + HOUR, Ending.ERROR, 2.0, retry=True, error="{}")
    outcome = outcome_of_run(make_job(), run, clock=5.0, now=NOW)
    assert (outcome.status, outcome.retry_in) == (JobStatus.SCHEDULED, 2.0)
    assert outcome.finished_at.timestamp() == pytest.approx(NOW + 5)
