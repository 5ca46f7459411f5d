import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from django_tasks_q.brokers import get_broker
from django_tasks_q.control import jobs
from django_tasks_q.lifecycle import JobStatus, ResultStatus
from django_tasks_q.models import Job, Result
from django_tasks_q.notifiers import make_notifier

from .. import scenes
from ..tasks import add, noop
from ..waiting import wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH", 2)


@pytest.fixture
def two_backends(settings: Any) -> None:
    """Another backend on the same tables."""
    settings.TASKS = {"default": settings.TASKS["default"], "other": settings.TASKS["default"]}


# cancel


def test_cancel_says_who_wished_it() -> None:
    [job_id] = scenes.jobs()
    assert jobs.cancel([job_id], by="alice") == ({job_id}, set())
    result = Result.objects.get()
    assert (result.id, result.status, result.reason) == (job_id, ResultStatus.CANCELLED, "Cancelled by alice.")


def test_cancel_without_a_name_has_a_reason_too() -> None:
    jobs.cancel(scenes.jobs())
    assert Result.objects.get().reason == "Cancelled."


def test_cancel_takes_what_waits_asks_what_runs_and_leaves_what_has_finished() -> None:
    [held], [done] = scenes.running(), scenes.results()
    [ready], [later] = scenes.jobs(), scenes.jobs(run_after=timedelta(hours=1))
    assert jobs.cancel([held, done, ready, later, uuid.uuid4()], by="alice") == ({ready, later}, {held})
    row = Job.objects.get()
    assert (row.id, row.status, row.cancel_reason) == (held, JobStatus.RUNNING, "Cancelled by alice.")
    assert Result.objects.get(pk=done).status == ResultStatus.SUCCESSFUL


def test_what_runs_can_be_left_alone() -> None:
    [held], [ready] = scenes.running(), scenes.jobs()
    assert jobs.cancel([held, ready], running=False) == ({ready}, set())
    assert Job.objects.get().cancel_requested_at is None


def test_cancel_goes_in_batches() -> None:
    ids = scenes.jobs(jobs.BATCH + 1)
    assert jobs.cancel(iter(ids)).done == set(ids)
    assert not Job.objects.exists()


def test_cancel_of_nothing_does_nothing() -> None:
    assert jobs.cancel([]) == (set(), set())


def test_a_verb_touches_only_the_backend_that_it_names(two_backends: None) -> None:
    [job_id], [result_id] = scenes.jobs(), scenes.results()
    assert jobs.cancel([job_id], backend="other") == (set(), set())
    assert jobs.retry([result_id], backend="other") == set()
    assert jobs.delete([result_id], backend="other") == 0
    assert (Job.objects.count(), Result.objects.count()) == (1, 1)


# cancel_matching


def test_cancel_matching_takes_a_queue_or_a_task_or_both(small_batches: None) -> None:
    scenes.jobs(3, queue_name="mail")
    scenes.jobs(2, add, (1, 2), queue_name="mail")
    scenes.jobs(1, add, (1, 2))
    assert len(jobs.cancel_matching(queue="mail", task="tests.tasks.add").done) == 2
    assert len(jobs.cancel_matching(queue="mail").done) == 3
    assert len(jobs.cancel_matching(task="tests.tasks.add", by="bob").done) == 1
    assert not Job.objects.exists()
    assert Result.objects.get(queue_name="default").reason == "Cancelled by bob."


def test_cancel_matching_leaves_what_runs(small_batches: None) -> None:
    [held] = scenes.running()
    scenes.jobs(3)
    assert len(jobs.cancel_matching(queue="default").done) == 3
    assert Job.objects.filter(cancel_requested_at=None).exists()
    assert jobs.cancel_matching(queue="default", running=True) == (
        set(),
        set(Job.objects.values_list("id", flat=True)),
    )
    assert Job.objects.get().id == held


def test_cancel_matching_leaves_what_comes_later() -> None:
    [job_id] = scenes.jobs()
    Job.objects.update(enqueued_at=get_broker("default").dialect.now() + timedelta(minutes=1))
    assert jobs.cancel_matching(task="tests.tasks.noop") == (set(), set())
    assert Job.objects.get().id == job_id


def test_cancel_matching_wants_a_condition() -> None:
    scenes.jobs()
    with pytest.raises(ValueError, match="Name a queue or a task"):
        jobs.cancel_matching()
    assert Job.objects.count() == 1


# retry


@pytest.mark.parametrize("status", ResultStatus.values)
def test_retry_makes_whatever_has_finished_ready_under_its_old_id(status: str) -> None:
    [result_id] = scenes.results(status=status)
    assert jobs.retry([result_id]) == {result_id}
    job = Job.objects.get()
    assert (job.id, job.status, job.failures) == (result_id, JobStatus.READY, 0)
    assert not Result.objects.exists()


