"""From what a child says to what is recorded."""

import pytest

from django_tasks_q.conf import DEFAULTS
from django_tasks_q.lifecycle import JobStatus
from django_tasks_q.worker.outcomes import outcome_of
from django_tasks_q.worker.pools.base import Finished
from django_tasks_q.worker.pools.wire import Run

from .jobs import make_job

NOW, HOUR = 1_800_000_000.0, 3_600.0


def test_a_retry_waits_from_now_whatever_the_clock_was() -> None:
    """The child has ended before somebody set the clock of its host back by an hour."""
    run = Run(1, NOW + HOUR - 1, NOW + HOUR, 2.0, retry=True, failed=True, error="{}")
    outcome = outcome_of(Finished(make_job(), run), worker_id="w", clock=5.0, now=NOW, options=DEFAULTS)
    assert (outcome.status, outcome.retry_in) == (JobStatus.SCHEDULED, 2.0)
    assert outcome.finished_at.timestamp() == pytest.approx(NOW + 5)
