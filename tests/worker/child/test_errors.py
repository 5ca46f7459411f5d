"""The errors that represent the entries of Job.errors."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_tasks_q.brokers.outcomes import cancelled_outcome, lost_outcome, timeout_outcome
from django_tasks_q.brokers.values import Outcome
from django_tasks_q.exceptions import JobLost, MemoryLimitExceeded, TaskCancelled, TaskTimeout
from django_tasks_q.lifecycle import Ending
from django_tasks_q.worker.child.errors import gone_error

from ..jobs import make_job

NOW = timezone.now()
JOB = make_job()
GONE: dict[type, Callable[[], Outcome]] = {
    JobLost: lambda: lost_outcome(JOB, "w", "It died: so.", NOW, NOW, 3),
    MemoryLimitExceeded: lambda: lost_outcome(JOB, "w", "It grew.", NOW, NOW, 3, ending=Ending.OUT_OF_MEMORY),
    TaskTimeout: lambda: timeout_outcome(JOB, "w", 1.5, NOW, NOW, None),
    TaskCancelled: lambda: cancelled_outcome(JOB, "w", 10.0, NOW, NOW),
}


@pytest.mark.parametrize("kind", GONE)
def test_the_error_of_a_dead_process_is_the_one_that_is_stored(kind: type) -> None:
    outcome = GONE[kind]()
    assert outcome.error is not None
    error = gone_error(json.loads(outcome.error))
    assert (type(error), str(error)) == (kind, outcome.reason)


@pytest.mark.parametrize("name", ["builtins.ValueError", "django_tasks_q.exceptions.TaskTimeout"])
def test_an_error_of_the_task_itself_is_not_taken_for_one(name: str) -> None:
    entry: dict[str, Any] = {"exception": name, "kind": "error", "traceback": f"Traceback:\n{name}: late\n"}
    error = gone_error(entry)
    assert type(error) is TaskCancelled
    assert name in str(error)
