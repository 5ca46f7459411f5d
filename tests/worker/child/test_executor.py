"""One run of a job, in this process: what comes back over the wire."""

import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.dispatch import Signal

from django_tasks_q.compat import FRAMEWORK, TaskResultStatus, task_finished, task_started
from django_tasks_q.conf import DEFAULTS
from django_tasks_q.lifecycle import Ending
from django_tasks_q.results import TasksQResult
from django_tasks_q.worker.child.executor import Executor
from django_tasks_q.worker.child.outbox import Outbox
from django_tasks_q.worker.child.run_scope import RunScope
from django_tasks_q.worker.wire.frames import HEADER, Limit, Run
from django_tasks_q.worker.wire.jobs import JobRow

from ..jobs import make_job

LIMITED = {"timeout": 5, "max_attempts": 3, "backoff": {"kind": "constant", "seconds": 2}}
pytestmark = pytest.mark.django_db(transaction=True)


class Announced(Outbox):
    """Keeps the limits that were announced."""

    def __init__(self) -> None:
        self.limits: list[Limit] = []

    def limit(self, limit: Limit) -> None:
        self.limits.append(limit)


@pytest.fixture
def executor() -> Executor:
    return Executor("default")


def execute(executor: Executor, task_path: str, *args: Any, outbox: Outbox | None = None, **changes: Any) -> Run:
    job = make_job(task_path, args=json.dumps(args), **changes)
    row = JobRow.of(job, "default", time.time(), "worker-1", 0.0)
    return executor.run(RunScope(1, row, outbox or Outbox()))


def error_of(run: Run) -> dict[str, Any]:
    assert run.error is not None
    error: dict[str, Any] = json.loads(run.error)
    return error


@pytest.mark.parametrize("name", ["add", "add_async"])
def test_a_return_value_comes_back_as_json(executor: Executor, name: str) -> None:
    run = execute(executor, f"tests.tasks.{name}", 1, 2)
    assert (run.ending, run.return_value, run.error, run.retry) == (Ending.SUCCESS, "3", None, False)
    assert run.finished_at >= run.started_at


def test_a_context_comes_first(executor: Executor) -> None:
    run = execute(executor, "tests.tasks.describe_context", 5, attempt=3, metadata='{"trace": "x"}')
    assert run.return_value is not None
    found = json.loads(run.return_value)
    assert (found["attempt"], found["metadata"], found["args"]) == (3, {"trace": "x"}, [5])


def test_an_error_is_described(executor: Executor) -> None:
    run = execute(executor, "tests.tasks.boom", "bad\nworse", attempt=2)
    error = error_of(run)
    assert (run.ending, run.retry, run.reason) == (Ending.ERROR, False, "ValueError: bad")
    assert (error["exception"], error["worker"], error["attempt"]) == ("builtins.ValueError", "worker-1", 2)
    assert error["kind"] == "error"
    assert error["started_at"] <= error["finished_at"]
    assert "raise ValueError(message)" in error["traceback"]


def test_an_error_is_retried_as_long_as_there_are_attempts(executor: Executor) -> None:
    delays = [execute(executor, "tests.tasks.boom_thrice", failures=failures) for failures in (0, 1, 2)]
    assert [(run.retry, run.retry_in) for run in delays] == [(True, 0.05), (True, 0.05), (False, 0.0)]
    # Failures count, not attempts: some may have been lost with their process.
    assert execute(executor, "tests.tasks.boom_thrice", attempt=9).retry


def test_the_options_of_a_call_win(executor: Executor) -> None:
    run = execute(
        executor, "tests.tasks.boom", options='{"max_attempts": 2, "backoff": {"kind": "constant", "seconds": 7}}'
    )
    assert (run.retry, run.retry_in) == (True, 7.0)


@pytest.mark.parametrize("text", ["\x00", "\ud800", "x" * 100_000])
def test_texts_that_no_database_takes_are_cleaned(executor: Executor, text: str) -> None:
    run = execute(executor, "tests.tasks.boom", text)
    error = error_of(run)
    assert "\\u0000" not in str(run.error)
    assert len(error["traceback"]) < DEFAULTS.max_traceback + 100
    run.reason.encode()
    assert len(run.reason) <= 500
    assert "\x00" not in run.reason
    assert Run.decode(1, run.encode()[HEADER.size :]) == run


def test_a_long_traceback_keeps_its_ends(executor: Executor) -> None:
    traceback = error_of(execute(executor, "tests.tasks.boom", "x" * 100_000 + " the end"))["traceback"]
    assert traceback.startswith("Traceback (most recent call last)")
    assert "characters left out" in traceback
    assert traceback.endswith("the end\n")


