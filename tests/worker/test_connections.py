"""Of connections from job to job; what a task may do to them is told in test_manners.py and test_database.py."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction

from django_tasks_q.models import Queue
from django_tasks_q.worker.child.connections import OpenConnections

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    """One thread, whose connection is closed at the end."""
    with ThreadPoolExecutor(1) as pool:
        yield pool
        pool.submit(connections.close_all).result()


def begin() -> None:
    """Leave a transaction open in which a row was written."""
    transaction.set_autocommit(False)
    Queue.objects.create(backend="default", name="mail")


def commit() -> None:
    transaction.commit()
    transaction.set_autocommit(True)


@pytest.mark.parametrize("is_open", [True, False])
def test_a_transaction_is_rolled_back_in_a_connection_of_before_or_of_the_job(*, is_open: bool) -> None:
    connection.ensure_connection() if is_open else connection.close()
    opened = OpenConnections()
    opened.make_usable()
    begin()
    opened.clean()
    assert connection.get_autocommit()
    assert not Queue.objects.exists()


def test_a_connection_that_was_opened_again_counts_once() -> None:
    opened = OpenConnections()
    for _ in range(3):
        connection.close()
        connection.ensure_connection()
    begin()
    opened.clean()
    assert not Queue.objects.exists()
    assert len(opened._known) == 1


def test_what_a_thread_of_the_task_has_opened_is_left_alone(thread: ThreadPoolExecutor) -> None:
    opened = OpenConnections()
    connection.close()
    thread.submit(begin).result()
    opened.clean()
    thread.submit(commit).result()
    assert Queue.objects.count() == 1
