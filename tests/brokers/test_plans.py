"""How the databases find what the hot statements ask for, among very many rows."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.values import LogLines
from django_tasks_q.lifecycle import Ending
from django_tasks_q.models import Job

from .conftest import make_outcomes
from .crowd import complaints, fill, nodes

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def crowd(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Very many jobs in every state, and a history as long."""
    with django_db_blocker.unblock():
        fill()
        yield
        call_command("flush", verbosity=0, interactive=False)


def statements(run: Callable[[Any], Any]) -> list[tuple[str, Any]]:
    """Do something with the broker and undo it; return the statements it took, without those of transactions."""
    made: list[tuple[str, Any]] = []

    def remember(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        made.append((sql, params))
        return execute(sql, params, many, context)

    with transaction.atomic():
        with connection.execute_wrapper(remember):
            assert run(get_broker("default"))
        transaction.set_rollback(True)
    verbs = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
    return [(sql, params) for sql, params in made if sql.lstrip().startswith(verbs)]


def finish(status: str) -> Callable[[Any], Any]:
    def run(broker: Any) -> Any:
        jobs = broker.claim("w1", "queue-3", 50)
        recorded = broker.finish("w1", make_outcomes(jobs, status, return_value="1", retry_in=5, ending=Ending.ERROR))
        return recorded.finished or recorded.retried

    return run


def find_cancelled(broker: Any) -> Any:
    # Not one that is to be cancelled: to find that is what a worker asks every other second.
    return [broker.find_cancelled("w1", [job.id for job in broker.claim("w1", "queue-3", 50)])]


def save_progress(broker: Any) -> Any:
    jobs = broker.claim("w1", "queue-3", 50)
    broker.save_progress("w1", {job.id: "{}" for job in jobs})
    return jobs


def is_recorded(broker: Any) -> Any:
    return [broker.is_recorded("w0", outcome) for outcome in make_outcomes(broker.held_by("w0", limit=1), "FAILED")]


def cancel(broker: Any) -> Any:
    """Ask running jobs to stop, and let their worker record how they end; and cancel some that wait."""
    jobs = broker.claim("w1", "queue-3", 50)
    cancelled = broker.cancel([*JOBS, *(job.id for job in jobs)])
    recorded = broker.finish("w1", make_outcomes(jobs, "READY"))
    return cancelled.done and len(recorded.cancelled) == len(jobs)


def claim_behind(broker: Any) -> Any:
    (job,) = broker.claim("w1", "queue-3", 1)
    return broker.claim("w1", "queue-3", 500, after=[(job.priority + 1, job.id), (job.priority, job.id)])


def append_logs(broker: Any) -> Any:
    jobs = broker.claim("w1", "queue-3", 50)
    made = broker.options.max_errors + 1
    Job.objects.filter(id__in=[job.id for job in jobs]).update(attempt=made)
    broker.append_logs("w1", [LogLines(job.id, made, "[]") for job in jobs])
    return jobs


def plan(sql: str, params: Any) -> dict[str, Any]:
    """Return PostgreSQL's plan of a statement, with what happened when it was run; undo it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
        found: dict[str, Any] = cursor.fetchone()[0][0]["Plan"]
        transaction.set_rollback(True)
    return found


HOT: dict[str, Callable[[Any], Any]] = {
    "claim one": lambda broker: broker.claim("w1", "queue-3", 1),
    "claim many": lambda broker: broker.claim("w1", "queue-3", 500),
    "claim behind others": claim_behind,
    "promote": lambda broker: broker.promote(),
    "next_due": lambda broker: broker.next_due(),
    "ready_queues": lambda broker: broker.ready_queues(),
    "ready_queues but for paused ones": lambda broker: broker.ready_queues(paused=False),
    "ready_queues among some": lambda broker: broker.ready_queues(among=["queue-3", "queue-4"], paused=False),
    "prune": lambda broker: broker.prune(["SUCCESSFUL", "FAILED"], 3_600),
    "prune_next": lambda broker: broker.prune_next("SUCCESSFUL", 3_600, timezone.now() - timedelta(days=1)),
    "finish": finish("SUCCESSFUL"),
    "hand back": finish("SCHEDULED"),
    "find_cancelled": find_cancelled,
    "held_by": lambda broker: broker.held_by("w0", limit=500),
    "held_by but some": lambda broker: broker.held_by("w0", limit=500, but=[str(uuid.uuid4()) for _ in range(500)]),
    "holders": lambda broker: broker.holders(),
    "save_progress": save_progress,
    "is_recorded": is_recorded,
    "release": lambda broker: broker.release("w1", broker.claim("w1", "queue-3", 50)),
}


# Of every status.
JOBS = [f"00000000-0000-7000-8000-{number:012x}" for number in range(1_000, 1_050)]
RESULTS = [job_id.replace("7000", "7001") for job_id in JOBS]
BY_KEYS: dict[str, Callable[[Any], Any]] = {
    "append_logs": append_logs,
    "cancel": cancel,
    "run_now": lambda broker: broker.run_now(JOBS),
    "move": lambda broker: broker.move(JOBS, {"queue_name": "other", "priority": 1}),
    "requeue": lambda broker: broker.requeue(RESULTS),
    "delete_results": lambda broker: broker.delete_results(RESULTS),
}


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("count", [5_000, 20_000])
@pytest.mark.parametrize("name", ["claim one", "claim many", "claim behind others"])
def test_a_claim_goes_straight_to_its_rows_in_a_small_table_too(name: str, count: int) -> None:
    """Where a planner takes it for cheaper to read the whole table, and would do so for each claim."""
    fill(count)
    for sql, params in statements(HOT[name]):
        assert [node["Node Type"] for node in nodes(plan(sql, params)) if node["Node Type"] == "Tid Scan"]


@pytest.mark.parametrize("name", HOT)
def test_hot_statements_neither_scan_nor_sort(crowd: None, name: str) -> None:
    made = statements(HOT[name])
    assert made
    found = {sql: complaints(sql, params) for sql, params in made}
    assert {sql: said for sql, said in found.items() if said} == {}


@pytest.mark.parametrize("name", BY_KEYS)
def test_what_is_known_by_its_key_is_found_by_it(crowd: None, name: str) -> None:
    """A few rows may be sorted, to be locked in the order of their keys."""
    found = {sql: complaints(sql, params) for sql, params in statements(BY_KEYS[name])}
    assert found
    assert [sql for sql, said in found.items() if any("scan" in each.lower() for each in said)] == []


@pytest.mark.only_on("postgresql")
def test_what_makes_due_jobs_ready_does_not_look_at_the_others(crowd: None) -> None:
    sql, params = statements(lambda broker: broker.promote(100_000))[0]
    made = list(nodes(plan(sql, params)))
    assert "tasksq_job_scheduled" in {node.get("Index Name") for node in made}
    assert not any(node.get("Rows Removed by Filter") for node in made)


@pytest.mark.only_on("postgresql")
def test_the_claim_reads_no_more_than_it_takes(crowd: None) -> None:
    ((sql, params),) = statements(lambda broker: broker.claim("w1", "queue-3", 10))
    read = [node for node in nodes(plan(sql, params)) if node.get("Index Name") == "tasksq_job_claim"]
    assert [node["Actual Rows"] for node in read] == [10]
    assert not read[0].get("Rows Removed by Filter")
