"""The end of a worker: running jobs may finish, the others are READY at once, and none is charged that did not run."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from django_tasks_q import enqueue_many
from django_tasks_q.control.workers import drain, stop
from django_tasks_q.lifecycle import JobStatus, ResultStatus, WorkerStatus
from django_tasks_q.models import Job, Result
from tests import tasks
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import wait_for_effects, wait_until_done
from tests.waiting import wait_for
from tests.workers import WorkerProcess

from .tasks import wait_at_first

LONG, SHORT = 8, 100
# Longer than a test waits.
PATIENT = ["--shutdown-timeout", "300"]


def terminate(worker: WorkerProcess) -> None:
    worker.signal(signal.SIGTERM)


def interrupt_group(worker: WorkerProcess) -> None:
    """Do what Ctrl-C in a terminal does."""
    os.killpg(worker.pid, signal.SIGINT)


def terminate_tree(worker: WorkerProcess) -> None:
    """Do what systemd and some containers do."""
    for process in [*worker.others(), worker.process]:
        process.send_signal(signal.SIGTERM)


WAYS: list[Callable[[WorkerProcess], None]] = [terminate, interrupt_group, terminate_tree]


def load(path: Path) -> None:
    """Let every child be busy with a job that waits for a file; short ones follow, in the worker or in the queue."""
    # A worker holds ahead what it knows to be short.
    enqueue_many((tasks.noop, (), {}) for _ in range(200))
    wait_until_done(200)
    Result.objects.all().delete()
    labels = [f"long {number}" for number in range(LONG)]
    first = wait_at_first.using(priority=10)
    enqueue_many(
        [
            *((first, (label, str(path)), {}) for label in labels),
            *((tasks.leave_effect, (f"short {number}",), {}) for number in range(SHORT)),
        ]
    )
    wait_for_effects(labels)


def short_jobs_are_free() -> bool:
    short = Job.objects.filter(priority=0)
    return not short.exclude(status=JobStatus.READY).exists()


def assert_nothing_is_charged(count: int) -> None:
    jobs = list(Job.objects.all())
    assert len(jobs) == count
    for job in jobs:
        assert (job.status, job.attempt, job.failures, job.losses) == (JobStatus.READY, 0, 0, 0)
        assert (job.started_at, job.worker_id, job.errors) == (None, None, [])


@pytest.mark.parametrize("way", WAYS)
def test_running_jobs_finish_and_the_others_are_free_at_once(
    start_worker: StartWorker, tmp_path: Path, way: Callable[[WorkerProcess], None]
) -> None:
    worker, go = start_worker("--concurrency", str(LONG), *PATIENT), tmp_path / "go"
    load(go)
    short = SHORT - Effect.objects.filter(label__startswith="short").count()

    way(worker)
    wait_for(lambda: worker.row.status == WorkerStatus.DRAINING, "the worker to be DRAINING")
    wait_for(short_jobs_are_free, "the short jobs to be READY")
    assert worker.process.poll() is None
    go.touch()
    assert worker.wait() == 0

    long = Result.objects.filter(priority=10)
    assert {(row.status, row.attempt, len(row.errors)) for row in long} == {(ResultStatus.SUCCESSFUL, 1, 0)}
    assert long.count() == LONG
    assert_nothing_is_charged(short)
    assert worker.row.status == WorkerStatus.OFFLINE
    wait_for(lambda: not worker.others(), "its processes to be gone")


def test_running_jobs_go_back_after_the_shutdown_timeout(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker("--concurrency", str(LONG), "--shutdown-timeout", "1")
    load(tmp_path / "never")
    short = SHORT - Effect.objects.filter(label__startswith="short").count()

    told_at = time.monotonic()
    worker.signal()
    assert worker.wait() == 0
    assert time.monotonic() - told_at >= 1
    assert_nothing_is_charged(LONG + short)
    assert {job.reason for job in Job.objects.filter(priority=10)} == {"Its worker was stopped."}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_second_signal_stops_at_once(start_worker: StartWorker, tmp_path: Path, number: signal.Signals) -> None:
    worker = start_worker("--concurrency", str(LONG), *PATIENT)
    load(tmp_path / "never")
    short = SHORT - Effect.objects.filter(label__startswith="short").count()

    worker.signal(number)
    wait_for(lambda: worker.row.status == WorkerStatus.DRAINING, "the worker to be DRAINING")
    worker.signal(number)
    assert worker.wait() == 0
    assert_nothing_is_charged(LONG + short)
    wait_for(lambda: not worker.others(), "its processes to be gone")


def test_what_goes_back_is_run_by_another_worker_at_once(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "2", "--shutdown-timeout", "0")
    tasks.leave_effect.enqueue("job", 60)
    wait_for_effects(["job"])
    other = start_worker("--concurrency", "2")
    worker.signal()
    wait_for(lambda: Effect.objects.filter(label="job").count() == 2, "the job to run again")
    assert worker.wait() == 0
    (job,) = Job.objects.all()
    assert (job.worker_id, job.attempt) == (other.row.id, 1)


def hears(worker: WorkerProcess, number: signal.Signals) -> bool:
    """Return whether the process has a handler for a signal by now."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines())
    return bool(int(fields["SigCgt"], 16) >> (number - 1) & 1)


