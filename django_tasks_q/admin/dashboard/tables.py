"""The tables of the present: queues, running jobs, schedules and workers, a row each."""

from django.utils.translation import gettext as _

from ...lifecycle import JobStatus
from ...models import Job, Schedule, Worker
from ...monitoring.formatting import progress_text
from ...monitoring.queues import QueueStats
from ...monitoring.running import RunningJob
from ...monitoring.workers import WorkerState
from ...results import Progress
from ..display import (
    badge,
    code,
    counted,
    duration,
    link,
    moment,
    names,
    number,
    queue_badge,
    shortened,
    size,
    storable,
)
from ..schedules.display import next_run, words
from .viewer import Viewer

__all__ = ["queue_row", "running_row", "schedule_row", "worker_row"]


def queue_row(viewer: Viewer, queue: QueueStats) -> dict[str, object]:
    counts = [
        link(viewer.url(Job, queue=queue.name, status=status), counted(held)) if held.number else "0"
        for status in (JobStatus.READY, JobStatus.RUNNING, JobStatus.SCHEDULED, JobStatus.WAITING)
        for held in [getattr(queue, status.lower())]
    ]
    return {
        "name": link(viewer.url(Job, queue=queue.name), storable(queue.name)),
        "state": queue_badge(queue),
        "counts": counts,
        "oldest": duration(queue.oldest_ready_seconds),
        "workers": queue.workers,
    }


def running_row(viewer: Viewer, job: RunningJob) -> dict[str, object]:
    return {
        "task": link(viewer.url(Job, "change", job.id), storable(job.task_path)),
        "queue": storable(job.queue_name),
        "worker": link(viewer.url(Worker, "change", job.worker_id), storable(job.worker_id)),
        "attempt": job.attempt,
        "since": duration(job.seconds),
        "progress": _progress(job.progress),
        "to_cancel": job.cancel_requested_at is not None,
    }


def _progress(said: Progress | None) -> dict[str, object] | None:
    """Return a job's progress, with the percentage if known."""
    if said is None:
        return None
    share = 100 * said.done / said.total if said.total else None
    return {
        "text": shortened(progress_text(said, number)),
        "percent": None if share is None else round(min(max(share, 0.0), 100.0)),
    }


def schedule_row(viewer: Viewer, row: Schedule) -> dict[str, object]:
    return {
        "name": link(viewer.url(Schedule, "change", row.pk), storable(row.name)),
        "words": words(row),
        "next": next_run(row),
    }


def worker_row(viewer: Viewer, worker: WorkerState) -> dict[str, object]:
    state = badge("stale", _("Stale")) if worker.stale else badge("online", _("Online"))
    if worker.alive and worker.status == "DRAINING":
        state = badge("draining", _("Draining"))
    return {
        "name": link(viewer.url(Worker, "change", worker.id), code(worker.id)),
        "state": state,
        "queues": names(worker.queues) or _("all"),
        "running": worker.running,
        "concurrency": worker.concurrency,
        "memory": size(worker.memory),
        "finished": number(worker.finished),
        "heartbeat": moment(worker.heartbeat_at),
    }
