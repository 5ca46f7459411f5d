"""Running jobs that are cancelled, in real workers."""

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from django_tasks_q import Task, TasksQResult, enqueue_many
from django_tasks_q.control import jobs as control
from django_tasks_q.lifecycle import JobStatus, ResultStatus
from django_tasks_q.models import Job, Result
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import row_of, wait_until_begun, wait_until_done, wait_until_running
from tests.waiting import LIMIT, wait_for, wait_for_results
from tests.workers import WorkerProcess

from . import cancel_tasks as tasks

WHY = "Cancelled by Ann."
SOFT, KILLED = (f"django_tasks_q.exceptions.{name}" for name in ("SoftCancel", "TaskCancelled"))
BRIEF = {"cancel_grace": 0.5}


def begin(task: Task, *args: Any) -> tuple[TasksQResult, int]:
    """Enqueue a call and wait until it may be cancelled; return its result, and its process."""
    result = task.enqueue(*args)
    wait_for_attempt(result, 1)
    return result, Effect.objects.get(job_id=result.id, label="begun").pid


def wait_for_attempt(result: TasksQResult, number: int) -> None:
    def is_seen() -> bool:
        result.refresh()
        return result.progress is not None and result.progress.done == number

    wait_for(is_seen, "the task to begin")


def effects_of(result: TasksQResult) -> list[str]:
    return list(
        Effect.objects.filter(job_id=result.id).exclude(label="begun").order_by("id").values_list("label", flat=True)
    )


def assert_cancelled(result: TasksQResult, *errors: str, attempt: int = 1) -> Result:
    result.wait(LIMIT)
    assert result.status == "FAILED"
    row = Result.objects.get(id=result.id)
    assert (row.status, row.reason, row.attempt) == (ResultStatus.CANCELLED, WHY, attempt)
    assert [error.exception_class_path for error in result.errors] == list(errors)
    return row


def assert_told_once(result: TasksQResult) -> None:
    """The framework was told of the end, once."""
    wait_for(lambda: "finished FAILED" in effects_of(result), "the signal")
    assert effects_of(result).count("finished FAILED") == 1


def test_a_running_job_is_cancelled(worker: WorkerProcess) -> None:
    result, pid = begin(tasks.sleep)
    assert result.cancel(by="Ann")
    row = assert_cancelled(result, SOFT)
    assert (row.failures, row.losses, row.worker_id) == (0, 0, worker.row.id)
    assert [error["kind"] for error in row.errors] == ["cancelled"]
    assert_told_once(result)
    # The process was not hurt, and once more is too late.
    assert psutil.pid_exists(pid)
    assert not result.cancel(by="Bob")
    wait_for(lambda: "was cancelled after" in worker.output, "the worker to say so")


def test_a_task_may_clean_up(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "3")
    raising, failing, returning = (begin(tasks.end, how) for how in ("raise", "raise another", "return"))
    for result, _ in (raising, failing, returning):
        assert result.cancel(by="Ann")
    for (result, pid), error in ((raising, SOFT), (failing, "builtins.ValueError")):
        assert_cancelled(result, error)
        assert_told_once(result)
        assert effects_of(result)[0] == "cleaned up, True"
        assert psutil.pid_exists(pid)
    assert returning[0].wait(LIMIT).return_value == "return"
    assert row_of(returning[0]).status == ResultStatus.SUCCESSFUL


def test_who_does_not_end_is_killed(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "2", options=BRIEF)
    begun = [begin(task) for task in (tasks.swallow, tasks.stay_in_c)]
    for result, _ in begun:
        result.cancel(by="Ann")
    for result, pid in begun:
        row = assert_cancelled(result, KILLED)
        assert "did not end within 0.5 s" in row.errors[0]["traceback"]
        assert (row.failures, row.losses) == (0, 0)
        assert_told_once(result)
        assert not psutil.pid_exists(pid)
    # Their places are taken by other children.
    assert wait_for_results([usual.add.enqueue(1, 2), usual.add.enqueue(3, 4)]) == [3, 7]
    assert worker.stop() == 0


def test_async_tasks_are_cancelled_and_others_can_ask(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "3")
    raising, returning, asking = (
        begin(tasks.sleep_async, "raise"),
        begin(tasks.sleep_async, "return"),
        begin(tasks.look),
    )
    for result, _ in (raising, returning, asking):
        assert result.cancel(by="Ann")
    assert_cancelled(raising[0], SOFT)
    assert_told_once(raising[0])
    assert wait_for_results([returning[0], asking[0]]) == ["return", 1]
    assert effects_of(raising[0])[0] == effects_of(returning[0])[0] == "cleaned up, True"
    assert wait_for_results([usual.add_async.enqueue(1, 2)]) == [3]
    assert all(psutil.pid_exists(pid) for _, pid in (raising, returning, asking))


@pytest.mark.only_on("postgresql", "mysql")
def test_an_atomic_task_is_rolled_back(worker: WorkerProcess, tmp_path: Path) -> None:
    """On SQLite nobody could ask for it: the task has the only lock there is."""
    path = tmp_path / "written"
    result = tasks.write_and_wait.enqueue(str(path))
    wait_for(path.exists, "the task to have written")
    result.cancel(by="Ann")
    assert_cancelled(result, SOFT)
    assert "never committed" not in effects_of(result)


