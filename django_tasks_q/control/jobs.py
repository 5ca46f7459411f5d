import uuid
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from ..brokers import get_broker
from ..brokers.values import cancel_reason
from ..lifecycle import JobStatus, ResultStatus
from ..models import Job, Result
from ..notifiers import notify, notify_cancelled
from ..task_options import HIGHEST_PRIORITY, LOWEST_PRIORITY
from .queues import check_name

__all__ = [
    "BATCH",
    "CANCELLABLE",
    "Cancelled",
    "cancel",
    "cancel_matching",
    "delete",
    "move",
    "move_matching",
    "retry",
    "retry_failed",
    "run_now",
    "run_now_matching",
]

# Rows in one transaction: enough to be fast, few enough not to block the workers.
BATCH = 1_000
# Jobs that have not started: they are CANCELLED at once, and can be moved.
CANCELLABLE = (JobStatus.WAITING, JobStatus.SCHEDULED, JobStatus.READY)


class Cancelled(NamedTuple):
    """What cancel() did.

    done: the ids of the jobs that are now results, with the status CANCELLED. asked: the ids of the running jobs that
    were asked to stop. Their worker raises SoftCancel in them, and kills their process after OPTIONS["cancel_grace"]
    seconds.
    """

    done: set[uuid.UUID]
    asked: set[uuid.UUID]


def cancel(
    job_ids: Iterable[uuid.UUID | str], *, backend: str = "default", by: str = "", running: bool = True
) -> Cancelled:
    """Cancel jobs; return which were cancelled, and which are running and will be. Finished jobs are left unchanged.

    by: who cancels them, as text; it is recorded in the reason. running: False leaves running jobs unchanged.
    """
    broker = get_broker(backend)
    cancelled = Cancelled(set(), set())
    for batch in _batches(job_ids):
        done, asked = broker.cancel(batch, reason=cancel_reason(by), running=running)
        cancelled.done.update(map(uuid.UUID, done))
        cancelled.asked.update(map(uuid.UUID, asked))
        if asked:
            notify_cancelled(backend, broker.using)
    return cancelled


def cancel_matching(
    *,
    backend: str = "default",
    queue: str | None = None,
    task: str | None = None,
    by: str = "",
    running: bool = False,
) -> Cancelled:
    """Cancel the jobs of a queue, of a task (its dotted path), or of both; return the ids, as cancel() does.

    running: also cancel running jobs. Jobs enqueued in the meantime are left unchanged. Raise ValueError if neither a
    queue nor a task is given.
    """
    if queue is None and task is None:
        raise ValueError("Name a queue or a task: cancel_matching() does not cancel everything.")
    statuses = [*CANCELLABLE, JobStatus.RUNNING] if running else CANCELLABLE
    cancelled = Cancelled(set(), set())
    for batch in _matching(statuses, backend, queue, task):
        done, asked = cancel(batch, backend=backend, by=by, running=running)
        cancelled.done.update(done)
        cancelled.asked.update(asked)
    return cancelled


def run_now(job_ids: Iterable[uuid.UUID | str], *, backend: str = "default") -> set[uuid.UUID]:
    """Make scheduled jobs ready early, and wake the workers; return the ids of those that were made ready."""
    return _tell_workers(get_broker(backend).run_now, job_ids, backend)


def run_now_matching(*, backend: str = "default", queue: str | None = None, task: str | None = None) -> int:
    """Make the scheduled jobs of a queue, of a task (its dotted path), or of both ready; return how many there were.

    Jobs enqueued in the meantime are left unchanged. Raise ValueError if neither is given.
    """
    if queue is None and task is None:
        raise ValueError("Name a queue or a task: run_now_matching() does not run everything.")
    batches = _matching((JobStatus.SCHEDULED,), backend, queue, task)
    return sum(len(run_now(batch, backend=backend)) for batch in batches)


def move(
    job_ids: Iterable[uuid.UUID | str],
    *,
    backend: str = "default",
    to_queue: str | None = None,
    priority: int | None = None,
) -> set[uuid.UUID]:
    """Move jobs that are not running to another queue, another priority, or both; return the ids of those moved.

    Raise ValueError if neither is given, or if the value is invalid for a job.
    """
    changes = _checked_changes(to_queue, priority, backend)
    broker = get_broker(backend)
    return _tell_workers(lambda ids: broker.move(ids, changes), job_ids, backend)


