"""assert_enqueued() and its kin."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.test import TestCase
from django.utils import timezone

from django_tasks_q import enqueue_on_commit
from django_tasks_q.compat import InvalidTask
from django_tasks_q.testing import (
    RecordingBackend,
    aassert_enqueued,
    aassert_not_enqueued,
    aenqueued_jobs,
    assert_enqueued,
    assert_not_enqueued,
    enqueued_jobs,
    run_jobs,
)

from ..tasks import add, echo, noop

RECORDING = {"default": {"BACKEND": "django_tasks_q.testing.RecordingBackend", "QUEUES": []}}
BACKENDS = pytest.mark.parametrize("recording", [False, True], ids=["stored", "recorded"])


@pytest.fixture
def backend(recording: bool, settings: Any, db: None) -> None:
    if recording:
        settings.TASKS = RECORDING


@pytest.mark.usefixtures("backend")
@BACKENDS
class TestAssertEnqueued:
    def test_it_returns_the_result(self) -> None:
        first = add.enqueue(1, b=2)
        add.enqueue(3, 4)
        assert assert_enqueued(add) == first
        assert assert_enqueued("tests.tasks.add", 1, 2) == first
        assert assert_enqueued(add, a=mock.ANY, b=4).args == [3, 4]

    def test_the_arguments_are_compared_as_the_task_gets_them(self) -> None:
        echo.enqueue((1, "two"), options={"ids": (1, 2)})
        assert_enqueued(echo, [1, "two"], options={"ids": [1, 2]})
        assert_enqueued(echo, (1, "two"), options={"ids": mock.ANY})
        assert_not_enqueued(echo, [1, "two"])

    def test_the_message_lists_what_there_is(self) -> None:
        with pytest.raises(AssertionError, match=r"^tests.tasks.add\(1, b=3\) was not enqueued. Nothing was.$"):
            assert_enqueued(add, 1, b=3)
        noop.enqueue()
        add.using(queue_name="mail").enqueue(1, 2)
        with pytest.raises(AssertionError) as failed:
            assert_enqueued(add, 1, b=3, queue_name="other")
        assert str(failed.value).splitlines() == [
            "tests.tasks.add(1, b=3) with queue_name='other' was not enqueued. There are:",
            "  tests.tasks.add(1, 2) queue_name='mail' READY",
        ]
        with pytest.raises(AssertionError, match=r"echo was not enqueued. There are:\n  tests.tasks.noop\(\)(?s:.*)a"):
            assert_enqueued(echo)

    def test_what_must_not_be(self) -> None:
        assert_not_enqueued(add)
        add.enqueue(1, 2)
        assert_not_enqueued(add, 2, 1)
        assert_not_enqueued(add, queue_name="mail")
        with pytest.raises(AssertionError, match=r"^tests.tasks.add was enqueued. There are:\n.*add\(1, 2\)"):
            assert_not_enqueued(add)

    def test_when_it_is_to_run(self) -> None:
        moment = timezone.now() + timedelta(days=1)
        add.using(run_after=timedelta(hours=1)).enqueue(1, 2)
        add.using(run_after=moment).enqueue(3, 4)
        assert assert_enqueued(add, run_after=timedelta(hours=1)).args == [1, 2]
        assert assert_enqueued(add, run_after=moment).args == [3, 4]
        assert_not_enqueued(add, run_after=timedelta(hours=2))

    def test_arguments_that_no_call_can_have_are_a_mistake_of_the_test(self) -> None:
        with pytest.raises(TypeError, match="unexpected keyword argument 'queue'"):
            assert_enqueued(add, 1, 2, queue="mail")
        with pytest.raises(TypeError, match=r"add\(\) does not take these arguments: too many positional arguments"):
            assert_enqueued(add, 1, 2, 3)

    def test_a_function_is_no_task(self) -> None:
        with pytest.raises(InvalidTask, match=r"<function add at .*> is not a task. Give a function with a @task"):
            assert_enqueued(add.func)  # type: ignore[arg-type]

    def test_all_of_them(self) -> None:
        first, second = add.enqueue(1, 2), noop.using(queue_name="mail").enqueue()
        assert enqueued_jobs() == [first, second]
        assert enqueued_jobs(add) == [first]
        assert enqueued_jobs(queue_name="mail", backend="default") == [second]


def test_what_has_run_counts_too(db: None) -> None:
    add.enqueue(1, 2)
    run_jobs()
    assert assert_enqueued(add, 1, 2).return_value == 3


def test_a_call_that_waits_for_a_commit_is_named(db: None) -> None:
    enqueue_on_commit(add, 1, 2)
    with pytest.raises(AssertionError, match=r"1 calls of enqueue_on_commit\(\) wait.*captureOnCommitCallbacks"):
        assert_enqueued(add)


class OnCommit(TestCase):
    def test_captured_callbacks(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            enqueue_on_commit(add, 1, 2)
        assert_enqueued(add, 1, 2)
        assert run_jobs()[0].return_value == 3


class Asynchronous(TestCase):
    async def test_async_forms(self) -> None:
        await add.aenqueue(1, 2)
        await aassert_enqueued(add, 1, 2)
        await aassert_not_enqueued(noop)
        assert len(await aenqueued_jobs(add)) == 1
        with self.assertRaisesMessage(SynchronousOnlyOperation, "use: await aassert_enqueued()"):
            assert_enqueued(add)


def test_recording_needs_no_database(settings: Any) -> None:
    settings.TASKS = RECORDING
    result = add.enqueue(1, 2)
    assert assert_enqueued(add, 1, 2) == result
    assert isinstance(add.get_backend(), RecordingBackend)
