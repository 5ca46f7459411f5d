"""The workers' rows."""

import os
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from django_tasks_q.lifecycle import WorkerStatus
from django_tasks_q.models import Worker
from django_tasks_q.services.liveness import process_start
from django_tasks_q.services.registry import Registry

from .conftest import LOAD, make_registry, silence

# As exactly as a worker knows the database's clock.
MOMENT = timedelta(seconds=1)


def test_a_worker_tells_who_and_where_it_is(broker: Any) -> None:
    before = broker.dialect.now()
    registry = make_registry(broker)
    registry.register()
    row = Worker.objects.get()
    assert (row.id, row.pid, row.concurrency) == (registry.worker_id, os.getpid(), 2)
    assert (row.queues, row.excluded_queues, row.status) == (["a"], ["b"], WorkerStatus.ONLINE)
    assert before - MOMENT < row.heartbeat_at < broker.dialect.now() + MOMENT
    assert row.process_start == process_start(os.getpid()) != ""


def test_who_could_not_register_has_no_id(broker: Any) -> None:
    refused = make_registry(broker, concurrency=-1)
    with pytest.raises(DatabaseError), transaction.atomic():
        refused.register()
    assert refused.worker_id == ""


def test_a_beat_tells_the_load(registry: Registry) -> None:
    silence(registry, 5)
    before = registry.broker.dialect.now()
    assert registry.beat(LOAD, idle=True)
    row = Worker.objects.get()
    assert (row.running, row.finished, row.memory, row.idle) == (1, 2, 3, True)
    assert before - MOMENT < row.heartbeat_at < registry.broker.dialect.now() + MOMENT


@pytest.mark.only_on("sqlite")
@pytest.mark.usefixtures("transactional_db")
def test_a_beat_that_had_to_wait_tells_the_time_after_it(registry: Registry) -> None:
    def beat() -> None:
        registry.beat(LOAD, idle=False)
        connection.close()

    thread = threading.Thread(target=beat)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN EXCLUSIVE")
        thread.start()
        thread.join(1.0)
        freed_at = timezone.now()
        cursor.execute("ROLLBACK")
    thread.join()
    assert Worker.objects.get().heartbeat_at >= freed_at