def test_retry_leaves_what_has_not_finished() -> None:
    [held], [ready] = scenes.running(), scenes.jobs()
    assert jobs.retry([held, ready, uuid.uuid4()]) == set()
    assert Job.objects.get(pk=held).status == JobStatus.RUNNING


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_retry_and_only_retry_of_something_wakes_a_worker_that_sleeps() -> None:
    [result_id] = scenes.results()
    listener = make_notifier("default", "default")
    listener.listen(scenes.add_sleeper("here"))
    listener.drain()
    jobs.retry([result_id])
    wait_for(listener.drain, "the wake-up")
    connection.close()


# retry_failed


def test_retry_failed_takes_only_what_has_failed(small_batches: None) -> None:
    failed = scenes.results(5, ResultStatus.FAILED)
    scenes.results(1, ResultStatus.SUCCESSFUL)
    assert jobs.retry_failed() == 5
    assert set(Job.objects.values_list("id", flat=True)) == set(failed)
    assert Result.objects.get().status == ResultStatus.SUCCESSFUL


def test_retry_failed_of_a_task_or_a_queue(small_batches: None) -> None:
    scenes.results(3, ResultStatus.FAILED, noop, seconds_ago=30)
    scenes.results(3, ResultStatus.FAILED, add, args=(1, 2), queue_name="mail", seconds_ago=20)
    scenes.results(3, ResultStatus.FAILED, noop, queue_name="mail", seconds_ago=10)
    assert jobs.retry_failed(task="tests.tasks.add", queue="default") == 0
    assert jobs.retry_failed(task="tests.tasks.add") == 3
    assert jobs.retry_failed(queue="mail") == 3
    assert Result.objects.filter(queue_name="default").count() == 3


def test_retry_failed_stops_at_the_limit_with_the_first_to_fail(small_batches: None) -> None:
    late = scenes.results(2, ResultStatus.FAILED, seconds_ago=10)
    early = scenes.results(3, ResultStatus.FAILED, seconds_ago=20)
    assert jobs.retry_failed(limit=3) == 3
    assert set(Job.objects.values_list("id", flat=True)) == set(early)
    assert set(Result.objects.values_list("id", flat=True)) == set(late)


def test_retry_failed_leaves_what_fails_meanwhile() -> None:
    scenes.results(1, ResultStatus.FAILED, seconds_ago=-60)
    assert jobs.retry_failed() == 0


# delete


def test_delete_says_how_many_there_were() -> None:
    ids = scenes.results(3)
    [job_id] = scenes.jobs()
    assert jobs.delete([*ids[:2], uuid.uuid4(), job_id]) == 2
    assert Result.objects.get().id == ids[2]
    assert Job.objects.get().id == job_id


# run now


def test_run_now_is_for_what_is_scheduled() -> None:
    [ready], [later] = scenes.jobs(), scenes.jobs(run_after=timedelta(hours=1))
    assert jobs.run_now([ready, later]) == {later}
    assert set(Job.objects.values_list("status", flat=True)) == {JobStatus.READY}


def test_run_now_by_queue_or_task_takes_what_is_scheduled_there(small_batches: None) -> None:
    late = scenes.jobs(5, run_after=timedelta(hours=1), queue_name="mail")
    [other] = scenes.jobs(run_after=timedelta(hours=1))
    assert jobs.run_now_matching(queue="mail", task=noop.module_path) == 5
    assert set(Job.objects.filter(status=JobStatus.READY).values_list("pk", flat=True)) == set(late)
    with pytest.raises(ValueError, match="does not run everything"):
        jobs.run_now_matching()
    assert Job.objects.get(pk=other).status == JobStatus.SCHEDULED


# move


def test_move_changes_the_queue_the_priority_or_both(small_batches: None) -> None:
    ids = scenes.jobs(3)
    assert jobs.move(ids, to_queue="mail") == set(ids)
    assert jobs.move_matching(queue="mail", priority=9) == 3
    assert jobs.move_matching(task=noop.module_path, to_queue="sms", priority=-9) == 3
    assert set(Job.objects.values_list("queue_name", "priority")) == {("sms", -9)}


@pytest.mark.parametrize(
    "changes", [{}, {"priority": 101}, {"priority": -101}, {"to_queue": ""}, {"to_queue": "x" * 129}]
)
def test_move_refuses_what_no_job_can_have(changes: Any) -> None:
    ids = scenes.jobs()
    for act in (lambda: jobs.move(ids, **changes), lambda: jobs.move_matching(queue="default", **changes)):
        with pytest.raises(ValueError, match="priority|queue name"):
            act()
    with pytest.raises(ValueError, match="does not move everything"):
        jobs.move_matching(to_queue="mail")
