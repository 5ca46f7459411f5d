import time
from datetime import timedelta

from ..brokers.base import Broker
from ..lifecycle import ResultStatus
from ..schedules.store import prune_runs
from .base import Service
from .registry import Registry

__all__ = ["Pruner"]

BATCH = 1_000
# Seconds: what became of a slot is known for at least so long, or it might be fired again where a clock is set back.
KEEP_RUNS = 86_400.0
KEEP_WORKERS = timedelta(days=1)


class Pruner(Service):
    """Deletes old results, and records of slots, one batch at a time: under load too, when there are most of them."""

    interval = 60.0
    soon = 0.5

    def __init__(self, broker: Broker, registry: Registry) -> None:
        super().__init__()
        self.broker = broker
        self.registry = registry

    def run(self) -> None:
        options = self.broker.options
        deleted = 0
        if options.result_ttl is not None:
            deleted = self.broker.prune(
                [ResultStatus.SUCCESSFUL, ResultStatus.CANCELLED], options.result_ttl, limit=BATCH
            )
        if options.failure_ttl is not None and deleted < BATCH:
            deleted += self.broker.prune([ResultStatus.FAILED], options.failure_ttl, limit=BATCH - deleted)
        if options.result_ttl is not None and deleted < BATCH:
            deleted += prune_runs(self.broker, max(options.result_ttl, KEEP_RUNS), limit=BATCH - deleted)
        if deleted >= BATCH:
            self.due_at = time.monotonic() + self.soon
        else:
            self.registry.forget_old(KEEP_WORKERS)
