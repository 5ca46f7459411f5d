"""Retention: workers delete old results, in batches, whatever else they do."""

from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_tasks_q import enqueue_many
from django_tasks_q.brokers import get_broker
from django_tasks_q.ids import uuid7
from django_tasks_q.lifecycle import ResultStatus
from django_tasks_q.models import Result
from django_tasks_q.services.pruner import Pruner
from django_tasks_q.services.registry import Identity, Registry
from tests import tasks
from tests.conftest import StartWorker
from tests.waiting import wait_for

DAY = 86_400
MANY = 6_000


def insert_results(task_path: str, status: str, days: float, count: int) -> None:
    """Write results that finished so many days ago."""
    moment = timezone.now() - timedelta(days=days)
    Result.objects.bulk_create(
        Result(id=uuid7(), task_path=task_path, status=status, enqueued_at=moment, finished_at=moment)
        for _ in range(count)
    )


def test_old_results_are_pruned_in_batches_under_load(start_worker: StartWorker) -> None:
    insert_results("old", ResultStatus.SUCCESSFUL, 2, MANY)
    insert_results("old", ResultStatus.CANCELLED, 2, 10)
    insert_results("old failure", ResultStatus.FAILED, 4, 10)
    insert_results("young failure", ResultStatus.FAILED, 2, 10)
    insert_results("young", ResultStatus.SUCCESSFUL, 0.5, 10)
    jobs = enqueue_many((tasks.nap, (0.006,), {}) for _ in range(2_000))
    worker = start_worker("--concurrency", "2", "-v", "0", options={"result_ttl": DAY, "failure_ttl": 3 * DAY})

    seen = set()

    def are_gone() -> bool:
        seen.add(left := Result.objects.filter(task_path__startswith="old").count())
        return left == 0

    wait_for(are_gone, "the old results to be gone")
    assert any(0 < left < MANY + 20 for left in seen)
    # It was done while there was work, and nothing else is missing.
    assert Result.objects.filter(task_path="tests.tasks.nap").count() < len(jobs)
    wait_for(lambda: Result.objects.filter(task_path="tests.tasks.nap").count() == len(jobs), "the jobs to end")
    assert Result.objects.filter(task_path__startswith="young").count() == 20
    assert worker.stop() == 0


def test_nothing_is_pruned_where_results_are_kept_for_ever(start_worker: StartWorker) -> None:
    insert_results("old", ResultStatus.SUCCESSFUL, 1000, 10)
    insert_results("old", ResultStatus.FAILED, 1000, 10)
    worker = start_worker("--burst", options={"result_ttl": None, "failure_ttl": None}, wait=False)
    assert worker.wait() == 0
    assert Result.objects.count() == 20


def test_two_backends_in_one_table_keep_what_is_theirs(broker: Any, settings: Any) -> None:
    """Looked at once a worker, a batch at a time: the index of the results knows no backends."""
    settings.TASKS = {
        "default": settings.TASKS["default"] | {"OPTIONS": {"result_ttl": DAY}},
        "other": settings.TASKS["default"] | {"OPTIONS": {"result_ttl": None, "failure_ttl": None}},
    }
    for days in (3, 2.9, 2.8):
        insert_results("theirs", ResultStatus.SUCCESSFUL, days, 900)
    Result.objects.update(backend="other")
    insert_results("ours", ResultStatus.SUCCESSFUL, 2, 10)
    pruner = Pruner(get_broker("default"), Registry(get_broker("default"), Identity("w", (), (), 1)))
    looks = 0
    while Result.objects.filter(backend="default").exists():
        pruner.run()
        looks += 1
    assert looks == 3
    insert_results("ours", ResultStatus.SUCCESSFUL, 1.5, 10)
    with CaptureQueriesContext(connection) as made:
        pruner.run()
    assert not Result.objects.filter(backend="default").exists()
    assert Result.objects.count() == 2_700
    # It goes on from where it was.
    assert sum("ORDER BY finished_at" in query["sql"] for query in made) == 3
