"""Schedules in a test."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_tasks_q import cron, every
from django_tasks_q.control import schedules
from django_tasks_q.exceptions import ScheduleNotFound
from django_tasks_q.models import Schedule
from django_tasks_q.testing import assert_enqueued, assert_not_enqueued, fire_schedules, run_jobs, travel

from ..needs import need_package
from ..tasks import add, noop
from .moments import frozen

NIGHT = datetime(2031, 5, 6, 3, tzinfo=UTC)


@pytest.fixture(autouse=True)
def declared(db: None, settings: Any) -> Iterator[None]:
    """Two schedules of the settings, which no worker has seen yet."""
    given = {
        "nightly": {
            "task": "tests.tasks.add",
            "cron": "0 3 * * *",
            "timezone": "UTC" if settings.USE_TZ else settings.TIME_ZONE,
            "args": [1, 2],
        },
        "often": {"task": "tests.tasks.noop", "every": timedelta(minutes=5)},
    }
    settings.TASKS = {**settings.TASKS, "default": {**settings.TASKS["default"], "OPTIONS": {"schedules": given}}}
    yield
    Schedule.objects.all().delete()


def test_by_name_whatever_the_time() -> None:
    [result] = fire_schedules("nightly")
    assert assert_enqueued(add, 1, 2) == result
    assert_not_enqueued(noop)
    assert run_jobs()[0].return_value == 3


def test_all_of_them() -> None:
    schedules.create("own", every(seconds=9), "tests.tasks.echo", args=["by hand"])
    fire_schedules("own")
    schedules.pause("often")
    assert sorted(result.task.name for result in fire_schedules()) == ["add", "echo"]


@pytest.mark.parametrize("since", [timedelta(minutes=1), frozen(NIGHT - timedelta(minutes=1))], ids=["ago", "moment"])
def test_those_that_have_come_due_by_the_frozen_clock(since: Any) -> None:
    freezegun = need_package("freezegun")
    with freezegun.freeze_time(NIGHT):
        assert [result.task.name for result in fire_schedules(since=since)] == ["add", "noop"]
        assert [result.return_value for result in run_jobs()] == [3, None]
        # Once for each slot.
        assert fire_schedules("nightly", since=since) == []
    with freezegun.freeze_time(NIGHT + timedelta(hours=1)):
        assert fire_schedules("nightly", since=timedelta(minutes=59)) == []


def test_those_that_have_come_due_by_a_clock_that_was_moved() -> None:
    with travel(timedelta(days=1)):
        assert [result.task.name for result in fire_schedules("often", since=timedelta(minutes=6))] == ["noop"]
        [nightly] = fire_schedules("nightly", since=timedelta(days=1))
        assert timezone.is_naive(nightly.enqueued_at) or nightly.enqueued_at > datetime.now(UTC)


def test_one_that_does_not_exist() -> None:
    with pytest.raises(ScheduleNotFound, match='There is no schedule "nihgtly". There are: nightly, often.'):
        fire_schedules("nihgtly")


def test_its_time_can_be_looked_at_without_a_schedule() -> None:
    assert cron("0 3 * * *", tz="UTC").following(NIGHT - timedelta(seconds=1)) == NIGHT
