import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import override_settings
from django.utils import timezone as django_timezone

from django_tasks_q import Task, TasksQResult, aget_result, enqueue, enqueue_many, get_result
from django_tasks_q.backend import TasksQBackend
from django_tasks_q.brokers.values import Outcome
from django_tasks_q.compat import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultMismatch,
    TaskResultStatus,
    task_backends,
    task_enqueued,
)
from django_tasks_q.exceptions import EndlessWait, UnknownTask, UnserializableError
from django_tasks_q.lifecycle import Ending
from django_tasks_q.models import Job, Result
from django_tasks_q.monitoring import jobs

from . import scenes
from .conftest import StartWorker
from .tasks import add, add_async, describe_context, echo, nap, noop

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def backend() -> TasksQBackend:
    found = task_backends["default"]
    assert isinstance(found, TasksQBackend)
    return found


Finish = Callable[..., None]


@pytest.fixture
def finish(broker: Any) -> Finish:
    """Claim everything and finish it with the same outcome."""

    def do(status: str = "SUCCESSFUL", ending: Ending = Ending.SUCCESS, **given: Any) -> None:
        now = broker.dialect.now()
        for queue_name in broker.ready_queues():
            claimed = broker.claim("worker-1", queue_name, 1_000)
            broker.finish(
                "worker-1", [Outcome(job.id, job.attempt, ending, status, now, now, **given) for job in claimed]
            )

    return do


# What it supports


def test_it_supports_everything_that_the_framework_knows(backend: TasksQBackend) -> None:
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority
    assert backend.task_class is Task


# Enqueue


def test_enqueue_answers_with_a_result_that_is_ready() -> None:
    before = django_timezone.now()
    result = add.enqueue(1, b=2)
    assert isinstance(result, TasksQResult)
    assert uuid.UUID(result.id).version == 7
    assert before <= result.enqueued_at <= django_timezone.now()
    assert (result.status, result.is_finished, result.attempts) == (TaskResultStatus.READY, False, 0)
    assert (result.started_at, result.last_attempted_at, result.finished_at) == (None, None, None)
    assert (result.args, result.kwargs, result.backend) == ([1], {"b": 2}, "default")
    assert (result.errors, result.worker_ids) == ([], [])
    with pytest.raises(ValueError, match="not finished"):
        _ = result.return_value


def test_enqueue_stores_every_field() -> None:
    result = add.using(queue_name="mail", priority=-7, metadata={"a": [1]}, timeout=3).enqueue(1, b=2)
    job = Job.objects.get()
    assert str(job.id) == result.id
    assert (job.backend, job.queue_name, job.priority, job.task_path) == ("default", "mail", -7, "tests.tasks.add")
    assert (job.args, job.kwargs, job.metadata, job.options) == ([1], {"b": 2}, {"a": [1]}, {"timeout": 3.0})
    assert (job.status, job.attempt, job.failures, job.losses) == ("READY", 0, 0, 0)
    assert (job.run_after, job.started_at, job.last_attempted_at, job.worker_id) == (None, None, None, None)
    assert (job.errors, job.reason, job.enqueued_at) == ([], "", result.enqueued_at)


def test_async_tasks_are_tasks() -> None:
    add_async.enqueue(1, 2)
    assert Job.objects.get().task_path == "tests.tasks.add_async"


def test_a_context_is_not_an_argument() -> None:
    describe_context.enqueue("a")
    assert Job.objects.get().args == ["a"]


@pytest.mark.django_db(databases=["default", "queue"])
def test_the_tables_may_be_in_another_database() -> None:
    result = add.using(backend="elsewhere").enqueue(1, 2)
    assert not Job.objects.using("default").exists()
    assert str(Job.objects.using("queue").get().id) == result.id
    fetched = task_backends["elsewhere"].get_result(result.id)
    assert (fetched, fetched.backend) == (result, "elsewhere")


@pytest.mark.django_db(transaction=True, databases=["default", "queue"])
def test_a_job_in_another_database_is_part_of_that_ones_transaction() -> None:
    with transaction.atomic(using="default"):
        add.using(backend="elsewhere").enqueue(1, 2)
        transaction.set_rollback(True, using="default")
    assert Job.objects.using("queue").count() == 1


# run_after


def stored_moment() -> datetime:
    job = Job.objects.get()
    assert job.status == "SCHEDULED"
    moment = job.run_after
    return moment if django_timezone.is_aware(moment) else django_timezone.make_aware(moment)