def test_a_worker_stops_before_it_has_started(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "2", wait=False)
    wait_for(lambda: hears(worker, signal.SIGTERM), "the worker to hear signals")
    worker.signal()
    assert worker.wait() == 0


def test_a_job_that_times_out_while_the_worker_stops_does_not_keep_it(start_worker: StartWorker) -> None:
    """Nobody is left to announce the job's end but a new child."""
    worker = start_worker("--concurrency", "1", *PATIENT)
    # Enough to leave the effect, in a new process on a busy machine.
    tasks.leave_effect.using(timeout=4).enqueue("job", 60)
    wait_for_effects(["job"])
    worker.signal()
    assert worker.wait() == 0
    assert Result.objects.get().status == ResultStatus.FAILED


def test_a_worker_that_is_asked_to_drain_ends_with_its_jobs(start_worker: StartWorker, tmp_path: Path) -> None:
    # However little time a signal would leave them.
    worker, go = start_worker("--concurrency", str(LONG), "--shutdown-timeout", "0"), tmp_path / "go"
    load(go)
    short = SHORT - Effect.objects.filter(label__startswith="short").count()

    assert drain(worker.row.id)
    wait_for(lambda: worker.row.status == WorkerStatus.DRAINING, "the worker to be DRAINING")
    wait_for(short_jobs_are_free, "the short jobs to be READY")
    go.touch()
    assert worker.wait() == 0
    long = Result.objects.filter(priority=10)
    assert {(row.status, row.attempt) for row in long} == {(ResultStatus.SUCCESSFUL, 1)}
    assert long.count() == LONG
    assert_nothing_is_charged(short)
    assert "Stopping: waiting as long as needed for " in worker.output


def test_a_worker_that_is_asked_to_stop_stops_now(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker("--concurrency", str(LONG), *PATIENT)
    load(tmp_path / "never")
    short = SHORT - Effect.objects.filter(label__startswith="short").count()

    assert stop(worker.row.id)
    assert worker.wait() == 0
    assert_nothing_is_charged(LONG + short)


def test_a_signal_sets_a_limit_to_a_drain(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker("--concurrency", str(LONG), "--shutdown-timeout", "1")
    load(tmp_path / "never")
    drain(worker.row.id)
    wait_for(lambda: worker.row.status == WorkerStatus.DRAINING, "the worker to drain")
    worker.signal()
    assert worker.wait() == 0
    assert Job.objects.filter(priority=10, status=JobStatus.READY).count() == LONG
