"""Without a notifier a worker looks by itself, at first often, then less and less."""

import time

import pytest

from django_tasks_q.notifiers import make_notifier
from django_tasks_q.notifiers.polling import PollingNotifier
from tests import tasks
from tests.conftest import StartWorker
from tests.waiting import wait_for


def test_an_idle_worker_finds_jobs(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1", options={"notifier": "polling"})
    for pause in (0, 0.1, 2.5):
        time.sleep(pause)
        began = time.monotonic()
        tasks.noop.enqueue().wait(10)
        assert time.monotonic() - began < 4


def test_the_interval_can_be_set(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1", options={"notifier": "polling", "poll_interval": 0.05})
    tasks.noop.enqueue().wait(10)
    began = time.monotonic()
    for _ in range(10):
        tasks.noop.enqueue().wait(10)
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("transactional_db")
def test_a_worker_that_polls_never_says_that_it_sleeps(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1", options={"notifier": "polling", "heartbeat_interval": 0.2})
    tasks.noop.enqueue().wait(10)
    first = worker.row.heartbeat_at
    wait_for(lambda: worker.row.heartbeat_at > first, "a heartbeat")
    assert not worker.row.idle


@pytest.mark.django_db
def test_polling_wakes_nobody() -> None:
    notifier = PollingNotifier("default", "default", make_notifier("default", "default").options)
    assert (notifier.wakes, notifier.fileno(), notifier.before_sleep(), notifier.drain()) == (
        False,
        None,
        False,
        False,
    )
