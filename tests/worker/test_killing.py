"""Processes that are killed: their jobs run again, nothing of them lives on."""

import os
import signal

import psutil
import pytest

from django_tasks_q import enqueue_many
from django_tasks_q.lifecycle import ResultStatus, WorkerStatus
from django_tasks_q.models import Result
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import row_of, wait_for_effects, wait_until_begun
from tests.waiting import wait_for, wait_for_results
from tests.workers import WorkerProcess

from . import tasks

LOST = "django_tasks_q.exceptions.JobLost"


def fork_server(worker: WorkerProcess) -> psutil.Process:
    """Return the process between the supervisor and the children."""
    (server,) = psutil.Process(worker.pid).children()
    return server


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def assert_lost_once(results: list[Result]) -> None:
    """Each job was lost in its first run, and recorded once, in its second."""
    for row in results:
        assert (row.status, row.attempt, row.losses, row.failures) == (ResultStatus.SUCCESSFUL, 2, 1, 0)
        assert [(error["kind"], error["exception"], error["attempt"]) for error in row.errors] == [("lost", LOST, 1)]
    assert Effect.objects.count() == 2 * len(results)


def test_the_job_of_a_killed_child_runs_again_at_once(worker: WorkerProcess) -> None:
    result = tasks.sleep_at_first.enqueue("job")
    (effect,) = wait_for_effects(["job"])

    os.kill(effect.pid, signal.SIGKILL)
    wait_for_effects(["job"], attempt=2)
    assert wait_for_results([result]) == [2]
    row = row_of(result)
    assert_lost_once([row])
    assert f"process {effect.pid} was killed by SIGKILL" in row.errors[0]["traceback"]
    assert row.errors[0]["worker"] == worker.row.id


@pytest.mark.parametrize("other", ["before", "after"])
def test_another_worker_runs_what_a_killed_tree_held(start_worker: StartWorker, other: str) -> None:
    """other: whether the other worker was there before the kill, or comes after it."""
    worker = start_worker("--concurrency", "20")
    labels = [str(number) for number in range(20)]
    results = enqueue_many((tasks.sleep_at_first, (label,), {}) for label in labels)
    wait_for_effects(labels)
    wait_until_begun(20)
    if other == "before":
        start_worker("--concurrency", "2")

    worker.kill_all()
    if other == "after":
        start_worker("--concurrency", "2", wait=False)
    assert wait_for_results(results) == [2] * 20

    assert_lost_once([row_of(result) for result in results])
    assert worker.row.status == WorkerStatus.LOST
    wait_for(lambda: not worker.others(), "its processes to be gone")


def test_children_end_with_their_supervisor(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "2")
    results = [tasks.sleep_at_first.enqueue("sleep"), tasks.run_program_at_first.enqueue("program")]
    wait_for_effects(["sleep", "program"])
    wait_until_begun(2)
    assert len(worker.others()) >= 4

    worker.signal(signal.SIGKILL)
    worker.wait()
    wait_for(lambda: not worker.others(), "the orphans to be gone")
    start_worker("--concurrency", "2", wait=False)
    wait_for_results(results)
    assert [row_of(result).losses for result in results] == [1, 1]


def test_the_worker_goes_on_without_its_fork_server(worker: WorkerProcess) -> None:
    results = [tasks.sleep_at_first.enqueue("sleep"), tasks.run_program_at_first.enqueue("program")]
    programs = [psutil.Process(effect.pid) for effect in wait_for_effects(["sleep", "program"])]
    children = worker.children()

    fork_server(worker).kill()
    assert wait_for_results(results) == [2, 2]
    assert [row_of(result).losses for result in results] == [1, 1]
    assert "fork server" in row_of(results[0]).errors[0]["traceback"]
    # A program that a task has started goes with it.
    first = [*children, *programs]
    wait_for(lambda: not any(is_alive(process) for process in first), "the first children to be gone")
    assert worker.stop() == 0


def test_the_end_of_an_idle_child_goes_by(worker: WorkerProcess) -> None:
    children = fork_server(worker).children()
    for child in children:
        child.kill()
    results = enqueue_many((usual.process_id, (), {}) for _ in range(4))
    assert set(wait_for_results(results)).isdisjoint(child.pid for child in children)
    assert [row_of(result).losses for result in results] == [0] * 4
