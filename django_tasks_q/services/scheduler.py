import math
import time

from ..brokers.base import Broker
from ..notifiers import notify

__all__ = ["Scheduler"]

BATCH = 1_000
# Seconds to leave due jobs to another worker that has them locked.
YIELD = 0.05


class Scheduler:
    """Makes SCHEDULED jobs READY when their time comes, and knows when the next one's does."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._due_at = math.inf  # monotonic seconds
        self._looked_at = -math.inf

    def is_due(self, longest: float) -> bool:
        """Say whether it is time to look: a job is due, or the last look was `longest` seconds ago."""
        now = time.monotonic()
        return now >= self._due_at or now >= self._looked_at + longest

    def seconds_until_due(self) -> float:
        return self._due_at - time.monotonic()

    def expect(self, seconds: float) -> None:
        """Be told of a job that is due after so many seconds."""
        self._due_at = min(self._due_at, time.monotonic() + seconds)

    def look(self) -> bool:
        """Promote what is due and learn when the next job is; return whether any was."""
        self._looked_at = time.monotonic()
        promoted = False
        while (due := self.broker.next_due()) is not None and due <= 0:
            if not self.broker.promote(BATCH):
                due = YIELD
                break
            promoted = True
        self._due_at = math.inf if due is None else time.monotonic() + due
        if promoted:
            notify(self.broker.alias, self.broker.using)
        return promoted
