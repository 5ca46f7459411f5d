from dataclasses import dataclass
from datetime import datetime

from ..brokers import get_broker
from ..lifecycle import WorkerStatus
from ..models import Worker

__all__ = ["WorkerState", "workers"]

# A safeguard: rows of stopped workers are history too.
MOST_WORKERS = 1_000


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker at one moment. Ages are seconds on the database's clock; memory is bytes.

    queues: those it takes jobs from, all where there are none. alive: it runs and reports. stale: it says that it
    runs, but has not reported for longer than OPTIONS["rescue_after"].
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

    def listens_to(self, queue_name: str) -> bool:
        """Say whether this worker takes jobs from a queue now: a draining one takes none."""
        if not self.alive or self.status != WorkerStatus.ONLINE or queue_name in self.excluded_queues:
            return False
        return not self.queues or queue_name in self.queues


def workers(backend: str = "default", *, alive: bool | None = None) -> list[WorkerState]:
    """Return the workers of a backend, the last to report first: all of them, or only those alive, or the others."""
    broker = get_broker(backend)
    now = broker.now()
    rows = Worker.objects.using(broker.using).filter(backend=backend).order_by("-heartbeat_at")[:MOST_WORKERS]
    states = [_state(row, now, broker.options.rescue_after) for row in rows]
    return [state for state in states if alive is None or state.alive == alive]


def _state(row: Worker, now: datetime, rescue_after: float) -> WorkerState:
    age = max(0.0, (now - row.heartbeat_at).total_seconds())
    running = row.status in (WorkerStatus.ONLINE, WorkerStatus.DRAINING)
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
    )
