"""What happened is counted by the minute, kept by the hour, and forgotten in the end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from django_tasks_q import enqueue_many
from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.values import ClaimedJob, Outcome
from django_tasks_q.lifecycle import Ending
from django_tasks_q.models import Job, Statistics
from django_tasks_q.models.statistics import COUNTS, HOUR, MINUTE, RUNS, SUMS, WAITS
from django_tasks_q.services.registry import Identity, Registry
from django_tasks_q.services.statistics import StatisticsCollector, StatisticsRollup
from django_tasks_q.task_options import EXPIRES_AT

from .. import tasks
from ..conftest import StartWorker
from ..rows import wait_for_effects, wait_until_done
from ..worker import cancel_tasks
from ..worker.tasks import die_twice_and_fail_twice

NOW = datetime.now(UTC)


@pytest.fixture
def registry(broker: Any) -> Registry:
    return Registry(broker, Identity("w", (), (), 1))


def run(
    collector: StatisticsCollector,
    status: str = "SUCCESSFUL",
    *,
    ending: Ending = Ending.SUCCESS,
    seconds: float = 0.1,
    waited: float = 0.01,
    **changes: Any,
) -> None:
    """Tell of a run that took this many seconds."""
    enqueued = NOW if settings.USE_TZ else timezone.make_naive(NOW)
    blank: dict[str, Any] = dict.fromkeys(ClaimedJob._fields)
    named = {name: changes.pop(name) for name in ("queue_name", "task_path", "attempt") if name in changes}
    job = ClaimedJob(**blank | {"queue_name": "q", "task_path": "t", "enqueued_at": enqueued, "attempt": 1} | named)
    started = NOW + timedelta(seconds=waited)
    collector.note(
        job, Outcome("id", job.attempt, ending, status, started, started + timedelta(seconds=seconds), **changes)
    )


def counts(row: Statistics) -> dict[str, int]:
    return {name: number for name in COUNTS if (number := getattr(row, name))}


def histogram(row: Statistics, columns: tuple[str, ...]) -> dict[int, int]:
    return {bucket: number for bucket, name in enumerate(columns) if (number := getattr(row, name))}


def insert(at: datetime, period: int = MINUTE, **columns: Any) -> None:
    at = at if settings.USE_TZ else timezone.make_naive(at)
    given = {"backend": "default", "queue_name": "q", "task_path": "t", "period": period, "at": at}
    Statistics.objects.create(**given | columns)


def test_a_worker_leaves_what_it_has_counted(start_worker: StartWorker) -> None:
    enqueue_many([(tasks.noop, (), {})] * 30)
    tasks.boom.enqueue("x")
    die_twice_and_fail_twice.enqueue()
    worker = start_worker("--concurrency", "2")
    wait_until_done(32)
    assert worker.stop() == 0
    found: dict[str, dict[str, int]] = {}
    for row in Statistics.objects.filter(period=MINUTE, queue_name="default", backend="default"):
        sums = found.setdefault(row.task_path.rpartition(".")[2], dict.fromkeys((*COUNTS, "runs", "waits"), 0))
        for name in COUNTS:
            sums[name] += getattr(row, name)
        sums["runs"] += sum(histogram(row, RUNS).values())
        sums["waits"] += sum(histogram(row, WAITS).values())
    assert {task: {name: number for name, number in row.items() if number} for task, row in found.items()} == {
        "noop": {"successful": 30, "runs": 30, "waits": 30},
        "boom": {"failed": 1, "runs": 1, "waits": 1},
        "die_twice_and_fail_twice": {"successful": 1, "retried": 4, "lost": 2, "runs": 5, "waits": 1},
    }


def test_jobs_that_are_cancelled_are_counted_whether_they_ran_or_not(start_worker: StartWorker) -> None:
    tasks.noop.enqueue()
    Job.objects.update(options={EXPIRES_AT: NOW.isoformat()})
    worker = start_worker("--concurrency", "1")
    wait_until_done(1)
    running = cancel_tasks.sleep.enqueue()
    wait_for_effects(["begun"])
    assert running.cancel(by="Ann")
    wait_until_done(2)
    assert worker.stop() == 0
    rows = {row.task_path.rpartition(".")[2]: row for row in Statistics.objects.all()}
    assert counts(rows["sleep"]) == counts(rows["noop"]) == {"cancelled": 1}
    assert sum(histogram(rows["sleep"], RUNS).values()) == 1
    assert sum(histogram(rows["noop"], RUNS).values()) == 0


def test_nothing_is_counted_where_that_is_off(start_worker: StartWorker) -> None:
    tasks.noop.enqueue()
    assert start_worker("--burst", options={"statistics": False}, wait=False).wait() == 0
    assert not Statistics.objects.exists()


def test_what_several_workers_have_counted_is_added_up(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    # All in one minute.
    monkeypatch.setattr(registry.clock, "utc_now", lambda: NOW)
    first, second = StatisticsCollector(registry), StatisticsCollector(registry)
    run(first, seconds=0.1)
    run(first, "FAILED", seconds=3.0, waited=5000.0)
    run(first, task_path="other")
    run(second, seconds=0.1, waited=-3.0)
    run(second, "READY", seconds=0.0001, ending=Ending.LOST, attempt=2)
    run(second, "READY", ending=Ending.RELEASED)
    run(second, "CANCELLED", ending=Ending.RELEASED)
    for collector in (first, second, first):
        collector.run()
    other, row = Statistics.objects.order_by("task_path")
    assert (row.backend, row.queue_name, row.task_path, row.period) == ("default", "q", "t", MINUTE)
    assert (row.at.second, row.at.microsecond) == (0, 0)
    assert counts(row) == {"successful": 2, "failed": 1, "cancelled": 1, "retried": 1, "lost": 1}
    # Less than a millisecond; 64 to 128 ms; 2 to 4 s. And: at once; 8 to 16 ms; more than 68 minutes.
    assert histogram(row, RUNS) == {0: 1, 7: 2, 12: 1}
    assert histogram(row, WAITS) == {0: 1, 4: 1, 23: 1}
    assert row.run_seconds == pytest.approx(3.2001, abs=1e-4)
    assert row.wait_seconds == pytest.approx(5000.01, abs=1e-4)
    assert counts(other) == {"successful": 1}


def test_many_tasks_at_once(registry: Registry) -> None:
    collector = StatisticsCollector(registry)
    for number in range(250):
        run(collector, task_path=f"task-{number}")
    collector.run()
    assert Statistics.objects.count() == 250


def test_what_the_database_did_not_take_is_added_later(registry: Registry) -> None:
    collector = StatisticsCollector(registry)
    run(collector)

    def be_away(*statement: Any) -> Any:
        raise OperationalError("The database is unreachable.")

    with connection.execute_wrapper(be_away), pytest.raises(OperationalError):
        collector.run()
    run(collector)
    collector.run()
    assert counts(Statistics.objects.get()) == {"successful": 2}


def test_minutes_of_yesterday_become_hours(registry: Registry) -> None:
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    for number, minute in enumerate((10, 20, 30), start=1):
        insert(
            hour - timedelta(days=2) + timedelta(minutes=minute), **dict.fromkeys(SUMS, number), task_path=f"t{minute}"
        )
        insert(hour - timedelta(days=2) + timedelta(minutes=minute), **dict.fromkeys(SUMS, number))
    insert(hour - timedelta(hours=2), successful=5)
    insert(hour - timedelta(days=100), period=HOUR, successful=7)
    for _ in range(4):
        StatisticsRollup(registry).run()
    rows = Statistics.objects.filter(task_path="t").order_by("at").values_list("period", "successful", "run_23")
    assert list(rows) == [(HOUR, 6, 6), (MINUTE, 5, 0)]
    row = Statistics.objects.get(task_path="t", period=HOUR)
    assert {getattr(row, name) for name in SUMS} == {6}
    expected = hour - timedelta(days=2)
    assert row.at == (expected if settings.USE_TZ else timezone.make_naive(expected))
    assert Statistics.objects.filter(period=HOUR).count() == 4


@pytest.mark.parametrize("names", [1, 3])
def test_a_minute_of_very_many_tasks_becomes_part_of_an_hour_bit_by_bit(registry: Registry, names: int) -> None:
    minute = (NOW - timedelta(days=2)).replace(minute=7, second=0, microsecond=0)
    at = minute if settings.USE_TZ else timezone.make_naive(minute)
    Statistics.objects.bulk_create(
        Statistics(
            backend="default", period=MINUTE, at=at, queue_name=f"q{n % names}", task_path=f"t{n:04}", successful=1
        )
        for n in range(2_300)
    )
    left = []
    for _ in range(3):
        StatisticsRollup(registry).run()
        left.append(Statistics.objects.filter(period=MINUTE).count())
    assert left == [1_300, 300, 0]
    assert Statistics.objects.filter(period=HOUR, successful=1).count() == 2_300


def test_what_is_too_old_is_deleted_bit_by_bit(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = (NOW - timedelta(days=200)).replace(minute=0, second=0, microsecond=0)
    at = [begin + timedelta(hours=n) for n in range(2_300)]
    Statistics.objects.bulk_create(
        Statistics(
            backend="default",
            period=HOUR,
            at=moment if settings.USE_TZ else timezone.make_naive(moment),
            queue_name="q",
            task_path="t",
        )
        for moment in at
    )
    options = type(registry.broker.options)(statistics_ttl=3_600.0)
    monkeypatch.setattr(get_broker("default"), "options", options)
    condenser, left = StatisticsRollup(registry), []
    for _ in range(3):
        condenser.run()
        left.append(Statistics.objects.count())
    assert left == [1_300, 300, 0]


def test_statistics_are_kept_for_as_long_as_the_option_says(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(NOW - timedelta(hours=3), successful=1)
    insert(NOW - timedelta(hours=3), period=HOUR, successful=1)
    insert(NOW, successful=1)
    options = type(registry.broker.options)(statistics_ttl=3_600.0)
    monkeypatch.setattr(get_broker("default"), "options", options)
    StatisticsRollup(registry).run()
    assert Statistics.objects.count() == 1
