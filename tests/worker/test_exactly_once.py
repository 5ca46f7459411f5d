"""Many jobs, several workers: each job runs once, and is recorded once."""

import os
from collections import Counter

from django.conf import settings

from django_tasks_q import enqueue_many
from django_tasks_q.lifecycle import ResultStatus
from django_tasks_q.models import Result
from tests import tasks
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import wait_until_done

# TEST_JOBS=10000 is the full size.
JOBS = int(os.environ.get("TEST_JOBS", "1500"))
WORKERS = 2 if settings.DATABASE == "sqlite" else 3


def test_several_workers_run_each_job_exactly_once(start_worker: StartWorker) -> None:
    workers = [start_worker("--concurrency", "2", "-v", "0") for _ in range(WORKERS)]
    results = enqueue_many((tasks.leave_effect, (str(number),), {}) for number in range(JOBS))
    wait_until_done(JOBS, timeout=JOBS / 25 + 60)

    assert [worker.stop() for worker in workers] == [0] * WORKERS
    rows = Result.objects.values_list("id", "status", "attempt", "errors")
    assert {str(row[0]) for row in rows} == {result.id for result in results}
    assert Counter((status, attempt, len(errors)) for _, status, attempt, errors in rows) == {
        (ResultStatus.SUCCESSFUL, 1, 0): JOBS
    }
    labels = Counter(Effect.objects.values_list("label", flat=True))
    assert labels == {str(number): 1 for number in range(JOBS)}
