import time
from collections.abc import Iterable, Sequence

from ...brokers.base import Broker
from ...brokers.batches import size_of
from ...brokers.claim import Claim
from ...brokers.values import ClaimedJob
from .cursors import ClaimCursors

__all__ = ["QueueSelector"]

# Seconds between looks for queues that have become ready while the worker is busy with others.
LOOK_INTERVAL = 0.5


class QueueSelector:
    """Which queues to claim from, and how much. A queue that was empty is not queried again before the next look."""

    def __init__(self, broker: Broker, names: Sequence[str], excluded: Sequence[str]) -> None:
        self.broker = broker
        self.names = list(names)
        self.excluded = frozenset(excluded)
        self.cursors = ClaimCursors()
        self._ready: list[str] = []
        self._first = ""
        self._look_at = 0.0

    def look(self, *, now: bool = False) -> list[str]:
        """Return the queues that may have READY jobs, with a different first one each time, so that none starves."""
        if self.cursors.put_off_look:
            # Looking would be as slow as claiming.
            self._ready = list(dict.fromkeys([*self._ready, *self.cursors.slow_queues]))
        elif now or time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_INTERVAL
            ready = self.broker.ready_queues(among=self.names, paused=False)
            self._ready = [name for name in ready if self._is_mine(name)]
            self.cursors.keep_only(self._ready)
        # Even if each look is a fresh one: start with the queue after the one that was first last time.
        self._ready.sort(key=lambda name: (name <= self._first, name))
        self._first = self._ready[0] if self._ready else ""
        return list(self._ready)

    def expect(self, names: Iterable[str]) -> list[str]:
        """Return those of these queues that are this worker's; they may have READY jobs now."""
        mine = [name for name in names if self._is_mine(name)]
        self._ready = list(dict.fromkeys([*self._ready, *mine]))
        return mine

    @property
    def has_ready(self) -> bool:
        """Whether some queue was not empty when it was last queried."""
        return bool(self._ready)

    @property
    def leaves_out(self) -> bool:
        """Whether the last claims may have skipped ready jobs."""
        return self.cursors.leave_out()

    @property
    def due_at(self) -> float:
        """When an unprompted look is due, in monotonic seconds; infinity if there is none."""
        return self.cursors.look_back_at

    def claim(self, worker_id: str, names: Sequence[str], most: int) -> list[ClaimedJob]:
        """Claim up to this many jobs, from one queue after the other, and no more than fit into one claim."""
        jobs: list[ClaimedJob] = []
        size = self.broker.largest_claim
        for name in names:
            wanted = most - len(jobs)
            claim = self._claim(worker_id, name, wanted, size)
            jobs += claim.jobs
            if claim.is_cut or len(claim.jobs) == wanted:
                break
            self._ready.remove(name)
            size -= sum(map(size_of, claim.jobs))
            if size <= 0:
                break
        return jobs

    def _claim(self, worker_id: str, name: str, most: int, size: int) -> Claim:
        if not self.broker.claims_after:
            return self.broker.claim_within(worker_id, name, most, size)
        after, began_at = self.cursors.after(name), time.monotonic()
        claim = self.broker.claim_within(worker_id, name, most, size, after=after)
        is_full = claim.is_cut or len(claim.jobs) == most
        self.cursors.note(name, claim.jobs, time.monotonic() - began_at, looked_back=not after, is_full=is_full)
        if after and not is_full and not self.cursors.after(name):
            # Nothing more behind: now the jobs that have come in between.
            rest = self._claim(worker_id, name, most - len(claim.jobs), max(1, size - sum(map(size_of, claim.jobs))))
            return Claim(claim.jobs + rest.jobs, rest.is_cut)
        return claim

    def _is_mine(self, name: str) -> bool:
        return name not in self.excluded and (not self.names or name in self.names)
