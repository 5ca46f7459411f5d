"""Why a job is not running, in plain text for an operator."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..brokers import get_broker
from ..lifecycle import JobStatus
from ..models import Job, Queue
from .counts import Count, count
from .formatting import duration_text, moment_text
from .hints import resume_queue, start_worker
from .workers import WorkerState, workers

if TYPE_CHECKING:
    from ..brokers.base import Broker

__all__ = ["why", "why_unfinished"]

Explain = Callable[[Job, "Broker", list[WorkerState]], Iterator[str]]


def why(job: Job) -> str:
    """Return, in plain text, what a live job is waiting for, or which worker runs it."""
    explain = _EXPLAIN.get(job.status)
    if explain is None:
        return _("No worker takes it: “%(status)s” is not a job status.") % {"status": job.status}
    return " ".join(explain(job, get_broker(job.backend), workers(job.backend, alive=True)))


def why_unfinished(job: Job) -> str:
    """Return the same without the number of jobs that are ahead, which takes long to count where they are many."""
    if job.status != JobStatus.READY:
        return why(job)
    broker, online = get_broker(job.backend), workers(job.backend, alive=True)
    obstacles = list(_obstacles(job, broker, online))
    return " ".join([*_noted(job), *(obstacles or _business(job, online))])


def _running(job: Job, broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    held = {"worker": job.worker_id, "attempt": job.attempt}
    if job.last_attempted_at is None:
        yield _("Held by worker %(worker)s, attempt %(attempt)d.") % held
    else:
        since = moment_text(job.last_attempted_at)
        yield _("Held by worker %(worker)s since %(since)s, attempt %(attempt)d.") % {**held, "since": since}
    if job.cancel_requested_at is not None:
        asked = {"moment": moment_text(job.cancel_requested_at), "reason": job.cancel_reason}
        yield _("Asked to stop at %(moment)s: %(reason)s") % asked
    if not any(worker.id == job.worker_id for worker in online):
        yield _(
            "That worker no longer reports: another one will make the job ready again "
            "%(time)s after its last heartbeat."
        ) % {"time": duration_text(broker.options.rescue_after)}
        yield from _nobody(broker, online)


def _scheduled(job: Job, broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    if job.due_at is not None:
        seconds = (job.due_at - broker.dialect.now()).total_seconds()
        text = (
            _("Scheduled for %(moment)s, in %(time)s.")
            if seconds > 0
            else _("Scheduled for %(moment)s, %(time)s ago.")
        )
        yield text % {"moment": moment_text(job.due_at), "time": duration_text(abs(seconds))}
    yield from _noted(job)
    yield from _obstacles(job, broker, online)


def _waiting(job: Job, broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    yield from _noted(job)
    if not job.reason:
        yield _("Waiting for other jobs, or for a slot of a limit.")


def _ready(job: Job, broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    yield from _noted(job)
    obstacles = list(_obstacles(job, broker, online))
    yield from obstacles
    ahead = _ahead(job, broker)
    if ahead:
        text = ngettext("Behind %(count)s job in its queue.", "Behind %(count)s jobs in its queue.", int(ahead))
        yield text % {"count": ahead}
    elif not obstacles:
        yield _("First in its queue: the next free worker takes it.")
    if not obstacles:
        yield from _business(job, online)


_EXPLAIN: dict[str, Explain] = {
    JobStatus.RUNNING: _running,
    JobStatus.SCHEDULED: _scheduled,
    JobStatus.WAITING: _waiting,
    JobStatus.READY: _ready,
}


def _obstacles(job: Job, broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    """Yield obstacles that waiting does not remove."""
    name = job.queue_name
    paused = Queue.objects.using(broker.using).filter(backend=broker.alias, name=name, paused=True).first()
    if paused is not None:
        facts = {"queue": name, "since": moment_text(paused.changed_at), "command": resume_queue(broker.alias, name)}
        yield _('Queue "%(queue)s" has been paused since %(since)s: resume it with %(command)s.') % facts
    yield from _nobody(broker, online)
    if online and not any(worker.listens_to(name) for worker in online):
        facts = {"queue": name, "command": start_worker(broker.alias, name)}
        yield _('No worker listens to queue "%(queue)s": start one with %(command)s.') % facts


def _nobody(broker: "Broker", online: list[WorkerState]) -> Iterator[str]:
    if not online:
        yield _("No worker is alive: start one with %(command)s.") % {"command": start_worker(broker.alias)}


def _business(job: Job, online: list[WorkerState]) -> Iterator[str]:
    """Yield whether the workers that could take it are all busy."""
    listening = [worker for worker in online if worker.listens_to(job.queue_name)]
    running, most = sum(worker.running for worker in listening), sum(worker.concurrency for worker in listening)
    if running >= most:
        text = ngettext(
            "The worker that listens to it is busy: it runs %(running)d of at most %(most)d jobs.",
            "The %(workers)d workers that listen to it are busy: they run %(running)d of at most %(most)d jobs.",
            len(listening),
        )
        yield text % {"workers": len(listening), "running": running, "most": most}


def _noted(job: Job) -> Iterator[str]:
    if job.reason:
        yield job.reason if job.reason.endswith((".", "!", "?")) else f"{job.reason}."


def _ahead(job: Job, broker: "Broker") -> Count:
    queue = Job.objects.using(broker.using).filter(
        backend=job.backend, queue_name=job.queue_name, status=JobStatus.READY
    )
    # Two ranges of the claim index; one condition with OR would not use it.
    more_urgent = count(queue.filter(priority__gt=job.priority))
    older = count(queue.filter(priority=job.priority, id__lt=job.id))
    return more_urgent + older