def test_a_hard_limit_is_announced_with_what_follows_it(executor: Executor) -> None:
    outbox = Announced()
    execute(executor, "tests.tasks.overrun", 0, outbox=outbox)
    execute(executor, "tests.tasks.noop", outbox=outbox, options=json.dumps(LIMITED))
    assert [(limit.seq, limit.timeout, limit.retry, limit.retry_in) for limit in outbox.limits] == [
        (1, 1.0, False, 0.0),
        (1, 5.0, True, 2.0),
    ]
    execute(executor, "tests.tasks.noop", outbox=outbox)
    assert len(outbox.limits) == 2


def test_an_unknown_task_goes_back_uncharged(executor: Executor) -> None:
    run = execute(executor, "tests.tasks.nowhere")
    assert (run.ending, run.retry, run.retry_in) == (Ending.PARKED, True, DEFAULTS.unknown_task_delay)
    assert error_of(run)["kind"] == "parked"
    # Only the first time: the errors are bounded.
    again = execute(executor, "tests.tasks.nowhere", errors=f"[{run.error}]")
    assert (again.ending, again.retry, again.error) == (Ending.PARKED, True, None)
    assert "tests.tasks.nowhere" in again.reason


def test_an_unknown_task_fails_after_the_grace(executor: Executor) -> None:
    parked = {**error_of(execute(executor, "tests.tasks.nowhere")), "started_at": "2020-01-01T00:00:00+00:00"}
    run = execute(executor, "tests.tasks.nowhere", errors=json.dumps([parked]))
    assert (run.ending, run.retry, error_of(run)["kind"]) == (Ending.UNKNOWN_TASK, False, "parked")
    assert error_of(run)["exception"] == "django_tasks_q.exceptions.UnknownTask"


def test_what_is_not_marked_as_a_task_is_not_called(executor: Executor) -> None:
    for path in ("os.getcwd", "builtins.print", "tests.models.Effect"):
        run = execute(executor, path)
        assert (run.ending, run.retry) == (Ending.PARKED, True)
        assert "@task" in run.reason


@pytest.mark.parametrize(
    "columns",
    [{"kwargs": "[1]"}, {"kwargs": "{"}, {"options": '{"timeout": "soon"}'}, {"errors": "{}"}, {"metadata": "1"}],
)
def test_a_damaged_row_fails_at_once(executor: Executor, columns: dict[str, str]) -> None:
    run = execute(executor, "tests.tasks.boom_thrice", **columns)
    assert (run.ending, run.retry, error_of(run)["kind"]) == (Ending.CORRUPT, False, "error")
    assert error_of(run)["exception"] == "django_tasks_q.exceptions.CorruptJob"


def test_an_unstorable_return_value_fails_at_once(executor: Executor) -> None:
    run = execute(executor, "tests.tasks.return_unserializable", options='{"max_attempts": 5}')
    assert (run.ending, run.retry) == (Ending.ERROR, False)
    assert "the return value" in run.reason


@pytest.fixture
def quiet() -> Iterator[None]:
    """As the worker runs, which says of each job what the framework's log would."""
    log = logging.getLogger(FRAMEWORK)
    before = log.level
    log.setLevel(logging.WARNING)
    yield
    log.setLevel(before)


@pytest.mark.usefixtures("quiet")
def test_receivers_see_a_job_from_its_beginning_to_its_end(executor: Executor) -> None:
    seen: list[tuple[Any, ...]] = []

    def receiver(signal: Signal, task_result: Any, **kwargs: Any) -> None:
        facts = (task_result.status, task_result.args, task_result.attempts, task_result.worker_ids)
        seen.append((signal is task_finished, *facts, task_result.enqueued_at, task_result.task.priority))

    enqueued_at = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    for signal in (task_started, task_finished):
        signal.connect(receiver)
    try:
        execute(executor, "tests.tasks.add", 1, 2, enqueued_at=enqueued_at, priority=7)
    finally:
        for signal in (task_started, task_finished):
            signal.disconnect(receiver)
    common = ([1, 2], 1, ["worker-1"], enqueued_at, 7)
    assert seen == [
        (False, TaskResultStatus.RUNNING, *common),
        (True, TaskResultStatus.SUCCESSFUL, *common),
    ]


@pytest.mark.usefixtures("quiet")
def test_what_nobody_hears_is_not_made(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(TasksQResult, "__post_init__", lambda result: made.append(result))
    for signal in (task_started, task_finished):
        monkeypatch.setattr(signal, "receivers", [entry for entry in signal.receivers if "log_task" in str(entry[1])])
    assert execute(executor, "tests.tasks.add", 1, 2).ending is Ending.SUCCESS
    assert made == []
    execute(executor, "tests.tasks.boom")
    assert len(made) == 1
