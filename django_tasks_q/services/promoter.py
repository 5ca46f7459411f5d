import math
import time

from ..brokers.base import Broker
from ..notifiers import notify

__all__ = ["Promoter"]

# Jobs in one transaction, at first; and the seconds that one may take before it is made smaller.
BATCH, SMALLEST, LONGEST = 1_000, 50, 0.05
# Seconds to leave due jobs to another worker that has locked them.
YIELD = 0.05


class Promoter:
    """Makes SCHEDULED jobs READY when they are due, and knows when the next one will be."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.due_at = math.inf  # monotonic seconds
        self._looked_at = -math.inf
        self._batch = BATCH

    def is_due(self, longest: float) -> bool:
        """Return whether it is time to look: a job is due, or the last look was `longest` seconds ago."""
        now = time.monotonic()
        return now >= self.due_at or now >= self._looked_at + longest

    def expect(self, seconds: float) -> None:
        """Note a job that is due after this many seconds."""
        self.due_at = min(self.due_at, time.monotonic() + seconds)

    def look(self) -> bool:
        """Promote one batch of due jobs, and find out when the next one is due; return whether any was promoted."""
        self._looked_at = time.monotonic()
        due, promoted = self.broker.next_due(), 0
        if due is not None and due <= 0:
            wanted, promoted = self._batch, self._promote()
            # If there may be more, they are left for the next turn: outcomes, claims and heartbeats come in between.
            due = 0.0 if promoted == wanted else self._next_due(promoted)
        self.due_at = math.inf if due is None else time.monotonic() + due
        if promoted:
            # Including jobs that were ready before: a sleeping worker does not serve their queue, or has just looked.
            notify(self.broker.alias, self.broker.using, dict.fromkeys(self.broker.ready_queues(), BATCH))
        return bool(promoted)

    def _promote(self) -> int:
        began_at = time.monotonic()
        promoted = self.broker.promote(self._batch)
        took = time.monotonic() - began_at
        if took > LONGEST:
            self._batch = max(SMALLEST, self._batch // 2)
        elif took < LONGEST / 3:
            self._batch = min(BATCH, self._batch * 2)
        return promoted

    def _next_due(self, promoted: int) -> float | None:
        due = self.broker.next_due()
        if due is not None and due <= 0 and not promoted:
            # Another worker has them locked.
            return YIELD
        return due
