"""How often PostgreSQL is asked, and that each answer leaves the connection as it was."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from django_tasks_q.models import Job

from .conftest import Put

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgresql")]


@pytest.fixture
def refusing(transactional_db: None) -> Iterator[None]:
    """No job can be claimed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'No claims today.'; END $$;"
            " CREATE TRIGGER refuse BEFORE UPDATE ON django_tasks_q_job EXECUTE FUNCTION refuse()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER IF EXISTS refuse ON django_tasks_q_job; DROP FUNCTION refuse")


def settings_of(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


def test_a_claim_is_one_round_trip_with_its_transaction(broker: Any, put: Put) -> None:
    put(3)
    with CaptureQueriesContext(connection) as queries:
        assert len(broker.claim("w1", "default", 2)) == 2
    assert len(queries) == 1
    assert (connection.get_autocommit(), settings_of("synchronous_commit")) == (True, "on")
    connection.close()
    assert Job.objects.filter(status="RUNNING", worker_id="w1").count() == 2


def test_a_claim_is_undone_with_the_callers_transaction(broker: Any, put: Put) -> None:
    put(1)
    with transaction.atomic():
        assert len(broker.claim("w1", "default", 1)) == 1
        assert settings_of("synchronous_commit") == "on"
        transaction.set_rollback(True)
    assert Job.objects.get().status == "READY"


def test_a_claim_that_is_refused_leaves_no_transaction(broker: Any, put: Put, refusing: None) -> None:
    put(1)
    with pytest.raises(DatabaseError, match="No claims today"):
        broker.claim("w1", "default", 1)
    assert Job.objects.get().status == "READY"
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse ON django_tasks_q_job")
    assert len(broker.claim("w1", "default", 1)) == 1
