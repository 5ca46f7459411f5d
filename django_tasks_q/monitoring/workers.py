from dataclasses import dataclass
from datetime import datetime

from ..brokers import get_broker
from ..lifecycle import ALIVE, WorkerStatus
from ..models import Worker
from ..moments import seconds_since

__all__ = ["WorkerState", "workers"]

# A safeguard: rows of stopped workers are history too.
MOST_WORKERS = 1_000


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The state of a worker at one time. Ages are seconds on the database's clock; memory is bytes.

    trouble: what it cannot record, and why, as text; empty if all is well. queues: those it takes jobs from; empty
    means all. alive: it runs and reports. stale: according to its status it runs, but it has not reported for longer
    than OPTIONS["rescue_after"].
    """

    id: str
    backend: str
    status: str
    host: str
    pid: int
    queues: tuple[str, ...]
    excluded_queues: tuple[str, ...]
    concurrency: int
    running: int
    finished: int
    memory: int
    idle: bool
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None
    heartbeat_age: float
    alive: bool
    stale: bool
    trouble: str = ""

    def listens_to(self, queue_name: str) -> bool:
        """Return whether this worker takes jobs from a queue now: a draining one takes none."""
        if not self.alive or self.status != WorkerStatus.ONLINE or queue_name in self.excluded_queues:
            return False
        return not self.queues or queue_name in self.queues

    def is_called(self, name: str) -> bool:
        """Return whether this is its id, or the --name that it was started with, which its id begins with."""
        return name in (self.id, self.id.rpartition("-")[0])


def workers(backend: str = "default", *, alive: bool | None = None) -> list[WorkerState]:
    """Return the workers of a backend, the last to report first. alive: None means all, False only dead ones."""
    broker = get_broker(backend)
    now = broker.dialect.utc_now()
    rows = Worker.objects.using(broker.using).filter(backend=backend).order_by("-heartbeat_at")[:MOST_WORKERS]
    states = [_state(row, now, broker.options.rescue_after) for row in rows]
    return [state for state in states if alive is None or state.alive == alive]


def _state(row: Worker, now: datetime, rescue_after: float) -> WorkerState:
    age = max(0.0, seconds_since(row.heartbeat_at, now))
    running = row.status in ALIVE
    return WorkerState(
        id=row.id,
        backend=row.backend,
        status=row.status,
        host=row.host,
        pid=row.pid,
        queues=tuple(row.queues),
        excluded_queues=tuple(row.excluded_queues),
        concurrency=row.concurrency,
        running=row.running,
        finished=row.finished,
        memory=row.memory,
        idle=row.idle,
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        stopped_at=row.stopped_at,
        heartbeat_age=age,
        alive=running and age <= rescue_after,
        stale=running and age > rescue_after,
        trouble=row.trouble if running else "",
    )
