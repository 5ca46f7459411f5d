"""Soft limits and cancels that hit a statement: they arrive as what they are, and leave a usable connection."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from django_tasks_q import SoftTimeout, TasksQResult
from django_tasks_q.brokers import get_broker
from django_tasks_q.lifecycle import ResultStatus
from django_tasks_q.models import Job
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import row_of, wait_for_effects
from tests.waiting import LIMIT, wait_for

from .statement_tasks import BLOCKS, WAITS_ON, enqueue_in_vain, run, run_async

pytestmark = pytest.mark.django_db(transaction=True)
PATHS = {name: f"django_tasks_q.exceptions.{name}" for name in ("SoftTimeout", "SoftCancel")}
# Seconds.
SOON = 0.5


@pytest.fixture
def child(start_worker: StartWorker) -> int:
    """The one process of a worker."""
    start_worker("--concurrency", "1")
    return int(usual.process_id.enqueue().wait(LIMIT).return_value)


def is_lost(block: str) -> bool:
    """Say whether what goes on in the outer block finds its connection closed, and the task learns of that instead."""
    return block == "between" and connection.vendor == "mysql"


def labels(result: TasksQResult) -> list[str]:
    return list(Effect.objects.exclude(label="begun").filter(job_id=result.id).values_list("label", flat=True))


def assert_goes_on(child: int) -> None:
    """The next jobs run in the same process, on a connection that works."""
    assert usual.leave_effect.enqueue("next").wait(LIMIT).return_value == child
    assert usual.leave_effect_atomically.enqueue("next, atomically").wait(LIMIT).return_value == child
    assert wait_for_effects(["next", "next, atomically"])
    assert not Effect.objects.filter(label="undone").exists()


# What is left to the commit of such a task runs after it, when its limit is over.
ATOMIC = [(block, True) for block in BLOCKS if block != "at commit"]


@pytest.mark.parametrize(("block", "atomic"), [*((block, False) for block in BLOCKS), *ATOMIC])
def test_a_soft_timeout_is_one(child: int, block: str, *, atomic: bool) -> None:
    result = run.using(soft_timeout=SOON, atomic=atomic).enqueue(block).wait(LIMIT)
    assert [error.exception_class_path for error in result.errors] == [PATHS["SoftTimeout"]] * 2
    assert {error["kind"] for error in row_of(result).errors} == {"soft_timeout"}
    # Its class was found in retry_on.
    assert (row_of(result).status, row_of(result).attempt) == (ResultStatus.FAILED, 2)
    assert labels(result) == ([] if atomic or is_lost(block) else ["cleaned up after SoftTimeout"] * 2)
    went_on = 2 if block == "between" and not atomic and not is_lost(block) else 0
    assert Effect.objects.filter(label="went on").count() == went_on
    assert_goes_on(child)


def test_an_async_task_is_interrupted_when_its_statement_has_ended(child: int) -> None:
    result = run_async.enqueue().wait(LIMIT)
    assert [error.exception_class_path for error in result.errors] == [PATHS["SoftTimeout"]] * 2
    assert_goes_on(child)


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize("block", BLOCKS)
def test_a_cancel_is_one(child: int, block: str) -> None:
    result = run.enqueue(block)
    wait_for(lambda: is_waiting(child), "the statement")
    assert result.cancel(by="Ann")
    result.wait(LIMIT)
    row = row_of(result)
    assert (row.status, row.attempt, row.failures) == (ResultStatus.CANCELLED, 1, 0)
    assert [error.exception_class_path for error in result.errors] == [PATHS["SoftCancel"]]
    assert labels(result) == ([] if is_lost(block) else ["cleaned up after SoftCancel"])
    assert_goes_on(child)


def is_waiting(child: int) -> bool:
    """Return whether a session is in the middle of the statement of this process, or of reading on from it."""
    sessions = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE (query LIKE %s OR query LIKE 'FETCH%%')"
        " AND state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()",
        "mysql": "SELECT count(*) FROM information_schema.processlist WHERE info LIKE %s AND db = DATABASE()"
        " AND id <> CONNECTION_ID()",
    }
    with connection.cursor() as cursor:
        cursor.execute(sessions[connection.vendor], [f"%sleep(%), {child}%"])
        return bool(cursor.fetchone()[0])


@pytest.mark.only_on("postgresql")
@pytest.mark.skipif(WAITS_ON, reason="The driver returns when the server has answered.")
def test_the_server_does_not_go_on_with_the_statement(child: int) -> None:
    run.using(soft_timeout=SOON).enqueue("statement").wait(LIMIT)
    assert not is_waiting(child)


@pytest.mark.only_on("postgresql")
@pytest.mark.skipif(WAITS_ON, reason="The driver returns when the server has answered.")
def test_an_enqueue_that_waits_for_a_lock_is_interrupted(child: int, tmp_path: Path) -> None:
    result = enqueue_in_vain.using(soft_timeout=2).enqueue(str(tmp_path))
    wait_for_effects(["begun"])
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE django_tasks_q_job")
        (tmp_path / "go").touch()
        wait_for(lambda: (tmp_path / "SoftTimeout").exists(), "the task to be interrupted")
    (tmp_path / "go on").touch()
    result.wait(LIMIT)
    assert [error.exception_class_path for error in result.errors] == [PATHS["SoftTimeout"]]
    wait_for(lambda: not Job.objects.exists(), "the other job to be done")
    assert_goes_on(child)


@pytest.mark.only_on("postgresql")
@pytest.mark.skipif(WAITS_ON, reason="The driver returns when the server has answered.")
def test_what_interrupts_an_enqueue_elsewhere_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a worker nobody ends the statement; the connection is given up."""

    def interrupted(statement: Any, *args: Any, **kwargs: Any) -> Any:
        next(statement)
        raise SoftTimeout("now")

    connection.ensure_connection()
    monkeypatch.setattr(connection.connection, "wait", interrupted)
    with pytest.raises(SoftTimeout):
        usual.noop.enqueue()
    assert connection.connection is None
    usual.noop.enqueue()
    # The server may have gone on with the first one.
    assert len(get_broker("default").claim("w", "default", 9)) in {1, 2}