@pytest.fixture(params=[True, False], ids=["USE_TZ", "no USE_TZ"])
def use_tz(request: pytest.FixtureRequest) -> Iterator[bool]:
    with override_settings(USE_TZ=request.param):
        yield request.param


# A year of its own, far ahead, in Berlin's summer.
AHEAD = datetime(2091, 7, 1, 12, 30, 15, 123456)


@pytest.mark.parametrize(
    "given",
    [
        AHEAD.replace(tzinfo=BERLIN),
        AHEAD.replace(tzinfo=BERLIN).astimezone(UTC),
        AHEAD.replace(tzinfo=BERLIN).astimezone(timezone(timedelta(hours=-9, minutes=-30))),
    ],
    ids=["the site's zone", "UTC", "another zone"],
)
def test_an_aware_moment_is_that_moment(use_tz: bool, given: datetime) -> None:
    add.using(run_after=given).enqueue(1, 2)
    assert stored_moment() == given


@override_settings(USE_TZ=False)
def test_a_naive_moment_is_in_the_sites_zone() -> None:
    add.using(run_after=AHEAD).enqueue(1, 2)
    assert stored_moment() == AHEAD.replace(tzinfo=BERLIN)


@override_settings(USE_TZ=True)
def test_a_naive_moment_is_refused_where_moments_are_aware() -> None:
    with pytest.raises(InvalidTask, match="run_after must be an aware datetime"):
        add.using(run_after=AHEAD)


def test_a_timedelta_counts_from_now(use_tz: bool) -> None:
    before = datetime.now(UTC)
    add.using(run_after=timedelta(minutes=5)).enqueue(1, 2)
    assert before <= stored_moment() - timedelta(minutes=5) <= datetime.now(UTC)


def test_a_timedelta_counts_from_each_enqueue_not_from_using() -> None:
    later = add.using(run_after=timedelta(hours=1))
    results = [later.enqueue(1, 2), later.enqueue(1, 2)]
    moments = [result.task.run_after for result in results]
    assert moments[0] < moments[1]


@pytest.mark.parametrize("given", [timedelta(0), timedelta(seconds=-5), datetime(2001, 1, 1, tzinfo=UTC)])
def test_a_moment_in_the_past_is_now(use_tz: bool, given: Any) -> None:
    add.using(run_after=given).enqueue(1, 2)
    assert Job.objects.get().status == "READY"


def test_a_fetched_result_has_the_moment_of_its_call(use_tz: bool) -> None:
    result = add.using(run_after=timedelta(minutes=5)).enqueue(1, 2)
    assert add.get_result(result.id).task.run_after == result.task.run_after


@pytest.mark.parametrize("given", [AHEAD, AHEAD.replace(tzinfo=BERLIN)], ids=["naive", "aware"])
@override_settings(USE_TZ=False)
def test_a_fetched_result_equals_its_first_whatever_the_form_of_the_moment(given: datetime) -> None:
    result = add.using(run_after=given).enqueue(1, 2)
    assert add.get_result(result.id) == result


@pytest.mark.parametrize("given", [300, "tomorrow", datetime(2091, 7, 1).date()])
def test_what_is_no_moment_is_refused(given: Any) -> None:
    with pytest.raises(InvalidTask, match="run_after must be a datetime or a timedelta, not"):
        add.using(run_after=given)


# get_result


def test_a_fetched_result_equals_the_first() -> None:
    for task in (add, add.using(queue_name="mail", priority=9, timeout=5, metadata={"a": 1}), echo):
        result = task.enqueue(1, b=2)
        assert task.get_result(result.id) == result


def test_a_result_is_found_by_every_form_of_its_id(backend: TasksQBackend) -> None:
    result = add.enqueue(1, 2)
    key = uuid.UUID(result.id)
    for form in (result.id, key, key.hex, result.id.upper(), f"{{{result.id}}}"):
        assert backend.get_result(form) == result


@pytest.mark.parametrize(
    "given",
    ["", "x", "123", "None", None, 5, 5.5, [], "0" * 33, "\x00", "é" * 32, "0197b1d0-5a7e-4c3e-9d9c-6a0f4f2d7e11"],
)
def test_an_unknown_or_malformed_id_is_no_result(backend: TasksQBackend, given: Any) -> None:
    with pytest.raises(TaskResultDoesNotExist, match="There is no job and no result with the id"):
        backend.get_result(given)
    with pytest.raises(TaskResultDoesNotExist):
        add.get_result(given)


