"""Loads that were too much: each is worked off, while the heart beats and the worker does as it is told."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.utils import timezone

from django_tasks_q import enqueue_many
from django_tasks_q.brokers import get_broker
from django_tasks_q.ids import uuid7
from django_tasks_q.lifecycle import JobStatus, ResultStatus, WorkerStatus
from django_tasks_q.models import Job, Result, Worker
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.locks import holding
from tests.rows import row_of, wait_until_begun, wait_until_done, wait_until_running
from tests.waiting import wait_for, wait_for_results
from tests.workers import WorkerProcess

from . import flood_tasks

UNKNOWN = "tests.tasks.of_a_newer_release"
SMALL_PIPES = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent / "small_pipes"), os.getcwd()])}
linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not let one choose the size of a pipe")
MEBI = 1_048_576


def enqueue_unknown(count: int) -> None:
    """Enqueue jobs of a task that these workers do not know, as a newer release of the site does."""
    enqueue_many((usual.noop, (), {}) for _ in range(count))
    Job.objects.update(task_path=UNKNOWN)


@contextmanager
def beating(worker: WorkerProcess) -> Iterator[None]:
    """See that a worker is never presumed dead."""
    yield
    rows = Worker.objects.filter(pid=worker.pid)
    assert [row.status for row in rows] != [WorkerStatus.LOST]
    assert rows.count() == 1


@linux
def test_jobs_of_an_unknown_task_freeze_nobody(start_worker: StartWorker) -> None:
    enqueue_unknown(3_000)
    worker = start_worker("--concurrency", "1", environment=SMALL_PIPES)
    with beating(worker):
        result = usual.noop.using(queue_name="other").enqueue()
        wait_for_results([result])
        wait_for(lambda: Job.objects.exclude(reason="").count() >= 1_500, "half of them to be parked")
        assert worker.stop() == 0
    assert not Job.objects.filter(status=JobStatus.RUNNING).exists()
    assert Job.objects.filter(losses__gt=0).count() == 0


def test_what_a_killed_worker_merely_held_is_not_charged(start_worker: StartWorker) -> None:
    enqueue_unknown(2_000)
    for _ in range(4):
        worker = start_worker("--concurrency", "2")
        wait_until_running(1)
        worker.kill_all()
    worker = start_worker("--concurrency", "2")
    wait_for(lambda: not Worker.objects.exclude(pid=worker.pid).filter(status="ONLINE").exists(), "all to be rescued")
    assert Counter(Job.objects.values_list("losses", flat=True)) == {0: 2_000}
    assert not Result.objects.exists()


@linux
@pytest.mark.parametrize("call", [(flood_tasks.fail_at_once, 1), (flood_tasks.fail_deep, 20)], ids=["short", "deep"])
def test_jobs_that_fail_at_once_are_worked_off(start_worker: StartWorker, call: tuple[Any, int]) -> None:
    task, argument = call
    enqueue_many((task, (argument,), {}) for _ in range(1_500))
    worker = start_worker("--concurrency", "2", environment=SMALL_PIPES)
    with beating(worker):
        wait_until_done(1_500, timeout=150)
    assert worker.stop() == 0
    assert Counter(Result.objects.values_list("status", "losses")) == {(ResultStatus.FAILED, 0): 1_500}


@linux
def test_large_payloads_fit_into_a_small_worker(start_worker: StartWorker) -> None:
    text = "".join(map(str, range(150_000)))
    for _ in range(6):
        enqueue_many((flood_tasks.keep, (text,), {}) for _ in range(10))
    worker = start_worker("--concurrency", "4")
    with beating(worker):
        wait_until_done(60, timeout=150)
    assert peak_of(worker) < 200 * MEBI
    assert worker.stop() == 0


def peak_of(worker: WorkerProcess) -> int:
    """Return the most bytes that the supervisor had resident."""
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1_024


def test_large_return_values_are_recorded(start_worker: StartWorker) -> None:
    """On MySQL they would not fit into one statement."""
    enqueue_many((flood_tasks.repeat, ("\U0001f600", 262_000), {}) for _ in range(24))
    worker = start_worker("--concurrency", "8")
    with beating(worker):
        wait_until_done(24, timeout=150)
    assert Counter(Result.objects.values_list("status", flat=True)) == {ResultStatus.SUCCESSFUL: 24}
    assert worker.stop() == 0


def test_many_jobs_due_at_once_keep_nothing_waiting(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "2")
    long = usual.nap.enqueue(2.0)
    wait_until_begun(1)
    due, broker = timezone.now() + timedelta(seconds=1), get_broker("default")
    now = timezone.now()
    broker.enqueue([delayed(due, now) for _ in range(8_000)])
    with beating(worker):
        wait_for(lambda: Job.objects.filter(queue_name="delayed", status="READY").exists(), "the first to be due")
        wait_for_results([usual.noop.using(priority=5).enqueue(), long])
        waiting = Job.objects.filter(status=JobStatus.SCHEDULED)
        wait_for(lambda: not waiting.exists(), "all to be ready", timeout=120)
    assert row_of(long).attempt == 1
    assert worker.stop() == 0


def delayed(due: Any, now: Any) -> Any:
    from tests.brokers.conftest import make_spec  # noqa: PLC0415

    return make_spec(id=str(uuid7()), queue_name="delayed", run_after=due, enqueued_at=now)


@pytest.mark.only_on("postgresql", "mysql")
def test_an_open_transaction_that_has_cancelled_a_job_stops_no_other(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "2")
    result = usual.nap.enqueue(0.5)
    wait_until_begun(1)
    with holding(lambda: result.cancel()), beating(worker):
        # It ends, and cannot be recorded.
        results = enqueue_many((usual.nap, (0.01,), {}) for _ in range(100))
        wait_for_results(results)
        wait_for(lambda: worker.row is not None and worker.row.trouble != "", "the worker to say what it cannot do")
        assert row_of(result).status == JobStatus.RUNNING
    wait_for(lambda: row_of(result).status in (ResultStatus.SUCCESSFUL, ResultStatus.CANCELLED), "it to be recorded")
    wait_for(lambda: worker.row is not None and worker.row.trouble == "", "the worker to say that all is well")
    assert worker.stop() == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_a_worker_ends_although_another_session_keeps_an_outcome_from_it(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1")
    result = usual.nap.enqueue(0.5)
    wait_until_begun(1)
    with holding(lambda: result.cancel()):
        wait_for_results([usual.noop.enqueue()])
        # It ends by itself, although the transaction does not.
        assert worker.stop() == 1
        assert "left for other workers" in worker.output
    start_worker("--concurrency", "1")
    wait_for(lambda: row_of(result).status == ResultStatus.CANCELLED, "the job to be rescued, and end as it was to")


def test_an_id_in_both_tables_ends_no_worker(start_worker: StartWorker) -> None:
    first = usual.noop.enqueue()
    worker = start_worker("--concurrency", "1")
    wait_for_results([first])
    Job.objects.create(id=first.id, task_path=usual.add.module_path, args=[1, 2], enqueued_at=timezone.now())
    usual.noop.enqueue()
    wait_until_done(2)
    assert row_of(first).return_value == 3
    assert worker.stop() == 0


def test_dozens_of_dead_workers_are_rescued_by_one_that_lives(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1", "--queues", "default")
    usual.nap.enqueue(1)
    old = timezone.now() - timedelta(minutes=5)
    for number in range(30):
        Worker.objects.create(
            id=f"dead-{number}", host="web", node="elsewhere", pid=1, concurrency=1, started_at=old, heartbeat_at=old
        )
    held = {"status": JobStatus.RUNNING, "attempt": 1, "queue_name": "elsewhere", "enqueued_at": old}
    for number in range(30):
        Job.objects.create(task_path="tests.tasks.noop", worker_id=f"dead-{number}", begun_at=old, **held)
        Job.objects.create(task_path="tests.tasks.noop", worker_id=f"dead-{number}", **held)
    with beating(worker):
        lost = Worker.objects.filter(status=WorkerStatus.LOST)
        wait_for(lambda: lost.count() == 30, "all of them to be found")
        # A worker is marked first, and its jobs are rescued after that.
        running = Job.objects.filter(queue_name="elsewhere", status=JobStatus.RUNNING)
        wait_for(lambda: not running.exists(), "all of their jobs to be rescued")
    rows = Job.objects.filter(queue_name="elsewhere").values_list("status", "attempt", "losses", "displaced")
    # One of two had begun.
    assert Counter(rows) == {("READY", 1, 1, None): 30, ("READY", 0, 0, 1): 30}
    assert worker.stop() == 0


def test_what_was_displaced_begins_only_when_that_is_known(start_worker: StartWorker) -> None:
    for _ in range(20):
        Job.objects.create(task_path="tests.tasks.noop", displaced=1, enqueued_at=timezone.now())
    poison = Job.objects.create(
        task_path="tests.worker.flood_tasks.kill_the_worker", displaced=1, losses=2, enqueued_at=timezone.now()
    )
    worker = start_worker("--concurrency", "1", wait=False)
    worker.wait()
    start_worker("--concurrency", "1")
    wait_until_done(21)
    row = Result.objects.get(id=poison.id)
    assert (row.status, row.losses) == (ResultStatus.FAILED, 3)
    assert psutil.pid_exists(worker.pid) is False
    assert Result.objects.filter(status=ResultStatus.SUCCESSFUL, losses=0).count() == 20
