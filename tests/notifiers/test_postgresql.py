"""LISTEN/NOTIFY: sleeping workers are woken, and nobody is where nobody sleeps."""

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from django_tasks_q import enqueue_many
from django_tasks_q.control import jobs as control
from django_tasks_q.control import queues
from tests import tasks
from tests.conftest import StartWorker
from tests.rows import row_of, wait_for_effects
from tests.waiting import LIMIT, wait_for
from tests.worker.tasks import wait_at_first
from tests.workers import WorkerProcess

from .seldom import SELDOM

pytestmark = [pytest.mark.only_on("postgresql")]
# Its heart beats often, so that it says soon that it is busy.
BEATING = SELDOM | {"options": SELDOM["options"] | {"heartbeat_interval": 0.2}}
# The key of an advisory lock.
GATE = 314


@pytest.fixture
def sleeper(start_worker: StartWorker) -> WorkerProcess:
    """A worker that sleeps."""
    worker = start_worker("--concurrency", "1", **SELDOM)
    wait_for(lambda: worker.row.idle, "the worker to sleep")
    return worker


@pytest.fixture
def heard(transactional_db: None) -> Iterator[Any]:
    """A function that returns the payloads of the notifications since it was last called."""
    import psycopg  # noqa: PLC0415

    parameters = connection.get_connection_params()
    names = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}
    with psycopg.connect(**names, autocommit=True) as listener:
        listener.execute("LISTEN django_tasks_q")

        def since_last() -> list[str]:
            marker = uuid.uuid4().hex
            # What was committed before it arrives before it.
            is_true("SELECT pg_notify('django_tasks_q', %s) IS NOT NULL", marker)
            heard = []
            for notification in listener.notifies(timeout=LIMIT):
                if notification.payload == marker:
                    return heard
                heard.append(notification.payload)
            raise AssertionError(f"Waited {LIMIT:g} s in vain for a notification of our own; heard {heard}.")

        yield since_last


def test_an_enqueue_wakes_a_sleeping_worker(sleeper: WorkerProcess) -> None:
    for _ in range(10):
        tasks.noop.enqueue().wait(LIMIT)


def test_nothing_that_comes_while_a_worker_falls_asleep_is_overlooked(sleeper: WorkerProcess) -> None:
    """At every moment of its way from work to sleep."""
    for pause in range(100):
        tasks.noop.enqueue().wait(LIMIT)
        time.sleep(pause / 10_000)


@pytest.fixture
def gate(transactional_db: None) -> Iterator[Callable[[], bool]]:
    """Holds up whoever says that it sleeps, until this session lets go; yields whether anybody stands there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN PERFORM pg_advisory_xact_lock({GATE}); RETURN NEW; END $$;"
            " CREATE TRIGGER gate BEFORE UPDATE ON django_tasks_q_worker FOR EACH ROW"
            " WHEN (NEW.idle AND NOT OLD.idle) EXECUTE FUNCTION pass_gate()"
        )
    yield lambda: is_true(
        "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        GATE,
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")
        cursor.execute("DROP FUNCTION pass_gate() CASCADE")


def is_true(query: str, *parameters: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return bool(cursor.fetchone()[0])


def test_a_job_that_comes_just_before_a_worker_says_that_it_sleeps_is_found(
    start_worker: StartWorker, gate: Callable[[], bool], tmp_path: Path
) -> None:
    """Its producer has seen nobody asleep and notified nobody; the worker has looked already."""
    worker = start_worker("--concurrency", "1", **BEATING)
    wait_for(lambda: worker.row.idle, "the worker to sleep")
    wait_at_first.enqueue("long", str(tmp_path / "go"))
    wait_for_effects(["long"])
    wait_for(lambda: not worker.row.idle, "the worker to say that it is busy")
    is_true("SELECT pg_advisory_lock(%s) IS NOT NULL", GATE)
    (tmp_path / "go").touch()
    wait_for(gate, "the worker to find nothing, and to be about to say so")

    result = tasks.noop.enqueue()
    is_true("SELECT pg_advisory_unlock(%s)", GATE)
    result.wait(LIMIT)


def test_other_ways_into_the_queue_wake_too(sleeper: WorkerProcess) -> None:
    enqueue_many([(tasks.noop, (), {})] * 3)[-1].wait(LIMIT)
    result = tasks.boom.enqueue().wait(LIMIT)
    control.retry([row_of(result).id])
    wait_for(lambda: row_of(result).attempt == 2, "the retried job to run")
    queues.pause("quiet")
    quiet = tasks.leave_effect.using(queue_name="quiet").enqueue("quiet")
    queues.resume("quiet")
    quiet.wait(LIMIT)
    wait_for_effects(["quiet"])


def test_one_notification_for_a_transaction_and_none_after_a_rollback(sleeper: WorkerProcess, heard: Any) -> None:
    with transaction.atomic():
        for _ in range(20):
            tasks.noop.enqueue()
    assert heard() == ["default"]

    wait_for(lambda: sleeper.row.idle, "the worker to sleep again")
    with transaction.atomic():
        tasks.noop.enqueue()
        transaction.set_rollback(True)
    assert heard() == []


def test_a_worker_that_was_busy_for_long_looks_as_soon_as_it_can(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker("--concurrency", "1", **BEATING)
    wait_at_first.enqueue("long", str(tmp_path / "go"))
    wait_for_effects(["long"])
    wait_for(lambda: not worker.row.idle, "the worker to say that it is busy")
    result = tasks.noop.enqueue()
    (tmp_path / "go").touch()
    result.wait(LIMIT)
    tasks.noop.using(run_after=timedelta(seconds=0.2)).enqueue().wait(LIMIT)


def test_nobody_is_notified_where_nobody_sleeps(start_worker: StartWorker, heard: Any, tmp_path: Path) -> None:
    tasks.noop.enqueue()
    assert heard() == []

    worker = start_worker("--concurrency", "1", **SELDOM)
    wait_at_first.enqueue("long", str(tmp_path / "never"))
    wait_for_effects(["long"])
    wait_for(lambda: not worker.row.idle, "the worker to say that it is busy")
    heard()
    enqueue_many([(tasks.noop, (), {})] * 20)
    tasks.noop.enqueue()
    assert heard() == []


def test_a_worker_of_another_backend_is_not_woken(sleeper: WorkerProcess, heard: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('django_tasks_q', 'elsewhere')")
    assert heard() == ["elsewhere"]
    tasks.noop.enqueue().wait(LIMIT)


def test_a_worker_hears_again_after_its_connection_was_terminated(sleeper: WorkerProcess) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    wait_for(lambda: "The database is back" in sleeper.output, "the worker to connect again")
    wait_for(lambda: sleeper.row.idle, "the worker to sleep again")
    for _ in range(5):
        tasks.noop.enqueue().wait(LIMIT)


def test_delayed_jobs_need_no_wake_up(sleeper: WorkerProcess) -> None:
    """An enqueue of a delayed job tells the sleeping worker of an earlier moment than it knew."""
    for seconds in (0.6, 0.3):
        due = time.time() + seconds
        started = tasks.start_time.using(run_after=timedelta(seconds=seconds)).enqueue().wait(LIMIT).return_value
        assert -0.05 < started - due < 30
