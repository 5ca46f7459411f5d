"""travel(), and the clocks that others freeze."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone

from django_tasks_q.models import Result
from django_tasks_q.testing import run_jobs, travel
from django_tasks_q.testing.cases import TasksQ

from ..needs import need_package
from ..tasks import add
from . import tasks
from .moments import frozen

freezegun, time_machine = need_package("freezegun"), need_package("time_machine")
MOMENT = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
Freeze = Callable[[datetime], AbstractContextManager[Any]]


def aware(moment: datetime) -> datetime:
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def test_a_clock_goes_on_from_where_it_is_set() -> None:
    before = timezone.now()
    with travel(timedelta(hours=1)) as clock:
        assert timedelta(hours=1) <= timezone.now() - before < timedelta(hours=1, minutes=1)
        clock.move_to(MOMENT)
        assert timedelta() <= aware(timezone.now()) - MOMENT < timedelta(minutes=1)
        with travel(timedelta(days=-1)):
            assert aware(timezone.now()) < MOMENT
        clock.shift(timedelta(days=1))
        assert aware(timezone.now()) > MOMENT + timedelta(days=1)
    assert timezone.now() - before < timedelta(minutes=1)


def test_a_naive_moment_is_local() -> None:
    with travel(datetime(2031, 5, 6, 12)):
        assert timezone.localtime(aware(timezone.now())).hour == 12


def test_what_is_no_time_is_refused() -> None:
    with (
        pytest.raises(TypeError, match=r"takes a timedelta, such as timedelta\(minutes=5\), or a datetime, not 5\."),
        travel(5),
    ):  # type: ignore[arg-type]
        pass


def test_the_clock_of_a_fixture_ends_with_its_block_or_the_test() -> None:
    before = timezone.now
    with ExitStack() as test:
        kit = TasksQ(test.enter_context)
        kit.travel(timedelta(days=1))
        outer = timezone.now
        with kit.travel(timedelta(days=2)) as clock:
            assert timezone.now == clock.now
        assert timezone.now == outer
    assert timezone.now == before


FREEZERS = pytest.mark.parametrize(
    "freeze",
    [freezegun.freeze_time, lambda moment: time_machine.travel(moment, tick=False)],
    ids=["freezegun", "time-machine"],
)


@FREEZERS
@pytest.mark.django_db
@pytest.mark.parametrize("moment", [MOMENT, datetime(2021, 1, 1, tzinfo=UTC)], ids=["future", "past"])
def test_a_frozen_clock_says_what_is_due(freeze: Freeze, moment: datetime) -> None:
    with freeze(moment):
        result = add.using(run_after=timedelta(minutes=5)).enqueue(1, 2)
        assert run_jobs() == []
    with freeze(moment + timedelta(minutes=5, microseconds=-1)):
        assert run_jobs() == []
    with freeze(moment + timedelta(minutes=5)):
        [result] = run_jobs()
        assert result.started_at == result.finished_at == frozen(moment + timedelta(minutes=5))
    assert result.enqueued_at == frozen(moment)


@FREEZERS
@pytest.mark.django_db
def test_a_retry_is_due_when_the_frozen_clock_says_so(freeze: Freeze) -> None:
    with mock.patch.object(tasks, "service", side_effect=[OSError("away"), "done"]):
        with freeze(MOMENT):
            tasks.call_service.enqueue(1)
            run_jobs()
            assert run_jobs() == []
        with freeze(MOMENT + timedelta(seconds=60)):
            [result] = run_jobs()
    assert (result.return_value, result.started_at) == ("done", frozen(MOMENT))
    assert result.last_attempted_at == frozen(MOMENT + timedelta(seconds=60))


@FREEZERS
@pytest.mark.django_db
def test_a_frozen_clock_can_be_moved_by_travel(freeze: Freeze) -> None:
    with freeze(MOMENT), travel(timedelta(days=1)) as clock:
        add.using(run_after=timedelta(minutes=5)).enqueue(1, 2)
        clock.shift(timedelta(minutes=5))
        run_jobs()
    assert Result.objects.get().finished_at == frozen(MOMENT + timedelta(days=1, minutes=5))
