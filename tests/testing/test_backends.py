"""The backends for tests: results, ids and errors are those of the real one."""

import uuid
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from django_tasks_q import TasksQResult, enqueue, enqueue_many, enqueue_on_commit
from django_tasks_q.compat import TaskResultDoesNotExist, TaskResultStatus, task_backends, task_enqueued
from django_tasks_q.control import queues
from django_tasks_q.exceptions import UnserializableError
from django_tasks_q.models import Job, Result

from ..tasks import add, boom, boom_thrice, describe_context, echo
from . import tasks


def use(settings: Any, name: str, **options: Any) -> Any:
    settings.TASKS = {
        "default": {"BACKEND": f"django_tasks_q.testing.{name}", "QUEUES": [], "OPTIONS": options},
        "elsewhere": settings.TASKS["elsewhere"],
    }
    return task_backends["default"]


class TestImmediate:
    @pytest.fixture(autouse=True)
    def backend(self, settings: Any, db: None) -> None:
        use(settings, "ImmediateBackend")

    def test_a_job_has_run_when_enqueue_returns(self) -> None:
        result = add.enqueue(1, 2)
        assert isinstance(result, TasksQResult)
        assert (result.return_value, uuid.UUID(result.id).version) == (3, 7)
        assert result.wait(0).is_finished
        assert not result.cancel()
        assert add.get_result(result.id) == result
        assert str(Result.objects.get().pk) == result.id

    def test_with_context_metadata_and_progress(self) -> None:
        assert describe_context.using(metadata={"a": 1}).enqueue(5).return_value["metadata"] == {"a": 1}
        assert tasks.report.enqueue(2).progress[:2] == (2, 2)

    def test_all_attempts_are_made(self) -> None:
        result = boom_thrice.enqueue()
        assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 3)

    def test_a_delay_is_ignored(self) -> None:
        assert add.using(run_after=timedelta(days=1)).enqueue(1, 2).return_value == 3

    def test_many_and_by_path(self) -> None:
        assert [result.return_value for result in add.enqueue_many([(1, 2), (3, 4)])] == [3, 7]
        found = enqueue_many([(add, (1, 2), {}), (echo.using(queue_name="mail"), (), {})])
        assert [result.return_value for result in found] == [3, [[], {}]]
        assert enqueue("tests.tasks.add", 1, 2).return_value == 3

    def test_a_task_that_enqueues_another(self) -> None:
        with mock.patch.object(tasks, "service", return_value=7):
            result = tasks.parent.enqueue()
        assert tasks.call_service.get_result(result.return_value).return_value == 7

    def test_what_is_wrong_is_refused(self) -> None:
        with pytest.raises(UnserializableError, match="64"):
            echo.enqueue(10**30)
        with pytest.raises(TypeError, match="missing a required argument"):
            add.enqueue(1)

    def test_a_queue_that_is_paused_keeps_its_jobs(self) -> None:
        queues.pause("default")
        assert add.enqueue(1, 2).status == TaskResultStatus.READY
        assert Job.objects.count() == 1

    def test_it_is_undone_with_the_caller_s_transaction(self) -> None:
        with transaction.atomic():
            add.enqueue(1, 2)
            transaction.set_rollback(True)
        assert not Result.objects.exists()

    def test_errors_may_be_raised(self, settings: Any) -> None:
        use(settings, "ImmediateBackend", raise_errors=True, max_attempts=2, backoff=9)
        with pytest.raises(ValueError, match="^bad$"):
            boom.enqueue("bad")
        assert Result.objects.get().attempt == 2


@pytest.mark.django_db(transaction=True)
def test_immediately_after_a_commit(settings: Any) -> None:
    use(settings, "ImmediateBackend")
    with transaction.atomic():
        enqueue_on_commit(add, 1, 2)
        assert not Result.objects.exists()
    assert Result.objects.get().return_value == 3


class TestRecording:
    @pytest.fixture(autouse=True)
    def backend(self, settings: Any) -> Any:
        return use(settings, "RecordingBackend")

    def test_nothing_runs_and_everything_is_kept(self, backend: Any) -> None:
        result = add.using(priority=7, run_after=timedelta(hours=1)).enqueue(1, b=2)
        assert isinstance(result, TasksQResult)
        assert (result.status, uuid.UUID(result.id).version) == (TaskResultStatus.READY, 7)
        assert backend.results == [result]
        assert (result.task.priority, result.args, result.kwargs) == (7, [1], {"b": 2})
        assert add.get_result(result.id) == result
        with pytest.raises(TaskResultDoesNotExist):
            add.get_result("nothing")

    def test_what_is_wrong_is_refused(self, backend: Any) -> None:
        with pytest.raises(UnserializableError, match="64"):
            echo.enqueue(10**30)
        assert backend.results == []

    def test_a_call_can_be_cancelled(self) -> None:
        result = add.enqueue(1, 2)
        assert result.cancel()
        assert not result.is_finished
        result.refresh()
        assert result.is_finished
        assert not result.cancel()

    def test_a_wait_that_could_never_end_is_refused_at_once(self) -> None:
        result = add.enqueue(1, 2)
        with pytest.raises(TimeoutError, match="RecordingBackend has recorded the call .* and runs nothing"):
            result.wait()
        result.cancel()
        assert result.wait().is_finished
        assert async_to_sync(result.await_result)() is result

    def test_the_signal_is_sent(self) -> None:
        heard: list[Any] = []

        def hear(task_result: Any, **kwargs: Any) -> None:
            heard.append(task_result)

        task_enqueued.connect(hear)
        try:
            assert heard == add.enqueue_many([(1, 2), (3, 4)])
        finally:
            task_enqueued.disconnect(hear)

    def test_they_can_be_forgotten(self, backend: Any) -> None:
        add.enqueue(1, 2)
        backend.clear()
        assert backend.results == []
