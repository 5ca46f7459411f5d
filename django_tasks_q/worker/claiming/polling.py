import math
import random
import time
from collections.abc import Collection

from ...notifiers import Notifier
from ...services.registry import Registry
from .queues import QueueSelector

__all__ = ["Polling"]


class Polling:
    """Whether a worker looks for jobs now, and when it looks again if nothing wakes it."""

    def __init__(self, notifier: Notifier, registry: Registry, selector: QueueSelector) -> None:
        self.notifier = notifier
        self.registry = registry
        self.selector = selector
        # How many jobs the worker could take: counted once a turn, and again after a claim.
        self.demand = 0
        # Whether some queue may have got jobs since the last look; and of which queues that is known.
        self.is_requested = True
        self._heard: set[str] = set()
        # Whether the last claim was of what was heard, so that a look is due before another one of that kind.
        self.is_look_next = False
        # Whether the last look found less than requested.
        self.is_exhausted = False
        self._rested = False
        self._sleep = notifier.first_sleep
        self._poll_at = 0.0

    def request(self, heard: Collection[str] = ()) -> None:
        """Look as soon as there is room for jobs, at these queues first."""
        self.is_requested = True
        self._heard.update(heard)

    @property
    def is_told(self) -> bool:
        """Whether an enqueue wakes the worker, as far as the notifier does that at all."""
        return self.registry.idle or not self.notifier.reads_idle_flag

    @property
    def due_at(self) -> float:
        """When it is time to look, in monotonic seconds; infinity as long as there is no room."""
        if not self.demand:
            return math.inf
        return 0.0 if self.is_requested or self.selector.has_ready else self._look_at

    @property
    def _look_at(self) -> float:
        return min(self._poll_at, self.selector.due_at)

    def request_if_due(self) -> None:
        """Request a look at what has come unnoticed, if it is time for that."""
        if self.is_requested or not self.demand:
            return
        # A worker that has not registered as asleep is not notified.
        untold = not self.is_told and not self.selector.has_ready
        if untold or time.monotonic() >= self._look_at:
            self.request()

    @property
    def is_due(self) -> bool:
        """Whether to look now."""
        return self.demand > 0 and (self.is_requested or self.selector.has_ready)

    @property
    def wanted(self) -> int:
        """How many jobs to claim now: for a worker that was out of work there may be only one."""
        return self.selector.broker.first_claim(self.demand) if self.is_exhausted else self.demand

    def take_heard(self) -> list[str]:
        """Return the queues that the worker, out of work, was woken for. They are no look: that comes next."""
        heard, self._heard = self._heard, set()
        queues = self.selector.expect(sorted(heard)) if heard else []
        # Not twice in a row: as long as it is woken again and again, other queues would wait.
        if not self.is_exhausted or self.is_look_next:
            return []
        self.is_look_next = bool(queues)
        return queues

    def look(self) -> list[str]:
        """Return the queues that may have jobs, in the order in which to claim from them."""
        queues = self.selector.look(now=self.is_requested)
        self.is_requested = self.is_look_next = False
        return queues

    def note_found(self, found: int, demand: int) -> None:
        """Learn from a look. demand: how many jobs were asked for."""
        self.is_exhausted = found < demand
        self._rested |= self.is_exhausted
        self._sleep = self.notifier.first_sleep if found else min(self._sleep * 1.5, self.notifier.longest_sleep)
        self._poll_at = time.monotonic() + self._sleep * random.uniform(0.9, 1.0)

    def has_rested(self) -> bool:
        """Return whether the worker has been out of work since the last call, and would still take jobs."""
        rested, self._rested = self._rested, self.is_exhausted
        return rested and self.demand > 0
