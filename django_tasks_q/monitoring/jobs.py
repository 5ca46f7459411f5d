import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain

from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.db.models.lookups import Exact
from django.utils.translation import override

from ..backend import find_row
from ..brokers import get_broker
from ..exceptions import JobNotFound
from ..lifecycle import JobStatus, ResultStatus
from ..models import Job, Result
from .counts import Count, count_up_to
from .reasons import why, why_unfinished

__all__ = ["count_jobs", "find", "list_jobs", "why", "why_not_finished"]

# Columns that may hold a megabyte in each row.
HEAVY = ("args", "kwargs", "options", "metadata", "errors")


def find(job_id: uuid.UUID | str, backend: str = "default") -> Job | Result:
    """Return the job or the result with this id. Raise JobNotFound if no table has it, or if it is not a valid id."""
    try:
        key = uuid.UUID(str(job_id))
    except ValueError:
        raise JobNotFound(f"{str(job_id)!r} is not the id of a job: that is a UUID.") from None
    row = find_row(key, backend)
    if row is None:
        raise JobNotFound(f'There is no job and no result {key} of the backend "{backend}": it may have been pruned.')
    return row


def why_not_finished(job_id: str, backend: str) -> str:
    """Return what keeps a job from ending, in English; an empty text where it has ended or is gone."""
    try:
        row = find(job_id, backend)
    except JobNotFound:
        return ""
    with override(None):
        return why_unfinished(row) if isinstance(row, Job) else ""


def list_jobs(
    *,
    backend: str = "default",
    statuses: Iterable[str] = (),
    queue: str | None = None,
    task: str | None = None,
    metadata: Mapping[str, str] | None = None,
    retried: bool = False,
    limit: int = 20,
) -> list[Job | Result]:
    """Return jobs and results, the newest first: results by when they finished, jobs by when they were enqueued.

    statuses: of JobStatus and ResultStatus; none means all. task: the whole dotted path. metadata: only those with
    these values, as text, under these keys. retried: only those that have run more than once. No index helps to find
    either. Payloads are not loaded.
    """
    wanted = set(statuses) or {*JobStatus.values, *ResultStatus.values}
    same = _same(backend, queue, task)
    using = get_broker(backend).using
    more = _more(metadata or {}, retried)
    live = Job.objects.using(using).filter(more, **same).defer(*HEAVY)
    finished = Result.objects.using(using).filter(more, **same).defer(*HEAVY, "return_value")
    jobs = _newest_jobs(live, wanted, limit)
    results = _newest_results(finished, wanted, limit, by_task=task is not None)
    # A job that finishes in the meantime is in both.
    rows: dict[uuid.UUID, Job | Result] = {row.id: row for row in chain[Job | Result](jobs, results)}
    return sorted(rows.values(), key=_moment, reverse=True)[:limit]


def count_jobs(
    *, backend: str = "default", statuses: Iterable[str] = (), queue: str | None = None, task: str | None = None
) -> Count:
    """Count live jobs. statuses: of JobStatus; none means all. task: the whole dotted path."""
    rows = Job.objects.using(get_broker(backend).using).filter(**_same(backend, queue, task))
    wanted = list(statuses)
    return count_up_to(rows.filter(status__in=wanted) if wanted else rows)


def _more(metadata: Mapping[str, str], retried: bool) -> Q:
    wanted = Q(attempt__gt=1) if retried else Q()
    for key, value in metadata.items():
        wanted &= Q(Exact(Cast(KeyTextTransform(key, "metadata"), TextField()), Value(value)))
    return wanted


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
    """Read along the index that fits: the task's by id, otherwise that of each status by finish time."""
    finished = sorted(statuses.intersection(ResultStatus.values))
    if by_task:
        return rows.filter(status__in=finished).order_by("-id")[:limit] if finished else []
    each = (rows.filter(status=status).order_by("-finished_at")[:limit] for status in finished)
    return chain.from_iterable(each)


def _moment(row: Job | Result) -> datetime:
    moment: datetime = getattr(row, "finished_at", None) or row.enqueued_at
    return moment
