"""LISTEN/NOTIFY: sleeping workers are woken, and nobody is where nobody sleeps."""

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_tasks_q import enqueue_many
from django_tasks_q.control import jobs as control
from django_tasks_q.control import queues
from django_tasks_q.models import Job, Sleeper, Worker
from django_tasks_q.notifiers import make_notifier
from tests import scenes, tasks
from tests.conftest import StartWorker
from tests.rows import row_of, wait_for_effects, wait_until_done
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


class Listener:
    """A session that hears what workers hear."""

    def __init__(self, session: Any) -> None:
        self.session = session
        session.execute("LISTEN django_tasks_q")
        self.listen()

    def listen(self) -> None:
        """Listen to what those that sleep now are told."""
        for address in Sleeper.objects.values_list("address", flat=True):
            self.session.execute(f"LISTEN {address}")

    def __call__(self) -> list[tuple[str, str]]:
        """Return who was told what since the last call: the address, none for all, and the payload."""
        marker = uuid.uuid4().hex
        # What was committed before it arrives before it.
        is_true("SELECT pg_notify('django_tasks_q', %s) IS NOT NULL", marker)
        heard = []
        for notification in self.session.notifies(timeout=LIMIT):
            if notification.payload == marker:
                return heard
            channel = notification.channel
            heard.append(("" if channel == "django_tasks_q" else channel, notification.payload))
        raise AssertionError(f"Waited {LIMIT:g} s in vain for a notification of our own; heard {heard}.")


@pytest.fixture
def heard(transactional_db: None) -> Iterator[Listener]:
    import psycopg  # noqa: PLC0415

    parameters = connection.get_connection_params()
    names = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}
    with psycopg.connect(**names, autocommit=True) as session:
        yield Listener(session)


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


def test_one_notification_for_a_transaction_and_none_after_a_rollback(sleeper: WorkerProcess, heard: Listener) -> None:
    with transaction.atomic():
        for _ in range(20):
            tasks.noop.enqueue()
    address = Sleeper.objects.get().address
    assert heard() == [(address, "default")]

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


def test_nobody_is_notified_where_nobody_sleeps(start_worker: StartWorker, heard: Listener, tmp_path: Path) -> None:
    tasks.noop.enqueue()
    assert heard() == []

    start_worker("--concurrency", "1", **SELDOM)
    wait_at_first.enqueue("long", str(tmp_path / "never"))
    wait_for_effects(["long"])
    wait_for(lambda: not Sleeper.objects.exists(), "the worker to say that it is busy")
    heard()
    enqueue_many([(tasks.noop, (), {})] * 20)
    tasks.noop.enqueue()
    assert heard() == []


def test_a_worker_of_another_backend_is_not_woken(sleeper: WorkerProcess, heard: Listener) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('django_tasks_q', 'elsewhere')")
    assert heard() == [("", "elsewhere")]
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


# Who is woken


def test_only_those_are_told_that_listen_to_the_queue(transactional_db: None) -> None:
    scenes.add_sleeper("a", ["mail"])
    scenes.add_sleeper("b", ["mail", "default"])
    scenes.add_sleeper("c", [], ["default"])
    scenes.add_sleeper("d", backend="elsewhere")
    assert told("default") == ["b"]
    assert told("mail") == ["a", "b"]
    assert told("other") == ["c"]
    assert told('it\'s "%s"') == ["c"]


def told(queue: str, jobs: int = 1) -> list[str]:
    """Return who is told, the first one first, by the statements that do it."""
    notifier = make_notifier("default", "default")
    with CaptureQueriesContext(connection) as queries:
        notifier.send({queue: jobs})
    (statement,) = [query["sql"] for query in queries]
    shown = statement.replace("pg_notify(address", "concat(address")
    payload = "'" + queue.replace("'", "''") + "'"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT replace(x, {payload}, '') FROM ({shown}) s(x)".replace("%", "%%"), [])
        return [row[0] for row in cursor.fetchall()]


def test_two_are_told_of_a_job_and_of_several_as_many_as_have_room(heard: Listener) -> None:
    for number, address in enumerate("abcdef"):
        since = timezone.now() - timedelta(seconds=number)
        scenes.add_sleeper(address, since=since, concurrency=2)
    heard.listen()
    tasks.noop.enqueue()
    assert len(heard()) == 2
    enqueue_many([(tasks.noop, (), {})] * 7)
    assert sorted(heard()) == [(address, "default") for address in "abcd"]
    enqueue_many([(tasks.noop, (), {})] * 2)
    assert sorted(heard()) == [(address, "default") for address in "ab"]
    enqueue_many([(tasks.noop, (), {})] * 1_000)
    assert len(heard()) == 6


def test_a_transaction_tells_of_each_queue_once_and_of_many_at_once(heard: Listener) -> None:
    scenes.add_sleeper("a")
    heard.listen()
    with transaction.atomic():
        for queue in ("mail", "default", "mail"):
            tasks.noop.using(queue_name=queue).enqueue()
        tasks.noop.enqueue()
    assert sorted(heard()) == [("a", "default"), ("a", "mail")]
    enqueue_many([(tasks.noop.using(queue_name=f"q{number}"), (), {}) for number in range(9)])
    assert heard() == [("", "default")]


def test_an_enqueue_does_not_wait_for_a_sleepers_row(transactional_db: None) -> None:
    scenes.add_sleeper("a")
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM django_tasks_q_sleeper FOR UPDATE")
        is_true("SELECT set_config('lock_timeout', '1s', false) IS NOT NULL")
        tasks.noop.enqueue()
    other.close()
    connection.close()


def test_a_frozen_worker_does_not_swallow_the_wake_up(start_worker: StartWorker) -> None:
    workers = [start_worker("--concurrency", "1", **SELDOM) for _ in range(2)]
    wait_for(lambda: Sleeper.objects.count() == 2, "the workers to sleep")
    frozen, other = workers
    frozen.freeze()
    for _ in range(5):
        result = tasks.process_id.enqueue().wait(LIMIT)
        assert row_of(result).worker_id == other.row.id
    frozen.thaw()


def test_who_has_no_room_passes_it_on(start_worker: StartWorker, tmp_path: Path) -> None:
    """Five sleep, and each job finds the last two to fall asleep, who are busy with a long one."""
    workers = [start_worker("--concurrency", "1", **SELDOM) for _ in range(5)]
    wait_for(lambda: Sleeper.objects.count() == 5, "the workers to sleep")
    for number in range(5):
        wait_at_first.enqueue(f"long {number}", str(tmp_path / "go"))
    wait_for_effects([f"long {number}" for number in range(5)])
    assert {job.worker_id for job in Job.objects.all()} == {worker.row.id for worker in workers}
    (tmp_path / "go").touch()
    wait_until_done(5)


def test_a_worker_that_was_taken_for_dead_is_woken_under_its_new_name(sleeper: WorkerProcess) -> None:
    before = sleeper.row.id
    Worker.objects.filter(id=before).update(status="LOST")
    wait_for(lambda: Worker.objects.filter(status="ONLINE").exclude(id=before).exists(), "the worker to start over")
    wait_for(lambda: Sleeper.objects.exclude(worker_id=before).exists(), "its sleep")
    for _ in range(3):
        tasks.noop.enqueue().wait(LIMIT)


def test_a_worker_that_stops_is_no_sleeper(sleeper: WorkerProcess) -> None:
    assert sleeper.stop() == 0
    assert not Sleeper.objects.exists()
