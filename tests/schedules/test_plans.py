"""How the databases find the schedules that are due, among very many."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from django_tasks_q.models import Schedule
from django_tasks_q.monitoring.schedules import run_of_job, runs
from django_tasks_q.schedules.firing import Fired, next_due
from django_tasks_q.schedules.store import prune_runs
from tests.brokers.crowd import complaints, fill, fill_schedules
from tests.brokers.test_plans import statements

from .conftest import MakeSchedule

# What fills the tables ends the transaction of a test on MySQL.
pytestmark = pytest.mark.django_db(transaction=True)
COUNT = 20_000


def test_what_workers_ask_neither_scans_nor_sorts(hourly: MakeSchedule, fire: Callable[[], Fired]) -> None:
    row = hourly()
    # Or a planner that knows the tables to be empty would read all of them.
    fill(COUNT)
    fill_schedules(row, COUNT)
    last = Schedule.objects.order_by("-pk")[0]
    asked: dict[str, Callable[[Any], Any]] = {
        "next_due": next_due,
        "fire": lambda broker: fire().jobs,
        "prune": lambda broker: prune_runs(broker, 0.5, limit=100),
        "runs": lambda broker: runs(last),
        "run_of_job": lambda broker: run_of_job("00000000-0000-7000-8000-000000000000") or True,
    }
    found = {}
    for name, ask in asked.items():
        for sql, params in statements(ask):
            # A statement of many rows stands for each of them.
            each = params[0] if sql.startswith("UPDATE") else params
            if not sql.startswith("INSERT") and (said := complaints(sql, each)):
                found[name, sql] = said
    assert found == {}


@pytest.mark.only_on("postgresql")
def test_the_tick_reads_no_more_than_is_due(hourly: MakeSchedule, fire: Callable[[], Fired]) -> None:
    fill_schedules(hourly(), COUNT)
    sql, params = statements(lambda broker: fire().jobs)[0]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT TEXT) {sql}", params)
        plan = "\n".join(line[0] for line in cursor.fetchall())
        transaction.set_rollback(True)
    assert "Index Scan using tasksq_schedule_due" in plan
    assert "Rows Removed by Filter" not in plan
