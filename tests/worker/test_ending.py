"""What comes after a run, or in its last moment."""

from pathlib import Path

import pytest

from django_tasks_q.models import Job, Result
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import row_of, wait_for_effects
from tests.tasks import leave_effect
from tests.waiting import wait_for, wait_for_results
from tests.workers import WorkerProcess

from . import ending_tasks as tasks


def test_the_soft_limit_gets_through_the_handlers_of_logging(worker: WorkerProcess) -> None:
    results = [tasks.log_to_a_slow_handler.enqueue() for _ in range(4)]
    assert wait_for_results(results) == ["in time"] * 4


def test_a_callback_that_fails_after_the_commit_changes_nothing(worker: WorkerProcess) -> None:
    result = tasks.fail_after_commit.enqueue("once").wait(60)
    assert (result.return_value, row_of(result).attempt) == (42, 1)
    wait_for(lambda: "succeeded in" in worker.output, "the worker to say so")
    assert f"An on_commit() callback of {result.task.module_path} failed; job {result.id} is done." in worker.output
    assert "ZeroDivisionError" in worker.output
    assert worker.stop() == 0
    assert "belongs to another worker" not in worker.output
    assert Effect.objects.filter(label="once").count() == 1


def test_burst_does_not_end_with_a_claim_that_failed(start_worker: StartWorker, tmp_path: Path) -> None:
    path = tmp_path / "unlucky"
    tasks.enqueue_before_bad_luck.enqueue("later", str(path))
    worker = start_worker(
        "--burst", "--concurrency", "2",
        environment={
            "TEST_APPS": "tests.unlucky", "UNLUCKY": str(path), "UNLUCKY_TASK": leave_effect.module_path,
        }, wait=False,
    )  # fmt: skip
    assert worker.wait() == 0
    assert "The claim has failed" in worker.output
    assert not Job.objects.exists()
    assert [effect.label for effect in Effect.objects.all()] == ["later"]


@pytest.mark.parametrize("concurrency", ["1", "2"])
def test_burst_runs_what_a_receiver_has_enqueued(start_worker: StartWorker, concurrency: str) -> None:
    tasks.run_for_ever.enqueue()
    worker = start_worker("--burst", "--concurrency", concurrency, wait=False)
    assert worker.wait() == 0
    wait_for_effects(["after the end"])
    assert Result.objects.count() == 2