@pytest.mark.only_on("sqlite")
def test_a_row_that_cannot_be_read_is_not_taken_for_a_wrong_id(backend: TasksQBackend) -> None:
    result = add.enqueue(1, 2)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_tasks_q_job SET enqueued_at = '2024-99-99 00:00:00'")
    for look in (backend.get_result, jobs.find):
        with pytest.raises(ValueError, match="month"):
            look(result.id)


def test_results_are_fetched_asynchronously_too() -> None:
    result = add.enqueue(1, 2)
    with pytest.raises(TaskResultDoesNotExist):
        async_to_sync(add.aget_result)(str(uuid.uuid4()))
    assert async_to_sync(task_backends["default"].aget_result)(result.id) == result


def test_the_result_of_another_task_is_a_mismatch() -> None:
    result = add.enqueue(1, 2)
    with pytest.raises(TaskResultMismatch):
        noop.get_result(result.id)


@pytest.mark.django_db(databases=["default", "queue"])
def test_the_result_of_another_backend_is_none(backend: TasksQBackend) -> None:
    result = add.using(backend="elsewhere").enqueue(1, 2)
    with pytest.raises(TaskResultDoesNotExist):
        backend.get_result(result.id)


def test_backends_that_share_a_table_do_not_see_each_others_results(settings: Any) -> None:
    settings.TASKS = {**settings.TASKS, "third": settings.TASKS["default"]}
    result = add.using(backend="third").enqueue(1, 2)
    assert task_backends["third"].get_result(result.id) == result
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(result.id)


def test_a_successful_result(finish: Finish) -> None:
    result = add.enqueue(1, 2)
    finish(return_value='{"sum": [3]}')
    fetched = add.get_result(result.id)
    assert (fetched.status, fetched.is_finished, fetched.return_value) == ("SUCCESSFUL", True, {"sum": [3]})
    assert (fetched.attempts, fetched.worker_ids, fetched.errors) == (1, ["worker-1"], [])
    assert result.enqueued_at <= fetched.started_at <= fetched.finished_at
    assert fetched.last_attempted_at == fetched.started_at


def test_a_result_that_is_none_is_successful_all_the_same(finish: Finish) -> None:
    result = noop.enqueue()
    finish(return_value="null")
    assert noop.get_result(result.id).return_value is None


def test_a_result_that_was_not_kept_is_none(finish: Finish) -> None:
    result = noop.enqueue()
    finish()
    assert noop.get_result(result.id).return_value is None


ERROR = '{"exception": "builtins.ValueError", "traceback": "Traceback …", "worker": "worker-1", "attempt": 1}'


def test_a_failed_result(finish: Finish) -> None:
    result = add.enqueue(1, 2)
    finish("FAILED", error=ERROR, ending=Ending.ERROR)
    fetched = add.get_result(result.id)
    assert (fetched.status, fetched.is_finished, fetched.worker_ids) == ("FAILED", True, ["worker-1"])
    assert fetched.errors[0].exception_class is ValueError
    assert fetched.errors[0].traceback == "Traceback …"
    with pytest.raises(ValueError, match="failed"):
        _ = fetched.return_value


def test_a_running_result(broker: Any) -> None:
    result = add.enqueue(1, 2)
    broker.claim("worker-1", "default", 1)
    fetched = add.get_result(result.id)
    assert (fetched.status, fetched.is_finished, fetched.worker_ids, fetched.attempts) == (
        "RUNNING",
        False,
        ["worker-1"],
        1,
    )


def test_a_cancelled_result_is_failed_to_the_framework(broker: Any) -> None:
    result = add.enqueue(1, 2)
    broker.cancel([result.id])
    fetched = add.get_result(result.id)
    assert (fetched.status, fetched.is_finished, fetched.worker_ids) == ("FAILED", True, [])


def test_a_cancelled_result_says_so() -> None:
    result = add.enqueue(1, 2)
    assert (result.is_cancelled, result.reason) == (False, "")
    result.cancel(by="Ann")
    for seen in (add.get_result(result.id), result.wait(timeout=0)):
        assert (seen.is_cancelled, seen.reason, seen.errors) == (True, "Cancelled by Ann.", [])
        with pytest.raises(ValueError, match=r"^Task was cancelled: Cancelled by Ann\.$"):
            seen.return_value  # noqa: B018 - read for what it raises


