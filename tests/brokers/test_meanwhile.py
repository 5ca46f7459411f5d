"""What is done while the database works."""

from typing import Any

import pytest
from django.db import DatabaseError, connection

from django_tasks_q.brokers import get_broker

pytestmark = pytest.mark.django_db(transaction=True)


def ask(sql: str = "SELECT 1") -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


@pytest.mark.only_on("postgresql")
def test_it_is_done_once_for_each_statement_and_for_the_commit() -> None:
    broker, done = get_broker("default"), []
    with broker.dialect.meanwhile(lambda: done.append(len(done))):
        with broker.transaction():
            # Not for BEGIN, which is sent before it.
            assert (ask("SELECT pg_sleep(0.01), 1"), len(done)) == ([("", 1)], 1)
            assert (ask("SELECT 2"), len(done)) == ([(2,)], 2)
        assert len(done) == 3
    ask()
    assert len(done) == 3


@pytest.mark.only_on("postgresql")
def test_errors_come_through_and_the_connection_is_as_before() -> None:
    broker, done = get_broker("default"), []
    with (
        pytest.raises(DatabaseError, match="nowhere"),
        broker.dialect.meanwhile(lambda: done.append(1)),
        broker.transaction(),
    ):
        ask("SELECT * FROM nowhere")
    # For the rollback too.
    assert len(done) == 2
    assert ask() == [(1,)]
    assert len(done) == 2


def test_callers_can_ask_whether_it_was_done() -> None:
    broker, done = get_broker("default"), []
    with broker.dialect.meanwhile(lambda: done.append(1)), broker.transaction():
        assert ask() == [(1,)]
    assert bool(done) == broker.dialect.has_meanwhile
