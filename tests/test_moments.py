"""Moments around a change of clocks, where USE_TZ is off and the time on the wall is stored."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from django_tasks_q.models import Job, Worker
from django_tasks_q.moments import seconds_left, seconds_since, to_aware, to_stored
from django_tasks_q.monitoring.workers import workers
from django_tasks_q.services.liveness import Liveness
from django_tasks_q.services.registry import Identity, Registry

from . import tasks
from .clocks import make_zone, zones_in

SPRING, AUTUMN = datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC)


@pytest.fixture
def on_the_wall(settings: Any) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "Europe/Berlin"


Change = Callable[..., datetime]


@pytest.fixture
def change(tmp_path: Path) -> Iterator[Change]:
    """Have the clocks changed this many seconds from now: change(-1, forward=True); return when that is, in UTC."""
    with zones_in(tmp_path), ExitStack() as stack:

        def do(seconds: float, *, forward: bool) -> datetime:
            moment = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)
            name = make_zone(tmp_path, moment, forward=forward)
            stack.enter_context(override_settings(USE_TZ=False, TIME_ZONE=name))
            return moment

        yield do


def read(moment: datetime) -> datetime:
    """Return a moment as a database gives it back, which knows no fold."""
    return to_stored(moment).replace(fold=0)


@pytest.mark.usefixtures("on_the_wall")
@pytest.mark.parametrize("change", [SPRING, AUTUMN])
@pytest.mark.parametrize("before", [2, 20, 1_799, 3_500, 86_400])
@pytest.mark.parametrize("after", [-1, 0, 1, 20, 3_599, 3_600, 7_200])
def test_what_has_passed_is_known_for_an_hour_at_least(change: datetime, before: int, after: int) -> None:
    now = change + timedelta(seconds=after)
    passed = seconds_since(read(now - timedelta(seconds=before)), now)
    assert passed == before or (change == AUTUMN and before > 3_500 and passed == before - 3_600)


@pytest.mark.usefixtures("on_the_wall")
def test_of_two_readings_the_later_one_counts_unless_it_is_still_to_come() -> None:
    moment = datetime(2027, 10, 31, 2, 30)
    assert seconds_since(moment, AUTUMN + timedelta(minutes=29)) == 59 * 60
    # The clock it was taken from may be ahead of ours.
    assert seconds_since(moment, AUTUMN + timedelta(minutes=29, seconds=59)) == -1
    assert seconds_since(moment, AUTUMN + timedelta(minutes=31)) == 60
    assert seconds_since(moment, AUTUMN - timedelta(minutes=50)) == -20 * 60


@pytest.mark.usefixtures("on_the_wall")
@pytest.mark.parametrize("change", [SPRING, AUTUMN])
def test_what_is_left_ends_when_the_wall_says_so(change: datetime) -> None:
    for now, moment in [(-10, 20), (-10, 7_200), (10, 20), (-7_200, -3_700), (3_700, 3_800)]:
        begin, end = change + timedelta(seconds=now), change + timedelta(seconds=moment)
        left = seconds_left(read(end), read(begin), begin)
        assert left == moment - now or (change == AUTUMN and read(end) <= read(begin) and left <= 0)


@pytest.mark.usefixtures("on_the_wall")
def test_what_is_due_on_the_wall_is_due() -> None:
    now = AUTUMN - timedelta(minutes=5)
    assert seconds_left(read(AUTUMN + timedelta(minutes=5)), read(now), now) == -50 * 60


def test_with_time_zones_nothing_is_in_doubt(settings: Any) -> None:
    settings.USE_TZ = True
    assert seconds_since(AUTUMN, AUTUMN + timedelta(hours=2)) == 7_200
    assert seconds_left(AUTUMN + timedelta(hours=2), AUTUMN, AUTUMN) == 7_200
    assert to_stored(AUTUMN) == to_aware(AUTUMN) == AUTUMN


# With a database


def registered(broker: Any) -> Registry:
    registry = Registry(broker, Identity("w", (), (), 1))
    registry.register()
    return registry


def silence_since(registry: Registry, moment: datetime) -> None:
    """Write when a worker was last heard of, as the database's clock told it then."""
    told = moment if connection.vendor == "postgresql" else timezone.make_naive(moment)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_tasks_q_worker SET heartbeat_at = %s", [told])
    assert Worker.objects.filter(id=registry.worker_id).exists()


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize(("silence", "is_dead"), [(3, False), (20, True)])
def test_no_change_of_clocks_makes_a_worker_look_dead_or_alive(
    broker: Any, change: Change, forward: bool, silence: int, is_dead: bool
) -> None:
    changed_at = change(-1, forward=forward)
    worker = registered(broker)
    silence_since(worker, changed_at - timedelta(seconds=silence))
    other = registered(broker)
    liveness = Liveness(broker, other.clock)
    dead = liveness.find_dead(but=other.worker_id)
    assert [row.id for row in dead] == [worker.worker_id] * is_dead
    (row,) = Worker.objects.filter(id=worker.worker_id)
    assert [row.id for row in liveness.lock_dead([row])] == [worker.worker_id] * is_dead
    (state,) = (state for state in workers() if state.id == worker.worker_id)
    assert state.stale == is_dead
    assert silence < state.heartbeat_age < silence + 30


@pytest.mark.parametrize("forward", [True, False])
def test_a_delay_is_as_long_as_ever(broker: Any, change: Change, forward: bool) -> None:
    change(600, forward=forward)
    # Into the hour that is told twice only where the database knows which one is meant.
    hours = 1 if forward or connection.vendor == "postgresql" else 2
    before = datetime.now(UTC)
    tasks.noop.using(run_after=timedelta(hours=hours)).enqueue()
    job = Job.objects.get()
    assert job.status == "SCHEDULED"
    assert broker.promote() == 0
    assert hours * 3_600 - 60 < broker.next_due() <= hours * 3_600
    if forward or hours == 2:
        assert abs(to_aware(job.run_after) - before - timedelta(hours=hours)) < timedelta(seconds=60)


@pytest.mark.parametrize("forward", [True, False])
def test_the_clock_is_not_set_by_a_change_of_clocks(broker: Any, change: Change, forward: bool) -> None:
    before = broker.dialect.utc_now()
    change(-1, forward=forward)
    clock = registered(broker).clock
    clock.compare()
    assert before < clock.utc_now() < before + timedelta(seconds=60)
    assert abs(clock.ahead) < 60
    assert abs(to_aware(clock.stored_now()) - clock.utc_now()) < timedelta(seconds=1)
