import re
from datetime import timedelta
from typing import Any

import pytest

from django_tasks_q.brokers import get_broker
from django_tasks_q.control.queues import pause
from django_tasks_q.lifecycle import JobStatus
from django_tasks_q.models import Job
from django_tasks_q.monitoring.formatting import moment_text
from django_tasks_q.monitoring.jobs import why

from .. import scenes

pytestmark = pytest.mark.django_db


def reason(job_id: Any) -> str:
    return why(Job.objects.get(pk=job_id))


def test_a_running_job_names_who_holds_it_and_since_when() -> None:
    worker = scenes.add_worker()
    [job_id] = scenes.running(worker=worker.id)
    since = moment_text(Job.objects.get().last_attempted_at)
    assert reason(job_id) == f"Held by worker {worker.id} since {since}, attempt 1."


def test_a_running_job_of_a_silent_worker_waits_for_its_rescue() -> None:
    worker = scenes.add_worker(silent_for=60)
    scenes.add_worker("other")
    [job_id] = scenes.running(worker=worker.id)
    assert "another one will make the job ready again 15 s after its last heartbeat." in reason(job_id)
    assert "start one" not in reason(job_id)


def test_a_running_job_of_the_only_worker_that_died_needs_a_new_one() -> None:
    [job_id] = scenes.running(worker="gone")
    assert "no longer reports" in reason(job_id)
    assert reason(job_id).endswith("No worker is alive: start one with manage.py taskworker.")


def test_a_scheduled_job_says_for_when() -> None:
    scenes.add_worker()
    [job_id] = scenes.jobs(run_after=timedelta(hours=2, minutes=30))
    due = moment_text(Job.objects.get().due_at)
    assert reason(job_id).startswith(f"Scheduled for {due}, in 2 h ")


def test_a_scheduled_job_that_is_overdue_says_so_and_what_is_missing() -> None:
    [job_id] = scenes.jobs(run_after=timedelta(hours=2))
    Job.objects.update(due_at=get_broker("default").dialect.now() - timedelta(seconds=1_000))
    assert re.search(" 1[67] min", reason(job_id))


def test_a_job_that_failed_says_why_it_is_scheduled() -> None:
    scenes.add_worker()
    [job_id] = scenes.running()
    job = Job.objects.get()
    claimed = get_broker("default").held_by("w1")
    scenes.finish(claimed, JobStatus.SCHEDULED, reason="ValueError: boom")
    assert job.id == job_id
    assert ". ValueError: boom." in reason(job_id)


def test_a_waiting_job_says_what_for() -> None:
    [job_id] = scenes.jobs()
    Job.objects.update(status=JobStatus.WAITING)
    assert reason(job_id) == "Waiting for other jobs, or for a slot of a limit."
    Job.objects.update(reason="Waits for 3 jobs.")
    assert reason(job_id) == "Waits for 3 jobs."


def test_a_ready_job_without_any_worker() -> None:
    [job_id] = scenes.jobs()
    assert reason(job_id) == "No worker is alive: start one with manage.py taskworker."


def test_a_ready_job_whose_queue_nobody_listens_to() -> None:
    scenes.add_worker(queues=["default"])
    [job_id] = scenes.jobs(queue_name="two words")
    assert reason(job_id) == (
        "No worker listens to queue \"two words\": start one with manage.py taskworker --queues 'two words'."
    )


def test_a_ready_job_of_a_paused_queue() -> None:
    scenes.add_worker()
    pause("mail")
    [job_id] = scenes.jobs(queue_name="mail")
    assert reason(job_id).startswith('Queue "mail" has been paused since ')
    assert reason(job_id).endswith("resume it with manage.py tasks resume mail.")


def test_a_ready_job_behind_others_counts_them() -> None:
    scenes.add_worker()
    scenes.jobs(2, priority=7)
    first, middle, _ = scenes.jobs(3)
    scenes.jobs(4, priority=-1)
    scenes.jobs(5, queue_name="mail", priority=9)
    assert reason(first) == "Behind 2 jobs in its queue."
    assert reason(middle) == "Behind 3 jobs in its queue."


def test_a_ready_job_behind_one() -> None:
    scenes.add_worker()
    assert reason(scenes.jobs(2)[1]) == "Behind 1 job in its queue."


def test_a_ready_job_that_is_next() -> None:
    scenes.add_worker()
    [job_id] = scenes.jobs()
    assert reason(job_id) == "First in its queue: the next free worker takes it."


def test_a_job_that_was_put_back_says_why() -> None:
    scenes.add_worker()
    scenes.jobs()
    scenes.finish(scenes.claim(), JobStatus.READY, reason="Its worker was stopped")
    assert why(Job.objects.get()).startswith("Its worker was stopped. First in its queue")
