"""Errors of statements, each provoked on the real database, are distinguished."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, connection, connections, transaction

from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.failures import Failure
from django_tasks_q.models import Job
from tests.brokers.conftest import make_spec
from tests.brokers.test_concurrency import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(transactional_db: None) -> Iterator[Any]:
    broker = get_broker("default")
    yield broker
    # A session's own settings end with it.
    connections[broker.using].close()


def failure_of(broker: Any, *statements: str) -> Failure:
    """Return why the last of some statements fails."""
    *before, last = statements
    with connection.cursor() as cursor:
        for statement in before:
            cursor.execute(statement)
    with pytest.raises((DatabaseError, InterfaceError)) as caught:
        _execute(last)
    found: Failure = broker.dialect.failure(caught.value)
    return found


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_what_the_server_does_not_understand_or_allow_is_refused(broker: Any) -> None:
    assert failure_of(broker, "SELECT nothing_of_the_kind FROM django_tasks_q_job") is Failure.REFUSED
    assert failure_of(broker, "SELECT 1 FROM no_such_table") is Failure.REFUSED
    spec = make_spec()
    broker.enqueue([spec])
    with pytest.raises(DatabaseError) as caught:
        broker.enqueue([spec])
    assert broker.dialect.failure(caught.value) is Failure.REFUSED
    with pytest.raises(DatabaseError) as caught:
        broker.enqueue([make_spec(args="{broken", kwargs="\x00")])
    assert broker.dialect.failure(caught.value) is Failure.REFUSED


@pytest.mark.only_on("postgresql", "mysql")
def test_a_lock_that_another_session_holds(broker: Any) -> None:
    broker.enqueue([make_spec()])

    def update() -> Failure:
        broker.dialect.prepare_session()
        return failure_of(broker, "UPDATE django_tasks_q_job SET priority = 1")

    with transaction.atomic():
        list(Job.objects.select_for_update())
        with meanwhile(update) as answer:
            assert answer() is Failure.LOCKED


@pytest.mark.only_on("postgresql", "mysql")
def test_a_deadlock(broker: Any) -> None:
    broker.enqueue([make_spec(), make_spec()])
    first, second = Job.objects.order_by("id")
    both = threading.Barrier(2)

    def lock(*jobs: Job) -> Failure | None:
        try:
            with transaction.atomic():
                Job.objects.select_for_update().get(id=jobs[0].id)
                both.wait(30)
                Job.objects.select_for_update().get(id=jobs[1].id)
        except DatabaseError as error:
            found: Failure = broker.dialect.failure(error)
            return found
        return None

    with meanwhile(lambda: lock(second, first)) as answer:
        mine = lock(first, second)
        assert {mine, answer()} == {None, Failure.LOCKED}


STATEMENT_TIMEOUT = {
    "postgresql": ["SET statement_timeout = '50ms'", "SELECT pg_sleep(30)"],
    # MariaDB; a SELECT without a table is not limited.
    "mysql": [
        "SET SESSION max_statement_time = 0.05",
        "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b,"
        " information_schema.columns c",
    ],
}


@pytest.mark.only_on("postgresql", "mysql")
def test_a_time_limit_of_statements(broker: Any) -> None:
    if connection.vendor == "mysql" and not connection.mysql_is_mariadb:
        pytest.skip("MySQL has another name for it")
    assert failure_of(broker, *STATEMENT_TIMEOUT[connection.vendor]) is Failure.LOCKED


@pytest.mark.only_on("mysql")
def test_a_packet_that_is_too_large(broker: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        (most,) = cursor.fetchone()
    # The server may hang up before it has read all.
    assert failure_of(broker, f"SELECT '{'x' * most}'") in (Failure.TOO_LARGE, Failure.GONE)


@pytest.mark.only_on("sqlite")
def test_a_value_that_is_too_large(broker: Any) -> None:
    assert failure_of(broker, "SELECT length(zeroblob(2000000000))") is Failure.TOO_LARGE


@pytest.mark.only_on("sqlite")
def test_a_database_that_somebody_else_writes(broker: Any) -> None:
    def update() -> Failure:
        return failure_of(broker, "PRAGMA busy_timeout = 50", "UPDATE django_tasks_q_job SET priority = 1")

    with transaction.atomic():
        Job.objects.update(priority=2)
        with meanwhile(update) as answer:
            assert answer() is Failure.LOCKED


ENDED: dict[str, Callable[[int], str]] = {
    "postgresql": lambda session: f"SELECT pg_terminate_backend({session})",
    "mysql": lambda session: f"KILL {session}",
}


@pytest.mark.only_on("postgresql", "mysql")
def test_a_session_that_was_ended(broker: Any) -> None:
    identity = "SELECT pg_backend_pid()" if connection.vendor == "postgresql" else "SELECT CONNECTION_ID()"
    with connection.cursor() as cursor:
        cursor.execute(identity)
        (session,) = cursor.fetchone()

    def end() -> None:
        with connection.cursor() as cursor:
            cursor.execute(ENDED[connection.vendor](session))

    with meanwhile(end) as answer:
        answer()
    assert failure_of(broker, "SELECT 1") is Failure.GONE
