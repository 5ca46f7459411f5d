"""Why a job is not running, in words for an operator."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..brokers import get_broker
from ..lifecycle import JobStatus
from ..models import Job, Queue
from .counts import Count, count
from .liveness import WorkerState, workers
from .remedies import resume_queue, start_worker
from .wording import duration_text, moment_text

if TYPE_CHECKING:
    from ..brokers.base import Broker

__all__ = ["why"]


def why(job: Job) -> str:
    """Say in words what a live job waits for, or who runs it."""
    broker = get_broker(job.backend)
    sentences = _EXPLAIN[JobStatus(job.status)](job, broker, workers(job.backend, alive=True))
    return " ".join(sentences)


def _running(job: Job, broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    since = "" if job.last_attempted_at is None else f" since {moment_text(job.last_attempted_at)}"
    yield f"Held by worker {job.worker_id}{since}, attempt {job.attempt}."
    if not any(worker.id == job.worker_id for worker in online):
        yield (
            "That worker does not report any more: another one makes the job ready again "
            f"{duration_text(broker.options.rescue_after)} after its last heartbeat."
        )
        yield from _nobody(broker, online)


def _scheduled(job: Job, broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    if job.due_at is not None:
        seconds = (job.due_at - broker.now()).total_seconds()
        distance = f"in {duration_text(seconds)}" if seconds > 0 else f"{duration_text(-seconds)} ago"
        yield f"Scheduled for {moment_text(job.due_at)}, {distance}."
    yield from _noted(job)
    yield from _obstacles(job, broker, online)


def _waiting(job: Job, broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    yield from _noted(job)
    if not job.reason:
        yield "Waits for other jobs, or for a slot of a limit."


def _ready(job: Job, broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    yield from _noted(job)
    obstacles = list(_obstacles(job, broker, online))
    yield from obstacles
    ahead = _ahead(job, broker)
    if ahead:
        yield f"Behind {ahead} {'job' if ahead == Count(1) else 'jobs'} of its queue."
    elif not obstacles:
        yield "First of its queue: the next free worker takes it."


_EXPLAIN = {
    JobStatus.RUNNING: _running,
    JobStatus.SCHEDULED: _scheduled,
    JobStatus.WAITING: _waiting,
    JobStatus.READY: _ready,
}


def _obstacles(job: Job, broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    """Yield what no patience would overcome."""
    name = job.queue_name
    paused = Queue.objects.using(broker.using).filter(backend=broker.alias, name=name, paused=True).first()
    if paused is not None:
        since = moment_text(paused.changed_at)
        yield f'Queue "{name}" is paused since {since}: resume it with {resume_queue(broker.alias, name)}.'
    yield from _nobody(broker, online)
    if online and not any(worker.listens_to(name) for worker in online):
        yield f'No worker listens to queue "{name}": start one with {start_worker(broker.alias, name)}.'


def _nobody(broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    if not online:
        yield f"No worker is alive: start one with {start_worker(broker.alias)}."


def _noted(job: Job) -> Iterator[str]:
    if job.reason:
        yield job.reason if job.reason.endswith((".", "!", "?")) else f"{job.reason}."


def _ahead(job: Job, broker: "Broker") -> Count:
    queue = Job.objects.using(broker.using).filter(
        backend=job.backend, queue_name=job.queue_name, status=JobStatus.READY
    )
    # Two ranges of the claim index; one condition with OR would be none.
    more_urgent = count(queue.filter(priority__gt=job.priority))
    older = count(queue.filter(priority=job.priority, id__lt=job.id))
    return more_urgent + older
