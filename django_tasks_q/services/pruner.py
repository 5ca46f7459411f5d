import time
from datetime import datetime, timedelta

from ..brokers.base import Broker
from ..lifecycle import ResultStatus
from ..schedules.store import prune_runs
from .base import Service
from .liveness import Liveness
from .registry import Registry

__all__ = ["Pruner"]

BATCH = 1_000
# Seconds for which the record of a slot is kept at least, or the slot might be fired again if a clock is set back.
KEEP_RUNS = 86_400.0
KEEP_WORKERS = timedelta(days=1)
# Seconds after which all results are checked again, and within which a result is recorded after it has ended.
BEGIN_AGAIN, LATEST_RECORD = 21_600.0, 60.0


class Pruner(Service):
    """Deletes old results, and records of slots, one batch at a time: under load too, when there are most of them."""

    interval = 60.0
    # After a batch with deleted results, and after a batch of results that other backends keep.
    soon, sooner = 0.5, 0.05

    def __init__(self, broker: Broker, registry: Registry) -> None:
        super().__init__()
        self.broker = broker
        self.liveness = Liveness(broker, registry.clock)
        self._positions: dict[str, datetime | None] = {}
        self._begin_at = 0.0

    def run(self) -> None:
        if time.monotonic() >= self._begin_at:
            self._begin_at = time.monotonic() + BEGIN_AGAIN
            self._positions = {}
        options = self.broker.options
        kept = [(status, options.ttl(status)) for status in ResultStatus]
        if any(self._prune(status, ttl) for status, ttl in kept if ttl is not None):
            return
        if options.result_ttl is not None and self._is_batch(
            prune_runs(self.broker, max(options.result_ttl, KEEP_RUNS), limit=BATCH)
        ):
            return
        self._is_batch(self.liveness.forget_old(KEEP_WORKERS, limit=BATCH))

    def _prune(self, status: str, ttl: float) -> bool:
        """Check a batch, from where the last one ended; return whether there may be more."""
        pruned = self.broker.prune_next(status, ttl, self._positions.get(status), limit=BATCH)
        self._positions[status] = pruned.position
        if pruned.is_full:
            self.due_at = time.monotonic() + (self.soon if pruned.deleted else self.sooner)
        elif ttl < LATEST_RECORD:
            del self._positions[status]
        return pruned.is_full

    def _is_batch(self, deleted: int) -> bool:
        if deleted >= BATCH:
            self.due_at = time.monotonic() + self.soon
        return deleted >= BATCH
