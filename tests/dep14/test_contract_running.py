"""What DEP 14 promises of running: outcomes, the context, the signals and the log, on every supported Django."""

import logging
import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import override_settings
from django.utils import timezone

from django_tasks_q.backend import TasksQBackend
from django_tasks_q.compat import FRAMEWORK, TaskContext, TaskResultStatus, task_enqueued, task_finished, task_started
from django_tasks_q.context import Context
from django_tasks_q.models import Job

from ..models import Effect
from ..workers import WorkerProcess
from . import tasks
from .running import WORKER, run_now

pytestmark = pytest.mark.django_db(transaction=True)
SIGNALS = {"enqueued": task_enqueued, "started": task_started, "finished": task_finished}


# Outcomes


@pytest.mark.parametrize("task", [tasks.add, tasks.add_async], ids=["sync", "async"])
def test_a_success(task: Any) -> None:
    result = run_now(task.enqueue(1, b=2))
    assert (result.status, result.return_value, result.errors) == (TaskResultStatus.SUCCESSFUL, 3, [])
    assert result.enqueued_at <= result.started_at <= result.finished_at


def test_moments_are_of_now() -> None:
    before = timezone.now()
    result = run_now(tasks.add.enqueue(1, 2))
    assert before <= result.started_at <= result.finished_at <= timezone.now()


def test_nothing_returned_is_a_success_too() -> None:
    result = run_now(tasks.nothing.enqueue())
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, None)


