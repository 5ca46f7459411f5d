from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.values import ClaimedJob, JobSpec, Outcome
from django_tasks_q.ids import uuid7
from django_tasks_q.lifecycle import Ending

Put = Callable[..., list[JobSpec]]


def make_spec(**changes: Any) -> JobSpec:
    given: dict[str, Any] = {
        "id": str(uuid7()),
        "queue_name": "default",
        "priority": 0,
        "task_path": "tests.tasks.noop",
        "args": "[]",
        "kwargs": "{}",
        "options": "{}",
        "metadata": "{}",
        "run_after": None,
        "enqueued_at": timezone.now(),
    }
    return JobSpec(**given | changes)


def make_outcomes(jobs: Iterable[ClaimedJob], status: str, **changes: Any) -> list[Outcome]:
    """Return the same outcome for each job: of a run that took a second and has just ended.

    By default it neither failed nor was lost.
    """
    now = timezone.now()
    ending = Ending.SUCCESS if status == "SUCCESSFUL" else Ending.CANCELLED
    given: dict[str, Any] = {"started_at": now - timedelta(seconds=1), "finished_at": now, "ending": ending}
    return [Outcome(job.id, job.attempt, status=status, **given | changes) for job in jobs]


@pytest.fixture
def put(broker: Any) -> Put:
    """Enqueue jobs and return their specs: put(3, priority=5) for three of a kind."""

    def do(count: int = 1, **changes: Any) -> list[JobSpec]:
        specs = [make_spec(**changes) for _ in range(count)]
        broker.enqueue(specs)
        return specs

    return do


@pytest.fixture
def other(broker: Any, settings: Any) -> Any:
    """The broker of a second backend, with its jobs in the same tables."""
    settings.TASKS = {**settings.TASKS, "other": settings.TASKS["default"]}
    return get_broker("other")
