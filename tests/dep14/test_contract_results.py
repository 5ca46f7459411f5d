"""What DEP 14 promises of enqueueing and of results, on every supported Django."""

import pickle
from datetime import UTC, datetime
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from django_tasks_q.compat import (
    InvalidTask,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultMismatch,
    TaskResultStatus,
    task_backends,
)
from django_tasks_q.models import Job

from . import tasks
from .running import WORKER, run_now

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "django_tasks_q.backend.TasksQBackend"
COLOURS = ["sync", "async"]


def enqueue(task: Any, colour: str, *args: Any, **kwargs: Any) -> Any:
    return task.enqueue(*args, **kwargs) if colour == "sync" else async_to_sync(task.aenqueue)(*args, **kwargs)


def get_result(source: Any, colour: str, result_id: Any) -> Any:
    """Ask a task or a backend for a result."""
    return source.get_result(result_id) if colour == "sync" else async_to_sync(source.aget_result)(result_id)


def refresh(result: Any, colour: str) -> None:
    if colour == "sync":
        result.refresh()
    else:
        async_to_sync(result.arefresh)()


# enqueue()


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("task", [tasks.add, tasks.add_async], ids=COLOURS)
def test_enqueue_answers_with_a_whole_result(task: Any, colour: str) -> None:
    before = timezone.now()
    result = enqueue(task, colour, 1, b=2)
    assert isinstance(result, TaskResult)
    assert (result.task, result.args, result.kwargs, result.backend) == (task, [1], {"b": 2}, "default")
    assert (result.status, result.is_finished, result.attempts) == (TaskResultStatus.READY, False, 0)
    assert (result.errors, result.worker_ids) == ([], [])
    assert (result.started_at, result.last_attempted_at, result.finished_at) == (None, None, None)
    assert before <= result.enqueued_at <= timezone.now()
    assert isinstance(result.id, str)
    assert 0 < len(result.id) < 64


@pytest.mark.parametrize("colour", COLOURS)
def test_the_backend_enqueues_as_the_task_does(colour: str) -> None:
    backend = task_backends["default"]
    if colour == "sync":
        result = backend.enqueue(tasks.add, (1,), {"b": 2})
    else:
        result = async_to_sync(backend.aenqueue)(tasks.add, (1,), {"b": 2})
    assert (result.task, result.args, result.kwargs) == (tasks.add, [1], {"b": 2})


def test_arguments_become_json() -> None:
    result = tasks.nothing.enqueue((1, (2,)), text=b"bytes", nested={"a": ({"b": None},)})
    assert (result.args, result.kwargs) == ([[1, [2]]], {"text": "bytes", "nested": {"a": [{"b": None}]}})
    assert tasks.nothing.get_result(result.id) == result


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("value", [datetime(2030, 1, 1), {1}, object(), tasks.add.func])
def test_what_is_not_json_is_a_type_error(value: Any, colour: str) -> None:
    for args, kwargs in (([value], {}), ([], {"a": [value]})):
        with pytest.raises(TypeError, match="Unsupported type"):
            enqueue(tasks.nothing, colour, *args, **kwargs)
    assert not Job.objects.exists()


@pytest.mark.parametrize("colour", COLOURS)
def test_a_task_is_validated_again_when_it_is_enqueued(colour: str) -> None:
    task = tasks.add.using(queue_name="mail")
    with (
        override_settings(TASKS={"default": {"BACKEND": BACKEND, "QUEUES": ["default"]}}),
        pytest.raises(InvalidTask, match=r"Queue 'mail' is not valid for backend\."),
    ):
        enqueue(task, colour, 1, 2)
    assert not Job.objects.exists()


def test_enqueue_does_not_wait_for_the_commit_and_is_undone_without_one() -> None:
    with transaction.atomic():
        result = tasks.add.enqueue(1, 2)
        assert result.enqueued_at is not None
        assert tasks.add.get_result(result.id) == result
        transaction.set_rollback(True)
    with pytest.raises(TaskResultDoesNotExist):
        tasks.add.get_result(result.id)


# get_result()


@pytest.mark.parametrize("colour", COLOURS)
def test_a_result_is_fetched_as_it_was_given(colour: str) -> None:
    changed = tasks.nothing.using(priority=-3, queue_name="mail", run_after=datetime(2130, 1, 1, tzinfo=UTC))
    for task in (tasks.add, tasks.add_async, tasks.describe, changed):
        result = task.enqueue(1, 2)
        assert get_result(task, colour, result.id) == result
        assert get_result(task_backends["default"], colour, result.id) == result


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("result_id", ["0197b1d0-5a7e-4c3e-9d9c-6a0f4f2d7e11", "123", "", "x" * 100, "☃", 123, None])
def test_there_is_no_such_result(result_id: Any, colour: str) -> None:
    for source in (tasks.add, task_backends["default"]):
        with pytest.raises(TaskResultDoesNotExist, match=f"the id '{result_id}'"):
            get_result(source, colour, result_id)


