"""Schedules and real workers."""

import logging
import os
import time
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest

from django_tasks_q import cron, every, once
from django_tasks_q.control import schedules
from django_tasks_q.lifecycle import OccurrenceStatus
from django_tasks_q.models import Job, Result, Schedule, ScheduleRun, Worker
from django_tasks_q.moments import to_aware, to_stored
from django_tasks_q.monitoring.schedules import find_schedule, state
from tests.conftest import StartWorker
from tests.models import Effect
from tests.waiting import LIMIT, wait_for
from tests.workers import WorkerProcess

pytestmark = pytest.mark.django_db(transaction=True)
logger = logging.getLogger(__name__)
# How long the crowd of workers is watched; and that many schedules, each of one second.
SECONDS = int(os.environ.get("TEST_SCHEDULES_SECONDS", "6"))
SCHEDULES = 30
# How many schedules are due in the same second.
DUE = int(os.environ.get("TEST_SCHEDULES_DUE", "1200"))
SECOND = timedelta(seconds=1)
# Not by itself while a test runs, at whatever time that is.
RARELY = every(days=36_500)
PERIODIC = {"TEST_APPS": "tests.periodic"}
FRAIL = {"heartbeat_interval": 0.3, "rescue_after": 1.0}


def fired(name: str, count: int) -> list[ScheduleRun]:
    """Wait until so many slots of a schedule have been fired, and return their runs."""
    found = ScheduleRun.objects.filter(schedule__name=name, status=OccurrenceStatus.ENQUEUED).order_by("slot")
    wait_for(lambda: found.count() >= count, f"{count} slots of {name}")
    return list(found)


def test_no_slot_is_fired_twice_and_none_is_missed_whatever_happens_to_workers(start_worker: StartWorker) -> None:
    workers = [start_worker("--concurrency", "1", options=FRAIL, wait=False) for _ in range(4)]
    for worker in workers:
        worker.wait_until_ready()
    for number in range(SCHEDULES):
        schedules.create(f"s{number}", every(seconds=1), "tests.tasks.noop", catch_up="none")
    began = max(to_aware(row.next_run_at) for row in Schedule.objects.all() if row.next_run_at) + SECOND
    disturb(workers)
    runs = ScheduleRun.objects.filter(slot__gte=to_stored(began), slot__lt=to_stored(began + SECONDS * SECOND))
    wait_for(lambda: runs.count() >= SCHEDULES * SECONDS, "the slots to be fired", timeout=SECONDS + LIMIT)
    assert not runs.exclude(status=OccurrenceStatus.ENQUEUED).exists()
    slots = sorted((run.schedule_id, to_aware(run.slot)) for run in runs)
    wanted = [began + number * SECOND for number in range(SECONDS)]
    keys = sorted(Schedule.objects.values_list("pk", flat=True))
    assert slots == [(key, slot) for key in keys for slot in wanted]
    assert len({run.job_id for run in runs}) == len(slots)
    late = [(run.fired_at - run.slot).total_seconds() for run in runs]
    # Seen with --log-cli-level=info.
    logger.info("%s slots, late by %.3f s in the middle, at most by %.3f s", len(late), median(late), max(late))
    wait_for(lambda: not Job.objects.filter(id__in=[run.job_id for run in runs]).exists(), "the jobs to be finished")
    assert Result.objects.filter(id__in=[run.job_id for run in runs]).count() == len(slots)


def disturb(workers: list[WorkerProcess]) -> None:
    """Kill one worker as a host that loses its power, and hold another until it was presumed dead."""
    time.sleep(SECONDS / 6)
    workers[0].kill_all()
    time.sleep(SECONDS / 6)
    workers[1].freeze()
    wait_for(lambda: workers[1].row is not None and workers[1].row.status == "LOST", "it to be taken for dead")
    workers[1].thaw()


