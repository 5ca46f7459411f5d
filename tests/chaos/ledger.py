"""Reads the tables of a run, as they are when it is over."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.db import Error, connection
from django.db.models import Case, Count, F, TextField, When
from django.db.models.functions import Cast

from django_tasks_q.lifecycle import WorkerStatus
from django_tasks_q.models import Job, Result, Worker

from .excuses import Ended
from .history import History, Record, Run, Tally, read_calls
from .kinds import NOBODY, SWARMS
from .liveness import Lost
from .models import Effect, Mark
from .texts import digest_of

__all__ = ["live", "lost", "read"]

# Rows of the largest payloads that are in memory at once.
CHUNK = 50
SWARM_PATHS = [f"tests.chaos.heavy.{task}" for task in sorted(SWARMS)]
ENDED = F("failures") + F("losses")


def live() -> int:
    """Return how many jobs have not finished that somebody is to run; -1 where the database does not say."""
    try:
        return Job.objects.exclude(queue_name=NOBODY).count()
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
        ended=[Ended(found.worker.partition("-")[0], found.at) for found in lost()],
        tallies=[*_tallies(Job, live=True), *_tallies(Result, live=False)],
    )


def lost() -> list[Lost]:
    """Return the workers that were presumed dead."""
    found = Worker.objects.filter(status=WorkerStatus.LOST).exclude(host="dead").order_by("stopped_at")
    return [
        Lost(worker=row.id, beat=row.heartbeat_at.timestamp(), at=row.stopped_at.timestamp())
        for row in found
        if row.stopped_at
    ]


def _tallies(model: Any, *, live: bool) -> Iterator[Tally]:
    done = Case(When(status="SUCCESSFUL", then=1), default=0)
    rows = model.objects.filter(task_path__in=SWARM_PATHS).annotate(
        key=Cast("args", TextField()), adds_up=Case(When(attempt=ENDED + done, then=1), default=0)
    )
    for key, status, adds_up, count in rows.order_by().values_list("key", "status", "adds_up").annotate(Count("id")):
        yield Tally(name=json.loads(key)[0], status=status, live=live, adds_up=bool(adds_up), count=count)


def _mistaken(runs: Iterable[Run]) -> Iterator[float]:
    """Yield when a worker was presumed dead that has run jobs since: see Fault. The whole machine may have paused."""
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
    for row in model.objects.exclude(task_path__in=SWARM_PATHS).order_by("id").iterator(chunk_size=CHUNK):
        returned = getattr(row, "return_value", None) or ""
        text = returned if isinstance(returned, dict) else {}
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
            run=text.get("run", "") if text else returned,
            is_damaged=bool(text) and digest_of(text["text"]) != text["digest"],
            error=row.errors[-1].get("exception", "") if row.errors else "",
        )
