"""The fixtures of pytest: an entry point makes them known wherever this package is installed."""

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .cases import TasksQ
    from .workers import RunningWorker

__all__ = ["tasks_q", "tasks_q_immediate", "tasks_q_worker"]

IMMEDIATE = "django_tasks_q.testing.ImmediateBackend"


@pytest.fixture
def tasks_q(db: None) -> "Iterator[TasksQ]":
    """Run jobs, and look at what is enqueued: tasks_q.run_jobs(), tasks_q.assert_enqueued(…); needs pytest-django."""
    # pytest imports this before Django is set up.
    cases = import_module("django_tasks_q.testing.cases")
    cases.forget_recorded()
    with ExitStack() as stack:
        yield cases.TasksQ(stack.enter_context)


@pytest.fixture
def tasks_q_immediate(tasks_q: "TasksQ", settings: Any) -> "TasksQ":
    """Have enqueue() run each job at once, by ImmediateBackend in the place of every backend of this package."""
    ours = import_module("django_tasks_q.backend").backend_aliases()
    settings.TASKS = {
        alias: {**parameters, "BACKEND": IMMEDIATE} if alias in ours else parameters
        for alias, parameters in settings.TASKS.items()
    }
    return tasks_q


@pytest.fixture
def tasks_q_worker(transactional_db: None) -> "Iterator[RunningWorker]":
    """Run a real worker on the test database until the test ends; see django_tasks_q.testing.worker()."""
    with import_module("django_tasks_q.testing.workers").worker() as running:
        yield running
