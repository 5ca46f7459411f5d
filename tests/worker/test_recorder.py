"""Outcomes are held until the database has them."""

from typing import Any

import pytest

from django_tasks_q.models import Job, Result
from django_tasks_q.services.registry import Identity, Registry
from django_tasks_q.worker.recorder import Recorder
from tests.brokers.conftest import make_outcomes, make_spec

pytestmark = pytest.mark.django_db


def test_what_is_held_while_the_database_writes_comes_next(broker: Any) -> None:
    registry = Registry(broker, Identity("worker", [], [], 1))
    registry.register()
    recorder = Recorder(broker, registry, tell=lambda job, error: None)
    broker.enqueue([make_spec() for _ in range(3)])
    first, second, late = broker.claim(registry.worker_id, "default", 3)
    ended = [(job, *make_outcomes([job], "SUCCESSFUL")) for job in (first, second, late)]
    for job, outcome in ended[:2]:
        recorder.hold(job, outcome)

    recorded = recorder.record(meanwhile=lambda: recorder.hold(*ended[2]))
    if not broker.works_meanwhile:
        recorder.hold(*ended[2])
    assert recorded == {first.id, second.id}
    assert recorder.settle(recorded) == []
    assert recorder.held == [ended[2]]
    assert (recorder.finished, Job.objects.get().id) == (2, late.id)

    assert recorder.settle(recorder.record(meanwhile=lambda: None)) == []
    assert (recorder.finished, recorder.held) == (3, [])
    assert Result.objects.count() == 3
