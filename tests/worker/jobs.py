"""Claimed jobs, made by hand."""

from datetime import UTC, datetime
from typing import Any

from django_tasks_q.brokers.values import ClaimedJob
from django_tasks_q.ids import uuid7

__all__ = ["make_job"]


def make_job(task_path: str = "tests.tasks.noop", **changes: Any) -> ClaimedJob:
    """Return a job in its first attempt, with changes."""
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "id": str(uuid7()),
        "queue_name": "default",
        "priority": 0,
        "task_path": task_path,
        "args": "[]",
        "kwargs": "{}",
        "options": "{}",
        "metadata": "{}",
        "errors": "[]",
        "run_after": None,
        "enqueued_at": now,
        "started_at": None,
        "attempt": 1,
        "failures": 0,
        "losses": 0,
    }
    return ClaimedJob(**given | changes)
