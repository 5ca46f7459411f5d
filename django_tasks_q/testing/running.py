"""run_jobs(): what a worker would do now, in the test's own thread and on its connections."""

import logging
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from asgiref.sync import sync_to_async
from django.utils.asyncio import async_unsafe

from ..brokers import get_broker
from ..brokers.outcomes import expired_outcome
from ..brokers.values import ClaimedJob, Outcome
from ..compat import task_backends
from ..lifecycle import Ending, JobStatus, ResultStatus
from ..models import Job
from ..results import TasksQResult
from ..worker.child.log_capture import LogCapture
from ..worker.recording.events import send_recorded, send_superseded
from ..worker.recording.log_book import LogBook
from ..worker.recording.outcomes import outcome_of_run
from ..worker.wire.frames import Run
from ..worker.wire.jobs import JobRow
from .clock import on_test_clock, seconds_ahead
from .inline import InlineExecutor, InlineOutbox, InlineScope
from .scope import find_aliases
from .stored import stored_results

__all__ = ["arun_jobs", "run_jobs"]

# The worker's name in results.
WORKER = "run_jobs"


@async_unsafe("run_jobs() uses the database. In an async test, use: await arun_jobs().")
def run_jobs(
    *,
    queues: str | Sequence[str] = (),
    backend: str | None = None,
    ignore_delays: bool = False,
    raise_errors: bool = False,
    max_runs: int = 1_000,
) -> list[TasksQResult[Any]]:
    """Run what is due, and what becomes due meanwhile, as a worker would; return the results of the jobs that ran.

    queues: only these. backend: only this one; None means all that the test has the databases of.
    ignore_delays: also what is scheduled for later, the next attempts of what failed included, in the order in which
    it is due. raise_errors: raise what a task has raised, once its job has FAILED. max_runs: after so many runs it
    gives up.

    Raise ValueError for a queue or a backend that does not exist, AssertionError after max_runs.
    """
    names = [queues] if isinstance(queues, str) else list(queues)
    workers = [InlineWorker(alias, names, ignore_delays=ignore_delays) for alias in find_aliases(backend)]
    ran: dict[tuple[str, str], None] = {}
    counts: Counter[str] = Counter()
    while turn := _next(workers):
        worker, job = turn
        if counts.total() >= max_runs:
            raise AssertionError(_endless(max_runs, counts))
        counts[job.task_path] += 1
        ran[worker.alias, job.id] = None
        error = worker.run(job)
        if raise_errors and error is not None:
            raise error
    return _find_results(ran)


async def arun_jobs(**options: Any) -> list[TasksQResult[Any]]:
    """See run_jobs()."""
    return await sync_to_async(run_jobs, thread_sensitive=True)(**options)


def _find_results(ran: Collection[tuple[str, str]]) -> list[TasksQResult[Any]]:
    """Return the results of jobs in this order, without those that a task has deleted."""
    ids: dict[str, list[str]] = {}
    for alias, job_id in ran:
        ids.setdefault(alias, []).append(job_id)
    found = {result.id: result for alias in ids for result in stored_results(alias, ids[alias])}
    return [found[job_id] for _, job_id in ran if job_id in found]


def _next(workers: Sequence["InlineWorker"]) -> tuple["InlineWorker", ClaimedJob] | None:
    for worker in workers:
        if (job := worker.claim()) is not None:
            return worker, job
    return None


def _endless(max_runs: int, counts: Counter[str]) -> str:
    most = ", ".join(f"{path} {count} times" for path, count in counts.most_common(3))
    return (
        f"After {max_runs:,} runs there are still jobs: {most}. A task that enqueues itself, or fails for ever, has "
        "no end: bound it, leave out ignore_delays=True, or raise max_runs."
    )


