from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Count as CountRows
from django.db.models import F, Min, Model, QuerySet
from django.db.models.functions import Coalesce, Greatest

from ..brokers import get_broker
from ..compat import task_backends
from ..lifecycle import JobStatus
from ..models import Job, Queue
from ..task_options import HIGHEST_PRIORITY, LOWEST_PRIORITY
from .counts import BOUND, Count, approximate, at_least, count
from .workers import WorkerState, workers

if TYPE_CHECKING:
    from ..brokers.base import Broker

__all__ = ["Backlog", "QueueStats", "backlog", "queue_stats"]

MOST_PRIORITIES = HIGHEST_PRIORITY - LOWEST_PRIORITY + 1
# How many READY jobs of a queue are read for their times; beyond that, only the first job of each priority.
DATED = 1_000
CLAIM_ORDER = ("-priority", "id")
# No index leads to these: both are counted in one scan of the table.
UNINDEXED = (JobStatus.WAITING, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The state of a queue at one time.

    oldest_ready_seconds: how long its oldest READY job could have run; None if no job is READY.
    workers: how many take jobs from it now.
    """

    name: str
    paused: bool
    waiting: Count
    scheduled: Count
    ready: Count
    running: Count
    oldest_ready_seconds: float | None
    workers: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """The READY jobs of a queue: how many, and since when the oldest could have run (None if there is none)."""

    ready: Count
    since: datetime | None

    def seconds(self, now: datetime) -> float | None:
        return None if self.since is None else max(0.0, (now - self.since).total_seconds())


@dataclass(frozen=True, slots=True)
class Tally:
    """The jobs of one status by queue. others: how many any other queue has."""

    counts: dict[str, Count]
    others: Count

    def of(self, name: str) -> Count:
        return self.counts.get(name, self.others)


def queue_stats(backend: str = "default") -> list[QueueStats]:
    """Return the queues of a backend, by name: those that are configured, paused, listened to, or hold a job."""
    broker = get_broker(backend)
    online = workers(backend, alive=True)
    paused = dict(Queue.objects.using(broker.using).filter(backend=backend).values_list("name", "paused"))
    backlogs = {name: backlog(broker, name) for name in broker.ready_queues()}
    tallies = {JobStatus.SCHEDULED: _scheduled(broker), **_unindexed(broker)}
    names = {*task_backends[backend].queues, *paused, *backlogs}
    names.update(*(tally.counts for tally in tallies.values()), *(worker.queues for worker in online))
    now = broker.dialect.now()
    return [_stats(name, paused, backlogs, tallies, online, now) for name in sorted(names)]


def backlog(broker: "Broker", name: str) -> Backlog:
    """Return the READY jobs of a queue: exact up to BOUND jobs, the oldest up to DATED jobs, estimates beyond."""
    ready = Job.objects.using(broker.using).filter(backend=broker.alias, queue_name=name, status=JobStatus.READY)
    # The claim index has all that is counted; the times are in the rows.
    number = count(ready, along=CLAIM_ORDER)
    dated = ready.annotate(since=_ready_since())
    oldest = dated.order_by(*CLAIM_ORDER)[:DATED].aggregate(oldest=Min("since"))["oldest"]
    if oldest is None or (number.is_exact and int(number) <= DATED):
        return Backlog(number, oldest)
    return Backlog(number, min([oldest, *_heads(dated)]))


def _ready_since() -> Any:
    # Nothing is written when a job becomes ready: use the last thing that kept it from running.
    enqueued = F("enqueued_at")
    return Greatest(enqueued, Coalesce("due_at", enqueued), Coalesce("last_attempted_at", enqueued))


def _heads(ready: QuerySet[Model]) -> list[datetime]:
    """Return since when the first job of each priority has been ready: one index probe each."""
    moments: list[datetime] = []
    probe = ready.order_by(*CLAIM_ORDER).values_list("priority", "since")
    head = probe.first()
    while head and len(moments) < MOST_PRIORITIES:
        moments.append(head[1])
        head = probe.filter(priority__lt=head[0]).first()
    return moments


def _unindexed(broker: "Broker") -> dict[JobStatus, Tally]:
    """Count the jobs with a status that no index covers. A bound would save nothing: all rows are read anyway."""
    rows = Job.objects.using(broker.using).filter(backend=broker.alias, status__in=UNINDEXED)
    found = list(rows.order_by().values_list("status", "queue_name").annotate(number=CountRows("*")))
    return {
        status: Tally({name: Count(number) for held, name, number in found if held == status}, Count(0))
        for status in UNINDEXED
    }


def _scheduled(broker: "Broker") -> Tally:
    """Count the SCHEDULED jobs by queue. If there are more than BOUND, the queues of the first ones, and estimates."""
    rows = Job.objects.using(broker.using).filter(backend=broker.alias, status=JobStatus.SCHEDULED).order_by("due_at")
    names = list(rows.values_list("queue_name", flat=True)[: BOUND + 1])
    found = Counter(names)
    if len(names) <= BOUND:
        return Tally({name: Count(number) for name, number in found.items()}, Count(0))
    counts = {name: approximate(rows.filter(queue_name=name), number) for name, number in found.items()}
    return Tally(counts, at_least(0))


def _stats(
    name: str,
    paused: dict[str, bool],
    backlogs: dict[str, Backlog],
    tallies: dict[Any, Tally],
    online: list[WorkerState],
    now: datetime,
) -> QueueStats:
    held = backlogs.get(name, Backlog(Count(0), None))
    return QueueStats(
        name=name,
        paused=paused.get(name, False),
        waiting=tallies[JobStatus.WAITING].of(name),
        scheduled=tallies[JobStatus.SCHEDULED].of(name),
        ready=held.ready,
        running=tallies[JobStatus.RUNNING].of(name),
        oldest_ready_seconds=held.seconds(now),
        workers=sum(worker.listens_to(name) for worker in online),
    )
