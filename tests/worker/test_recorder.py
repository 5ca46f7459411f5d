"""Outcomes are held until the database has them."""

from typing import Any

import pytest

from django_tasks_q.models import Job, Result
from django_tasks_q.services.registry import Identity, Registry
from django_tasks_q.worker.recorder import MANY, Recorder
from tests.brokers.conftest import make_outcomes, make_spec

pytestmark = pytest.mark.django_db


def test_what_is_held_while_the_database_writes_comes_next(broker: Any) -> None:
    registry = Registry(broker, Identity("worker", [], [], 1))
    registry.register()
    recorder = Recorder(broker, registry, tell=lambda job, error: None)
    broker.enqueue([make_spec() for _ in range(MANY + 1)])
    jobs = broker.claim(registry.worker_id, "default", MANY + 1)
    *ended, late = [(job, *make_outcomes([job], "SUCCESSFUL")) for job in jobs]
    for job, outcome in ended:
        recorder.hold(job, outcome)

    recorded = recorder.record(meanwhile=lambda: recorder.hold(*late))
    if not broker.works_meanwhile:
        recorder.hold(*late)
    assert recorded == {job.id for job, _ in ended}
    assert recorder.settle(recorded) == []
    assert [job for job, _ in recorder.held] == [late[0]]
    assert (recorder.finished, Job.objects.get().id) == (MANY, late[0].id)

    assert recorder.settle(recorder.record(meanwhile=lambda: None)) == []
    assert (recorder.finished, recorder.held) == (MANY + 1, [])
    assert Result.objects.count() == MANY + 1