@pytest.mark.parametrize("colour", COLOURS)
def test_the_result_of_another_task(colour: str) -> None:
    result = tasks.add.enqueue(1, 2)
    with pytest.raises(TaskResultMismatch, match=r"Task does not match \(received 'tests\.dep14\.tasks\.add'\)"):
        get_result(tasks.nothing, colour, result.id)
    assert get_result(tasks.add.using(priority=5), colour, result.id).id == result.id


@pytest.mark.skipif(django.VERSION < (6, 1), reason="Tasks can be pickled from Django 6.1 on.")
def test_a_result_is_pickled() -> None:
    ready, finished, failed = tasks.add.enqueue(1, 2), tasks.add.enqueue(3, 4), tasks.fail.enqueue("no")
    run_now(ready)
    for result in (ready, finished, failed):
        result.refresh()
        assert pickle.loads(pickle.dumps(result)) == result


# What becomes of it


@pytest.mark.parametrize("colour", COLOURS)
def test_refresh_brings_the_outcome(colour: str) -> None:
    result, same = tasks.add.enqueue(1, 2), None
    same = tasks.add.get_result(result.id)
    run_now(result)
    assert (same.status, same.attempts) == (TaskResultStatus.READY, 0)
    refresh(same, colour)
    assert same == result
    assert (same.status, same.return_value, same.worker_ids) == (TaskResultStatus.SUCCESSFUL, 3, [WORKER])
    assert result.enqueued_at <= same.started_at == same.last_attempted_at <= same.finished_at


@pytest.mark.parametrize("colour", COLOURS)
def test_refresh_finds_nothing_where_the_job_was_rolled_back(colour: str) -> None:
    with transaction.atomic():
        result = tasks.add.enqueue(1, 2)
        transaction.set_rollback(True)
    with pytest.raises(TaskResultDoesNotExist, match=result.id):
        refresh(result, colour)


def test_a_return_value_is_there_only_after_a_success() -> None:
    waiting, failed = tasks.add.enqueue(1, 2), tasks.fail.using(queue_name="other").enqueue("no")
    with pytest.raises(ValueError, match="Task has not finished yet"):
        _ = waiting.return_value
    run_now(failed)
    with pytest.raises(ValueError, match="Task failed"):
        _ = failed.return_value
    assert (failed.is_finished, failed._return_value) == (True, None)
    assert run_now(waiting).return_value == 3


def test_the_return_value_of_a_running_task_is_not_there_yet(broker: Any) -> None:
    result = tasks.add.enqueue(1, 2)
    broker.claim("worker-9", "default", 1)
    result.refresh()
    assert (result.status, result.is_finished) == (TaskResultStatus.RUNNING, False)
    assert (result.attempts, result.worker_ids) == (1, ["worker-9"])
    assert result.enqueued_at <= result.started_at <= result.last_attempted_at
    with pytest.raises(ValueError, match="Task has not finished yet"):
        _ = result.return_value


def test_each_attempt_adds_its_worker_and_its_error() -> None:
    result = tasks.fail.using(max_attempts=2, backoff=0).enqueue("no")
    run_now(result, worker_id="first")
    assert (result.status, result.worker_ids, len(result.errors)) == (TaskResultStatus.READY, ["first"], 1)
    assert result.finished_at is None
    started_at = result.started_at
    run_now(result, worker_id="second")
    assert (result.status, result.worker_ids, len(result.errors)) == (TaskResultStatus.FAILED, ["first", "second"], 2)
    assert result.attempts == 2
    assert started_at == result.started_at < result.last_attempted_at <= result.finished_at


def test_a_job_that_was_claimed_and_put_back_was_never_attempted(broker: Any) -> None:
    result = tasks.add.enqueue(1, 2)
    as_enqueued = tasks.add.get_result(result.id)
    broker.release("worker-9", broker.claim("worker-9", "default", 1))
    result.refresh()
    assert result == as_enqueued
    assert (result.status, result.attempts, result.last_attempted_at) == (TaskResultStatus.READY, 0, None)


def test_an_error_names_its_class() -> None:
    error = run_now(tasks.fail.enqueue("no")).errors[0]
    assert (error.exception_class_path, error.exception_class) == ("builtins.LookupError", LookupError)


@pytest.mark.parametrize(
    ("path", "exception", "message"),
    [
        ("subprocess.run", ValueError, "'subprocess.run' does not reference a valid exception"),
        ("builtins.int", ValueError, "'builtins.int' does not reference a valid exception"),
        ("no.such.module.Error", ImportError, "no"),
    ],
)
def test_an_error_whose_class_is_none(path: str, exception: type[Exception], message: str) -> None:
    error = run_now(tasks.fail.enqueue("no")).errors[0]
    object.__setattr__(error, "exception_class_path", path)
    with pytest.raises(exception, match=message):
        _ = error.exception_class