def test_a_failed_result_has_its_reason(finish: Finish) -> None:
    result = add.enqueue(1, 2)
    finish("FAILED", error=ERROR, ending=Ending.ERROR, reason="OSError: no route to host")
    result.refresh()
    assert (result.is_cancelled, result.reason) == (False, "OSError: no route to host")
    with pytest.raises(ValueError, match="^Task failed$"):
        result.return_value  # noqa: B018 - read for what it raises


# Any task's


def test_a_result_is_found_without_its_task() -> None:
    result = add.enqueue(1, 2)
    assert get_result(result.id) == get_result(uuid.UUID(result.id), backend="default") == result
    assert async_to_sync(aget_result)(result.id) == result
    with pytest.raises(TaskResultDoesNotExist):
        get_result("nothing")


@pytest.mark.parametrize("path", ["tests.tasks.gone", "tests.nowhere.at_all", "add"])
def test_the_result_of_a_task_that_is_gone_can_be_read(path: str, finish: Finish) -> None:
    result = add.using(priority=7).enqueue(1, 2)
    finish(return_value="3")
    Result.objects.update(task_path=path)
    found = get_result(result.id)
    assert (found.return_value, found.args, found.is_finished) == (3, [1, 2], True)
    assert (found.task.module_path.lstrip("."), found.task.name) == (path, path.rpartition(".")[2])
    assert (found.task.priority, found.task.queue_name, found.task.backend) == (7, "default", "default")
    found.refresh()
    assert found.task.get_result(found.id) == found
    with pytest.raises(UnknownTask, match=f"There is no task at '{path}'"):
        found.task.call(1, 2)
    with pytest.raises(InvalidTask, match="A worker could not import the task from"):
        found.task.enqueue(1, 2)
    with pytest.raises(TaskResultMismatch):
        add.get_result(result.id)


def test_an_id_stays_valid_through_requeue(broker: Any, finish: Finish) -> None:
    result = add.enqueue(1, 2)
    finish("FAILED", error=ERROR, ending=Ending.ERROR)
    broker.requeue([result.id])
    assert add.get_result(result.id).status == "READY"
    finish(return_value="3")
    fetched = add.get_result(result.id)
    assert (fetched.return_value, fetched.attempts, len(fetched.errors)) == (3, 2, 1)
    assert fetched.worker_ids == ["worker-1", "worker-1"]


# refresh and wait


def test_refresh_brings_everything_up_to_date(finish: Finish) -> None:
    result = add.enqueue(1, 2)
    finish(return_value="3")
    result.refresh()
    assert (result.status, result.return_value, result.worker_ids) == ("SUCCESSFUL", 3, ["worker-1"])
    assert result == add.get_result(result.id)


def test_refresh_of_what_was_pruned_says_so(finish: Finish) -> None:
    result = add.enqueue(1, 2)
    finish()
    Result.objects.all().delete()
    with pytest.raises(TaskResultDoesNotExist):
        result.refresh()


def test_wait_answers_at_once_where_the_job_has_finished(finish: Finish) -> None:
    result = add.enqueue(1, 2)
    finish(return_value="3")
    assert result.wait(timeout=0).return_value == 3
    again = add.enqueue(1, 2)
    finish(return_value="4")
    assert async_to_sync(again.await_result)(0).return_value == 4


def test_wait_gives_up_and_says_what_it_saw() -> None:
    result = add.enqueue(1, 2)
    with pytest.raises(TimeoutError, match=rf"Job {result.id} \(tests\.tasks\.add\) is still READY after 0\.05 s"):
        result.wait(timeout=0.05)
    with pytest.raises(TimeoutError, match="is still READY after 0 s"):
        async_to_sync(result.await_result)(0)


def test_waiting_inside_a_transaction_is_explained() -> None:
    with transaction.atomic():
        result = add.enqueue(1, 2)
        with pytest.raises(TimeoutError, match="does not run before that transaction is committed"):
            result.wait(timeout=0)


def test_waiting_for_ever_inside_a_transaction_is_refused_at_once() -> None:
    with transaction.atomic():
        result = add.enqueue(1, 2)
        with pytest.raises(EndlessWait, match=r"job \S+ \(tests\.tasks\.add\) cannot run, or not be seen to end"):
            result.wait()
        with pytest.raises(EndlessWait):
            async_to_sync(result.await_result)()