def test_very_many_that_are_due_at_once_are_shared_between_workers(start_worker: StartWorker) -> None:
    row = schedules.create("s", cron("0 3 * * *", tz="Europe/Rome"), "tests.tasks.noop", catch_up="none")
    for _ in range(2):
        start_worker("--concurrency", "1", "--queues", "nobody", wait=False)
    wait_for(lambda: Worker.objects.filter(status="ONLINE").count() == 2, "two workers")
    values = {item.attname: getattr(row, item.attname) for item in row._meta.concrete_fields if item.attname != "id"}
    due = datetime.now(UTC).replace(microsecond=0) + (4 if DUE > 5_000 else 2) * SECOND
    values["next_run_at"] = to_stored(due)
    Schedule.objects.bulk_create([Schedule(**values | {"name": f"s{number}"}) for number in range(DUE)])
    schedules.delete("s")
    runs = ScheduleRun.objects.all()
    wait_for(lambda: runs.count() == DUE, f"{DUE} runs")
    assert Job.objects.count() == DUE
    assert runs.values("schedule").distinct().count() == DUE
    took = max(to_aware(moment) for moment in runs.values_list("fired_at", flat=True)) - due
    logger.info("%s schedules were fired within %.2f s", DUE, took.total_seconds())
    assert not Schedule.objects.filter(next_run_at__lte=to_stored(due)).exists()


def test_a_change_takes_effect_within_a_second_or_so(start_worker: StartWorker) -> None:
    start_worker()
    schedules.create("s", RARELY, "tests.tasks.noop")
    schedules.update("s", timing=every(seconds=1))
    changed = datetime.now(UTC)
    first = fired("s", 1)[0]
    assert to_aware(first.fired_at) - changed < 30 * SECOND
    assert schedules.pause("s")
    count = ScheduleRun.objects.count()
    assert state(find_schedule("s")) == "PAUSED"
    schedules.create("other", every(seconds=1), "tests.tasks.noop")
    fired("other", 2)
    assert ScheduleRun.objects.filter(schedule__name="s").count() == count


def test_one_moment_comes_once(start_worker: StartWorker) -> None:
    start_worker()
    moment = datetime.now(UTC).replace(microsecond=0) + 6 * SECOND
    schedules.create("s", once(moment), "tests.tasks.noop")
    (run,) = fired("s", 1)
    assert to_aware(run.slot) == moment
    wait_for(lambda: state(find_schedule("s")) == "FINISHED", "the schedule to be over")


def test_what_the_code_declares_runs_and_its_tasks_know_their_slot(start_worker: StartWorker) -> None:
    worker = start_worker(environment=PERIODIC)
    runs = fired("each second", 2)
    wait_for(lambda: Effect.objects.count() >= 2, "two effects")
    slots = {to_aware(run.slot).isoformat() for run in fired("each second", len(runs))}
    assert set(Effect.objects.values_list("label", flat=True)[:2]) <= slots
    row = find_schedule("tests.periodic.tasks.hourly")
    assert (row.origin, row.args) == ("code", ["of each hour"])
    assert "Schedules: added" in worker.output


def test_the_settings_declare_as_well_and_a_pause_survives(start_worker: StartWorker) -> None:
    declared = {"s": {"task": "tests.tasks.noop", "every": 1}}
    worker = start_worker(options={"schedules": declared})
    fired("s", 1)
    schedules.pause("s")
    worker.stop()
    worker = start_worker(options={"schedules": {**declared, "t": {"task": "tests.tasks.noop", "every": 1}}})
    fired("t", 2)
    assert state(find_schedule("s")) == "PAUSED"


def test_a_worker_may_leave_schedules_to_others(start_worker: StartWorker) -> None:
    start_worker("--no-scheduler", environment=PERIODIC)
    schedules.create("s", every(seconds=1), "tests.tasks.noop")
    job_id = schedules.run_now("s")
    wait_for(lambda: Result.objects.filter(id=job_id).exists(), "the job of an operator")
    assert list(Schedule.objects.values_list("name", "total_runs")) == [("s", 0)]


def test_a_job_that_nobody_could_start_in_time_is_not_run(start_worker: StartWorker) -> None:
    schedules.create("s", RARELY, "tests.tasks.noop", expires_after=1)
    Schedule.objects.update(next_run_at=to_stored(datetime.now(UTC).replace(microsecond=0) - 60 * SECOND))
    start_worker()
    (run,) = fired("s", 1)
    wait_for(lambda: Result.objects.filter(id=run.job_id).exists(), "the job to be given up")
    result = Result.objects.get(id=run.job_id)
    assert result.status == "CANCELLED"
    assert result.reason.startswith("It expired at ")


def test_a_burst_fires_what_is_due(start_worker: StartWorker) -> None:
    schedules.create("s", RARELY, "tests.tasks.noop")
    Schedule.objects.update(next_run_at=to_stored(datetime.now(UTC) - SECOND))
    assert start_worker("--burst", wait=False).wait() == 0
    assert Result.objects.count() == 1
