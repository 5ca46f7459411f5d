"""Several workers: what one cannot run at once, another can."""

from django_tasks_q import enqueue_many
from django_tasks_q.models import Result
from tests import tasks
from tests.conftest import StartWorker
from tests.rows import wait_until_done, wait_until_running
from tests.waiting import wait_for


def test_a_busy_worker_keeps_no_jobs_from_another(start_worker: StartWorker) -> None:
    """Its task was short so often that it would hold hundreds ahead; now one run of it takes long."""
    start_worker("--concurrency", "1")
    enqueue_many((tasks.nap, (0,), {}) for _ in range(300))
    wait_until_done(300)
    Result.objects.all().delete()
    tasks.nap.enqueue(120)
    wait_until_running(1)

    enqueue_many((tasks.nap, (0,), {}) for _ in range(50))
    start_worker("--concurrency", "1")
    wait_for(lambda: Result.objects.count() == 50, "the short jobs to end")
