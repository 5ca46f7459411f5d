"""run_jobs(): the same as a worker, in a test's transaction and out of it."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone, translation

from django_tasks_q.compat import TaskResultStatus, task_finished, task_started
from django_tasks_q.control import jobs, queues
from django_tasks_q.exceptions import TaskTimeout
from django_tasks_q.models import Job, JobLog, Result, Worker
from django_tasks_q.signals import job_finished, job_retrying
from django_tasks_q.testing import run_jobs, travel

from .. import tasks as shared
from ..models import Effect
from . import tasks

SERVICE = "tests.testing.tasks.service"


@pytest.fixture(
    params=[
        pytest.param("TestCase", marks=pytest.mark.django_db),
        pytest.param("TransactionTestCase", marks=pytest.mark.django_db(transaction=True)),
    ]
)
def database() -> None:
    """Both kinds of tests."""


@pytest.fixture
def service() -> Iterator[mock.Mock]:
    with mock.patch(SERVICE) as replaced:
        yield replaced


def labels() -> list[str]:
    return sorted(Effect.objects.values_list("label", flat=True))


@pytest.mark.usefixtures("database")
class TestWhatAWorkerDoes:
    def test_a_job_runs_to_its_result(self) -> None:
        enqueued = shared.add.enqueue(1, 2)
        [result] = run_jobs()
        enqueued.refresh()
        assert result == enqueued
        assert (result.return_value, result.attempts, result.worker_ids) == (3, 1, ["run_jobs"])
        assert not Job.objects.exists()
        assert not Worker.objects.exists()
        assert run_jobs() == []

    def test_by_priority_then_age(self) -> None:
        first, urgent = shared.add.enqueue(1, 1), shared.add.using(priority=9).enqueue(2, 2)
        last = shared.add.enqueue(3, 3)
        assert [result.id for result in run_jobs()] == [urgent.id, first.id, last.id]

    def test_what_a_job_enqueues_runs_too(self, service: mock.Mock) -> None:
        service.return_value = "done"
        outer = tasks.parent.enqueue()
        first, second = run_jobs()
        assert (first.id, first.return_value) == (outer.id, second.id)
        assert str(Result.objects.get(pk=second.id).parent_id) == outer.id

    def test_a_retry_with_a_mocked_service(self, service: mock.Mock) -> None:
        service.side_effect = [OSError("away"), "done"]
        tasks.call_service.enqueue(7)
        [failed] = run_jobs()
        assert (failed.status, failed.attempts) == (TaskResultStatus.READY, 1)
        assert run_jobs() == []
        with travel(timedelta(seconds=20)) as clock:
            assert run_jobs() == []
            clock.shift(timedelta(seconds=41))
            [result] = run_jobs()
        assert (result.return_value, result.attempts) == ("done", 2)
        assert [error.exception_class_path for error in result.errors] == ["builtins.OSError"]
        assert service.call_args_list == [mock.call(7), mock.call(7)]

    def test_delays_can_be_ignored(self, service: mock.Mock) -> None:
        service.side_effect = OSError("away")
        tasks.call_service.enqueue(1)
        shared.add.using(run_after=timedelta(days=9)).enqueue(1, 2)
        later, failed = sorted(run_jobs(ignore_delays=True), key=lambda result: result.attempts)
        assert (later.return_value, failed.status, failed.attempts) == (3, TaskResultStatus.FAILED, 3)

    def test_an_error_is_recorded_or_raised(self) -> None:
        shared.boom.enqueue("bad")
        [result] = run_jobs()
        assert result.status == TaskResultStatus.FAILED
        assert "raise ValueError(message)\nValueError: bad" in result.errors[0].traceback
        again = shared.boom.enqueue("worse")
        with pytest.raises(ValueError, match="^worse$"):
            run_jobs(raise_errors=True)
        again.refresh()
        assert again.status == TaskResultStatus.FAILED

    def test_an_attempt_that_is_repeated_raises_nothing(self, service: mock.Mock) -> None:
        service.side_effect = [OSError("away"), "done"]
        tasks.call_service.enqueue(7)
        assert run_jobs(ignore_delays=True, raise_errors=True)[0].return_value == "done"

    def test_an_atomic_task_is_undone_or_done(self, service: mock.Mock) -> None:
        service.side_effect = [ValueError("bad"), None, None]
        tasks.write_and_call.enqueue("undone")
        tasks.write_and_call.enqueue("done")
        assert [result.status for result in run_jobs()] == [TaskResultStatus.FAILED, TaskResultStatus.SUCCESSFUL]
        assert labels() == ["done"]
        # What was left to on_commit() has been done for the one that committed.
        assert service.call_args_list == [mock.call("undone"), mock.call("done"), mock.call()]

    def test_an_error_of_the_database_that_is_caught_harms_nothing(self, service: mock.Mock) -> None:
        tasks.write_in_parts.enqueue("part")
        [result] = run_jobs(raise_errors=True)
        assert result.status == TaskResultStatus.SUCCESSFUL
        assert labels() == ["part 1", "part 2", "part 3", "part 4"]
        service.assert_called_once_with("part")

    def test_an_error_of_the_database_undoes_only_its_statement(self) -> None:
        tasks.write_and_break.enqueue("stays")
        [result] = run_jobs()
        assert result.errors[0].exception_class_path.endswith("IntegrityError")
        assert labels() == ["stays"]

    def test_progress_and_metadata(self) -> None:
        shared.describe_context.using(metadata={"trace": "x"}).enqueue(5)
        tasks.report.enqueue(3)
        described, reported = run_jobs()
        expected = {"attempt": 1, "id": described.id, "metadata": {"trace": "x"}, "args": [5]}
        assert described.return_value == expected
        assert reported.progress[:3] == (3, 3, "page 3")

    def test_what_is_logged_is_kept(self, caplog: pytest.LogCaptureFixture) -> None:
        before = list(logging.root.handlers)
        with mock.patch(SERVICE, side_effect=lambda *args: logging.getLogger("shop").warning("hello")):
            tasks.call_service.enqueue(1)
            run_jobs()
        assert [entry[3] for entry in JobLog.objects.get().entries] == ["hello"]
        assert logging.root.handlers == before

    def test_the_signals_are_sent(self, service: mock.Mock) -> None:
        service.side_effect = [OSError("away"), "done"]
        heard: list[Any] = []

        def hear(signal: Any, **kwargs: Any) -> None:
            heard.append(signal)

        signals = (task_started, task_finished, job_retrying, job_finished)
        for signal in signals:
            signal.connect(hear)
        try:
            tasks.call_service.enqueue(1)
            run_jobs(ignore_delays=True)
        finally:
            for signal in signals:
                signal.disconnect(hear)
        assert heard == [task_started, job_retrying, task_started, task_finished, job_finished]

    def test_the_language_and_time_zone_of_the_test_are_not_the_job_s(self) -> None:
        tasks.surroundings.enqueue()
        with translation.override("de"), timezone.override("Asia/Tokyo"):
            [result] = run_jobs()
        assert result.return_value == ["en-us", "Europe/Berlin"]


@pytest.mark.usefixtures("database")
class TestQueues:
    def test_only_those_that_are_named(self) -> None:
        mail, other = shared.add.using(queue_name="mail").enqueue(1, 2), shared.add.enqueue(1, 2)
        assert [result.id for result in run_jobs(queues="mail")] == [mail.id]
        assert [result.id for result in run_jobs(queues=["mail", "default"])] == [other.id]

    def test_one_that_is_paused_is_left_alone(self) -> None:
        shared.add.enqueue(1, 2)
        queues.pause("default")
        assert run_jobs() == []
        queues.resume("default")
        assert len(run_jobs()) == 1

    def test_one_that_does_not_exist_is_refused(self, settings: Any) -> None:
        settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["default", "mail"]}}
        with pytest.raises(ValueError, match="no queue “mial” in TASKS, only default, mail"):
            run_jobs(queues="mial")

    def test_a_task_that_enqueues_itself_has_an_end(self) -> None:
        tasks.again.enqueue()
        with pytest.raises(AssertionError, match="After 5 runs there are still jobs: tests.testing.tasks.again 5"):
            run_jobs(max_runs=5)

    def test_a_task_that_enqueues_itself_for_later_runs_once(self) -> None:
        tasks.again_later.enqueue()
        with travel(timedelta(days=1)):
            assert len(run_jobs()) == 1
        with pytest.raises(AssertionError, match="leave out ignore_delays=True"):
            run_jobs(ignore_delays=True, max_runs=5)


@pytest.mark.usefixtures("database")
class TestCancelling:
    def test_before_it_starts(self) -> None:
        result = tasks.report.enqueue(3)
        assert result.cancel()
        assert run_jobs() == []
        result.refresh()
        assert result.is_finished

    def test_a_task_that_asks_hears_of_it(self) -> None:
        result = tasks.report.enqueue(3)
        with mock.patch(SERVICE, side_effect=lambda context: result.cancel()):
            [ran] = run_jobs()
        assert (ran.return_value, ran.progress[:2]) == (1, (1, 3))

    def test_a_task_that_does_not_is_interrupted_at_its_next_statement(self) -> None:
        result = tasks.stop_at_statement.enqueue("lost")
        said: list[Any] = []

        def cancel(*args: Any) -> None:
            said.append(args)
            if not args:
                jobs.cancel([result.id], by="the test")

        with mock.patch(SERVICE, side_effect=cancel):
            run_jobs()
        row = Result.objects.get()
        assert (row.status, row.reason) == ("CANCELLED", "Cancelled by the test.")
        assert said == [(), ("cleaned up",)]
        assert labels() == []

    def test_one_that_fails_then_does_not_run_again(self) -> None:
        result = tasks.call_service.enqueue(1)

        def fail(number: int) -> None:
            result.cancel()
            raise OSError("away")

        with mock.patch(SERVICE, side_effect=fail):
            run_jobs(ignore_delays=True)
        row = Result.objects.get()
        assert (row.status, row.attempt) == ("CANCELLED", 1)


@pytest.mark.usefixtures("database")
class TestLimits:
    def test_a_soft_limit_interrupts(self) -> None:
        shared.clean_up.using(soft_timeout=0.05).enqueue(60)
        assert run_jobs()[0].return_value == "cleaned up"

    @pytest.mark.only_on("postgresql")
    def test_a_soft_limit_interrupts_a_query_and_the_test_goes_on(self) -> None:
        tasks.sleep_in_database.enqueue()
        [result] = run_jobs()
        assert (result.return_value, labels()) == ("cleaned up", ["after", "before"])

    def test_what_a_worker_would_have_killed_has_failed(self) -> None:
        with travel(timedelta()) as clock:

            def dawdle() -> None:
                clock.shift(timedelta(seconds=31))

            tasks.slow.enqueue()
            with mock.patch(SERVICE, side_effect=dawdle):
                [result] = run_jobs()
        assert [error.exception_class for error in result.errors] == [TaskTimeout]
        assert "longer than its timeout of 30 s" in result.errors[0].traceback

    def test_what_ends_a_process_ends_the_job_only(self) -> None:
        tasks.end.enqueue("SystemExit")
        assert run_jobs()[0].errors[0].exception_class is SystemExit

    def test_what_is_meant_for_the_test_comes_through(self) -> None:
        tasks.end.enqueue("KeyboardInterrupt")
        with pytest.raises(KeyboardInterrupt):
            run_jobs()


@pytest.mark.usefixtures("database")
class TestAsync:
    def test_an_async_task(self) -> None:
        tasks.ask_async.enqueue("why")
        assert run_jobs(raise_errors=True)[0].return_value == "why!"
        assert labels() == ["why"]