def move_matching(
    *,
    backend: str = "default",
    queue: str | None = None,
    task: str | None = None,
    to_queue: str | None = None,
    priority: int | None = None,
) -> int:
    """Move the jobs of a queue, of a task (its dotted path), or of both that are not running; return how many.

    Jobs enqueued in the meantime are left unchanged. Raise ValueError as move() does, and if neither a queue nor a
    task is given.
    """
    if queue is None and task is None:
        raise ValueError("Name a queue or a task: move_matching() does not move everything.")
    _checked_changes(to_queue, priority, backend)
    batches = _matching(CANCELLABLE, backend, queue, task)
    return sum(len(move(batch, backend=backend, to_queue=to_queue, priority=priority)) for batch in batches)


def retry(result_ids: Iterable[uuid.UUID | str], *, backend: str = "default") -> set[uuid.UUID]:
    """Make finished jobs ready again under their old ids, and wake the workers; return the ids of those retried."""
    return _tell_workers(get_broker(backend).requeue, result_ids, backend)


def retry_failed(
    *, backend: str = "default", queue: str | None = None, task: str | None = None, limit: int | None = None
) -> int:
    """Retry the jobs that have failed until now, the oldest failure first; return how many were retried.

    task: its dotted path. limit: retry at most this many. Jobs that fail again in the meantime are left unchanged.
    """
    broker = get_broker(backend)
    failed = Result.objects.using(broker.using).filter(
        backend=backend, status=ResultStatus.FAILED, finished_at__lte=broker.dialect.now(), **_same(queue, task)
    )
    oldest = failed.order_by("finished_at").values_list("id", "finished_at")
    retried, batch = 0, list(oldest[: _next_size(limit, 0)])
    while batch:
        retried += len(retry([job_id for job_id, _ in batch], backend=backend))
        # Continue where the last batch ended, so that rows that do not match are not read again.
        batch = list(oldest.filter(finished_at__gte=batch[-1][1])[: _next_size(limit, retried)])
    return retried


def delete(result_ids: Iterable[uuid.UUID | str], *, backend: str = "default") -> int:
    """Delete finished jobs from the history; return how many there were."""
    broker = get_broker(backend)
    return sum(broker.delete_results(batch) for batch in _batches(result_ids))


def _matching(statuses: Iterable[str], backend: str, queue: str | None, task: str | None) -> Iterator[list[uuid.UUID]]:
    """Yield the ids of the jobs with these statuses that exist now, a batch for each transaction."""
    broker = get_broker(backend)
    rows = Job.objects.using(broker.using).filter(
        backend=backend, status__in=statuses, enqueued_at__lte=broker.dialect.now(), **_same(queue, task)
    )
    ids = rows.order_by("id").values_list("id", flat=True)
    batch = list(ids[:BATCH])
    while batch:
        yield batch
        batch = list(ids.filter(id__gt=batch[-1])[:BATCH])


def _tell_workers(
    act: Callable[[list[uuid.UUID | str]], set[str]], ids: Iterable[uuid.UUID | str], backend: str
) -> set[uuid.UUID]:
    """Apply an action that makes jobs ready, batch by batch, and wake the workers after each; return their ids."""
    touched: set[uuid.UUID] = set()
    for batch in _batches(ids):
        done = act(batch)
        touched |= {uuid.UUID(job_id) for job_id in done}
        broker = get_broker(backend)
        notify(backend, broker.using, broker.ready_among(done))
    return touched


def _checked_changes(queue: str | None, priority: int | None, backend: str) -> dict[str, object]:
    if queue is None and priority is None:
        raise ValueError("Choose a different queue or priority.")
    changes: dict[str, object] = {}
    if queue is not None:
        check_name(queue, backend=backend)
        changes["queue_name"] = queue
    if priority is not None:
        if not LOWEST_PRIORITY <= priority <= HIGHEST_PRIORITY:
            raise ValueError(
                f"A priority is a whole number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, not {priority}."
            )
        changes["priority"] = priority
    return changes


def _batches(ids: Iterable[uuid.UUID | str]) -> Iterator[list[uuid.UUID | str]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _next_size(limit: int | None, done: int) -> int:
    return BATCH if limit is None else max(0, min(BATCH, limit - done))


def _same(queue: str | None, task: str | None) -> dict[str, object]:
    wanted = {"queue_name": queue, "task_path": task}
    return {name: value for name, value in wanted.items() if value is not None}