@pytest.mark.parametrize(
    ("task", "args", "kind", "ending"),
    [
        (tasks.fail, ["no"], LookupError, "LookupError: no\n"),
        (tasks.fail_async, ["no"], LookupError, "LookupError: no\n"),
        (tasks.leave, ["bye"], SystemExit, "SystemExit: bye\n"),
        (tasks.interrupt, [], KeyboardInterrupt, "KeyboardInterrupt\n"),
        (tasks.fail_with_an_error_in_an_error, [], ValueError, "ValueError: inner\n"),
        (tasks.fail_because_of_another, [], RuntimeError, "RuntimeError: second\n"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_failure(task: Any, args: list[Any], kind: type[BaseException], ending: str) -> None:
    result = run_now(task.enqueue(*args))
    assert (result.status, result.is_finished) == (TaskResultStatus.FAILED, True)
    assert [error.exception_class for error in result.errors] == [kind]
    assert result.errors[0].traceback.startswith(("Traceback (most recent call last):\n", "KeyError"))
    assert result.errors[0].traceback.endswith(ending)
    assert task.func.__name__ in result.errors[0].traceback
    assert result.enqueued_at <= result.started_at <= result.finished_at


def test_the_traceback_shows_causes() -> None:
    traceback = run_now(tasks.fail_because_of_another.enqueue()).errors[0].traceback
    assert "KeyError: 'first'" in traceback
    assert "direct cause" in traceback


def test_a_return_value_that_is_not_json_is_a_failure() -> None:
    result = run_now(tasks.return_a_function.enqueue())
    assert (result.status, result._return_value) == (TaskResultStatus.FAILED, None)
    assert result.errors[0].exception_class is TypeError
    assert "Unsupported type" in result.errors[0].traceback


def test_a_return_value_of_bytes_that_are_no_text_is_a_failure() -> None:
    result = run_now(tasks.return_bytes.enqueue())
    assert (result.status, result._return_value) == (TaskResultStatus.FAILED, None)
    assert result.errors[0].exception_class is ValueError
    assert "Unsupported value" in result.errors[0].traceback


def test_arguments_that_do_not_fit_are_a_failure(settings: Any) -> None:
    default = settings.TASKS["default"]
    settings.TASKS = {"default": {**default, "OPTIONS": {"check_arguments": False}}}
    result = run_now(tasks.add.enqueue(1))
    assert result.errors[0].exception_class is TypeError
    assert "missing 1 required positional argument: 'b'" in result.errors[0].traceback


# The context


@pytest.mark.parametrize("task", [tasks.describe, tasks.describe_async], ids=["sync", "async"])
def test_the_context_comes_first(task: Any) -> None:
    result = run_now(task.enqueue("then", "these"))
    assert result.return_value == [result.id, 1, "RUNNING", "then", "these"]
    assert result.args == ["then", "these"]


def test_the_context_is_the_frameworks() -> None:
    assert issubclass(Context, TaskContext)


# The signals


@pytest.fixture
def sent() -> Iterator[list[Any]]:
    """Each signal as it was received: its name, its sender, what the result said then, and the error in flight."""
    seen: list[Any] = []

    def receive(name: str) -> Any:
        def note(sender: Any, task_result: Any, **kwargs: Any) -> None:
            names = ("id", "status", "attempts", "started_at", "last_attempted_at", "finished_at", "worker_ids")
            then = {item: getattr(task_result, item) for item in names}
            error = sys.exc_info()[1]
            stored = Job.objects.filter(pk=task_result.id).exists()
            errors = list(task_result.errors)
            value = task_result.return_value if task_result.status == "SUCCESSFUL" else None
            then |= {"name": name, "sender": sender, "error": error, "stored": stored, "errors": errors}
            seen.append(SimpleNamespace(**then, value=value, task=task_result.task))

        return note

    receivers = {name: receive(name) for name in SIGNALS}
    for name, signal in SIGNALS.items():
        signal.connect(receivers[name])
    yield seen
    for name, signal in SIGNALS.items():
        signal.disconnect(receivers[name])


def test_three_signals_tell_of_a_success(sent: list[Any]) -> None:
    result = run_now(tasks.add.enqueue(1, 2))
    enqueued, started, finished = sent
    assert [item.name for item in sent] == ["enqueued", "started", "finished"]
    assert {item.sender for item in sent} == {TasksQBackend}
    assert {item.id for item in sent} == {result.id}
    assert {item.task for item in sent} == {tasks.add}
    assert (enqueued.status, enqueued.attempts, enqueued.stored) == (TaskResultStatus.READY, 0, True)
    assert (started.status, started.worker_ids, started.finished_at) == (TaskResultStatus.RUNNING, [WORKER], None)
    assert (finished.status, finished.value, finished.error) == (TaskResultStatus.SUCCESSFUL, 3, None)


def test_the_last_signal_of_a_failure_is_sent_in_its_handler(sent: list[Any]) -> None:
    run_now(tasks.fail.enqueue("no"))
    assert [item.name for item in sent] == ["enqueued", "started", "finished"]
    finished = sent[-1]
    assert finished.status == TaskResultStatus.FAILED
    assert isinstance(finished.error, LookupError)
    assert [error.exception_class for error in finished.errors] == [LookupError]


@pytest.mark.parametrize("use_tz", [True, False])
def test_receivers_see_the_moments_of_the_attempt(sent: list[Any], use_tz: bool) -> None:
    with override_settings(USE_TZ=use_tz):
        result = run_now(tasks.add.enqueue(1, 2))
        _, started, finished = sent
        assert result.enqueued_at <= started.started_at == started.last_attempted_at
        assert finished.started_at <= finished.finished_at <= timezone.now()
        assert (finished.started_at, finished.finished_at) == (result.started_at, result.finished_at)
        assert timezone.is_aware(finished.finished_at) is use_tz


def test_each_attempt_starts_and_only_the_last_one_finishes(sent: list[Any]) -> None:
    result = tasks.fail.using(max_attempts=2, backoff=0).enqueue("no")
    run_now(result, worker_id="first")
    run_now(result, worker_id="second")
    assert [item.name for item in sent] == ["enqueued", "started", "started", "finished"]
    first, second = sent[1:3]
    assert (first.attempts, first.worker_ids) == (1, ["first"])
    assert (second.attempts, second.worker_ids) == (2, ["first", "second"])
    assert second.started_at <= first.last_attempted_at < second.last_attempted_at
    assert len(sent[-1].errors) == 2


def test_aenqueue_sends_it_too(sent: list[Any]) -> None:
    result = async_to_sync(tasks.add.aenqueue)(1, 2)
    assert [(item.name, item.id, item.stored) for item in sent] == [("enqueued", result.id, True)]


def test_a_receiver_that_fails_does_not_hurt_the_job() -> None:
    def fail(**kwargs: Any) -> None:
        raise RuntimeError("This receiver fails.")

    for signal in (task_started, task_finished):
        signal.connect(fail)
    try:
        assert run_now(tasks.add.enqueue(1, 2)).return_value == 3
    finally:
        for signal in (task_started, task_finished):
            signal.disconnect(fail)


def test_a_worker_sends_them_in_the_process_that_runs_the_task(worker: WorkerProcess) -> None:
    result = tasks.where.enqueue().wait(60)
    noted = list(Effect.objects.order_by("pk").values_list("label", "attempt", "pid"))
    pid = result.return_value
    assert pid not in {os.getpid(), worker.pid}
    assert noted == [("TasksQBackend RUNNING", 1, pid), ("TasksQBackend SUCCESSFUL", 1, pid)]


# The log


def test_a_success_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, FRAMEWORK):
        result = run_now(tasks.add.enqueue(1, 2))
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == FRAMEWORK]
    path = f"id={result.id} path=tests.dep14.tasks.add"
    assert lines == [
        ("DEBUG", f"Task {path} enqueued backend=default"),
        ("INFO", f"Task {path} state=RUNNING"),
        ("INFO", f"Task {path} state=SUCCESSFUL"),
    ]
    assert "None" not in caplog.text


def test_a_failure_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, FRAMEWORK):
        run_now(tasks.fail.enqueue("no"))
    last = caplog.records[-1]
    assert (last.name, last.levelname) == (FRAMEWORK, "ERROR")
    assert last.getMessage().endswith("state=FAILED")
    assert last.exc_info is not None
    assert isinstance(last.exc_info[1], LookupError)
