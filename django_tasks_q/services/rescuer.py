import logging
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from django.db import Error

from ..brokers.base import Broker
from ..brokers.failures import UNREADABLE, Failure
from ..brokers.outcomes import displaced_outcome, lost_outcome, released_run
from ..brokers.refusals import finish_one
from ..brokers.values import ClaimedJob, Outcome, Recorded, queues_of
from ..models.worker import Worker
from ..notifiers import notify
from ..signals import jobs_rescued
from .base import Service
from .liveness import Liveness
from .registry import Registry

__all__ = ["Rescuer"]

logger = logging.getLogger("django_tasks_q.worker")
Rescued = tuple[ClaimedJob, Outcome]
# Jobs in one transaction; and in a transaction each, if they could not be rescued together.
BATCH, FEW = 200, 20
SWEEP_INTERVAL = 10.0
# Seconds that a silent worker is given: one that is alive and can write reports within half of that.
CERTAIN = 1.0
# Seconds to wait before jobs that another session has locked are tried again.
YIELD = 0.2


@dataclass(slots=True)
class Gone:
    """A worker that no longer exists. cause: what happened to it, as text. count: its jobs that were rescued."""

    worker_id: str
    cause: str
    count: int = 0
    is_refused: bool = False


class Rescuer(Service):
    """Makes the jobs of dead workers READY again, or FAILED if they were lost too often.

    A worker is marked LOST first: from then on it cannot claim. Then its jobs are rescued, one batch in each turn. A
    loss is charged to jobs that are known to have begun; the others were merely held. If the rescuer dies halfway,
    others find what is left: jobs without a worker.
    """

    interval = 2.0

    def __init__(self, broker: Broker, registry: Registry) -> None:
        super().__init__()
        self.broker = broker
        self.registry = registry
        self.liveness = Liveness(broker, registry.clock)
        self._rescued: list[Rescued] = []
        self._sweep_at = 0.0
        self._gone: deque[Gone] = deque()
        # For workers that have not reported for too long: the last heartbeat, and since when we know it, monotonic.
        self._silent: dict[str, tuple[datetime, float]] = {}

    def sweep_soon(self) -> None:
        """Look for jobs without a worker at the next turn."""
        self._sweep_at = self.due_at = 0.0

    def put_off(self, seconds: float) -> None:
        """Rescue nothing for this long: others may still be reconnecting, or there is no room for what is rescued."""
        self.due_at = max(self.due_at, time.monotonic() + seconds)

    def take_rescued(self) -> list[Rescued]:
        """Return the jobs whose rescue has been committed since the last call, each with its outcome."""
        rescued, self._rescued = self._rescued, []
        return rescued

    @property
    def is_busy(self) -> bool:
        """Whether jobs of dead workers are still to be rescued."""
        return bool(self._gone)

    def run(self) -> None:
        if suspects := self.liveness.find_dead(but=self.registry.worker_id):
            self._mark_first(suspects)
        elif time.monotonic() >= self._sweep_at:
            self._sweep()
        if self._gone:
            done = self._rescue_some(self._gone[0])
            self.due_at = time.monotonic() + (0.0 if done else YIELD)

    def _mark_first(self, suspects: list[Worker]) -> None:
        """Mark the first of these that is certainly dead, and that no other worker is rescuing, as LOST."""
        with self.broker.transaction():
            # A worker whose row another session has locked cannot report, and is not presumed dead.
            found = self.liveness.lock_dead(suspects)
            worker = next((worker for worker in found if self._is_certain(worker)), None)
            if worker is not None:
                self.liveness.mark_lost(worker)
        known = {suspect.id for suspect in found}
        self._silent = {name: silence for name, silence in self._silent.items() if name in known}
        if worker is not None:
            cause = f"Worker {worker.id} (process {worker.pid} on {worker.host}) died."
            self._gone.append(Gone(worker.id, cause))
        if found:
            self.due_at = time.monotonic() + YIELD

    def _is_certain(self, worker: Worker) -> bool:
        """Return whether a silent worker has been silent while it could have reported.

        Perhaps no worker could write until now.
        """
        if self.liveness.is_dead_neighbour(worker):
            return True
        heartbeat_at, since = self._silent.get(worker.id, (None, 0.0))
        if heartbeat_at != worker.heartbeat_at:
            self._silent[worker.id] = worker.heartbeat_at, time.monotonic()
            return False
        return time.monotonic() - since >= CERTAIN

    def _sweep(self) -> None:
        self._sweep_at = time.monotonic() + SWEEP_INTERVAL
        known = {gone.worker_id for gone in self._gone}
        for worker_id in sorted(self._find_abandoned() - known):
            self._gone.append(Gone(worker_id, f"Worker {worker_id} no longer exists."))

    def _find_abandoned(self) -> set[str]:
        """Return the workers that hold jobs but no longer exist."""
        # The jobs first: a worker that holds one is already registered.
        return self.liveness.without_worker(self.broker.holders())

    def _rescue_some(self, gone: Gone) -> bool:
        """Rescue a batch of a worker's jobs; return whether to continue at once."""
        try:
            if gone.is_refused:
                rescued = self._rescue_singly(gone.worker_id, gone.cause)
            else:
                rescued = self._rescue(gone.worker_id, gone.cause)
        except (Error, *UNREADABLE) as error:
            is_refused = not isinstance(error, Error) or self.broker.dialect.failure(error) is not Failure.GONE
            if gone.is_refused or not is_refused:
                raise
            logger.warning("The jobs of %s cannot be rescued together: %s", gone.worker_id, error)
            gone.is_refused = True
            return True
        gone.count += len(rescued)
        self._rescued += rescued
        if rescued:
            notify(self.broker.alias, self.broker.using, queues_of(job for job, _ in rescued))
        if not self.broker.running_under(gone.worker_id, limit=1):
            self._gone.remove(gone)
            self._say(gone)
            return True
        # What is left is locked by another session, or refused: another worker's jobs come first.
        self._gone.rotate(-1)
        return bool(rescued)

    def _rescue(self, worker_id: str, cause: str) -> list[Rescued]:
        """Rescue a batch of a worker's jobs in one transaction."""
        jobs, outcomes = self._find(worker_id, cause, BATCH)
        recorded = self.broker.finish(worker_id, outcomes, skip_locked=True) if outcomes else Recorded()
        ended = zip(jobs, outcomes, strict=True)
        return [(job, recorded.actual(outcome)) for job, outcome in ended if job.id in recorded]

    def _rescue_singly(self, worker_id: str, cause: str) -> list[Rescued]:
        """Rescue a few of a worker's jobs, each in its own transaction and in any form that the database accepts."""
        rescued: list[Rescued] = []
        try:
            jobs, outcomes = self._find(worker_id, cause, FEW)
        except UNREADABLE:
            logger.exception("Jobs of the dead worker %s cannot be read.", worker_id)
            self._release_unread(worker_id)
            return []
        for job, outcome in zip(jobs, outcomes, strict=True):
            try:
                ending, recorded = finish_one(self.broker, worker_id, outcome)
            except Error as error:
                if self.broker.dialect.failure(error) in (Failure.GONE, Failure.LOCKED):
                    raise
                logger.exception("Job %s of the dead worker %s cannot be changed at all.", job.id, worker_id)
                continue
            if recorded is None or job.id in recorded:
                rescued.append((job, ending if recorded is None else recorded.actual(ending)))
        return rescued

    def _release_unread(self, worker_id: str) -> None:
        """Make jobs READY that cannot all be read: the worker that claims one of these sets it aside."""
        held = self.broker.running_under(worker_id, limit=FEW)
        outcomes = [released_run(job_id, attempt) for job_id, attempt in held.items()]
        self.broker.finish(worker_id, outcomes, skip_locked=True)

    def _find(self, worker_id: str, cause: str, limit: int) -> tuple[list[ClaimedJob], list[Outcome]]:
        """Return some jobs of a dead worker, each with how its run has ended."""
        now, most = self.broker.dialect.now(), self.broker.options.max_losses
        jobs = self.broker.held_by(worker_id, limit=limit)
        # After the jobs: a job that begins in between is refused as displaced, and found again.
        begun = self.broker.begun_under(worker_id)
        outcomes = [
            lost_outcome(job, worker_id, cause, now, now, most) if job.id in begun else displaced_outcome(job, cause)
            for job in jobs
        ]
        return jobs, outcomes

    def _say(self, gone: Gone) -> None:
        logger.warning("%s %s of its jobs were rescued.", gone.cause, gone.count)
        jobs_rescued.send_robust(sender=self.registry.sender, worker_id=gone.worker_id, count=gone.count)
