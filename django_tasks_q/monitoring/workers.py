from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor

from ..brokers import get_broker
from ..models import Queue
from .liveness import WorkerState, workers
from .queues import backlog
from .remedies import migrate, start_worker
from .wording import duration_text

if TYPE_CHECKING:
    from ..brokers.base import Broker

__all__ = ["Health", "WorkerState", "health", "workers"]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether jobs are being run, and if not, why and what to do. workers: how many are alive; None if unknown."""

    problems: list[str]
    workers: int | None = None

    @property
    def ok(self) -> bool:
        return not self.problems


def health(backend: str = "default", *, max_age: float | None = None) -> Health:
    """Look for whatever keeps jobs from being run. A database that is down is a problem, not an exception.

    max_age: seconds for which a job may be due without being started; None allows any.
    """
    broker = get_broker(backend)
    try:
        if unapplied := _unapplied_migrations(broker.using):
            return Health([_migrate(broker.using, unapplied)])
        online = workers(backend, alive=True)
        return Health(list(_problems(broker, online, max_age)), len(online))
    except Error as error:
        reason = _one_line(error)
        return Health([f'The database "{broker.using}" does not answer: {reason} Start it, or mend DATABASES.'])


def _problems(broker: "Broker", online: list[WorkerState], max_age: float | None) -> Iterator[str]:
    if not online:
        yield f"No worker is alive: start one with {start_worker(broker.alias)}."
    paused = _paused(broker)
    ready = [name for name in broker.ready_queues() if name not in paused]
    for name in ready:
        if online and not any(worker.listens_to(name) for worker in online):
            yield (
                f'Queue "{name}" has jobs that are ready, and no worker listens to it: start one with '
                f"{start_worker(broker.alias, name)}."
            )
    if max_age is not None:
        yield from _overdue(broker, ready, max_age)


def _overdue(broker: "Broker", queues: list[str], max_age: float) -> Iterator[str]:
    now, limit = broker.now(), duration_text(max_age)
    for name in queues:
        age = backlog(broker, name).seconds(now)
        if age is not None and age > max_age:
            yield (
                f'Queue "{name}" has a job that has been ready for {duration_text(age)}, longer than {limit}: '
                "start more workers, or raise their --concurrency."
            )
    due = broker.next_due()
    if due is not None and -due > max_age:
        yield (
            f"A scheduled job has been due for {duration_text(-due)}, longer than {limit}, and no worker took it up: "
            f"start one with {start_worker(broker.alias)}."
        )


def _paused(broker: "Broker") -> set[str]:
    rows = Queue.objects.using(broker.using).filter(backend=broker.alias, paused=True)
    return set(rows.values_list("name", flat=True))


def _unapplied_migrations(using: str) -> list[str]:
    executor = MigrationExecutor(connections[using])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes("django_tasks_q"))
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _migrate(using: str, unapplied: list[str]) -> str:
    return f"Migrations are not applied: {', '.join(unapplied)}. Apply them with {migrate(using)}."


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith(".") else f"{text}."