def test_waiting_in_async_code_is_told_how() -> None:
    result = add.enqueue(1, 2)

    async def view() -> None:
        result.wait(timeout=0)

    with pytest.raises(SynchronousOnlyOperation, match=r"await result\.await_result"):
        async_to_sync(view)()


def test_what_has_ended_in_this_transaction_is_no_wait() -> None:
    result = add.enqueue(1, 2)
    result.cancel()
    assert result.wait().is_cancelled


@pytest.mark.django_db(transaction=True)
def test_waiting_for_ever_without_autocommit_is_refused_too() -> None:
    transaction.set_autocommit(False)
    try:
        with pytest.raises(EndlessWait):
            add.enqueue(1, 2).wait()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


def test_a_job_that_was_there_before_the_transaction_is_waited_for(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1")
    result = nap.enqueue(1)
    with transaction.atomic():
        if connection.vendor == "sqlite":
            # There it sees nothing that others commit.
            with pytest.raises(EndlessWait):
                result.wait()
        else:
            assert result.wait().status == "SUCCESSFUL"


def test_a_wait_in_vain_says_why() -> None:
    result = add.enqueue(1, 2)
    why = r"No worker is alive: start one with manage\.py taskworker\."
    with pytest.raises(TimeoutError, match=why):
        result.wait(timeout=0)
    with pytest.raises(TimeoutError, match=why):
        async_to_sync(result.await_result)(0)
    later = add.using(run_after=timedelta(hours=1)).enqueue(1, 2)
    with pytest.raises(TimeoutError, match=f"Scheduled for .* {why}"):
        later.wait(timeout=0)
    scenes.add_worker()
    with pytest.raises(TimeoutError, match=r"transaction is committed\.$"):
        result.wait(timeout=0)


# What is missing


@pytest.fixture
def without_tables(transactional_db: None) -> Iterator[None]:
    call_command("migrate", "django_tasks_q", "zero", verbosity=0)
    yield
    call_command("migrate", "django_tasks_q", verbosity=0)


def test_missing_tables_are_explained(without_tables: None) -> None:
    for enqueue_it in (lambda: add.enqueue(1, 2), lambda: add.enqueue_many([(1, 2)] * 3)):
        with pytest.raises(DatabaseError, match=r"run manage\.py migrate django_tasks_q --database default\."):
            enqueue_it()


def test_async_code_is_told_of_aenqueue() -> None:
    async def view() -> None:
        add.enqueue(1, 2)

    with pytest.raises(SynchronousOnlyOperation, match=r"async context.* write await task\.aenqueue"):
        async_to_sync(view)()


# Signals


@pytest.fixture
def enqueued() -> Iterator[list[tuple[Any, Any, bool]]]:
    """Every task_enqueued: its sender, the result, and whether the job was stored by then."""
    seen: list[tuple[Any, Any, bool]] = []

    def receive(sender: Any, task_result: Any, **kwargs: Any) -> None:
        seen.append((sender, task_result, Job.objects.filter(pk=task_result.id).exists()))

    task_enqueued.connect(receive)
    yield seen
    task_enqueued.disconnect(receive)


def test_task_enqueued_is_sent_when_the_job_is_stored(enqueued: list[Any]) -> None:
    result = add.enqueue(1, 2)
    assert enqueued == [(TasksQBackend, result, True)]


def test_task_enqueued_is_sent_for_each_of_many(enqueued: list[Any]) -> None:
    results = enqueue_many([(add, (number, 1), {}) for number in range(3)])
    assert [(result, stored) for _, result, stored in enqueued] == [(result, True) for result in results]


def test_nothing_is_sent_for_what_was_refused(enqueued: list[Any]) -> None:
    with pytest.raises(UnserializableError):
        enqueue(add, {1}, 2)
    assert enqueued == []


def test_a_result_can_cancel_its_job(broker: Any) -> None:
    result = add.enqueue(1, 2)
    assert result.cancel(by="Ann")
    assert not result.cancel(by="Bob")
    assert result.status == "READY"
    result.refresh()
    assert result.status == "FAILED"
    assert Result.objects.get().reason == "Cancelled by Ann."


def test_a_result_can_cancel_its_job_from_async_code(broker: Any) -> None:
    result = add.enqueue(1, 2)
    assert async_to_sync(result.acancel)()
    assert not async_to_sync(result.acancel)()
