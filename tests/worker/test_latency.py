"""How soon an idle worker begins, and what it costs to have one."""

import os
import statistics
import sys
import time

import pytest
from django.db import transaction

from tests import tasks
from tests.conftest import StartWorker
from tests.waiting import wait_for
from tests.workers import WorkerProcess

from .conftest import OwnPostgreSQL

pytestmark = pytest.mark.only_on("postgresql")
ENQUEUES = int(os.environ.get("TEST_ENQUEUES", "40"))
IDLE_SECONDS = float(os.environ.get("TEST_IDLE_SECONDS", "8"))


def tell(figures: str) -> None:
    """Show them with pytest -s."""
    sys.stderr.write(f"\n{figures}\n")


def latency() -> float:
    """Return the seconds from the commit of one job to its first line."""
    committed: list[float] = []
    with transaction.atomic():
        transaction.on_commit(lambda: committed.append(time.time()))
        result = tasks.start_time.enqueue()
    return float(result.wait(30).return_value) - committed[0]


def test_an_idle_worker_begins_at_once(start_worker: StartWorker) -> None:
    # Only a wake-up brings it so soon: it would look again after half a minute.
    worker = start_worker("--concurrency", "2", "-v", "0", options={"poll_interval": 30})
    wait_until_idle(worker)
    found = []
    for _ in range(ENQUEUES):
        found.append(latency())
        # Until it sleeps again, or nearly so: the moment in between is a part of what is tested.
        time.sleep(0.02)
    tell(f"median {statistics.median(found) * 1000:.1f} ms, worst {max(found) * 1000:.1f} ms of {ENQUEUES}")
    # Generous, for a busy machine, which may stand still once or twice; a quiet one takes less than 0.01 s.
    assert statistics.median(found) < 1
    assert sorted(found)[-3] < 4


def wait_until_idle(worker: WorkerProcess) -> None:
    wait_for(lambda: worker.row.idle, "the worker to sleep")


def test_an_idle_worker_asks_little(start_worker: StartWorker, own_postgresql: OwnPostgreSQL) -> None:
    """As the server's own log counts it, BEGIN and COMMIT included."""
    own = own_postgresql
    worker = start_worker("--concurrency", "2", environment=own.environment, wait=False)
    own.wait_for_workers(1)
    wait_for(lambda: own.ask("SELECT bool_or(idle) FROM django_tasks_q_worker"), "the worker to sleep")
    own.log_statements()
    # Rests a moment, so that what follows is idleness only.
    wait_for(lambda: any("UPDATE django_tasks_q_worker" in line for line in own.logged_statements()), "a heartbeat")
    before, began = len(own.logged_statements()), time.monotonic()
    time.sleep(IDLE_SECONDS)
    count = len(own.logged_statements()) - before
    seconds = time.monotonic() - began
    tell(f"{count} statements in {seconds:.3g} s: {count / seconds:.2f} in a second")
    assert count / seconds < 3
    assert worker.stop() == 0
