"""Which queues a worker looks at."""

from typing import Any

import pytest

from django_tasks_q import enqueue_many
from django_tasks_q.control import queues as control
from django_tasks_q.worker.claiming.queues import QueueSelector
from tests import tasks


@pytest.mark.django_db
def test_a_worker_does_not_query_paused_queues_or_those_of_others(broker: Any) -> None:
    enqueue_many((tasks.noop.using(queue_name=f"q{number}"), (), {}) for number in range(9))
    for number in range(0, 9, 2):
        control.pause(f"q{number}")
    assert sorted(QueueSelector(broker, [], []).look(now=True)) == ["q1", "q3", "q5", "q7"]
    assert sorted(QueueSelector(broker, [], ["q3"]).look(now=True)) == ["q1", "q5", "q7"]
    assert sorted(QueueSelector(broker, ["q1", "q2", "q3", "none"], ["q3"]).look(now=True)) == ["q1"]
    control.resume("q2")
    assert sorted(QueueSelector(broker, ["q1", "q2"], []).look(now=True)) == ["q1", "q2"]


@pytest.mark.django_db
def test_each_queue_is_the_first_one_in_its_turn_however_often_one_looks(broker: Any) -> None:
    """While jobs become due every look is a fresh one: the same queue was always the first."""
    enqueue_many((tasks.noop.using(queue_name=name), (), {}) for name in ("a", "b", "c"))
    selector = QueueSelector(broker, [], [])
    assert [selector.look(now=True)[0] for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]
    assert selector.look(now=True) == ["a", "b", "c"]
