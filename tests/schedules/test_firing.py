"""The tick, without workers: what it makes of schedules that are due."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from django_tasks_q import every
from django_tasks_q.backend import TasksQBackend
from django_tasks_q.control import jobs, schedules
from django_tasks_q.lifecycle import OccurrenceStatus, ScheduleKind
from django_tasks_q.models import Job, Result, Schedule, ScheduleRun
from django_tasks_q.moments import to_aware, to_stored
from django_tasks_q.monitoring.schedules import run_of_job, runs, state
from django_tasks_q.schedules.firing import BATCH, Fired, Firer
from django_tasks_q.signals import schedule_disabled, schedule_fired

from .conftest import MakeSchedule, set_back

pytestmark = pytest.mark.django_db
Fire = Callable[[], Fired]
HOUR = timedelta(hours=1)


def occurrences(row: Schedule, status: str = OccurrenceStatus.ENQUEUED) -> list[datetime]:
    return [to_aware(run.slot) for run in row.runs.filter(status=status).order_by("slot")]


def begin_again(row: Schedule, moment: datetime) -> None:
    """Let an occurrence be due that nobody knows to have been fired."""
    row.runs.all().delete()
    set_back(row, moment)


def test_a_due_occurrence_becomes_a_job_once(hourly: MakeSchedule, fire: Fire, now: datetime) -> None:
    row = hourly(args=[1], kwargs={"a": 2}, queue_name="q", priority=5, options={"max_attempts": 3})
    assert fire() == Fired(due=1, jobs=1)
    assert fire() == Fired()
    (job,) = Job.objects.all()
    assert (job.args, job.kwargs, job.queue_name, job.priority) == ([1], {"a": 2}, "q", 5)
    assert job.options == {"max_attempts": 3}
    assert job.metadata == {"schedule": {"name": "hourly", "slot": now.isoformat()}}
    row.refresh_from_db()
    assert to_aware(row.next_run_at) == now + HOUR
    assert (row.last_job_id, row.total_runs) == (job.id, 1)
    assert occurrences(row) == [now]


def test_jobs_and_runs_are_linked_both_ways(hourly: MakeSchedule, fire: Fire) -> None:
    row = hourly()
    fire()
    (record,) = runs(row)
    assert record.job_status == "READY"
    found = run_of_job(str(record.job_id))
    assert found is not None
    assert found.schedule == row
    jobs.cancel([record.job_id])
    assert runs(row)[0].job_status == "CANCELLED"
    Result.objects.all().delete()
    assert runs(row)[0].job_status is None


def test_the_database_keeps_an_occurrence_from_being_fired_twice(
    hourly: MakeSchedule, fire: Fire, now: datetime
) -> None:
    row = hourly()
    fire()
    with pytest.raises(IntegrityError), transaction.atomic():
        ScheduleRun.objects.create(schedule=row, slot=to_stored(now), fired_at=to_stored(now))
    # A clock that is set back finds the occurrence fired.
    set_back(row, now - HOUR)
    fire()
    assert Job.objects.count() == 1
    assert Schedule.objects.get().next_run_at > to_stored(datetime.now(UTC))


def test_a_task_has_its_own_queue_priority_and_metadata(hourly: MakeSchedule, fire: Fire) -> None:
    hourly(task="tests.schedules.tasks.special")
    fire()
    job = Job.objects.get()
    assert (job.queue_name, job.priority) == ("special", 7)
    assert job.metadata["its"] == "own"
    assert job.metadata["schedule"]["name"] == "hourly"


@pytest.mark.parametrize(("catch_up", "made_up"), [("none", 0), ("latest", 1), ("all", 3)])
def test_what_was_missed_is_made_up_for_as_the_policy_says(
    catch_up: str, made_up: int, hourly: MakeSchedule, fire: Fire, now: datetime
) -> None:
    row = hourly(missed=2, catch_up=catch_up)
    fire()
    assert occurrences(row) == [now - 2 * HOUR, now - HOUR, now][3 - made_up :]
    assert occurrences(row, OccurrenceStatus.MISSED) == ([] if catch_up == "all" else [now - 2 * HOUR])
    row.refresh_from_db()
    assert to_aware(row.next_run_at) == now + HOUR


@pytest.mark.parametrize("catch_up", ["latest", "all"])
def test_only_what_is_within_the_window_is_made_up_for(
    catch_up: str, hourly: MakeSchedule, fire: Fire, now: datetime
) -> None:
    age = (datetime.now(UTC) - now).total_seconds()
    wide = hourly("wide", missed=5, catch_up=catch_up, catch_up_window=round(age) + 3_700)
    narrow = hourly("narrow", missed=5, catch_up=catch_up, catch_up_window=10)
    fire()
    assert occurrences(wide) == ([now - HOUR, now] if catch_up == "all" else [now])
    assert occurrences(narrow) == []


def test_an_occurrence_that_is_a_little_late_was_not_missed(
    hourly: MakeSchedule, fire: Fire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is.
    monkeypatch.setattr("django_tasks_q.schedules.occurrences.GRACE", timedelta(minutes=10))
    row = hourly(timing=every(seconds=1), catch_up="none")
    late = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=4)
    set_back(row, late)
    fire()
    assert occurrences(row)[:5] == [late + timedelta(seconds=number) for number in range(5)]


def test_very_many_missed_occurrences_are_made_up_for_in_parts(
    hourly: MakeSchedule, fire: Fire, now: datetime
) -> None:
    row = hourly(timing=every(seconds=1), catch_up="all", end_at=now)
    set_back(row, now - timedelta(seconds=1_500))
    assert fire().jobs == 1_000
    assert fire().jobs == 501
    assert occurrences(row)[0] == now - timedelta(seconds=1_500)
    assert len(occurrences(row)) == 1_501


def test_the_latest_of_very_many_is_found_quickly(hourly: MakeSchedule, fire: Fire, now: datetime) -> None:
    row = hourly(timing=every(seconds=1), missed=24 * 365, end_at=now)
    fire()
    assert occurrences(row) == [now]
    row.refresh_from_db()
    assert (row.next_run_at, row.reason) == (None, "It is over: no slot is left.")


def test_overlap_skip_leaves_an_occurrence_out_while_a_job_has_not_finished(
    hourly: MakeSchedule, fire: Fire, now: datetime
) -> None:
    row = hourly(overlap="skip", missed=2, catch_up="all")
    fire()
    assert occurrences(row) == [now - 2 * HOUR]
    assert occurrences(row, OccurrenceStatus.SKIPPED) == [now - HOUR, now]
    begin_again(row, now)
    fire()
    assert occurrences(row, OccurrenceStatus.SKIPPED) == [now]
    jobs.cancel([Job.objects.get().id])
    begin_again(row, now)
    fire()
    assert occurrences(row) == [now]


def test_overlap_cancel_previous_cancels_what_waits_and_asks_what_runs_to_stop(
    broker: Any, hourly: MakeSchedule, fire: Fire, now: datetime
) -> None:
    row = hourly(overlap="cancel_previous")
    fire()
    first = Job.objects.get()
    begin_again(row, now)
    fire()
    assert Result.objects.get(id=first.id).status == "CANCELLED"
    assert Result.objects.get(id=first.id).reason == "Its schedule came to the next slot."
    (running,) = broker.claim("w1", "default", 1)
    begin_again(row, now)
    fire()
    asked = Job.objects.get(id=running.id)
    assert (asked.status, asked.cancel_reason) == ("RUNNING", "Its schedule came to the next slot.")
    assert asked.cancel_requested_at is not None
    assert Job.objects.count() == 2


def test_a_tick_that_replaces_no_job_cancels_none(
    broker: Any, hourly: MakeSchedule, fire: Fire, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not even an empty list of them: that costs a savepoint.
    monkeypatch.setattr(broker, "cancel", lambda *args, **kwargs: pytest.fail("It cancels."))
    hourly(overlap="cancel_previous")
    hourly("other")
    assert fire().jobs == 2


def test_overlap_allow_runs_jobs_side_by_side(hourly: MakeSchedule, fire: Fire, now: datetime) -> None:
    hourly(missed=1, catch_up="all")
    fire()
    assert Job.objects.count() == 2


def test_it_runs_as_often_as_it_may(hourly: MakeSchedule, fire: Fire) -> None:
    row = hourly(missed=5, catch_up="all", max_runs=2)
    fire()
    row.refresh_from_db()
    assert (row.total_runs, row.next_run_at, row.reason) == (2, None, "It has run as often as it may.")
    assert state(row) == "FINISHED"


def test_it_runs_from_its_start_to_its_end(hourly: MakeSchedule, fire: Fire, now: datetime) -> None:
    with_start = schedules.create(
        "start", every(hours=1), "tests.tasks.noop", start_at=now + timedelta(days=1, minutes=7)
    )
    assert to_aware(with_start.next_run_at) == now + timedelta(days=1, minutes=7)
    over = schedules.create("over", every(hours=1), "tests.tasks.noop", end_at=now)
    assert (over.next_run_at, over.reason) == (None, "It is over: no slot is left.")


def test_jitter_puts_a_job_off_always_by_the_same(hourly: MakeSchedule, fire: Fire, now: datetime) -> None:
    row = hourly(jitter=7_200, missed=9, catch_up="all")
    fire()
    delays = {
        to_aware(job.run_after) - datetime.fromisoformat(job.metadata["schedule"]["slot"]) for job in Job.objects.all()
    }
    assert len(delays) == 10
    assert all(timedelta() <= delay <= 2 * HOUR for delay in delays)
    before = {job.metadata["schedule"]["slot"]: job.run_after for job in Job.objects.all()}
    ScheduleRun.objects.all().delete()
    Job.objects.all().delete()
    set_back(row, now - 9 * HOUR)
    fire()
    assert {job.metadata["schedule"]["slot"]: job.run_after for job in Job.objects.all()} == before


def test_a_job_that_may_expire_is_told_when(hourly: MakeSchedule, fire: Fire, now: datetime) -> None:
    hourly(expires_after=60)
    fire()
    assert Job.objects.get().options == {"expires_at": (now + timedelta(seconds=60)).isoformat()}


LONG_AGO = to_stored(datetime(2020, 1, 1, tzinfo=UTC))
DAMAGES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown task": ({"task_path": "tests.tasks.gone"}, "There is no task at 'tests.tasks.gone'"),
    "arguments": ({"task_path": "tests.tasks.add"}, "The arguments do not fit tests.tasks.add: missing a required"),
    "expression": ({"kind": ScheduleKind.CRON, "expression": "often"}, "is not a cron expression"),
    "zone": ({"timezone": "Europe/Atlantis"}, "There is no time zone"),
    "kind": ({"kind": "odd"}, "There is no kind of schedule"),
    "payload": ({"args": [{"a" * 10: "b" * 2_000_000}]}, "bytes of JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_an_error_disables_one_schedule_visibly_and_no_other(name: str, hourly: MakeSchedule, fire: Fire) -> None:
    columns, expected = DAMAGES[name]
    good, bad = hourly("good"), hourly("bad")
    Schedule.objects.filter(pk=bad.pk).update(**columns, updated_at=LONG_AGO)
    told: list[Any] = []

    def hear(**facts: Any) -> None:
        told.append((facts["schedule"].name, facts["reason"]))

    schedule_disabled.connect(hear)
    try:
        fire()
    finally:
        schedule_disabled.disconnect(hear)
    bad.refresh_from_db()
    assert (bad.enabled, bad.next_run_at) == (False, None)
    assert expected in bad.reason
    assert state(bad) == "DISABLED"
    assert told == [("bad", told[0][1])]
    assert occurrences(good)
    assert Job.objects.count() == 1


def test_what_a_newer_release_may_know_is_enqueued_all_the_same(hourly: MakeSchedule, fire: Fire) -> None:
    row = hourly()
    Schedule.objects.filter(pk=row.pk).update(task_path="tests.tasks.to_come")
    fire()
    job = Job.objects.get()
    assert (job.task_path, job.queue_name) == ("tests.tasks.to_come", "default")


def test_what_is_not_known_yet_waits(broker: Any, hourly: MakeSchedule) -> None:
    hourly()
    assert Firer(broker, TasksQBackend, lambda path: None).fire() == Fired(due=1, waiting=1)
    assert not Job.objects.exists()


def test_one_that_the_database_refuses_is_disabled_alone(hourly: MakeSchedule, fire: Fire) -> None:
    good, bad = hourly("good"), hourly("bad")

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if many and any(list(each)[-1] == bad.pk and list(each)[3] for each in params):
            raise DataError("too odd")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        assert fire() == Fired(due=2, jobs=1)
    assert occurrences(good)
    bad.refresh_from_db()
    assert (bad.enabled, bad.reason, bad.next_run_at) == (False, "too odd", None)
    assert Job.objects.count() == 1


def test_who_fires_says_so(hourly: MakeSchedule, fire: Fire, now: datetime) -> None:
    hourly()
    told: list[Any] = []

    def hear(**facts: Any) -> None:
        told.append((facts["schedule"].name, facts["slot"], facts["job_id"]))

    schedule_fired.connect(hear)
    try:
        fire()
    finally:
        schedule_fired.disconnect(hear)
    assert told == [("hourly", now, str(Job.objects.get().id))]


def test_more_than_a_batch_is_fired_in_batches(broker: Any, hourly: MakeSchedule, fire: Fire, now: datetime) -> None:
    row = hourly()
    columns = {item.attname: getattr(row, item.attname) for item in row._meta.concrete_fields if item.attname != "id"}
    Schedule.objects.bulk_create([Schedule(**columns | {"name": f"copy {number}"}) for number in range(BATCH + 9)])
    assert [fire().due, fire().due, fire().due] == [BATCH, 10, 0]
    assert Job.objects.count() == BATCH + 10
