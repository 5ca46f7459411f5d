"""Which workers are presumed dead, and which are not; and that a failing rescue does not block the others."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from django_tasks_q.lifecycle import JobStatus, WorkerStatus
from django_tasks_q.models import Job, Worker
from django_tasks_q.monitoring.health import workers
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.locks import holding
from tests.waiting import wait_for, wait_for_results

pytestmark = pytest.mark.only_on("postgresql", "mysql")
QUICK = {"heartbeat_interval": 0.5, "rescue_after": 2}


def age_of(worker_id: str) -> float:
    (state,) = (state for state in workers() if state.id == worker_id)
    return state.heartbeat_age


def test_a_worker_with_a_locked_row_is_not_presumed_dead(start_worker: StartWorker) -> None:
    """An operator has asked it to drain, say, in a transaction that stays open."""
    worker = start_worker("--concurrency", "1", options=QUICK)
    start_worker("--concurrency", "1", options=QUICK)
    assert worker.row is not None
    name = worker.row.id
    with holding(lambda: Worker.objects.select_for_update().get(id=name)):
        wait_for(lambda: age_of(name) > 4, "it to have been silent for long")
        wait_for_results([usual.noop.enqueue() for _ in range(4)])
    wait_for(lambda: age_of(name) < 2, "it to report again")
    assert set(Worker.objects.values_list("status", flat=True)) == {WorkerStatus.ONLINE}
    assert worker.stop() == 0


def test_a_job_that_is_locked_holds_up_the_rescue_of_no_other(start_worker: StartWorker) -> None:
    old = timezone.now() - timedelta(minutes=5)
    for number in range(3):
        Worker.objects.create(
            id=f"dead-{number}", host="web", node="elsewhere", pid=1, concurrency=1, started_at=old, heartbeat_at=old
        )
        for _ in range(3):
            Job.objects.create(
                task_path="tests.tasks.noop",
                status=JobStatus.RUNNING,
                attempt=1,
                worker_id=f"dead-{number}",
                begun_at=old,
                enqueued_at=old,
                queue_name="elsewhere",
            )
    locked = Job.objects.filter(worker_id="dead-0").first()
    assert locked is not None
    running = Job.objects.filter(status=JobStatus.RUNNING)
    with holding(lambda: Job.objects.select_for_update().get(id=locked.id)):
        start_worker("--concurrency", "1", "--queues", "default")
        wait_for(lambda: running.count() == 1, "all others to be rescued")
        wait_for_results([usual.noop.enqueue()])
    wait_for(lambda: not running.exists(), "the last one to be rescued")
    assert set(Job.objects.values_list("losses", flat=True)) == {1}


@pytest.mark.only_on("postgresql")
def test_moments_that_no_datetime_holds_end_no_worker(start_worker: StartWorker) -> None:
    """Infinity is what an operator writes for "not until I say so"."""
    old = timezone.now() - timedelta(minutes=5)
    Worker.objects.create(
        id="dead", host="web", node="elsewhere", pid=1, concurrency=1, started_at=old, heartbeat_at=old
    )
    given = {"task_path": "tests.tasks.noop", "enqueued_at": old}
    never = Job.objects.create(status=JobStatus.SCHEDULED, due_at=old, **given)
    ready = Job.objects.create(**given)
    held = Job.objects.create(status=JobStatus.RUNNING, worker_id="dead", attempt=1, **given)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_tasks_q_job SET due_at = 'infinity' WHERE id = %s", [never.id])
        cursor.execute(
            "UPDATE django_tasks_q_job SET enqueued_at = 'infinity' WHERE id = ANY(%s)", [[ready.id, held.id]]
        )
    worker = start_worker("--concurrency", "1")
    wait_for_results([usual.noop.enqueue() for _ in range(3)])
    aside = Job.objects.filter(status=JobStatus.WAITING)
    wait_for(lambda: aside.count() == 2, "the damaged jobs to be set aside")
    assert all(reason.startswith("It cannot be read: ") for reason in aside.values_list("reason", flat=True))
    assert Job.objects.filter(status=JobStatus.SCHEDULED).count() == 1
    assert worker.stop() == 0
