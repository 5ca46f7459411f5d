"""Whether to look for jobs now, and what becomes of a wake-up."""

import math
import time
from typing import Any

import pytest

from django_tasks_q.notifiers import make_notifier
from django_tasks_q.services.registry import Identity, Registry
from django_tasks_q.worker.claiming.pass_on import PassOn
from django_tasks_q.worker.claiming.polling import Polling
from django_tasks_q.worker.claiming.queues import QueueSelector
from tests import tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def polling(broker: Any) -> Polling:
    registry = Registry(broker, Identity("test", [], [], 1))
    return Polling(make_notifier("default", "default"), registry, QueueSelector(broker, [], []))


@pytest.fixture
def pass_on(polling: Polling) -> PassOn:
    return PassOn(polling.registry, polling.notifier, polling)


def look(polling: Polling, found: int) -> None:
    assert polling.is_due
    polling.look()
    polling.note_found(found, polling.demand)


def test_who_has_no_room_does_not_look_whatever_is_requested(polling: Polling) -> None:
    assert polling.is_requested
    assert (polling.is_due, polling.due_at) == (False, math.inf)
    polling.demand = 1
    assert (polling.is_due, polling.due_at) == (True, 0.0)


def test_who_has_found_less_than_wanted_looks_again_when_it_polls(polling: Polling) -> None:
    polling.demand = 2
    look(polling, 1)
    assert (polling.is_exhausted, polling.is_due) == (True, False)
    assert polling.due_at > time.monotonic()


def test_a_queue_that_may_have_more_is_looked_at_at_once(polling: Polling) -> None:
    tasks.noop.enqueue()
    polling.demand = 1
    look(polling, 1)
    assert (polling.is_exhausted, polling.is_due, polling.due_at) == (False, True, 0.0)


def test_who_is_not_told_of_jobs_looks_each_turn(polling: Polling) -> None:
    polling.notifier.reads_idle_flag = True
    polling.demand = 1
    for told in (False, True):
        look(polling, 0)
        polling.registry.idle = told
        polling.request_if_due()
        assert polling.is_requested is not told


def test_a_wake_up_is_remembered_until_the_worker_has_looked(polling: Polling, pass_on: PassOn) -> None:
    polling.demand = 1
    look(polling, 0)
    assert pass_on.due_at == math.inf
    polling.request()
    pass_on.note_heard({"default"})
    # It has not looked yet: whether it found all before says nothing.
    pass_on.run()
    assert pass_on.due_at == 0.0
    look(polling, 0)
    pass_on.run()
    assert pass_on.due_at == math.inf


def test_a_full_worker_keeps_no_wake_up_to_itself(polling: Polling, pass_on: PassOn) -> None:
    polling.registry.idle = True
    tasks.noop.enqueue()
    pass_on.note_heard({"default"})
    pass_on.run()
    # It is not asleep, and others are woken.
    assert (polling.registry.idle, pass_on.due_at) == (False, math.inf)


def test_who_is_woken_again_and_again_looks_in_between(polling: Polling) -> None:
    """Or other queues would wait, and it would claim a few jobs at a time for ever."""
    polling.demand = 2
    look(polling, 0)
    seen = []
    for _ in range(4):
        polling.request(["default"])
        heard = polling.take_heard()
        seen.append(heard)
        assert (polling.is_due, polling.is_requested) == (True, True)
        if not heard:
            look(polling, 0)
    assert seen == [["default"], [], ["default"], []]


def test_who_is_not_out_of_work_looks_at_once(polling: Polling) -> None:
    polling.demand = 1
    look(polling, 1)
    polling.request(["default"])
    assert polling.take_heard() == []
    assert polling.is_requested
