"""Tasks that run too long, or use too much memory."""

import re
import threading
import time
from itertools import pairwise

import pytest

from django_tasks_q import Task
from django_tasks_q.lifecycle import ResultStatus
from django_tasks_q.models import Result
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.rows import row_of, wait_for_effects
from tests.waiting import LIMIT, wait_for, wait_for_results
from tests.workers import WorkerProcess

from . import tasks

TIMEOUT = "django_tasks_q.exceptions.TaskTimeout"


def test_the_catastrophe_holds_the_lock_of_the_interpreter() -> None:
    """What the tests below take for stuck is stuck: no other thread runs while the engine matches."""
    pattern, text = tasks.CATASTROPHE
    done = threading.Event()
    moments: list[float] = []

    def tick() -> None:
        while not done.wait(0.005):
            moments.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    began, worked = time.monotonic(), time.thread_time()
    re.match(pattern, text[-25:])
    ended, worked = time.monotonic(), time.thread_time() - worked
    done.set()
    thread.join()
    assert worked > 0.1
    within = [began, *(moment for moment in moments if began < moment < ended), ended]
    # The other thread may run as soon as the match is over, before this one reads the clock.
    assert max(later - earlier for earlier, later in pairwise(within)) > 0.9 * worked


@pytest.mark.parametrize(
    "task",
    [usual.overrun.using(), usual.overrun_in_c.using(), tasks.match_for_ever.using()],
    ids=lambda task: task.name,
)
def test_a_job_over_its_timeout_fails(worker: WorkerProcess, task: Task) -> None:
    result = task.enqueue(*([] if task.func is tasks.match_for_ever.func else [60]))
    result.wait(LIMIT)

    row = row_of(result)
    assert (row.status, row.attempt, row.failures, row.losses) == (ResultStatus.FAILED, 1, 1, 0)
    assert 0.9 < (row.finished_at - row.last_attempted_at).total_seconds() < 20
    assert [error.exception_class_path for error in result.errors] == [TIMEOUT]
    assert "timeout of 1 s" in row.reason
    # Its place is taken by another child.
    assert wait_for_results([usual.add.enqueue(1, 2), usual.add.enqueue(3, 4)]) == [3, 7]


def test_a_timeout_is_retried_like_an_error(worker: WorkerProcess) -> None:
    result = tasks.overrun_twice.enqueue().wait(LIMIT)
    assert result.status == "FAILED"
    assert [error.exception_class_path for error in result.errors] == [TIMEOUT, TIMEOUT]
    assert (row_of(result).attempt, row_of(result).failures) == (2, 2)


def test_a_soft_timeout_is_a_timeout_to_retry_on(worker: WorkerProcess) -> None:
    retried = tasks.overrun_softly.using(max_attempts=2, backoff=0, retry_on=TimeoutError).enqueue()
    other = tasks.overrun_softly.using(max_attempts=2, backoff=0, retry_on=ConnectionError).enqueue()
    assert [(row_of(result.wait(LIMIT)).failures, result.status) for result in (retried, other)] == [
        (2, "FAILED"), (1, "FAILED"),
    ]  # fmt: skip


def test_a_soft_timeout_lets_the_task_clean_up(worker: WorkerProcess) -> None:
    caught = usual.clean_up.enqueue(60)
    uncaught = tasks.overrun_softly.enqueue()
    async_ = tasks.clean_up_async.enqueue()
    swallowed = tasks.swallow_soft_timeout.enqueue()

    assert caught.wait(LIMIT).return_value == "cleaned up"
    for result in (uncaught, async_):
        result.wait(LIMIT)
        assert result.status == "FAILED"
        assert [error.exception_class_path for error in result.errors] == ["django_tasks_q.exceptions.SoftTimeout"]
        assert [error["kind"] for error in row_of(result).errors] == ["soft_timeout"]
    assert wait_for_effects(["cleaned up"], attempt=0)
    swallowed.wait(LIMIT)
    assert [error.exception_class_path for error in swallowed.errors] == [TIMEOUT]
    assert 1.9 < (swallowed.finished_at - swallowed.last_attempted_at).total_seconds() < 20


def test_a_soft_timeout_does_not_reach_the_next_job(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1")
    quick = usual.clean_up.using(soft_timeout=1).enqueue(0)
    slow = usual.nap.enqueue(1.5)
    assert wait_for_results([quick, slow]) == ["slept", 1.5]


def test_a_child_over_the_memory_limit_is_replaced(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1", "--max-memory-per-child", "200M", options={"max_losses": 2})
    result = usual.use_memory.enqueue(300).wait(30)
    row = row_of(result)
    assert (row.status, row.attempt, row.losses, row.failures) == (ResultStatus.FAILED, 2, 2, 0)
    assert {error["exception"] for error in row.errors} == {"django_tasks_q.exceptions.MemoryLimitExceeded"}
    assert re.search(r"used \d+ MiB; --max-memory-per-child is 200 MiB", row.errors[0]["traceback"])
    assert "--max-memory-per-child" in row.reason
    assert "MiB" in worker.output


def test_a_child_that_has_grown_is_replaced_between_jobs(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1", "--max-memory-per-child", "200M")
    result = tasks.hoard_later.enqueue(300, 0.3)
    fat = result.wait(LIMIT).return_value
    wait_for(lambda: usual.process_id.enqueue().wait(30).return_value != fat, "another child")
    assert not Result.objects.exclude(status=ResultStatus.SUCCESSFUL).exists()
    # One that was just running when it grew was lost with it.
    lost = [error["exception"] for row in Result.objects.all() for error in row.errors]
    assert set(lost) <= {"django_tasks_q.exceptions.MemoryLimitExceeded"}
