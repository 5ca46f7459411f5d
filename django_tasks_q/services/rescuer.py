import logging
import time
from collections.abc import Callable

from ..brokers.base import Broker
from ..brokers.losses import lost_outcome
from ..brokers.values import ClaimedJob, Outcome
from ..lifecycle import JobStatus
from ..models.job import Job
from ..models.worker import Worker
from ..notifiers import notify
from ..signals import jobs_rescued
from .base import Service
from .registry import Registry

__all__ = ["Rescuer"]

logger = logging.getLogger("django_tasks_q.worker")
BATCH = 500
SWEEP_INTERVAL = 60.0
Rescued = tuple[ClaimedJob, Outcome]


class Rescuer(Service):
    """Makes the jobs of dead workers READY again, or FAILED where they were lost too often.

    rescued: called with each job and its outcome, once it stands.
    """

    interval = 5.0

    def __init__(self, broker: Broker, registry: Registry, rescued: Callable[[ClaimedJob, Outcome], None]) -> None:
        super().__init__()
        self.broker = broker
        self.registry = registry
        self.rescued = rescued
        self._sweep_at = 0.0

    def run(self) -> None:
        suspects = self.registry.find_dead()
        if suspects:
            self._tell(self._rescue_dead(suspects))
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_INTERVAL
            for worker_id in self._find_abandoned():
                self._tell(self._rescue_abandoned(worker_id))

    def _tell(self, rescued: list[Rescued]) -> None:
        for job, outcome in rescued:
            self.rescued(job, outcome)

    def _rescue_dead(self, suspects: list[Worker]) -> list[Rescued]:
        rescued: list[Rescued] = []
        with self.broker.transaction():
            for worker in self.registry.lock_dead(suspects):
                rescued += self._rescue(worker.id, f"Worker {worker.id} (process {worker.pid} on {worker.host}) died.")
                self.registry.mark_lost(worker)
        return rescued

    def _find_abandoned(self) -> set[str]:
        """Return the workers that hold jobs and are not there any more.

        One that was taken for dead may claim once more before it learns of it, and die then.
        """
        running = Job.objects.using(self.broker.using).filter(backend=self.broker.alias, status=JobStatus.RUNNING)
        # The jobs first: who holds one is registered already.
        holders = running.values_list("worker_id", flat=True).distinct()
        return self.registry.without_worker([worker_id for worker_id in holders if worker_id])

    def _rescue_abandoned(self, worker_id: str) -> list[Rescued]:
        with self.broker.transaction():
            return self._rescue(worker_id, f"Worker {worker_id} is not there any more.")

    def _rescue(self, worker_id: str, cause: str) -> list[Rescued]:
        rescued: list[Rescued] = []
        seen: list[str] = []
        now, most = self.broker.now(), self.broker.options.max_losses
        # Each once: one that its worker has just finished may still be seen, where the isolation is repeatable read.
        while jobs := self.broker.held_by(worker_id, limit=BATCH, but=seen):
            outcomes = [lost_outcome(job, worker_id, cause, now, now, most) for job in jobs]
            recorded = self.broker.finish(worker_id, outcomes)
            ended = zip(jobs, outcomes, strict=True)
            rescued += [(job, recorded.actual(outcome)) for job, outcome in ended if job.id in recorded]
            seen += [job.id for job in jobs]
        logger.warning("%s %s of its jobs were rescued.", cause, len(rescued))
        jobs_rescued.send_robust(sender=self.registry.sender, worker_id=worker_id, count=len(rescued))
        notify(self.broker.alias, self.broker.using)
        return rescued
