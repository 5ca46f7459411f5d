"""Which backends and databases run_jobs() is about."""

from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.test import SimpleTestCase, TestCase

from django_tasks_q.compat import FRAMEWORK
from django_tasks_q.models import Job
from django_tasks_q.testing import arun_jobs, assert_enqueued, enqueued_jobs, run_jobs

from ..models import Effect
from ..tasks import add, add_async
from . import tasks

ELSEWHERE = add.using(backend="elsewhere")


class BothDatabases(TestCase):
    databases = {"default", "queue"}

    def test_jobs_of_all_backends_run(self) -> None:
        here, there = add.enqueue(1, 2), ELSEWHERE.enqueue(3, 4)
        assert Job.objects.using("queue").count() == 1
        assert assert_enqueued(ELSEWHERE) == there
        assert enqueued_jobs() == [here, there]
        assert [result.return_value for result in run_jobs()] == [3, 7]

    def test_or_of_one(self) -> None:
        here, there = add.enqueue(1, 2), ELSEWHERE.enqueue(3, 4)
        assert [result.id for result in run_jobs(backend="elsewhere")] == [there.id]
        assert [result.id for result in run_jobs(backend="default")] == [here.id]

    def test_an_error_in_one_database_leaves_the_other_alone(self) -> None:
        tasks.write_and_break.using(backend="elsewhere").enqueue("stays")
        assert run_jobs()[0].is_finished
        assert Effect.objects.get().label == "stays"


class OneDatabase(TestCase):
    def test_what_the_test_may_not_use_is_left_out(self) -> None:
        add.enqueue(1, 2)
        assert len(run_jobs()) == 1

    def test_unless_it_is_named(self) -> None:
        with self.assertRaisesMessage(AssertionError, "to 'queue' are not allowed"):
            run_jobs(backend="elsewhere")

    def test_backends_that_cannot_be_meant(self) -> None:
        with self.assertRaisesMessage(
            ValueError, 'The backend "nowhere" is not in TASKS; jobs can be run of default,'
        ):
            run_jobs(backend="nowhere")

    async def test_in_an_async_test(self) -> None:
        with self.assertRaisesMessage(SynchronousOnlyOperation, "use: await arun_jobs()"):
            run_jobs()
        await add.aenqueue(1, 2)
        await add_async.aenqueue(3, 4)
        await tasks.ask_async.aenqueue("why")
        assert [result.return_value for result in await arun_jobs()] == [3, 7, "why!"]
        assert await Effect.objects.acount() == 1

    async def test_an_async_task_is_told_that_it_is_cancelled(self) -> None:
        result = await tasks.cancel_itself.aenqueue()
        await arun_jobs()
        assert await Effect.objects.acount() == 0
        await result.arefresh()
        assert result.is_finished


class NoDatabase(SimpleTestCase):
    def test_django_s_own_words(self) -> None:
        with self.assertRaisesMessage(AssertionError, "Database queries to 'default' are not allowed"):
            run_jobs()


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (f"{FRAMEWORK}.backends.immediate.ImmediateBackend", "TASKS has no backend of this package"),
        ("django_tasks_q.testing.RecordingBackend", "TASKS has no backend of this package"),
    ],
)
def test_other_backends_have_nothing_to_run(db: None, settings: Any, backend: str, message: str) -> None:
    settings.TASKS = {"default": {"BACKEND": backend, "QUEUES": []}}
    with pytest.raises(ValueError, match=message):
        run_jobs()


def test_a_backend_of_another_package_is_named(db: None, settings: Any) -> None:
    settings.TASKS = {**settings.TASKS, "dummy": {"BACKEND": f"{FRAMEWORK}.backends.dummy.DummyBackend"}}
    with pytest.raises(ValueError, match='"dummy" is DummyBackend; jobs can be run of default, elsewhere'):
        run_jobs(backend="dummy")
