"""Reads the tables of a run, as they are when it is over."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.db import Error, connection

from django_tasks_q.lifecycle import WorkerStatus
from django_tasks_q.models import Job, Result, Worker

from .history import History, Record, Run, read_calls
from .models import Effect, Mark

__all__ = ["live", "read"]


def live() -> int:
    """Return how many jobs have not finished; -1 where the database does not say."""
    try:
        return Job.objects.count()
    except Error:
        connection.close()
        return -1


def read(journals: Sequence[Path]) -> History:
    runs = [_run(effect) for effect in Effect.objects.order_by("id").iterator()]
    return History(
        calls=read_calls(journals),
        runs=runs,
        uncounted=list(_mistaken(runs)),
        records=[*_records(Job, live=True), *_records(Result, live=False)],
        marks=set(Mark.objects.values_list("batch", flat=True)),
    )


def _mistaken(runs: Iterable[Run]) -> Iterator[float]:
    """Yield when a worker was taken for dead that has run jobs since: see Fault. The whole machine may have paused."""
    last = {run.worker: run.at for run in runs}
    for worker, moment in Worker.objects.filter(status=WorkerStatus.LOST).values_list("id", "stopped_at"):
        if moment and moment.timestamp() < last.get(worker.partition("-")[0], 0.0):
            yield moment.timestamp()


def _run(effect: Effect) -> Run:
    return Run(
        key=effect.key,
        job_id=effect.job_id,
        attempt=effect.attempt,
        run=effect.run,
        worker=effect.worker,
        pid=effect.pid,
        at=effect.at.timestamp(),
    )


def _records(model: Any, *, live: bool) -> Iterator[Record]:
    for row in model.objects.order_by("id").iterator():
        yield Record(
            key=row.args[0],
            job_id=str(row.id),
            task=row.task_path.rpartition(".")[2],
            status=row.status,
            live=live,
            attempt=row.attempt,
            failures=row.failures,
            losses=row.losses,
            worker=row.worker_id or "",
            run=getattr(row, "return_value", None) or "",
            error=row.errors[-1].get("exception", "") if row.errors else "",
        )
