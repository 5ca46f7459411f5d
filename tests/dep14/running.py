"""Run jobs in the process of the test: the broker claims and records, the executor executes, as in a worker."""

import time
from itertools import count
from typing import Any

from django_tasks_q import TasksQResult
from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.values import ClaimedJob
from django_tasks_q.worker.child.executor import Executor
from django_tasks_q.worker.child.outbox import Outbox
from django_tasks_q.worker.child.run_scope import RunScope
from django_tasks_q.worker.recording.outcomes import outcome_of_run
from django_tasks_q.worker.wire.jobs import JobRow

__all__ = ["WORKER", "run_now", "run_ready"]

WORKER = "worker-of-the-tests"
# The database's clock is taken for this host's.
CLOCK = 0.0
_numbers = count(1)


def run_now(result: TasksQResult, *, worker_id: str = WORKER) -> TasksQResult:
    """Run one attempt of the job, which must be READY; return its result, refreshed."""
    ran = run_ready(result.backend, result.task.queue_name, worker_id=worker_id)
    assert result.id in ran, f"{result.id} was not READY in {result.task.queue_name!r}; {ran} were."
    result.refresh()
    return result


def run_ready(alias: str = "default", queue_name: str = "default", *, worker_id: str = WORKER) -> list[str]:
    """Run one attempt of each READY job of a queue, one after the other; return their ids."""
    broker = get_broker(alias)
    executor = Executor(alias)
    jobs = broker.claim(worker_id, queue_name, 1_000)
    for job in jobs:
        _run(broker, executor, job, worker_id)
    return [str(job.id) for job in jobs]


def _run(broker: Any, executor: Executor, job: ClaimedJob, worker_id: str) -> None:
    row = JobRow.of(job, broker.alias, time.time(), worker_id, CLOCK)
    run = executor.run(RunScope(next(_numbers), row, Outbox()))
    if not run.recorded:
        outcome = outcome_of_run(job, run, CLOCK, time.time())
        assert job.id in broker.finish(worker_id, [outcome]), f"{job.id} was taken from {worker_id}."
