"""Retention: workers delete old results, in batches, whatever else they do."""

from datetime import timedelta

from django.utils import timezone

from django_tasks_q import enqueue_many
from django_tasks_q.ids import uuid7
from django_tasks_q.lifecycle import ResultStatus
from django_tasks_q.models import Result
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
    jobs = enqueue_many((tasks.nap, (0.002,), {}) for _ in range(6_000))
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
