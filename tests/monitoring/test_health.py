from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from django_tasks_q.brokers import get_broker
from django_tasks_q.control.queues import pause
from django_tasks_q.lifecycle import WorkerStatus
from django_tasks_q.models import Job
from django_tasks_q.monitoring.health import health, worker_health

from .. import scenes

pytestmark = pytest.mark.django_db


def test_a_worker_and_nothing_to_do_is_healthy() -> None:
    scenes.add_worker()
    assert (health().ok, health().problems, health().workers) == (True, [], 1)


@pytest.mark.parametrize(
    "worker", [{"silent_for": 60}, {"status": WorkerStatus.OFFLINE}, {"status": WorkerStatus.LOST}, None]
)
def test_without_a_living_worker_nothing_is(worker: dict[str, Any] | None) -> None:
    if worker is not None:
        scenes.add_worker(**worker)
    assert not health().ok
    assert health().problems == ["No worker is alive: start one with manage.py taskworker."]


def test_a_ready_queue_that_nobody_listens_to_is_a_problem() -> None:
    scenes.add_worker(queues=["default"])
    scenes.jobs()
    scenes.jobs(queue_name="a b")
    assert health().problems == [
        'Queue "a b" has ready jobs, but no worker listens to it: '
        "start one with manage.py taskworker --queues 'a b'."
    ]


def test_a_worker_that_drains_lives_but_listens_to_nothing() -> None:
    scenes.add_worker(status=WorkerStatus.DRAINING)
    assert health().ok
    scenes.jobs()
    assert not health().ok


def test_a_paused_queue_needs_no_listener() -> None:
    scenes.add_worker(queues=["default"])
    scenes.jobs(queue_name="mail")
    pause("mail")
    assert health(max_age=0).ok


def test_a_job_that_has_waited_too_long_is_a_problem_where_one_asks() -> None:
    scenes.add_worker()
    [job_id] = scenes.jobs()
    Job.objects.filter(pk=job_id).update(enqueued_at=get_broker("default").dialect.now() - timedelta(seconds=100))
    assert health().ok
    assert health(max_age=1_000).ok
    [problem] = health(max_age=50).problems
    assert problem.startswith('Queue "default" has a job that has been ready for 1')
    assert "start more workers" in problem


def test_a_scheduled_job_that_is_overdue_is_one_too() -> None:
    scenes.add_worker()
    scenes.jobs(run_after=timedelta(hours=1))
    assert health(max_age=0).ok
    Job.objects.update(due_at=get_broker("default").dialect.now() - timedelta(seconds=100))
    [problem] = health(max_age=50).problems
    assert problem.startswith("A scheduled job has been due for 1")


# One worker alone


def test_a_worker_is_looked_at_by_its_id_or_its_name() -> None:
    worker = scenes.add_worker("web-1", queues=["reports"])
    scenes.add_worker("web-2", silent_for=60)
    # What others are to run is no fault of its.
    scenes.jobs(queue_name="mail")
    assert not health().ok
    assert worker_health(worker.id).problems == worker_health("web-1").problems == []
    assert worker_health("web-1").workers == 1


def test_of_several_with_a_name_one_alive_is_enough() -> None:
    lost = scenes.add_worker("web-1", silent_for=60, status=WorkerStatus.LOST)
    assert worker_health("web-1").problems == [f"Worker {lost.id} is not alive: it is LOST."]
    scenes.add_worker("web-1", status=WorkerStatus.DRAINING)
    assert worker_health("web-1").ok


@pytest.mark.parametrize("name", ["web", "", "web-1-", "%"])
def test_part_of_a_name_is_none(name: str) -> None:
    scenes.add_worker("web-1")
    assert worker_health(name).problems == [f'No worker of the backend "default" has the id or the name "{name}".']


def test_a_silent_worker_is_not_alive() -> None:
    worker = scenes.add_worker("web-1", silent_for=60)
    [problem] = worker_health("web-1").problems
    assert problem.startswith(f"Worker {worker.id} is not alive: its last heartbeat was 1")


# Some queues alone


def test_only_the_queues_that_are_named_are_looked_at() -> None:
    scenes.add_worker(queues=["reports"])
    scenes.jobs(queue_name="mail")
    assert (health(queues=["reports"]).problems, health(queues=["reports"]).workers) == ([], 1)
    state = health(queues=["reports", "mail"])
    assert state.problems == ['No worker listens to queue "mail": start one with manage.py taskworker --queues mail.']
    pause("mail")
    assert health(queues=["reports", "mail"], max_age=0).ok


def test_a_named_queue_needs_a_worker_though_it_is_empty() -> None:
    scenes.add_worker(queues=["mail"])
    assert health().ok
    assert (health(queues=["reports"]).ok, health(queues=["reports"]).workers) == (False, 0)


def test_only_jobs_of_the_named_queues_can_be_late() -> None:
    scenes.add_worker()
    scenes.jobs(queue_name="mail")
    [late] = scenes.jobs(queue_name="mail", run_after=timedelta(hours=1))
    past = get_broker("default").dialect.now() - timedelta(seconds=100)
    Job.objects.update(enqueued_at=past)
    Job.objects.filter(pk=late).update(due_at=past)
    assert health(queues=["reports"], max_age=50).ok
    assert health(queues=["mail"], max_age=10.0**15).ok
    ready, scheduled = health(queues=["mail"], max_age=50).problems
    assert ready.startswith('Queue "mail" has a job that has been ready for 1')
    assert scheduled.startswith('Queue "mail" has a scheduled job that has been due for 1')


@pytest.fixture
def without_tables(transactional_db: None) -> Iterator[None]:
    call_command("migrate", "django_tasks_q", "zero", verbosity=0)
    yield
    call_command("migrate", "django_tasks_q", verbosity=0)


def test_missing_migrations_are_named(without_tables: None) -> None:
    [problem] = health().problems
    assert problem.startswith("Migrations are not applied: django_tasks_q.0001_")
    assert problem.endswith("Apply them with manage.py migrate django_tasks_q --database default.")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer_is_a_problem_and_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    nowhere = {"HOST": "127.0.0.1", "PORT": "1"} if connection.vendor != "sqlite" else {"NAME": "/nowhere/at/all"}
    for name, value in nowhere.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
    [problem] = health().problems
    connection.close()
    assert problem.startswith('The database "default" does not answer: ')
    assert "\n" not in problem
