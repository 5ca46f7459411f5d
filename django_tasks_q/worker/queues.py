import time
from collections.abc import Sequence

from ..brokers.base import Broker
from ..brokers.values import ClaimedJob
from .positions import Positions

__all__ = ["QueueSelector"]

# Seconds between looks for queues that have become ready while the worker is busy with others.
LOOK_INTERVAL = 0.5


class QueueSelector:
    """Which queues to claim from, and how much of each. One that was empty is not asked again before the next look."""

    def __init__(self, broker: Broker, names: Sequence[str], excluded: Sequence[str]) -> None:
        self.broker = broker
        self.names = list(names)
        self.excluded = frozenset(excluded)
        self.positions = Positions()
        self._ready: list[str] = []
        self._look_at = 0.0

    def look(self, *, now: bool = False) -> list[str]:
        """Return the queues that may have READY jobs, another one first each time, so that none starves the rest."""
        if (self.positions.seconds_until_look_back() or 0.0) > 0:
            # To look would be as slow as to claim.
            self._ready = list(dict.fromkeys([*self._ready, *self.positions.slow_queues]))
        elif now or time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_INTERVAL
            ready = self.broker.ready_queues()
            self._ready = [name for name in ready if self._is_mine(name)]
            self.positions.keep_only(self._ready)
        self._ready = self._ready[1:] + self._ready[:1]
        return list(self._ready)

    @property
    def has_ready(self) -> bool:
        """Whether some queue was not empty when it was last asked."""
        return bool(self._ready)

    @property
    def leaves_out(self) -> bool:
        """Whether the last claims may have left out something that is ready."""
        return self.positions.leave_out()

    def seconds_until_due(self) -> float | None:
        """Return the seconds until a look is due that nobody calls for; None where there is none."""
        return self.positions.seconds_until_look_back()

    def claim(self, worker_id: str, names: Sequence[str], most: int) -> list[ClaimedJob]:
        """Claim up to so many jobs, from one queue after the other."""
        jobs: list[ClaimedJob] = []
        for name in names:
            wanted = most - len(jobs)
            batch = self._claim(worker_id, name, wanted)
            jobs += batch
            if len(batch) == wanted:
                break
            self._ready.remove(name)
        return jobs

    def _claim(self, worker_id: str, name: str, most: int) -> list[ClaimedJob]:
        if not self.broker.claims_after:
            return self.broker.claim(worker_id, name, most)
        after, began_at = self.positions.after(name), time.monotonic()
        jobs = self.broker.claim(worker_id, name, most, after=after)
        is_full = len(jobs) == most
        self.positions.note(name, jobs, time.monotonic() - began_at, looked_back=not after, is_full=is_full)
        if after and not is_full and not self.positions.after(name):
            # Nothing more behind: now what has come in between.
            jobs += self._claim(worker_id, name, most - len(jobs))
        return jobs

    def _is_mine(self, name: str) -> bool:
        return name not in self.excluded and (not self.names or name in self.names)
