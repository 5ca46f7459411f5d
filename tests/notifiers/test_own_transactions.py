"""A caller who has turned autocommit off ends the transaction by hand, and nobody else is told when."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from django_tasks_q import enqueue_many
from django_tasks_q.brokers import get_broker
from django_tasks_q.models import Job, Result
from tests import tasks
from tests.conftest import StartWorker
from tests.waiting import LIMIT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["auto", "redis"])
def by_hand(request: pytest.FixtureRequest, settings: Any) -> Iterator[None]:
    """Turn autocommit off, with a notifier that wakes on some databases, and one that does on all."""
    settings.TASKS = {"default": settings.TASKS["default"] | {"OPTIONS": {"notifier": request.param}}}
    transaction.set_autocommit(False)
    yield
    transaction.rollback()
    transaction.set_autocommit(True)


@pytest.mark.usefixtures("by_hand")
def test_one_job_is_part_of_the_transaction() -> None:
    tasks.noop.enqueue()
    transaction.rollback()
    assert Job.objects.count() == 0
    tasks.noop.enqueue()
    transaction.commit()
    transaction.rollback()
    assert Job.objects.count() == 1


@pytest.mark.usefixtures("by_hand")
def test_many_jobs_are_part_of_the_transaction() -> None:
    enqueue_many([(tasks.noop, (), {})] * 3)
    transaction.rollback()
    assert Job.objects.count() == 0
    enqueue_many([(tasks.noop, (), {})] * 3)
    transaction.commit()
    transaction.rollback()
    assert Job.objects.count() == 3


@pytest.mark.usefixtures("by_hand")
def test_cancelling_is_part_of_the_transaction() -> None:
    running, waiting = tasks.noop.using(priority=1).enqueue(), tasks.noop.enqueue()
    get_broker("default").claim("w1", "default", 1)
    transaction.commit()
    assert running.cancel()
    assert waiting.cancel()
    transaction.rollback()
    assert (Job.objects.filter(cancel_requested_at=None).count(), Result.objects.count()) == (2, 0)
    assert running.cancel()
    assert waiting.cancel()
    transaction.commit()
    transaction.rollback()
    assert (Job.objects.filter(cancel_requested_at=None).count(), Result.objects.count()) == (0, 1)


def test_a_worker_finds_such_a_job_by_itself(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1", options={"poll_interval": 0.5})
    transaction.set_autocommit(False)
    try:
        result = tasks.noop.enqueue()
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    result.wait(LIMIT)
