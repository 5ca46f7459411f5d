"""PostgreSQL is restarted under load."""

import os

import pytest

from tests.conftest import StartWorker
from tests.waiting import wait_for

from .conftest import OwnPostgreSQL

pytestmark = pytest.mark.only_on("postgresql")
# TEST_JOBS=5000 is the full size.
JOBS = int(os.environ.get("TEST_JOBS", "1500"))


def test_a_restart_under_load_loses_no_job(start_worker: StartWorker, own_postgresql: OwnPostgreSQL) -> None:
    own, environment = own_postgresql, own_postgresql.environment
    workers = [start_worker("--concurrency", "2", "-v", "0", environment=environment, wait=False) for _ in range(2)]
    own.wait_for_workers(2)
    own.enqueue(f"(tasks.nap, (0.004,), {{}}) for _ in range({JOBS})")
    own.enqueue(f"(own.touch_database, (str(number),), {{}}) for number in range({JOBS // 10})")
    total = JOBS + JOBS // 10
    for share, mode in ((0.2, "fast"), (0.5, "immediate")):
        done = f"SELECT count(*) > {total * share} FROM django_tasks_q_result"
        wait_for(lambda done=done: own.ask(done), f"{share:.0%} of the jobs")
        own.restart(mode)
    wait_for(lambda: own.ask("SELECT count(*) FROM django_tasks_q_job") == 0, "no job to be left")

    # An id can be there only once: it is the primary key of the history.
    assert own.ask("SELECT count(*) FROM django_tasks_q_result") == total
    assert own.ask("SELECT count(*) FROM django_tasks_q_result WHERE status <> 'SUCCESSFUL'") == 0
    assert own.ask("SELECT count(DISTINCT label) FROM tests_effect") == JOBS // 10
    assert [worker.stop() for worker in workers] == [0, 0]
    assert all("The database does not answer" in worker.output for worker in workers)


def test_a_worker_outlives_a_restart_while_it_sleeps(start_worker: StartWorker, own_postgresql: OwnPostgreSQL) -> None:
    own = own_postgresql
    worker = start_worker("--concurrency", "1", environment=own.environment, wait=False)
    own.wait_for_workers(1)
    own.restart("fast")
    own.enqueue("[(tasks.noop, (), {})]")
    wait_for(lambda: own.ask("SELECT count(*) FROM django_tasks_q_result") == 1, "the job to run")
    assert worker.stop() == 0


def test_a_stopping_worker_gives_up_on_a_database_that_stays_away(
    start_worker: StartWorker, own_postgresql: OwnPostgreSQL
) -> None:
    own = own_postgresql
    worker = start_worker("--concurrency", "1", "--shutdown-timeout", "0", environment=own.environment, wait=False)
    own.wait_for_workers(1)
    own.enqueue("[(own.sleep_at_first, ('x',), {})]")
    wait_for(lambda: own.ask("SELECT count(*) FROM tests_effect") == 1, "the job to run")
    own.stop()
    worker.signal()
    assert worker.wait() == 1
    assert "1 jobs are left for other workers to rescue" in worker.output

    own.start()
    assert start_worker("--burst", environment=own.environment, wait=False).wait() == 0
    assert own.ask("SELECT status FROM django_tasks_q_result") == "SUCCESSFUL"
    assert own.ask("SELECT losses FROM django_tasks_q_result") == 1
