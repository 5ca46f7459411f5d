"""Middleware around the jobs of a real worker."""

from collections.abc import Iterator
from typing import Any

import pytest

from django_tasks_q.models import Job
from tests import middleware_tasks, tasks
from tests.conftest import StartWorker
from tests.middleware import request_id
from tests.models import Effect
from tests.waiting import wait_for

PATH = "tests.middleware."


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    request_id.set(None)


@pytest.fixture
def use(settings: Any) -> Any:
    """Have this process use middleware; return the options for a worker that does."""

    def set_options(*names: str) -> dict[str, Any]:
        options = {"middleware": [PATH + name for name in names]}
        settings.TASKS = {**settings.TASKS, "default": {**settings.TASKS["default"], "OPTIONS": options}}
        return options

    return set_options


def test_a_request_id_is_in_the_task_its_retry_and_its_log_lines(start_worker: StartWorker, use: Any) -> None:
    worker = start_worker("--concurrency", "1", options=use("RequestId", "Inner"))
    request_id.set("request-1")
    failing, seeing = middleware_tasks.fail_with_request.enqueue(), middleware_tasks.see_request_async.enqueue()
    request_id.set(None)
    other = middleware_tasks.see_request.enqueue()
    assert seeing.wait(60).return_value == "request-1"
    assert other.wait(60).return_value == "none"
    errors = failing.wait(60).errors
    assert len(errors) == 2
    assert all("ValueError: request-1" in error.traceback for error in errors)
    wait_for(lambda: worker.output.count("[request-1] failing") == 2, "both log lines")


@pytest.mark.parametrize("is_atomic", [False, True])
def test_hostile_middleware_loses_no_job_and_ends_no_process(
    start_worker: StartWorker, use: Any, is_atomic: bool
) -> None:
    use()
    start_worker("--concurrency", "1", options={"middleware": [PATH + "StopsAfter", PATH + "Swallows"]})
    effects = [tasks.leave_effect.using(atomic=is_atomic).enqueue(str(n)) for n in range(5)]
    failed = tasks.boom.enqueue("bad")
    assert [result.wait(60).status for result in effects] == ["SUCCESSFUL"] * 5
    assert failed.wait(60).reason == "ValueError: bad"
    assert len(set(Effect.objects.values_list("pid", flat=True))) == 1
    assert not Job.objects.exists()


def test_middleware_that_raises_before_fails_the_run_and_ends_no_process(start_worker: StartWorker, use: Any) -> None:
    use()
    worker = start_worker("--concurrency", "1", options={"middleware": [PATH + "StopsBefore"]})
    results = [tasks.leave_effect.enqueue(str(n)) for n in range(3)]
    assert [result.wait(60).status for result in results] == ["FAILED"] * 3
    assert "Raised by the middleware tests.middleware.StopsBefore.run()." in results[0].errors[0].traceback
    assert not Effect.objects.exists()
    assert "exited" not in worker.output


def test_a_worker_refuses_middleware_that_it_cannot_import(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1", options={"middleware": [PATH + "Nothing"]}, wait=False)
    assert worker.process.wait(60) == 1
    assert "tasksq.E011" in worker.output


def test_middleware_that_cannot_be_made_lets_jobs_wait(start_worker: StartWorker, use: Any) -> None:
    use()
    result = tasks.add.enqueue(1, 2)
    worker = start_worker("--concurrency", "1", options={"middleware": [PATH + "CannotBeMade"]}, wait=False)
    wait_for(lambda: 'Raised by "tests.middleware.CannotBeMade"' in worker.output, "the error")
    assert Job.objects.get().status == "READY"
    worker.destroy()
    start_worker("--concurrency", "1")
    assert result.wait(60).return_value == 3
