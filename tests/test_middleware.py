"""Middleware around enqueue and around runs: order, errors, what travels."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, transaction
from django.db.transaction import TransactionManagementError
from django.test import override_settings

from django_tasks_q import TasksQResult, enqueue_many, enqueue_on_commit, get_result
from django_tasks_q.checks import check_backends
from django_tasks_q.compat import TaskResultStatus, task_backends
from django_tasks_q.control import jobs as control
from django_tasks_q.exceptions import PayloadTooLarge, SoftTimeout, UnserializableError
from django_tasks_q.models import Job, JobLog
from django_tasks_q.testing import fire_schedules, run_jobs

from . import middleware, tasks
from . import middleware_tasks as requests
from .middleware import EVENTS, request_id
from .models import Effect

pytestmark = pytest.mark.django_db
BACKEND = "django_tasks_q.backend.TasksQBackend"
LOGGER = "django_tasks_q.middleware"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    EVENTS.clear()
    yield
    request_id.set(None)


def use(settings: Any, *names: str, backend: str = BACKEND, **options: Any) -> Any:
    """Have the default backend use these classes of tests.middleware."""
    options["middleware"] = [f"tests.middleware.{name}" for name in names]
    settings.TASKS = {"default": {"BACKEND": backend, "QUEUES": [], "OPTIONS": options}}
    return task_backends["default"]


def run_one() -> TasksQResult[Any]:
    (result,) = run_jobs(ignore_delays=True)
    return result


def traceback_of(result: TasksQResult[Any]) -> str:
    return str(result.errors[-1].traceback)


class TestOrder:
    def test_the_first_is_the_outermost(self, settings: Any) -> None:
        use(settings, "Recording", "Inner")
        tasks.add.enqueue(1, 2)
        assert EVENTS == ["outer enqueues 1", "inner enqueues 1", "inner ends enqueue", "outer ends enqueue"]
        EVENTS.clear()
        assert run_one().return_value == 3
        assert EVENTS == ["outer runs 1", "inner runs 1", "inner ends run", "outer ends run"]

    def test_each_attempt_passes(self, settings: Any) -> None:
        use(settings, "Recording")
        tasks.boom_thrice.enqueue()
        assert run_one().attempts == 3
        assert EVENTS[2:] == [line for n in (1, 2, 3) for line in (f"outer runs {n}", "outer sees ValueError")]

    def test_many_are_enqueued_at_once(self, settings: Any) -> None:
        use(settings, "Recording")
        assert len(enqueue_many([(tasks.noop, (n,), {}) for n in range(30)])) == 30
        tasks.noop.enqueue_many([])
        assert EVENTS == ["outer enqueues 30", "outer ends enqueue"]

    def test_only_what_is_overridden_is_called(self, settings: Any) -> None:
        backend = use(settings, "IgnoresRuns", "Huge")
        assert [hook.name for hook in backend.middleware.enqueue] == ["tests.middleware.Huge.enqueue()"]
        assert [hook.name for hook in backend.middleware.run] == ["tests.middleware.IgnoresRuns.run()"]

    def test_another_backend_has_none(self, settings: Any) -> None:
        elsewhere = settings.TASKS["elsewhere"]
        use(settings, "Recording")
        settings.TASKS = {**settings.TASKS, "elsewhere": elsewhere}
        assert task_backends["elsewhere"].middleware == ((), ())


class TestCarrying:
    @pytest.fixture(autouse=True)
    def carry(self, settings: Any) -> None:
        use(settings, "RequestId")

    def test_from_the_enqueue_to_the_run(self) -> None:
        request_id.set("r-1")
        result = requests.see_request.enqueue()
        request_id.set("r-2")
        assert run_one().return_value == "r-1"
        # What runs in a job leaves nothing behind.
        assert request_id.get() == "r-2"
        assert get_result(result.id).task.metadata == {"request_id": "r-1"}

    def test_to_an_async_task_from_async_code(self) -> None:
        async def view() -> None:
            request_id.set("r-3")
            await requests.see_request_async.aenqueue()

        async_to_sync(view)()
        assert run_one().return_value == "r-3"

    def test_to_each_attempt_and_after_a_retry_by_hand(self) -> None:
        request_id.set("r-4")
        result = requests.fail_with_request.enqueue()
        request_id.set("r-5")
        run_jobs(ignore_delays=True)
        control.retry([result.id])
        run_jobs(ignore_delays=True)
        result.refresh()
        assert result.attempts == 4
        assert all("ValueError: r-4" in error.traceback for error in result.errors)

    def test_to_the_jobs_of_a_job(self) -> None:
        request_id.set("r-6")
        requests.pass_request_on.enqueue()
        request_id.set(None)
        assert [result.return_value for result in run_jobs()][1:] == ["r-6"]

    def test_from_where_enqueue_on_commit_was_called(self, django_capture_on_commit_callbacks: Any) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            with transaction.atomic():
                request_id.set("r-7")
                enqueue_on_commit(requests.see_request)
            request_id.set("r-8")
        assert run_one().return_value == "r-7"

    def test_beside_the_metadata_of_the_task_and_the_call(self) -> None:
        request_id.set("r-9")
        own = {"nested": {"a": [1]}}
        given = tasks.describe_context.using(metadata=own)
        first, second = given.enqueue(), given.using(metadata={"request_id": "mine"}).enqueue()
        assert own == {"nested": {"a": [1]}}
        assert first.task.metadata == {**own, "request_id": "r-9"}
        assert first == get_result(first.id)
        run_jobs()
        found = [get_result(result.id).return_value["metadata"] for result in (first, second)]
        assert found == [{**own, "request_id": "r-9"}, {**own, "request_id": "mine"}]

    def test_what_middleware_looks_at_is_not_the_tasks_own(self, settings: Any) -> None:
        use(settings, "ChangesTask")
        given = tasks.add.using(metadata={"a": {"b": 1}})
        result = given.enqueue(1, 2)
        assert given.metadata == result.task.metadata == Job.objects.get().metadata == {"a": {"b": 1}}
        result.task.metadata["a"]["b"] = 2
        assert given.metadata == {"a": {"b": 1}}

    def test_what_it_takes_out_is_gone_everywhere(self, settings: Any) -> None:
        use(settings, "TakesOut")
        result = tasks.add.using(metadata={"a": 1}).enqueue(1, 2)
        assert result.task.metadata == Job.objects.get().metadata == {}

    def test_each_job_of_many_has_its_own(self) -> None:
        request_id.set("r-10")
        results = tasks.noop.enqueue_many([(1,), (2,)])
        assert [result.task.metadata for result in results] == [{"request_id": "r-10"}] * 2
        assert set(Job.objects.values_list("metadata__request_id", flat=True)) == {"r-10"}

    def test_what_changes_nothing_costs_nothing(self) -> None:
        result = tasks.noop.enqueue()
        assert result.task is tasks.noop

    def test_a_schedule_has_no_caller(self) -> None:
        with override_settings(
            TASKS={
                "default": {
                    "BACKEND": BACKEND,
                    "QUEUES": [],
                    "OPTIONS": {
                        "middleware": ["tests.middleware.Recording", "tests.middleware.RequestId"],
                        "schedules": {"s": {"task": "tests.middleware_tasks.see_request", "cron": "* * * * *"}},
                    },
                }
            }
        ):
            fire_schedules()
            assert EVENTS == []
            assert run_one().return_value == "none"
        assert EVENTS == ["outer runs 1", "outer ends run"]


class TestErrorsOfEnqueue:
    @pytest.mark.parametrize("name", ["RaisesBefore", "EndsBefore", "StopsBefore"])
    def test_before_it_refuses(self, settings: Any, name: str) -> None:
        use(settings, "Recording", name, "Inner")
        error = getattr(middleware, name).error
        with pytest.raises(error, match="not so") as caught:
            tasks.add.enqueue(1, 2)
        assert caught.value.__notes__ == [f"Raised by the middleware tests.middleware.{name}.enqueue()."]
        with pytest.raises(error):
            tasks.add.enqueue_many([(1, 2)])
        assert not Job.objects.exists()
        assert EVENTS == ["outer enqueues 1", f"outer sees {error.__name__}"] * 2

    def test_after_it_is_logged(self, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
        use(settings, "Recording", "RaisesAfter")
        assert tasks.add.enqueue(1, 2).id == str(Job.objects.get().pk)
        (record,) = [record for record in caplog.records if record.name == LOGGER]
        assert "tests.middleware.RaisesAfter.enqueue()" in record.getMessage()
        assert record.exc_info is not None
        assert EVENTS[-1] == "outer ends enqueue"

    @pytest.mark.parametrize("name", ["EndsAfter", "StopsAfter"])
    def test_what_is_no_exception_comes_through(self, settings: Any, name: str) -> None:
        use(settings, "Recording", name)
        with pytest.raises(getattr(middleware, name).error):
            tasks.add.enqueue(1, 2)
        assert EVENTS[-1].startswith("outer sees")

    def test_a_database_error_after_it_reaches_the_caller(self, settings: Any) -> None:
        use(settings, "Recording", "QueriesAfter")
        with pytest.raises(DatabaseError), transaction.atomic():
            tasks.add.enqueue(1, 2)
        assert EVENTS[-1].startswith("outer sees ")
        assert not Job.objects.exists()

    def test_an_interruption_after_it_reaches_the_task(self, settings: Any) -> None:
        use(settings, "Interrupted")
        with pytest.raises(SoftTimeout):
            tasks.add.enqueue(1, 2)

    def test_a_transaction_around_it_is_refused(self, settings: Any) -> None:
        use(settings, "KeepsOpen")
        with pytest.raises(TransactionManagementError, match="KeepsOpen.enqueue\\(\\) keeps a transaction open"):
            tasks.add.enqueue(1, 2)
        assert not Job.objects.exists()

    def test_one_that_enqueues_for_its_own_jobs_too_is_stopped(self, settings: Any) -> None:
        use(settings, "Enqueues")
        with pytest.raises(RecursionError, match=r"Enqueues\.enqueue\(\) enqueues a job for each job"):
            tasks.add.enqueue(1, 2)
        assert len(EVENTS) == 20
        assert not Job.objects.exists()

    def test_one_that_does_so_after_is_stopped_too(self, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
        use(settings, "EnqueuesAfter")
        tasks.add.enqueue(1, 2)
        assert len(EVENTS) == Job.objects.count() == 20
        assert any("without end" in str(record.exc_info) for record in caplog.records if record.name == LOGGER)

    def test_jobs_can_be_compared_and_not_be_moved(self, settings: Any) -> None:
        use(settings, "Turns")
        assert [result.args for result in enqueue_many([(tasks.add, (n, n), {}) for n in range(3)])] == [
            [0, 0],
            [1, 1],
            [2, 2],
        ]

    def test_an_error_of_the_queue_cannot_be_hidden(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        backend = use(settings, "Recording", "Swallows")

        def fail(*args: Any) -> None:
            raise OSError("full")

        monkeypatch.setattr(backend, "_store", fail)
        with pytest.raises(OSError, match="full"):
            tasks.add.enqueue(1, 2)
        assert EVENTS == ["outer enqueues 1", "swallowed", "outer sees OSError"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("NoManager", "Put @contextlib.contextmanager before"),
            ("ReturnsText", "must return a context manager or None, not str"),
            ("IsAsync", "is async"),
        ],
    )
    def test_what_is_no_context_manager_is_refused(self, settings: Any, name: str, message: str) -> None:
        use(settings, name)
        with pytest.raises(TypeError, match=message) as caught:
            tasks.add.enqueue(1, 2)
        assert f"tests.middleware.{name}.enqueue()" in str(caught.value)

    def test_metadata_that_cannot_be_stored(self, settings: Any) -> None:
        use(settings, "Recording", "Unserialisable")
        with pytest.raises(UnserializableError, match=r"metadata.*request_id.*UUID.*str\(value\)") as caught:
            tasks.add.enqueue_many([(1, 2)])
        assert "tests.middleware.Unserialisable.enqueue()" in caught.value.__notes__[0]
        assert EVENTS[-1] == "outer sees UnserializableError"
        use(settings, "Huge", max_payload=1_024)
        with pytest.raises(PayloadTooLarge, match="Metadata: 2,0"):
            tasks.add.enqueue(1, 2)
        assert not Job.objects.exists()


class TestErrorsOfRuns:
    @pytest.mark.parametrize(("name", "error"), [("RaisesBefore", "ValueError"), ("EndsBefore", "SystemExit")])
    def test_before_it_is_as_one_of_the_task(self, settings: Any, name: str, error: str) -> None:
        use(settings)
        result = tasks.leave_effect.using(max_attempts=2, backoff=0).enqueue("x")
        use(settings, "Recording", name)
        run_jobs(ignore_delays=True)
        result.refresh()
        attempts = 2 if error == "ValueError" else 1
        assert (result.status, result.attempts) == (TaskResultStatus.FAILED, attempts)
        assert f"Raised by the middleware tests.middleware.{name}.run()." in traceback_of(result)
        assert not Effect.objects.exists()
        assert EVENTS[1] == f"outer sees {error}"

    def test_a_transaction_around_it_is_refused(self, settings: Any) -> None:
        tasks.add.enqueue(1, 2)
        use(settings, "KeepsOpen")
        assert "KeepsOpen.run() keeps a transaction open" in traceback_of(run_one())

    def test_an_error_that_takes_no_note(self, settings: Any) -> None:
        tasks.add.enqueue(1, 2)
        use(settings, "Recording", "RaisesFrozen")
        assert "Frozen" in traceback_of(run_one())
        assert EVENTS[-1] == "outer sees Frozen"

    def test_it_may_end_a_job_as_a_task_may(self, settings: Any) -> None:
        use(settings, "IgnoresRuns")
        tasks.leave_effect.enqueue("x")
        result = run_one()
        assert (result.is_cancelled, result.reason) == (True, "Closed today.")
        assert not Effect.objects.exists()

    @pytest.mark.parametrize("is_atomic", [False, True])
    @pytest.mark.parametrize("name", ["RaisesAfter", "EndsAfter", "CancelsAfter"])
    def test_after_it_is_logged(
        self, settings: Any, name: str, is_atomic: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        use(settings)
        tasks.leave_effect.using(atomic=is_atomic).enqueue("x")
        use(settings, "Recording", name)
        assert run_one().status == TaskResultStatus.SUCCESSFUL
        assert Effect.objects.count() == 1
        assert [record.levelname for record in caplog.records if record.name == LOGGER] == ["ERROR"]
        assert EVENTS == ["outer runs 1", "outer ends run"]

    def test_after_an_error_of_the_task_that_one_counts(self, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
        use(settings)
        tasks.boom.enqueue("bad")
        use(settings, "Recording", "RaisesAfter", "RaisesAgain")
        result = run_one()
        assert result.reason == "ValueError: bad"
        assert "too late" not in traceback_of(result)
        assert "__exit__" not in traceback_of(result)
        assert [record.levelname for record in caplog.records if record.name == LOGGER] == ["ERROR"]
        assert EVENTS == ["outer runs 1", "entered", "outer sees ValueError"]

    def test_an_error_of_the_task_cannot_be_hidden(self, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
        use(settings, "Recording", "Swallows")
        tasks.boom.enqueue("bad")
        result = run_one()
        assert (result.status, result.reason) == (TaskResultStatus.FAILED, "ValueError: bad")
        assert EVENTS[-2:] == ["swallowed", "outer sees ValueError"]
        (record,) = [record for record in caplog.records if record.name == LOGGER]
        assert record.getMessage() == (
            "tests.middleware.Swallows.run() has swallowed ValueError, which counts all the same."
        )

    def test_it_sees_a_return_value_that_cannot_be_stored(self, settings: Any) -> None:
        use(settings, "Recording")
        tasks.return_unserializable.enqueue()
        run_jobs()
        assert EVENTS[-1] == "outer sees UnserializableError"

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("NoManager", "Put @contextlib.contextmanager before"),
            ("ReturnsText", "must return a context manager or None, not str"),
            ("IsAsync", "is async"),
            ("HasAsyncManager", "must return a context manager"),
            ("YieldsNever", "generator didn't yield"),
        ],
    )
    def test_what_is_no_context_manager_fails_the_run(self, settings: Any, name: str, message: str) -> None:
        use(settings)
        tasks.leave_effect.enqueue("x")
        use(settings, name)
        result = run_one()
        assert result.status == TaskResultStatus.FAILED
        assert message in traceback_of(result)
        assert not Effect.objects.exists()

    def test_one_that_yields_twice_is_logged(self, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
        use(settings, "YieldsTwice")
        tasks.add.enqueue(1, 2)
        assert run_one().return_value == 3
        assert "YieldsTwice.run()" in caplog.text

    def test_metadata_of_a_run_is_not_stored(self, settings: Any) -> None:
        use(settings)
        tasks.noop.enqueue()
        use(settings, "Unserialisable")
        assert run_one().task.metadata is None

    def test_a_test_hears_of_its_own_errors(self, settings: Any) -> None:
        use(settings)
        tasks.add.enqueue(1, 2)
        use(settings, "StopsAfter")
        with pytest.raises(middleware.StopsAfter.error, match="too late"):
            run_jobs()


class TestBackendsForTests:
    @pytest.mark.parametrize(("task", "atomic"), [(tasks.boom, False), (tasks.noop, False), (tasks.noop, True)])
    def test_what_it_leaves_to_on_commit_is_done(self, settings: Any, task: Any, *, atomic: bool) -> None:
        use(settings, "LeavesToCommit")
        task.using(atomic=atomic).enqueue("x")
        run_one()
        assert EVENTS == ["before is committed", "after is committed"]

    def test_immediate(self, settings: Any) -> None:
        use(settings, "Recording", "RequestId", backend="django_tasks_q.testing.ImmediateBackend")
        request_id.set("r-1")
        assert requests.see_request.enqueue().return_value == "r-1"
        assert EVENTS == ["outer enqueues 1", "outer runs 1", "outer ends run", "outer ends enqueue"]

    def test_recording(self, settings: Any) -> None:
        backend = use(settings, "RequestId", backend="django_tasks_q.testing.RecordingBackend")
        request_id.set("r-1")
        tasks.noop.enqueue()
        assert backend.results[0].task.metadata == {"request_id": "r-1"}
        backend = use(settings, "RaisesBefore", backend="django_tasks_q.testing.RecordingBackend")
        with pytest.raises(ValueError, match="not so"):
            tasks.noop.enqueue()
        assert backend.results == []


class TestConfiguration:
    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("tests.middleware.Nothing", '"tests.middleware.Nothing" cannot be imported: ImportError'),
            ("nowhere.Middleware", "ModuleNotFoundError: No module named 'nowhere'"),
            ("tests.tasks.add", '"tests.tasks.add" is not a subclass of django_tasks_q.middleware.Middleware'),
            ("django.http.HttpRequest", "is not a subclass"),
            ("tests.middleware.EVENTS", "is not a subclass"),
            ("tests.broken_middleware.Exits", "SystemExit"),
        ],
    )
    def test_a_wrong_path_is_refused(self, settings: Any, path: str, message: str) -> None:
        settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": {"middleware": [path]}}}
        (found,) = [problem for problem in check_backends() if problem.id == "tasksq.E011"]
        assert message in found.msg
        assert 'TASKS["default"]["OPTIONS"]["middleware"]' in found.msg
        assert "take it out" in str(found.hint)
        with pytest.raises(ImproperlyConfigured) as caught:
            tasks.noop.enqueue()
        assert message in str(caught.value)

    @pytest.mark.parametrize("value", ["shop.middleware.RequestId", [1], ["RequestId"], ["shop middleware"], None])
    def test_a_wrong_value_is_refused(self, settings: Any, value: Any) -> None:
        settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": {"middleware": value}}}
        (found,) = [problem for problem in check_backends() if problem.id == "tasksq.E002"]
        assert "list of dotted paths" in str(found.hint)

    def test_one_that_cannot_be_made_is_named(self, settings: Any) -> None:
        use(settings, "CannotBeMade")
        with pytest.raises(TypeError, match="name") as caught:
            tasks.noop.enqueue()
        assert "tests.middleware.CannotBeMade" in caught.value.__notes__[0]

    def test_right_ones_draw_no_message(self, settings: Any) -> None:
        use(settings, "RequestId", "Recording")
        assert [problem for problem in check_backends() if (problem.id or "").startswith("tasksq.E")] == []

    def test_nothing_is_imported_where_there_is_none(self) -> None:
        code = (
            "import sys, django; django.setup()\n"
            "from django_tasks_q.compat import task_backends\n"
            "from django_tasks_q.worker.child.executor import Executor\n"
            "assert not Executor('default').middleware\n"
            "assert not task_backends['default'].middleware.enqueue\n"
            "print('tests.middleware' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "False\n"


def test_what_middleware_logs_is_kept_with_the_job(settings: Any) -> None:
    use(settings, "RaisesAfter")
    tasks.add.enqueue(1, 2)
    run_one()
    assert "has failed after the end" in json.dumps(list(JobLog.objects.values_list("entries", flat=True)))
