"""Problems are reported, with what to do; and nothing is reported if nothing is wrong."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import F
from django.utils import translation

from django_tasks_q import every
from django_tasks_q.control import queues, schedules
from django_tasks_q.lifecycle import WorkerStatus
from django_tasks_q.models import Job, Result, Schedule
from django_tasks_q.monitoring.health import health
from django_tasks_q.monitoring.problems import Severity, Situation, Subject, Trouble, troubles
from django_tasks_q.monitoring.running import running_jobs

from .. import scenes

pytestmark = pytest.mark.django_db

HOUR = 3_600


def found() -> dict[str, Trouble]:
    return {trouble.kind: trouble for trouble in troubles(Situation("default"))}


def age(seconds: float) -> None:
    """Let every job be older than it is."""
    Job.objects.update(enqueued_at=F("enqueued_at") - timedelta(seconds=seconds))


def test_where_nothing_is_wrong_nothing_is_said() -> None:
    scenes.add_worker()
    scenes.jobs(3)
    scenes.results(3)
    scenes.count(2, successful=100, failed=2)
    assert found() == {}


def test_no_worker() -> None:
    assert found()["no_worker"].severity == Severity.WARNING
    scenes.jobs(3)
    trouble = found()["no_worker"]
    assert trouble.severity == Severity.CRITICAL
    assert "3 jobs are ready" in trouble.message
    assert trouble.command == "manage.py taskworker"


def test_queues_that_nobody_listens_to() -> None:
    scenes.add_worker(queues=["default"])
    scenes.jobs(2, queue_name="mail")
    trouble = found()["unheard_queue"]
    assert (trouble.severity, trouble.queue) == (Severity.CRITICAL, "mail")
    assert "“mail”" in trouble.message
    assert trouble.command == "manage.py taskworker --queues mail"
    scenes.jobs(5, queue_name="a b")
    trouble = found()["unheard_queue"]
    assert "2 queues" in trouble.message
    assert "7 in “a b”, “mail”" in trouble.message
    assert trouble.command == "manage.py taskworker --queues 'a b,mail'"


def test_a_backlog_that_grows_or_takes_long() -> None:
    scenes.add_worker()
    scenes.jobs(100)
    age(5)
    scenes.count(2, successful=10)
    assert "backlog" not in found()
    age(55)
    assert "grows" in found()["backlog"].message
    assert "1 h 40 min" in found()["backlog"].message
    age(2 * HOUR)
    scenes.count(3, task_path="t", successful=30)
    assert "would take 25 min" not in found().get("backlog", Trouble(*[""] * 5)).message  # type: ignore[arg-type]
    scenes.jobs(100)
    assert "at the current rate" in found()["backlog"].message


def test_a_backlog_without_finished_jobs() -> None:
    scenes.add_worker()
    scenes.jobs(1)
    age(60)
    assert "none has finished" in found()["backlog"].message


def test_a_worker_that_cannot_record_how_jobs_ended() -> None:
    scenes.add_worker(trouble="2 finished jobs have not been recorded, the first for 9 s: a lock")
    trouble = found()["unrecorded"]
    assert (trouble.severity, trouble.subject) == (Severity.CRITICAL, Subject.WORKER)
    assert "the first for 9 s: a lock" in trouble.message
    assert any("cannot record how jobs ended: 2 finished jobs" in problem for problem in health().problems)


def test_a_paused_queue() -> None:
    scenes.add_worker()
    scenes.jobs(2, queue_name="mail")
    queues.pause("mail")
    trouble = found()["paused_queue"]
    assert (trouble.queue, trouble.command) == ("mail", "manage.py tasks resume mail")
    assert set(found()) == {"paused_queue"}


def test_workers_that_are_silent_or_lost() -> None:
    scenes.add_worker("here")
    scenes.add_worker("silent", silent_for=60, host="web-2")
    assert "web-2" in found()["stale_worker"].remedy
    worker = scenes.add_worker("gone", status=WorkerStatus.LOST, host="web-3")
    worker.stopped_at = worker.started_at
    worker.save()
    assert "1 worker was lost" in found()["lost_workers"].message
    assert "web-3" in found()["lost_workers"].message
    worker.stopped_at = worker.started_at - timedelta(hours=2)
    worker.save()
    assert "lost_workers" not in found()


def test_scheduled_jobs_that_are_late(broker: Any) -> None:
    scenes.add_worker()
    scenes.jobs(1, run_after=timedelta(hours=1))
    assert found() == {}
    Job.objects.update(due_at=broker.dialect.now() - timedelta(minutes=5))
    assert "5 min" in found()["late_jobs"].message


def test_schedules_that_are_late(broker: Any) -> None:
    scenes.add_worker()
    schedules.create("hourly", every(hours=1), "tests.tasks.noop")
    assert found() == {}
    Schedule.objects.update(next_run_at=broker.dialect.now() - timedelta(minutes=5))
    assert "5 min" in found()["late_schedules"].message
    assert "--no-scheduler" in found()["late_schedules"].remedy
    schedules.pause("hourly")
    assert found() == {}


def test_failures_that_are_more_than_usual(broker: Any) -> None:
    now = broker.dialect.now()
    scenes.add_worker()
    scenes.count(3, now=now, successful=50, failed=4)
    assert found() == {}
    scenes.count(4, now=now, failed=10)
    assert found()["failures"].severity == Severity.CRITICAL
    assert "14 jobs failed" in found()["failures"].message
    # Where as many fail at other times, that is no news.
    scenes.count(180, successful=100, failed=50)
    assert found() == {}


def test_results_that_nobody_prunes(broker: Any) -> None:
    scenes.add_worker()
    scenes.results(1)
    Result.objects.update(finished_at=broker.dialect.now() - timedelta(seconds=broker.options.result_ttl + HOUR))
    assert found() == {}
    Result.objects.update(finished_at=broker.dialect.now() - timedelta(seconds=broker.options.result_ttl + 25 * HOUR))
    assert found()["unpruned"].command == "manage.py tasks prune"


@pytest.fixture
def other_session(transactional_db: None) -> Iterator[Any]:
    other = connections.create_connection("default")
    yield other
    other.close()


@pytest.mark.only_on("postgresql")
def test_a_transaction_that_keeps_vacuum_from_cleaning(other_session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes.add_worker()
    monkeypatch.setattr("django_tasks_q.monitoring.problems.database.OLDEST_SNAPSHOT", 0.0)
    assert found() == {}
    with other_session.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT pg_backend_pid(), count(*) FROM django_tasks_q_job")
        session = cursor.fetchone()[0]
        assert found()["pinned_snapshot"].command == f"SELECT pg_terminate_backend({session})"
        cursor.execute("ROLLBACK")
    assert found() == {}


def test_the_worst_comes_first() -> None:
    scenes.add_worker("silent", silent_for=60)
    queues.pause("mail")
    scenes.jobs(1)
    severities = [trouble.severity for trouble in troubles(Situation("default"))]
    assert severities == sorted(severities, key=list(Severity).index)
    assert len(set(severities)) == 2


def test_troubles_can_be_said_in_another_language() -> None:
    with translation.override("de"):
        assert found()["no_worker"].message


def test_running_jobs_are_listed_with_their_time(broker: Any) -> None:
    [first, second] = scenes.running(2, worker="w7")
    Job.objects.filter(pk=second).update(last_attempted_at=broker.dialect.now() - timedelta(seconds=90))
    long, short = running_jobs()
    assert (long.id, long.worker_id, long.attempt) == (str(second), "w7", 1)
    assert 90 <= long.seconds < 150
    assert (short.id, short.seconds < 60) == (str(first), True)
    assert connection.alias
    assert len(running_jobs(limit=1)) == 1


def test_what_runs_says_how_far_it_is_and_that_it_is_to_be_cancelled(broker: Any) -> None:
    [plain, asked] = scenes.running(2)
    told = {"done": 3, "total": 12, "message": "pages", "at": "2026-11-21T12:00:00+00:00"}
    Job.objects.filter(pk=asked).update(progress=told, cancel_requested_at=broker.dialect.now())
    jobs = {job.id: job for job in running_jobs()}
    said = jobs[str(asked)].progress
    assert said is not None
    assert (said.done, said.total, said.message) == (3, 12, "pages")
    assert jobs[str(asked)].cancel_requested_at is not None
    assert (jobs[str(plain)].progress, jobs[str(plain)].cancel_requested_at) == (None, None)
