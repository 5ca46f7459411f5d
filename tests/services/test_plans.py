"""How the databases find what the services ask for, among very many rows."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_tasks_q.models import Schedule
from django_tasks_q.models.statistics import HOUR
from django_tasks_q.services.liveness import Liveness
from django_tasks_q.services.pruner import Pruner
from django_tasks_q.services.registry import Identity, Load, Registry
from django_tasks_q.services.rescuer import Rescuer
from django_tasks_q.services.statistics import StatisticsCollector, StatisticsRollup
from tests.brokers import crowd
from tests.brokers.conftest import make_outcomes
from tests.brokers.test_plans import statements

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def history(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Very many jobs, results, counted minutes and hours, and workers that have gone."""
    with django_db_blocker.unblock():
        crowd.fill()
        crowd.fill_statistics()
        crowd.fill_statistics(HOUR)
        crowd.fill_workers()
        template = Schedule.objects.create(name="t", task_path="tests.tasks.noop", expression="0 * * * *")
        crowd.fill_schedules(template, 20_000)
        yield
        call_command("flush", verbosity=0, interactive=False)


def registered(broker: Any) -> Registry:
    registry = Registry(broker, Identity("w", (), (), 1))
    registry.register()
    return registry


def abandoned(broker: Any) -> Any:
    return Rescuer(broker, registered(broker))._find_abandoned()


def find_dead(broker: Any) -> Any:
    registry = registered(broker)
    return [Liveness(broker, registry.clock).find_dead(but=registry.worker_id)]


def prune(broker: Any) -> Any:
    Pruner(broker, registered(broker)).run()
    return True


def condense(broker: Any) -> Any:
    StatisticsRollup(registered(broker)).run()
    return True


def forget_hours(broker: Any) -> Any:
    condenser = StatisticsRollup(registered(broker))
    return condenser._forget(HOUR, timezone.now() - timedelta(hours=1))


def gather(broker: Any) -> Any:
    collector = StatisticsCollector(registered(broker))
    (job,) = broker.claim("w1", "queue-3", 1)
    collector.note(job, *make_outcomes([job], "SUCCESSFUL"))
    collector.run()
    return job


def beat(broker: Any) -> Any:
    registry, load = registered(broker), Load(1, 2, 3)
    beaten = registry.beat(load, idle=False)
    registry.request()
    registry.mark_idle()
    registry.mark_draining()
    registry.leave(load)
    return beaten


ASKED: dict[str, Callable[[Any], Any]] = {
    "abandoned": abandoned,
    "find_dead": find_dead,
    "prune": prune,
    "condense": condense,
    "forget hours": forget_hours,
    "gather": gather,
    "beat": beat,
}


@pytest.mark.parametrize("name", ASKED)
def test_no_service_reads_or_sorts_a_whole_table(history: None, name: str) -> None:
    found = {sql: crowd.complaints(sql, params) for sql, params in statements(ASKED[name])}
    assert found
    assert {sql: said for sql, said in found.items() if said} == {}
