import uuid
from collections.abc import Iterable
from datetime import datetime
from itertools import chain
from typing import Any

from django.db.models import QuerySet

from ..brokers import get_broker
from ..exceptions import JobNotFound
from ..lifecycle import JobStatus, ResultStatus
from ..models import Job, Result
from .counts import Count, count_up_to
from .reasons import why

__all__ = ["count_jobs", "find", "list_jobs", "why"]

# What may be a megabyte in each row.
HEAVY = ("args", "kwargs", "options", "metadata", "errors")


def find(job_id: uuid.UUID | str, backend: str = "default") -> Job | Result:
    """Return the job or the result with this id. Raise JobNotFound for one that no table holds, or that is none."""
    key = _parse(job_id)
    using = get_broker(backend).using
    # A job moves between the tables while one looks: what is in neither at first may have come back.
    for model in (Job, Result, Job):
        row = model._default_manager.using(using).filter(pk=key, backend=backend).first()
        if row is not None:
            return row
    raise JobNotFound(f'There is no job and no result {key} of the backend "{backend}": it may have been pruned.')


def list_jobs(
    *,
    backend: str = "default",
    statuses: Iterable[str] = (),
    queue: str | None = None,
    task: str | None = None,
    limit: int = 20,
) -> list[Job | Result]:
    """Return jobs and results, the newest first: results by when they finished, jobs by when they were enqueued.

    statuses: of JobStatus and ResultStatus; none means all. task: the whole dotted path. Payloads are not loaded.
    """
    wanted = set(statuses) or {*JobStatus.values, *ResultStatus.values}
    same = _same(backend, queue, task)
    using = get_broker(backend).using
    live = Job.objects.using(using).filter(**same).defer(*HEAVY)
    finished = Result.objects.using(using).filter(**same).defer(*HEAVY, "return_value")
    jobs = _newest_jobs(live, wanted, limit)
    results = _newest_results(finished, wanted, limit, by_task=task is not None)
    # A job that finishes meanwhile is in both.
    rows: dict[uuid.UUID, Job | Result] = {row.id: row for row in chain[Job | Result](jobs, results)}
    return sorted(rows.values(), key=_moment, reverse=True)[:limit]


def count_jobs(
    *, backend: str = "default", statuses: Iterable[str] = (), queue: str | None = None, task: str | None = None
) -> Count:
    """Count live jobs. statuses: of JobStatus; none means all. task: the whole dotted path."""
    rows = Job.objects.using(get_broker(backend).using).filter(**_same(backend, queue, task))
    wanted = list(statuses)
    return count_up_to(rows.filter(status__in=wanted) if wanted else rows)


def _same(backend: str, queue: str | None, task: str | None) -> dict[str, str]:
    wanted = {"backend": backend, "queue_name": queue, "task_path": task}
    return {name: value for name, value in wanted.items() if value is not None}


def _newest_jobs(rows: QuerySet[Job], statuses: set[str], limit: int) -> Iterable[Job]:
    live = statuses.intersection(JobStatus.values)
    if not live:
        return []
    if len(live) < len(JobStatus):
        rows = rows.filter(status__in=live)
    return rows.order_by("-id")[:limit]


def _newest_results(rows: QuerySet[Result], statuses: set[str], limit: int, *, by_task: bool) -> Iterable[Result]:
    """Read along the index that fits: the task's by id, else that of each status by when it ended."""
    finished = sorted(statuses.intersection(ResultStatus.values))
    if by_task:
        return rows.filter(status__in=finished).order_by("-id")[:limit] if finished else []
    each = (rows.filter(status=status).order_by("-finished_at")[:limit] for status in finished)
    return chain.from_iterable(each)


def _moment(row: Any) -> datetime:
    moment: datetime = getattr(row, "finished_at", None) or row.enqueued_at
    return moment


def _parse(job_id: uuid.UUID | str) -> uuid.UUID:
    try:
        return job_id if isinstance(job_id, uuid.UUID) else uuid.UUID(str(job_id))
    except ValueError:
        raise JobNotFound(f"{str(job_id)!r} is not the id of a job: that is a UUID.") from None
