from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from django_tasks_q.brokers import get_broker
from django_tasks_q.control.queues import pause
from django_tasks_q.lifecycle import JobStatus, WorkerStatus
from django_tasks_q.models import Job
from django_tasks_q.monitoring import counts, queues
from django_tasks_q.monitoring.counts import Count, Precision
from django_tasks_q.monitoring.queues import QueueStats, queue_stats

from .. import scenes

pytestmark = pytest.mark.django_db


def stats(name: str = "default") -> QueueStats:
    return {queue.name: queue for queue in queue_stats()}[name]


def numbers(queue: QueueStats) -> tuple[int, int, int, int]:
    return (int(queue.waiting), int(queue.scheduled), int(queue.ready), int(queue.running))


@pytest.fixture
def small_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "BOUND", 3)
    monkeypatch.setattr(queues, "BOUND", 3)
    monkeypatch.setattr(queues, "DATED", 3)


# Which


def test_nothing_has_no_queues() -> None:
    assert queue_stats() == []


def test_queues_are_configured_or_set_or_listened_to_or_hold_jobs(settings: Any) -> None:
    # It was in TASKS when it was paused.
    pause("set")
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["configured", "ready", "later", "held"]}}
    scenes.add_worker(queues=["heard"])
    scenes.jobs(queue_name="ready")
    scenes.jobs(queue_name="later", run_after=timedelta(hours=1))
    scenes.running(queue_name="held")
    assert [queue.name for queue in queue_stats()] == ["configured", "heard", "held", "later", "ready", "set"]


def test_queues_of_other_backends_are_theirs(settings: Any) -> None:
    settings.TASKS = {"default": settings.TASKS["default"], "other": settings.TASKS["default"]}
    scenes.jobs(backend="other")
    scenes.add_worker(queues=["mail"], backend="other")
    assert queue_stats() == []
    assert [queue.name for queue in queue_stats("other")] == ["default", "mail"]


# How many


def test_jobs_are_counted_by_status() -> None:
    scenes.running(2)
    scenes.jobs(3)
    scenes.jobs(4, run_after=timedelta(hours=1))
    Job.objects.filter(pk__in=scenes.jobs(1)).update(status=JobStatus.WAITING)
    scenes.jobs(1, queue_name="mail")
    assert numbers(stats()) == (1, 4, 3, 2)
    assert numbers(stats("mail")) == (0, 0, 1, 0)


def test_more_jobs_than_the_bound_are_no_exact_number(small_bound: None) -> None:
    scenes.jobs(4)
    scenes.jobs(2, queue_name="mail")
    assert not stats().ready.is_exact
    assert stats().ready.number >= 3
    assert stats("mail").ready == Count(2)


def test_of_many_scheduled_jobs_the_next_ones_are_looked_at(small_bound: None) -> None:
    scenes.jobs(4, run_after=timedelta(hours=1))
    scenes.jobs(1, run_after=timedelta(hours=2), queue_name="mail")
    scenes.jobs(1, queue_name="mail")
    assert not stats().scheduled.is_exact
    assert stats("mail").scheduled == Count(0, Precision.AT_LEAST)


# Since when


def age(job_ids: list[Any], seconds: float) -> None:
    moment = get_broker("default").dialect.now() - timedelta(seconds=seconds)
    Job.objects.filter(pk__in=job_ids).update(enqueued_at=moment)


def test_the_oldest_job_may_have_any_priority() -> None:
    scenes.jobs(2, priority=5)
    age(scenes.jobs(1, priority=-5), 100)
    assert stats().oldest_ready_seconds == pytest.approx(100, abs=30)


def test_the_oldest_job_of_a_long_queue_may_have_any_priority(small_bound: None) -> None:
    scenes.jobs(5, priority=5)
    age(scenes.jobs(1, priority=-5), 100)
    scenes.jobs(5, priority=-5)
    assert stats().oldest_ready_seconds == pytest.approx(100, abs=30)


def test_a_job_is_not_ready_before_its_time() -> None:
    ids = scenes.jobs(run_after=timedelta(milliseconds=1))
    age(ids, 1_000)
    broker = get_broker("default")
    while not broker.promote():
        assert Job.objects.get().status == JobStatus.SCHEDULED
    assert stats().oldest_ready_seconds == pytest.approx(0, abs=30)


def test_a_job_that_failed_is_not_ready_before_its_failure() -> None:
    ids = scenes.jobs()
    age(ids, 1_000)
    scenes.finish(scenes.claim(), JobStatus.READY)
    assert stats().oldest_ready_seconds == pytest.approx(0, abs=30)


def test_without_ready_jobs_none_is_the_oldest() -> None:
    scenes.running()
    assert stats().oldest_ready_seconds is None


# By whom


def test_workers_are_counted_that_take_jobs_from_the_queue_now() -> None:
    scenes.jobs(queue_name="mail")
    scenes.add_worker()
    scenes.add_worker(queues=["mail", "other"])
    scenes.add_worker(queues=["other"])
    scenes.add_worker(excluded_queues=["mail"])
    scenes.add_worker(status=WorkerStatus.DRAINING)
    scenes.add_worker(status=WorkerStatus.OFFLINE)
    scenes.add_worker(silent_for=60)
    assert stats("mail").workers == 2
    assert stats("other").workers == 4


def test_a_paused_queue_says_so() -> None:
    pause("mail")
    scenes.jobs()
    assert [(queue.name, queue.paused) for queue in queue_stats()] == [("default", False), ("mail", True)]


def test_the_number_of_statements_does_not_grow_with_the_jobs(django_assert_max_num_queries: Any) -> None:
    scenes.jobs(30)
    with django_assert_max_num_queries(10):
        queue_stats()
    assert connection.connection is not None
