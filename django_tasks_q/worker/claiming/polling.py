import random
import time
from collections.abc import Callable

from ...notifiers import Notifier

__all__ = ["Polling"]


class Polling:
    """Whether a worker is out of work, and when it polls again if nothing wakes it.

    demand: returns how many jobs it could take.
    """

    def __init__(self, notifier: Notifier, demand: Callable[[], int]) -> None:
        self.notifier = notifier
        self.demand = demand
        # Whether the last look found less than requested.
        self.is_exhausted = False
        self._rested = False
        self._sleep = notifier.first_sleep
        self._poll_at = 0.0

    def note_found(self, found: int, demand: int) -> None:
        self.is_exhausted = found < demand
        self._rested |= self.is_exhausted
        self._sleep = self.notifier.first_sleep if found else min(self._sleep * 1.5, self.notifier.longest_sleep)
        self._poll_at = time.monotonic() + self._sleep * random.uniform(0.9, 1.0)

    def seconds_until_poll(self) -> float:
        return self._poll_at - time.monotonic()

    def has_rested(self) -> bool:
        """Return whether the worker has been out of work since the last call, and would still take jobs."""
        rested, self._rested = self._rested, self.is_exhausted
        return rested and self.demand() > 0
