import uuid
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ..brokers import get_broker
from ..lifecycle import JobStatus, ResultStatus
from ..models import Job, Result
from ..notifiers import notify

__all__ = ["BATCH", "CANCELLABLE", "cancel", "cancel_matching", "delete", "retry", "retry_failed"]

# Rows of one transaction: enough to be quick, few enough not to hold up the workers.
BATCH = 1_000
CANCELLABLE = (JobStatus.WAITING, JobStatus.SCHEDULED, JobStatus.READY)


def cancel(job_ids: Iterable[uuid.UUID], *, backend: str = "default", by: str = "") -> set[uuid.UUID]:
    """Cancel jobs that have not started; return the ids of those that were. Running and finished ones are left alone.

    by: who wishes it, in words; it is kept as the reason.
    """
    broker = get_broker(backend)
    reason = f"Cancelled by {by}." if by else "Cancelled."
    return set().union(*(broker.cancel(batch, reason=reason) for batch in _batches(job_ids)))


def cancel_matching(
    *, backend: str = "default", queue: str | None = None, task: str | None = None, by: str = ""
) -> int:
    """Cancel the jobs of a queue, of a task (its dotted path), or of both, that have not started; return how many.

    What is enqueued meanwhile is left alone. Raise ValueError where neither is given.
    """
    if queue is None and task is None:
        raise ValueError("Name a queue or a task: cancel_matching() does not cancel everything.")
    broker = get_broker(backend)
    rows = Job.objects.using(broker.using).filter(
        backend=backend, status__in=CANCELLABLE, enqueued_at__lte=broker.now(), **_same(queue, task)
    )
    ids = rows.order_by("id").values_list("id", flat=True)
    cancelled, batch = 0, list(ids[:BATCH])
    while batch:
        cancelled += len(cancel(batch, backend=backend, by=by))
        batch = list(ids.filter(id__gt=batch[-1])[:BATCH])
    return cancelled


def retry(result_ids: Iterable[uuid.UUID], *, backend: str = "default") -> set[uuid.UUID]:
    """Make finished jobs ready again under their old ids, and wake the workers; return the ids of those that were."""
    broker = get_broker(backend)
    requeued: set[uuid.UUID] = set()
    for batch in _batches(result_ids):
        requeued |= broker.requeue(batch)
        notify(backend, broker.using)
    return requeued


def retry_failed(
    *, backend: str = "default", queue: str | None = None, task: str | None = None, limit: int | None = None
) -> int:
    """Retry what has failed until now, the first to fail first; return how many were.

    task: its dotted path. limit: at most so many. What fails again meanwhile is left alone.
    """
    broker = get_broker(backend)
    failed = Result.objects.using(broker.using).filter(
        backend=backend, status=ResultStatus.FAILED, finished_at__lte=broker.now(), **_same(queue, task)
    )
    oldest = failed.order_by("finished_at").values_list("id", "finished_at")
    retried, batch = 0, list(oldest[: _next_size(limit, 0)])
    while batch:
        retried += len(retry([job_id for job_id, _ in batch], backend=backend))
        # From where the last batch ended, not over those that do not match again.
        batch = list(oldest.filter(finished_at__gte=batch[-1][1])[: _next_size(limit, retried)])
    return retried


def delete(result_ids: Iterable[uuid.UUID], *, backend: str = "default") -> int:
    """Delete finished jobs from the history; return how many there were."""
    broker = get_broker(backend)
    return sum(broker.delete_results(batch) for batch in _batches(result_ids))


def _batches(ids: Iterable[uuid.UUID]) -> Iterator[list[uuid.UUID]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _next_size(limit: int | None, done: int) -> int:
    return BATCH if limit is None else max(0, min(BATCH, limit - done))


def _same(queue: str | None, task: str | None) -> dict[str, Any]:
    wanted = {"queue_name": queue, "task_path": task}
    return {name: value for name, value in wanted.items() if value is not None}
