from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import Error
from django.db.migrations.executor import MigrationExecutor

from ..brokers import get_broker
from ..lifecycle import JobStatus
from ..models import Job, Queue
from .formatting import duration_text
from .hints import migrate, start_worker
from .migrations import APP, find_unapplied
from .queues import backlog
from .workers import WorkerState, workers

if TYPE_CHECKING:
    from ..brokers.base import Broker

__all__ = ["Health", "WorkerState", "health", "worker_health", "workers"]

# Seconds: more than any job has been there, and not too many for a timedelta.
LONGEST_AGE = 10.0**9
Look = Callable[["Broker", list[WorkerState]], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether jobs are being run, and if not, why and what to do. workers: how many are alive; None if unknown."""

    problems: list[str]
    workers: int | None = None

    @property
    def ok(self) -> bool:
        return not self.problems


def health(backend: str = "default", *, max_age: float | None = None, queues: Sequence[str] = ()) -> Health:
    """Check for problems that keep jobs from being run. A database that is down is a problem, not an exception.

    max_age: seconds that a job may be due without being started; None means no limit. queues: check only these:
    each needs a worker that listens to it. Only such workers are counted then.
    """
    if not queues:
        return _health(backend, lambda worker: True, lambda broker, online: _problems(broker, online, max_age))
    return _health(
        backend,
        lambda worker: any(map(worker.listens_to, queues)),
        lambda broker, online: _problems_of(queues, broker, online, max_age),
    )


def worker_health(name: str, backend: str = "default") -> Health:
    """Check whether one worker is alive and can record how its jobs end, whatever other workers do.

    name: its id, or the --name it was started with; of several workers with that name, one alive is enough.
    """

    def problems(broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
        if not online:
            yield _not_alive(broker, name)
        yield from _troubles(online)

    return _health(backend, lambda worker: worker.is_called(name), problems)


def _health(backend: str, is_meant: Callable[[WorkerState], bool], look: Look) -> Health:
    """Check the workers that are alive and meant. look: yields what is wrong, given those."""
    broker = get_broker(backend)
    try:
        if unapplied := find_unapplied(MigrationExecutor(broker.connection)):
            return Health([_migrate(broker.using, unapplied)])
        online = [worker for worker in workers(backend, alive=True) if is_meant(worker)]
        return Health(list(look(broker, online)), len(online))
    except Error as error:
        reason = _one_line(error)
        return Health([f'The database "{broker.using}" does not answer: {reason} Start it, or fix DATABASES.'])


def _problems(broker: "Broker", online: list[WorkerState], max_age: float | None) -> Iterator[str]:
    if not online:
        yield f"No worker is alive: start one with {start_worker(broker.alias)}."
    yield from _troubles(online)
    paused = _paused(broker)
    ready = [name for name in broker.ready_queues() if name not in paused]
    for name in ready:
        if online and not any(worker.listens_to(name) for worker in online):
            yield (
                f'Queue "{name}" has ready jobs, but no worker listens to it: start one with '
                f"{start_worker(broker.alias, name)}."
            )
    if max_age is not None:
        yield from _overdue(broker, ready, max_age)


def _problems_of(
    queues: Sequence[str], broker: "Broker", online: list[WorkerState], max_age: float | None
) -> Iterator[str]:
    """Yield what keeps the jobs of these queues from being run; paused ones are to wait."""
    paused = _paused(broker)
    wanted = [name for name in dict.fromkeys(queues) if name not in paused]
    for name in wanted:
        if not any(worker.listens_to(name) for worker in online):
            yield f'No worker listens to queue "{name}": start one with {start_worker(broker.alias, name)}.'
    yield from _troubles(online)
    if max_age is not None:
        yield from _overdue_ready(broker, wanted, max_age)
        for name in wanted:
            yield from _overdue_scheduled(broker, name, max_age)


def _troubles(online: list[WorkerState]) -> Iterator[str]:
    for worker in online:
        if worker.trouble:
            yield (
                f"Worker {worker.id} cannot record how jobs ended: {worker.trouble}. "
                "Find the database session that holds a lock, or check the worker's log."
            )


def _not_alive(broker: "Broker", name: str) -> str:
    """Return what is known of a worker that is not alive."""
    known = next((worker for worker in workers(broker.alias) if worker.is_called(name)), None)
    if known is None:
        return f'No worker of the backend "{broker.alias}" has the id or the name "{name}".'
    if known.stale:
        return f"Worker {known.id} is not alive: its last heartbeat was {duration_text(known.heartbeat_age)} ago."
    return f"Worker {known.id} is not alive: it is {known.status}."


def _overdue_scheduled(broker: "Broker", queue: str, max_age: float) -> Iterator[str]:
    """Yield whether a scheduled job of one queue has been due for too long. Only what is overdue is read."""
    now = broker.dialect.now()
    limit = now - timedelta(seconds=min(max_age, LONGEST_AGE))
    rows = Job.objects.using(broker.using).filter(backend=broker.alias, status=JobStatus.SCHEDULED, due_at__lt=limit)
    due_at = rows.filter(queue_name=queue).order_by("due_at").values_list("due_at", flat=True).first()
    if due_at is not None:
        age = duration_text((now - due_at).total_seconds())
        yield (
            f'Queue "{queue}" has a scheduled job that has been due for {age}, longer than '
            f"{duration_text(max_age)}, and no worker has made it ready: start one with {start_worker(broker.alias)}."
        )


def _overdue(broker: "Broker", queues: list[str], max_age: float) -> Iterator[str]:
    limit = duration_text(max_age)
    yield from _overdue_ready(broker, queues, max_age)
    due = broker.next_due()
    if due is not None and -due > max_age:
        yield (
            f"A scheduled job has been due for {duration_text(-due)}, longer than {limit}, and no worker has made it "
            f"ready: start one with {start_worker(broker.alias)}."
        )


def _overdue_ready(broker: "Broker", queues: list[str], max_age: float) -> Iterator[str]:
    now, limit = broker.dialect.now(), duration_text(max_age)
    for name in queues:
        age = backlog(broker, name).seconds(now)
        if age is not None and age > max_age:
            yield (
                f'Queue "{name}" has a job that has been ready for {duration_text(age)}, longer than {limit}: '
                "start more workers, or raise their --concurrency."
            )


def _paused(broker: "Broker") -> set[str]:
    rows = Queue.objects.using(broker.using).filter(backend=broker.alias, paused=True)
    return set(rows.values_list("name", flat=True))


def _migrate(using: str, unapplied: list[str]) -> str:
    names = ", ".join(f"{APP}.{name}" for name in unapplied)
    return f"Migrations are not applied: {names}. Apply them with {migrate(using)}."


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith(".") else f"{text}."
