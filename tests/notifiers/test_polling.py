"""Without a notifier a worker looks by itself, at first often, then less and less."""

import time
from typing import Any

import pytest

from django_tasks_q.brokers import get_broker
from django_tasks_q.notifiers import make_notifier
from django_tasks_q.notifiers.polling import PollingNotifier
from django_tasks_q.services.registry import Identity, Registry
from django_tasks_q.worker.claiming.polling import Polling
from django_tasks_q.worker.claiming.queues import QueueSelector
from tests import tasks
from tests.conftest import StartWorker
from tests.waiting import LIMIT, wait_for


def test_an_idle_worker_finds_jobs(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1", options={"notifier": "polling"})
    for pause in (0, 0.1, 2.5):
        time.sleep(pause)
        tasks.noop.enqueue().wait(LIMIT)


@pytest.mark.parametrize("interval", [0.2, 600.0])
def test_the_interval_can_be_set(settings: Any, interval: float) -> None:
    options = {"notifier": "polling", "poll_interval": interval}
    settings.TASKS = {"default": settings.TASKS["default"] | {"OPTIONS": options}}
    broker = get_broker("default")
    selector = QueueSelector(broker, [], [])
    polling = Polling(make_notifier("default", "default"), Registry(broker, Identity("test", [], [], 1)), selector)
    polling.demand, polling.is_requested = 1, False
    for _ in range(30):
        polling.note_found(0, 1)
    # It varies by a tenth.
    assert 0.9 * interval - LIMIT < polling.due_at - time.monotonic() <= interval


@pytest.mark.usefixtures("transactional_db")
def test_a_worker_that_polls_never_says_that_it_sleeps(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1", options={"notifier": "polling", "heartbeat_interval": 0.2})
    tasks.noop.enqueue().wait(LIMIT)
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
