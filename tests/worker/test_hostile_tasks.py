"""Whatever a task does to its process: its job has the stated outcome, and the next one is unharmed."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings

from django_tasks_q import TasksQResult
from django_tasks_q.lifecycle import JobStatus
from django_tasks_q.models import Job
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import row_of, wait_for_effects
from tests.waiting import wait_for
from tests.workers import WorkerProcess

from . import hostile
from .behaviours import APART, LEAVING, UNHARMED, Behaviour


@pytest.fixture
def one_child(start_worker: StartWorker) -> WorkerProcess:
    return start_worker("--concurrency", "1")


def wait_for_end(result: TasksQResult, behaviour: Behaviour) -> None:
    wait_for(lambda: result.refresh() or result.is_finished, f"the end of a job that {behaviour.title}")


def misbehave(behaviour: Behaviour) -> list[str]:
    """Run the job; return how it ended other than it should."""
    result = behaviour.task.enqueue(*behaviour.args)
    wait_for_end(result, behaviour)
    return mistakes(result, behaviour)


def mistakes(result: TasksQResult, behaviour: Behaviour) -> list[str]:
    row = row_of(result)
    ended = (row.status, row.attempt, row.failures, row.losses)
    wrong = []
    if ended != (behaviour.status, behaviour.attempt, behaviour.failures, behaviour.losses):
        wrong.append(f"{behaviour.title}: ended as {ended}: {row.reason}")
    told = f"{row.reason} {row.errors}"
    if behaviour.says and not any(text in told for text in behaviour.says):
        wrong.append(f"{behaviour.title}: says {row.reason!r}, {row.errors!r:.2000}")
    if row.return_value != behaviour.returns:
        wrong.append(f"{behaviour.title}: returned {row.return_value!r}")
    return wrong


def describe() -> dict[str, Any]:
    found = hostile.describe.enqueue().wait(60)
    assert found.status == "SUCCESSFUL", found.errors
    return dict(found.return_value)


def test_the_next_job_is_unharmed(one_child: WorkerProcess) -> None:
    before = describe()
    assert before["language"] == settings.LANGUAGE_CODE
    assert before["timezone"] == settings.TIME_ZONE
    assert (before["autocommit"], before["program"], before["blocked"]) == (True, 7, 0)

    wrong = []
    for behaviour in UNHARMED:
        result = behaviour.task.enqueue(*behaviour.args)
        if behaviour.losses:
            # It runs several times: the ordinary job would come in between.
            wait_for_end(result, behaviour)
        after = describe()
        wait_for_end(result, behaviour)
        wrong += mistakes(result, behaviour)
        if (after["pid"] != before["pid"]) != behaviour.replaced:
            wrong.append(f"{behaviour.title}: process {before['pid']} was followed by {after['pid']}")
        if after != before | {"pid": after["pid"]}:
            wrong.append(f"{behaviour.title}: left {after}, not {before}")
        before = after
    assert wrong == []
    labels = list(Effect.objects.values_list("label", flat=True))
    assert sorted(set(labels) - {"x"}) == ["committed", "described"]
    assert labels.count("described") == len(UNHARMED) + 1
    assert len(re.findall("left a transaction open", one_child.output)) >= 2


def test_some_things_are_the_tasks_own_to_put_back(one_child: WorkerProcess) -> None:
    before = describe()
    assert misbehave(LEAVING) == []
    after = describe()
    assert after | {"own": None} == before | {"own": None}
    assert all(after["own"][name] != value for name, value in before["own"].items())

    os.kill(after["pid"], signal.SIGKILL)
    replaced = wait_for(lambda: (found := describe())["pid"] != after["pid"] and found, "another process")
    assert replaced["own"] == before["own"]


def test_a_fork_never_takes_a_job(one_child: WorkerProcess) -> None:
    hostile.leave_fork.enqueue(1.0).wait(30)
    (child,) = psutil.Process(one_child.pid).children()[0].children()
    (fork,) = child.children()
    pids = {usual.process_id.enqueue().wait(30).return_value for _ in range(5)}
    assert pids == {child.pid}
    wait_for(lambda: fork.status() == psutil.STATUS_ZOMBIE, "the fork to end")
    assert usual.process_id.enqueue().wait(30).return_value == child.pid


def test_what_a_task_executes_does_not_inherit_the_connection_to_the_worker(
    one_child: WorkerProcess, tmp_path: Path
) -> None:
    listing = tmp_path / "descriptors"
    hostile.execute.enqueue("sh", "-c", f"ls -l /proc/self/fd > {listing}").wait(30)
    assert "socket:" not in listing.read_text()


def test_a_process_that_ends_without_streams_harms_no_other(start_worker: StartWorker) -> None:
    """It once killed the other children on its way out."""
    start_worker("--concurrency", "2", "--max-tasks-per-child", "2")
    slow = usual.nap.enqueue(1.0)
    wait_for(lambda: Job.objects.filter(status=JobStatus.RUNNING).exists(), "the job to run")
    hostile.close_stream.enqueue("stdout").wait(30)
    assert slow.wait(30).return_value == 1.0
    assert row_of(slow).losses == 0


def test_the_job_after_a_dead_child_runs_on_a_new_one(one_child: WorkerProcess) -> None:
    dying = usual.exit_process.enqueue(0)
    after = usual.add.enqueue(1, 2)
    assert after.wait(30).return_value == 3
    assert dying.wait(30).status == "FAILED"
    assert row_of(after).losses == 0


@pytest.mark.only_on("sqlite")
def test_a_flood_of_output_is_let_through(transactional_db: None) -> None:
    """Into nothing: this must be harmless to readers of the worker's output."""
    worker = WorkerProcess("--concurrency", "1", log=Path(os.devnull))
    try:
        worker.wait_until_ready()
        before = describe()
        assert misbehave(APART["flood"]) == []
        assert describe() == before
    finally:
        worker.destroy()


@pytest.mark.only_on("postgresql")
def test_a_process_that_is_too_large_is_replaced(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1", "--max-memory-per-child", "200M")
    before = describe()
    assert misbehave(APART["large"]) == []
    after = describe()
    assert after == before | {"pid": after["pid"]}


@pytest.mark.only_on("postgresql")
def test_exhausted_memory_is_an_error_like_any_other(one_child: WorkerProcess) -> None:
    before = describe()
    size = psutil.Process(before["pid"]).memory_info().vms
    # As a container or `ulimit -v` has it.
    psutil.Process(before["pid"]).rlimit(psutil.RLIMIT_AS, (size + (128 << 20), size + (128 << 20)))
    assert misbehave(APART["memory"]) == []
    assert describe() == before


def test_an_endless_job_goes_back_when_the_worker_stops(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1", "--shutdown-timeout", "0.5")
    result = APART["endless"].task.enqueue(*APART["endless"].args)
    wait_for_effects(["begun"], attempt=0)
    assert worker.stop() == 0
    row = Job.objects.get(id=result.id)
    assert (row.status, row.attempt, row.failures, row.losses) == (JobStatus.READY, 0, 0, 0)
    wait_for(lambda: not worker.others(), "its processes to be gone")
