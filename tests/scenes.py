"""Jobs, results and workers in the states that a test needs, brought there by the real code."""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from django_tasks_q import Task, enqueue_many
from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.values import ClaimedJob, LogLines, Outcome
from django_tasks_q.lifecycle import Ending, JobStatus, ResultStatus
from django_tasks_q.models import Sleeper, Statistics, Worker
from django_tasks_q.models.statistics import MINUTE
from django_tasks_q.notifiers import Ear
from django_tasks_q.services.registry import Identity, Registry
from django_tasks_q.services.sleepers import pattern

from .tasks import noop

__all__ = ["add_sleeper", "add_worker", "claim", "count", "error", "finish", "jobs", "log", "results", "running"]

# Seconds. A worker without a heartbeat would be dead in the middle of a test that takes long.
LONGEST_TEST = 600.0


def jobs(number: int = 1, task: Task = noop, args: Sequence[Any] = (), **using: Any) -> list[uuid.UUID]:
    """Enqueue so many calls, and return the ids of their jobs. using: see Task.using()."""
    chosen = task.using(**using) if using else task
    return [uuid.UUID(result.id) for result in enqueue_many([(chosen, args, {})] * number)]


def claim(number: int = 1, queue: str = "default", worker: str = "w1", backend: str = "default") -> list[ClaimedJob]:
    """Let a worker take the first jobs of a queue."""
    return get_broker(backend).claim(worker, queue, number)


def running(number: int = 1, task: Task = noop, worker: str = "w1", **using: Any) -> list[uuid.UUID]:
    """Enqueue so many calls, and let a worker take them."""
    # Before whatever else the queue holds.
    ids = jobs(number, task, **{"priority": 100, **using})
    taken = claim(number, using.get("queue_name", task.queue_name), worker, using.get("backend", task.backend))
    assert {uuid.UUID(job.id) for job in taken} == set(ids)
    return ids


def log(job_id: uuid.UUID, lines: Any, attempt: int = 1, worker: str = "w1", backend: str = "default") -> None:
    """Let a running job have logged lines, as JobLog has them."""
    get_broker(backend).append_logs(worker, [LogLines(str(job_id), attempt, json.dumps(lines))])


def results(
    number: int = 1, status: str = ResultStatus.SUCCESSFUL, task: Task = noop, **given: Any
) -> list[uuid.UUID]:
    """Enqueue so many calls and finish them. given: see Task.using() and finish()."""
    ending = {name: given.pop(name) for name in ("seconds_ago", "return_value", "errors", "reason") if name in given}
    jobs(number, task, **{"priority": 100, **given})
    alias = given.get("backend", task.backend)
    taken = claim(number, given.get("queue_name", task.queue_name), backend=alias)
    finish(taken, status, backend=alias, **ending)
    return [uuid.UUID(job.id) for job in taken]


def finish(
    taken: Sequence[ClaimedJob],
    status: str,
    *,
    worker: str = "w1",
    backend: str = "default",
    seconds_ago: float = 0.0,
    return_value: Any = None,
    errors: str | None = None,
    reason: str = "",
) -> None:
    """Record how jobs ended: status is a ResultStatus, or a JobStatus where they run again."""
    broker = get_broker(backend)
    moment = broker.dialect.now() - timedelta(seconds=seconds_ago)
    failed = status not in (ResultStatus.SUCCESSFUL, JobStatus.READY)
    ending = Ending.ERROR if failed else Ending.SUCCESS
    outcomes = [
        Outcome(
            job.id,
            job.attempt,
            ending,
            status,
            moment,
            moment,
            return_value=json.dumps(return_value),
            error=errors or (error(attempt=job.attempt) if failed else None),
            retry_in=60.0 if status == JobStatus.SCHEDULED else 0.0,
            reason=reason,
        )
        for job in taken
    ]
    recorded = broker.finish(worker, outcomes)
    assert all(job.id in recorded for job in taken)


def error(text: str = "ValueError: boom", *, attempt: int = 1, worker: str = "w1") -> str:
    """Return one entry of Job.errors, as a worker writes it."""
    traceback = f'Traceback (most recent call last):\n  File "tasks.py", line 1, in boom\n{text}\n'
    entry = {"exception": "builtins.ValueError", "traceback": traceback, "worker": worker, "attempt": attempt}
    return json.dumps(entry | {"kind": "error", "started_at": None, "finished_at": None})


def add_worker(
    name: str = "w",
    queues: Sequence[str] = (),
    excluded_queues: Sequence[str] = (),
    *,
    backend: str = "default",
    silent_for: float = 0.0,
    **changes: Any,
) -> Worker:
    """Register a worker that does nothing. silent_for: seconds since its last heartbeat; 0: it lives throughout."""
    broker = get_broker(backend)
    identity = Identity(name=name, queues=queues, excluded_queues=excluded_queues, concurrency=2)
    row = Worker.objects.using(broker.using).get(pk=Registry(broker, identity).register())
    row.heartbeat_at -= timedelta(seconds=silent_for or -LONGEST_TEST)
    for field, value in changes.items():
        setattr(row, field, value)
    row.save()
    return row


def add_sleeper(address: str, queues: Sequence[str] = (), excluded_queues: Sequence[str] = (), **columns: Any) -> Ear:
    """Have a worker sleep that does nothing; return its ear."""
    ear = Ear(address, queues, excluded_queues)
    given = {"backend": "default", "worker_id": address, "concurrency": 1, "since": timezone.now()} | columns
    Sleeper.objects.create(address=address, hears=pattern(ear), **given)
    return ear


def count(
    minutes_ago: int = 1, *, backend: str = "default", now: datetime | None = None, **columns: Any
) -> Statistics:
    """Write what one minute brought, as the workers would have counted it: count(3, task_path="t", failed=2).

    now: what the minutes count from, for several that are not to move where a minute begins in between.
    """
    broker = get_broker(backend)
    at = (now or broker.dialect.now()).replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
    key = {"backend": backend, "period": MINUTE, "at": at, "queue_name": "default", "task_path": "tests.tasks.noop"}
    return Statistics.objects.using(broker.using).create(**key | columns)
