"""A database that goes away: the worker carries on by itself, and no outcome is dropped."""

import select
import time
from collections import Counter
from collections.abc import Callable

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction

from django_tasks_q import enqueue_many
from django_tasks_q.brokers import get_broker
from django_tasks_q.lifecycle import ResultStatus, WorkerStatus
from django_tasks_q.models import Job, Result, Worker
from django_tasks_q.worker.database import Database
from django_tasks_q.worker.shutdown import Shutdown, ShutdownSignals
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import wait_until_done
from tests.waiting import LIMIT, wait_for, wait_for_results

from . import tasks

JOBS = 800
OTHERS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


def terminate_all_other_connections() -> int:
    """Do what an administrator may do, to everybody; return to how many."""
    with connection.cursor() as cursor:
        cursor.execute(OTHERS[settings.DATABASE])
        ids = [row[0] for row in cursor.fetchall()]
        for each in ids:
            try:
                cursor.execute(KILL[settings.DATABASE].format(int(each)))
            except OperationalError as error:
                # It has gone by itself.
                if "Unknown thread" not in str(error):
                    raise
    return len(ids)


@pytest.mark.only_on("postgresql", "mysql")
def test_terminated_connections_lose_no_job(start_worker: StartWorker) -> None:
    workers = [start_worker("--concurrency", "2", "-v", "0") for _ in range(2)]
    results = enqueue_many((tasks.touch_database, (str(number),), {}) for number in range(JOBS))
    kills = 0
    for share in (0.2, 0.4, 0.6, 0.8):
        wait_for(lambda share=share: Result.objects.count() > JOBS * share, f"{share:.0%} of the jobs")
        kills += terminate_all_other_connections()
    assert kills >= 4
    wait_until_done(JOBS)

    assert {str(key) for key in Result.objects.values_list("id", flat=True)} == {result.id for result in results}
    counts = Counter(Result.objects.values_list("status", "losses"))
    assert counts == {(ResultStatus.SUCCESSFUL, 0): JOBS}
    assert set(Effect.objects.values_list("label", flat=True)) == {str(number) for number in range(JOBS)}
    assert [worker.stop() for worker in workers] == [0, 0]
    assert any("does not answer" in worker.output for worker in workers)


@pytest.mark.only_on("postgresql", "mysql")
def test_an_idle_worker_hears_again_after_its_connection_was_terminated(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1")
    wait_for_results([usual.add.enqueue(1, 2)])
    terminate_all_other_connections()
    wait_for(lambda: "is back" in worker.output, "the worker to connect again")
    assert wait_for_results([usual.add.enqueue(1, number) for number in range(3)]) == [1, 2, 3]
    assert worker.stop() == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_who_was_cut_off_asks_whether_it_lives_before_it_claims(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1", options={"heartbeat_interval": 30, "rescue_after": 90})
    old = worker.row.id
    Worker.objects.filter(id=old).update(status=WorkerStatus.LOST)
    terminate_all_other_connections()
    result = usual.add.enqueue(1, 2).wait(20)
    assert len(result.worker_ids) == 1
    assert old not in result.worker_ids
    assert f"Worker {old} was presumed dead" in worker.output


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("transactional_db")
def test_a_session_that_was_ended_in_its_transaction_is_gone() -> None:
    """As that of a worker is that was suspended in the middle of a round."""
    database = Database(get_broker("default"), Shutdown(ShutdownSignals(), 0.0))
    database.is_new = False
    with database, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 50")
        poll = select.poll()
        poll.register(connection.connection.fileno(), select.POLLIN)
        assert poll.poll(LIMIT * 1_000)
        cursor.execute("SELECT 1")
    assert database.is_new


@pytest.mark.usefixtures("transactional_db")
def test_a_refusal_is_an_error_again_if_the_database_was_back_in_between(caplog: pytest.LogCaptureFixture) -> None:
    database = Database(get_broker("default"), Shutdown(ShutdownSignals(), 0.0))
    for is_back in (False, True, False):
        with database:
            raise OperationalError('role "mysite" does not exist')
        database.is_new = not is_back
        with database:
            pass
    refusals = [record.levelname for record in caplog.records if "cannot be used" in record.message]
    assert refusals == ["ERROR", "WARNING", "ERROR"]


def lock_sqlite(seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        cursor.execute("ROLLBACK")


def lock_tables(seconds: float) -> None:
    """Keep everybody from writing, as a migration may."""
    statement = {
        "postgresql": "LOCK TABLE django_tasks_q_job IN ACCESS EXCLUSIVE MODE",
        "mysql": "LOCK TABLES django_tasks_q_job WRITE",
    }[settings.DATABASE]
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(statement)
        time.sleep(seconds)
        cursor.execute("ROLLBACK")
        if settings.DATABASE == "mysql":
            cursor.execute("UNLOCK TABLES")


def test_a_locked_database_only_delays(start_worker: StartWorker) -> None:
    lock: Callable[[float], None] = lock_sqlite if settings.DATABASE == "sqlite" else lock_tables
    worker = start_worker("--concurrency", "2", "-v", "0")
    results = enqueue_many((usual.nap, (0.005,), {}) for _ in range(200))
    wait_for(lambda: Result.objects.count() > 20, "the worker to be at it")
    lock(2.5)
    assert wait_for_results(results) == [0.005] * 200
    assert not Job.objects.exists()
    assert not Result.objects.exclude(attempt=1).exists()
    assert worker.stop() == 0


def test_a_worker_may_be_started_before_its_database(start_worker: StartWorker) -> None:
    worker = start_worker("--settings", "tests.management.unreachable", wait=False)
    missed = "cannot be used (unable to open" if settings.DATABASE == "sqlite" else "The database does not answer"
    wait_for(lambda: missed in worker.output, "the worker to miss its database")
    assert worker.stop() == 0
    assert "The worker has stopped without having reached its database." in worker.output


def test_a_database_that_is_not_there_is_an_error_once(start_worker: StartWorker) -> None:
    worker = start_worker("--settings", "tests.management.misnamed", wait=False)
    wait_for(lambda: worker.output.count("The database cannot be used") > 1, "the worker to try again")
    assert worker.stop() == 0
    lines = [line for line in worker.output.splitlines() if "The database cannot be used" in line]
    assert [" ERROR " in line for line in lines] == [True] + [False] * (len(lines) - 1)
    assert 'look at DATABASES["default"]' in lines[0]