def test_what_was_not_begun_never_begins(start_worker: StartWorker) -> None:
    """Claimed ahead, in the hands of a child that is busy, or of the supervisor."""
    start_worker("--concurrency", "1")
    # So that it is claimed many at a time.
    wait_for_results([usual.noop.enqueue() for _ in range(20)])
    blocked, _ = begin(tasks.look)
    waiting = enqueue_many((usual.leave_effect, (str(number),), {}) for number in range(20))
    for result in waiting:
        assert result.cancel(by="Ann")
    for result in waiting:
        row = assert_cancelled(result, attempt=0)
        assert row.started_at is None
    assert not Effect.objects.filter(label="0").exists()
    assert row_of(blocked).status == JobStatus.RUNNING
    blocked.cancel()
    assert blocked.wait(LIMIT).return_value == 1


def test_no_attempt_escapes(worker: WorkerProcess) -> None:
    """Between one attempt and the next, wherever the job is just then."""
    results = [tasks.fail_for_ever.enqueue() for _ in range(5)]
    wait_for(lambda: Effect.objects.filter(label="begun").count() == 5, "the tasks to begin")
    for result in results:
        assert result.cancel(by="Ann")
    for result in results:
        result.wait(LIMIT)
        row = row_of(result)
        assert (row.status, row.reason) == (ResultStatus.CANCELLED, WHY)
        assert {error["exception"] for error in row.errors} <= {"builtins.ValueError", SOFT}


def test_the_next_job_is_not_hit(start_worker: StartWorker) -> None:
    """Each is cancelled as soon as it runs, twice, while others go through the same child."""
    start_worker("--concurrency", "1")
    doomed, spared = (
        # The last one long enough for any worker to hear of it in time.
        enqueue_many((tasks.be_brief, (seconds,), {}) for seconds in [0.05] * 39 + [60]),
        enqueue_many((tasks.be_brief, (0.002,), {}) for _ in range(40)),
    )
    live = Job.objects.filter(id__in=[result.id for result in doomed])
    while live.exists():
        for job in live.filter(status=JobStatus.RUNNING).order_by("id")[:1]:
            control.cancel([job.id], by="Ann")
            control.cancel([job.id], by="Bob")
    assert wait_for_results(spared) == [0.002] * 40
    ends = {(row.status, row.reason) for row in map(row_of, doomed)}
    assert (ResultStatus.CANCELLED, WHY) in ends
    assert ends <= {(ResultStatus.CANCELLED, WHY), (ResultStatus.SUCCESSFUL, "")}


def test_the_worker_dies_before_it_can_cancel(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1")
    result, _ = begin(tasks.swallow)
    wait_until_begun(1)
    worker.freeze()
    result.cancel(by="Ann")
    assert row_of(result).status == JobStatus.RUNNING
    worker.kill_all()
    start_worker("--concurrency", "1", wait=False)
    row = assert_cancelled(result, "django_tasks_q.exceptions.JobLost")
    assert row.losses == 1
    assert_told_once(result)


def test_the_child_dies_while_it_cleans_up(worker: WorkerProcess) -> None:
    result, pid = begin(tasks.swallow)
    result.cancel(by="Ann")
    os.kill(pid, signal.SIGKILL)
    assert_cancelled(result, "django_tasks_q.exceptions.JobLost")
    assert_told_once(result)


def test_a_frozen_worker_cancels_when_it_is_back(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1")
    result, _ = begin(tasks.sleep)
    worker.freeze()
    result.cancel(by="Ann")
    worker.thaw()
    assert_cancelled(result, SOFT)


def test_a_worker_that_stops_hands_nothing_back_that_is_to_be_cancelled(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1", "--shutdown-timeout", "0.2")
    result, _ = begin(tasks.swallow)
    worker.signal()
    result.cancel(by="Ann")
    assert worker.wait() == 0
    assert Result.objects.get(id=result.id).reason == WHY


def test_a_cancelled_job_that_is_retried_runs_to_its_end(worker: WorkerProcess) -> None:
    result, _ = begin(tasks.end, "raise")
    result.cancel(by="Ann")
    assert_cancelled(result, SOFT)
    control.retry([result.id])
    wait_until_running(1)
    assert row_of(result).cancel_requested_at is None
    wait_for_attempt(result, 2)
    result.cancel(by="Ann")
    wait_until_done(1)
    assert_cancelled(result, SOFT, SOFT, attempt=2)


@pytest.mark.only_on("postgresql")
def test_the_owner_is_told_at_once(start_worker: StartWorker) -> None:
    # It would not look by itself before the task has ended.
    start_worker("--concurrency", "1", environment={"TEST_APPS": "tests.incurious"})
    for _ in range(5):
        result, _ = begin(tasks.sleep)
        result.cancel(by="Ann")
        assert_cancelled(result, SOFT)