class InlineWorker:
    """Runs the jobs of one backend, one by one: claim, run, record, with the broker's own verbs."""

    def __init__(self, alias: str, queues: list[str], *, ignore_delays: bool) -> None:
        self.alias = alias
        self.backend: Any = task_backends[alias]
        self.broker = on_test_clock(get_broker(alias))
        self.queues = queues
        self.ignore_delays = ignore_delays
        self._refuse_unknown_queues()
        self.lines = LogBook(self.broker.options.max_logs)
        self._capture = self._make_capture()
        self._executor = InlineExecutor(alias, self._capture)
        self._seq = 0
        self._last_queue = ""

    def _refuse_unknown_queues(self) -> None:
        for name in self.queues:
            if refusal := self.backend.refusal_of_queue(name):
                raise ValueError(refusal)

    def _make_capture(self) -> LogCapture | None:
        options = self.broker.options
        if options.capture_logs is None:
            return None
        return LogCapture(options.capture_logs, options.max_logs)

    # claim

    def claim(self) -> ClaimedJob | None:
        """Return the next job that is due, now RUNNING; None if there is none."""
        self.broker.promote()
        job = self._claim()
        while job is None and self.ignore_delays and self._make_next_ready():
            job = self._claim()
        return job

    def _claim(self) -> ClaimedJob | None:
        names = self.broker.ready_queues(among=self.queues, paused=False)
        # One after the other, as a worker's turns are.
        for name in sorted(names, key=lambda name: (name <= self._last_queue, name)):
            for job in self.broker.claim(WORKER, name, 1):
                self._last_queue = name
                return job
        return None

    def _make_next_ready(self) -> bool:
        """Make the SCHEDULED job READY that is due first; return whether there was one."""
        waiting = Job.objects.using(self.broker.using).filter(backend=self.alias, status=JobStatus.SCHEDULED)
        if self.queues:
            waiting = waiting.filter(queue_name__in=self.queues)
        first = waiting.order_by("due_at", "id").values_list("id", flat=True)[:1]
        return bool(self.broker.run_now(list(first)))

    # run

    def run(self, job: ClaimedJob) -> BaseException | None:
        """Run a job and record how it ended; return the error if it has FAILED with one."""
        clock, outbox = seconds_ahead(), InlineOutbox(job, self.lines)
        expired = expired_outcome(job, clock)
        if expired is not None:
            self._record(job, expired)
            return None
        run = self._execute(job, outbox, clock)
        outcome = outcome_of_run(job, run, clock, time.time())
        if run.ending is Ending.SUPERSEDED:
            self.lines.drop(job)
            send_superseded(type(self.backend), job, outcome)
        elif run.recorded:
            self.lines.drop(job)
            send_recorded(type(self.backend), job, outcome)
        elif self._record(job, outcome, outbox.latest).status == ResultStatus.FAILED:
            return self._executor.error
        return None

    def _execute(self, job: ClaimedJob, outbox: InlineOutbox, clock: float, ended: str | None = None) -> Run:
        self._seq += 1
        row = JobRow.of(job, self.alias, time.time(), WORKER, clock, ended)
        scope = InlineScope(self._seq, row, outbox, self.broker)
        with self.broker.connection.execute_wrapper(scope.execute), _timer_kept(), self._capturing():
            return self._executor.run(scope)

    @contextmanager
    def _capturing(self) -> Iterator[None]:
        if self._capture is None:
            yield
            return
        self._capture.install()
        try:
            yield
        finally:
            logging.root.removeHandler(self._capture)

    # record

    def _record(self, job: ClaimedJob, outcome: Outcome, progress: str = "") -> Outcome:
        """Record an outcome, and say so; return it as it was recorded."""
        self.lines.end(job)
        with self.broker.transaction():
            if progress:
                self.broker.save_progress(WORKER, {job.id: progress})
            self.broker.append_logs(WORKER, self.lines.due())
            recorded = self.broker.finish(WORKER, [outcome])
        self.lines.settle()
        if job.id not in recorded:
            send_superseded(type(self.backend), job, outcome)
            return outcome
        actual = recorded.actual(outcome)
        send_recorded(type(self.backend), job, actual)
        if actual.error is not None and not actual.was_announced:
            # Taken for one that runs again, its end has not been announced.
            self._execute(job, InlineOutbox(job, self.lines), seconds_ahead(), actual.error)
        return actual


@contextmanager
def _timer_kept() -> Iterator[None]:
    """Start the timer of a test runner again if a soft time limit has stopped it."""
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    try:
        yield
    finally:
        if left and not signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.setitimer(signal.ITIMER_REAL, left, interval)
