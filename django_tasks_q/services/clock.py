"""The database's clock, as seen from this host."""

import math
import time
from datetime import datetime, timedelta

from ..brokers.base import Broker
from ..moments import to_stored, utc_after

__all__ = ["DatabaseClock"]

# How often the database is asked for its time if the answer takes longer than this many seconds.
LOOKS, DELAY = 3, 0.02


class DatabaseClock:
    """The database's time: asked for by compare(), and counted on by a clock of this host that cannot be set."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        # How many seconds the database's clock is ahead of the monotonic clock.
        self._ahead = time.time() - _steady_time()

    def compare(self) -> None:
        """Compare the database's clock with this host's; of several answers the quickest is the most precise."""
        quickest = math.inf
        for _ in range(LOOKS):
            asked, told = _steady_time(), self.broker.dialect.utc_now().timestamp()
            delay = _steady_time() - asked
            if delay < quickest:
                quickest = delay
                self._ahead = told - asked - delay / 2
            if quickest <= DELAY:
                return

    @property
    def ahead(self) -> float:
        """How many seconds the database's clock is ahead of this host's, even if that has just been set."""
        return self._ahead + _steady_time() - time.time()

    def utc_now(self) -> datetime:
        """Return the database's time, computed from a monotonic clock: aware."""
        return utc_after(self._ahead + _steady_time())

    def stored_now(self, *, ago: timedelta = timedelta()) -> datetime:
        """Return the database's time, or a time this many seconds earlier, as it is stored."""
        return to_stored(self.utc_now() - ago)


def _steady_time() -> float:
    """Return seconds of a clock that cannot be set, and that runs while the host is suspended, if there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
