"""Workers behind a pooler that hands a session to others after each transaction: they find it as it was."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection, connections, transaction

from django_tasks_q.brokers import get_broker
from django_tasks_q.models import Result, ScheduleRun
from django_tasks_q.notifiers import get_notifier, make_notifier
from tests import tasks
from tests.conftest import StartWorker
from tests.needs import require
from tests.pgbouncer import PgBouncer, find_pgbouncer
from tests.rows import wait_for_effects
from tests.waiting import LIMIT, wait_for, wait_for_results
from tests.workers import WorkerProcess

from .tasks import wait_at_first

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.django_db(transaction=True)]
# More than two workers and their children use at once.
SESSIONS = 6
SETTINGS = "SELECT name, setting FROM pg_settings UNION ALL SELECT 'listens', pg_listening_channels()"


@pytest.fixture
def pooler(transactional_db: None) -> Iterator[PgBouncer]:
    with PgBouncer(require(find_pgbouncer), SESSIONS) as pooler:
        yield pooler


def sessions_of(pooler: PgBouncer) -> list[dict[str, str]]:
    """Return the settings of every session of the pool, as a client finds them.

    The pooler replaces a session if its client is killed inside a transaction: no test knows the processes.
    """
    import psycopg  # noqa: PLC0415

    found = {}
    with ExitStack() as stack:
        for _ in range(SESSIONS):
            client = psycopg.connect(pooler.url, dbname=django_settings.DATABASE_NAME)
            stack.enter_context(client)
            # A transaction is open from here on: the next client gets another session.
            ((process,),) = client.execute("SELECT pg_backend_pid()").fetchall()
            found[process] = dict(client.execute(SETTINGS).fetchall())
    assert len(found) == SESSIONS
    return list(found.values())


def start(start_worker: StartWorker, pooler: PgBouncer, **options: Any) -> WorkerProcess:
    pooled = f"{pooler.url}?pooled=1" if not options else pooler.url
    environment = {"TEST_POSTGRES_URL": pooled, "TEST_APPS": "tests.periodic"}
    return start_worker("--concurrency", "2", options={"heartbeat_interval": 0.2} | options, environment=environment)


@pytest.mark.parametrize("options", [{"notifier": "polling"}, {}], ids=["told to poll", "told of a pooler"])
def test_every_session_is_left_as_it_was(
    start_worker: StartWorker, pooler: PgBouncer, tmp_path: Path, options: dict[str, Any]
) -> None:
    before = sessions_of(pooler)
    assert all(settings == before[0] for settings in before)
    worker = start(start_worker, pooler, **options)
    wait_at_first.enqueue("held", str(tmp_path / "go"))
    wait_for_effects(["held"])
    worker.kill_all()

    worker = start(start_worker, pooler, **options)
    wait_for(lambda: Result.objects.filter(losses=1).exists(), "the rescued job to be done")
    wait_for_results([tasks.add.enqueue(1, n) for n in range(20)])
    assert tasks.succeed_at.enqueue(2).wait(LIMIT).return_value == 2
    tasks.leave_effect_atomically.using(run_after=timedelta(seconds=0.2)).enqueue("later").wait(LIMIT)
    wait_for(lambda: ScheduleRun.objects.filter(status="ENQUEUED").count() >= 2, "a schedule to fire")
    assert tasks.boom.enqueue().wait(LIMIT).status == "FAILED"
    first = worker.row.heartbeat_at
    wait_for(lambda: worker.row.heartbeat_at > first, "a heartbeat")
    assert sessions_of(pooler) == before
    assert worker.stop() == 0
    assert sessions_of(pooler) == before


@pytest.fixture
def on_loan() -> Iterator[Any]:
    """The broker, with a session that is not its own."""
    broker = get_broker("default")
    broker.dialect.prepare_session(ours=False)
    yield broker
    broker.dialect.prepare_session()
    connection.close()
    assert connection.execute_wrappers == []


def limits() -> list[str]:
    names = ("lock_timeout", "idle_in_transaction_session_timeout")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}")
        return list(cursor.fetchone())


def limits_of_session() -> list[str]:
    """Ask behind Django's back."""
    names = ("lock_timeout", "idle_in_transaction_session_timeout")
    found = []
    with connection.connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"SHOW {name}")
            found.append(cursor.fetchone()[0])
    return found


def test_the_limits_hold_in_every_transaction_and_not_after_it(on_loan: Any) -> None:
    within, without = ["100ms", "15s"], ["0", "0"]
    assert (limits(), limits_of_session()) == (within, without)
    with transaction.atomic():
        with transaction.atomic():
            assert limits() == within
            transaction.set_rollback(True)
        assert limits() == within
    with on_loan.transaction(durable=False):
        assert limits() == within
    assert limits_of_session() == without
    assert on_loan.claim("w", "default", 3) == []
    assert limits_of_session() == without


def test_a_claim_waits_no_longer_than_that(on_loan: Any) -> None:
    tasks.noop.enqueue()
    # The row is not locked, and the table is: what a claim cannot skip.
    connections["default"].execute_wrappers[0]._settings = "SET LOCAL lock_timeout TO '10ms'"
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE django_tasks_q_job")
        with pytest.raises(OperationalError, match="lock timeout"):
            on_loan.claim("w", "default", 3)
        with pytest.raises(OperationalError, match="lock timeout"):
            Result.objects.raw("SELECT * FROM django_tasks_q_job")[0]
    other.rollback()
    other.close()
    assert [job.attempt for job in on_loan.claim("w", "default", 3)] == [1]
    assert limits_of_session() == ["0", "0"]


def test_a_statement_without_a_transaction_is_committed_or_leaves_none(on_loan: Any) -> None:
    with pytest.raises(ZeroDivisionError), connection.execute_wrapper(refuse):
        Result.objects.exists()
    assert connection.connection.info.transaction_status == 0
    tasks.noop.enqueue()
    connection.close()
    assert len(on_loan.claim("w", "default", 3)) == 1


def refuse(execute: Any, *args: Any) -> Any:
    raise ZeroDivisionError


def test_a_worker_polls_by_itself_where_it_seems_to_be_pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_notifier("default", "default").keeps_session
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    assert not make_notifier("default", "default").wakes
    # Other workers may be connected without the pooler.
    assert get_notifier("default", "default").wakes
