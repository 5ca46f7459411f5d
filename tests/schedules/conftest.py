from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_tasks_q import every
from django_tasks_q.backend import TasksQBackend
from django_tasks_q.control import schedules
from django_tasks_q.models import Schedule
from django_tasks_q.moments import to_stored
from django_tasks_q.schedules.firing import Fired, Firer
from django_tasks_q.schedules.task_info import describe_task

MakeSchedule = Callable[..., Schedule]


@pytest.fixture
def fire(broker: Any) -> Callable[[], Fired]:
    """Fire what is due, as a worker would."""
    return Firer(broker, TasksQBackend, describe_task).fire


@pytest.fixture
def now(broker: Any) -> datetime:
    """The last occurrence of each schedule of `hourly`: half an hour ago."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)


@pytest.fixture
def hourly(broker: Any, now: datetime) -> MakeSchedule:
    """Make an hourly schedule whose last occurrence is due, and so many before it: hourly("name", missed=3)."""
    start = now - timedelta(days=400)

    def make(name: str = "hourly", *, missed: int = 0, task: str = "tests.tasks.noop", **fields: Any) -> Schedule:
        row = schedules.create(name, fields.pop("timing", every(hours=1)), task, start_at=start, **fields)
        return set_back(row, now - timedelta(hours=missed))

    return make


def set_back(row: Schedule, moment: datetime, **columns: Any) -> Schedule:
    """Let a schedule wait since a moment in the past."""
    Schedule.objects.filter(pk=row.pk).update(next_run_at=to_stored(moment), **columns)
    row.refresh_from_db()
    return row
