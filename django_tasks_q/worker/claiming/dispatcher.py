"""Hands claimed jobs to children."""

import math
import time
from collections.abc import Iterator

from ...brokers.values import ClaimedJob
from ..pools.children import AHEAD, Child
from ..pools.prefork import PreforkPool
from .buffer import Buffer, RunTimes

__all__ = ["Dispatcher"]

# Bytes that a child may still have to read, besides the job that it runs.
LARGEST_UNREAD = 262_144


class Dispatcher:
    """Gives each child about a tenth of a second of work; takes back jobs not yet begun if another child is free."""

    def __init__(self, pool: PreforkPool) -> None:
        self.pool = pool
        self.times = RunTimes()
        self.buffer = Buffer(self.times)

    def held(self) -> Iterator[ClaimedJob]:
        """Yield the jobs that have been claimed and have not ended."""
        yield from self.buffer.jobs()
        yield from self.pool.jobs()

    def held_ids(self) -> list[str]:
        return [job.id for job in self.held()]

    @property
    def is_empty(self) -> bool:
        return not len(self.buffer) and not self.running

    @property
    def running(self) -> int:
        """How many children have work."""
        return sum(1 for child in self.pool.children.values() if child.assigned)

    @property
    def must_look_soon(self) -> bool:
        """Whether a job may have to be taken from a child that is busy for longer than expected."""
        return bool(len(self.buffer)) or any(len(child.assigned) > 1 for child in self.pool.children.values())

    def demand(self) -> int:
        """Return how many jobs to claim."""
        now, children = time.monotonic(), self.pool.available
        free = sum(1 for child in children if not child.assigned)
        # A child that is busy for longer than expected needs nothing: jobs claimed for it would only be kept from
        # other workers.
        lacking = sum(max(0.0, AHEAD - self._ahead(child, now)) for child in children)
        return self.buffer.demand(lacking, free)

    def hand_out(self) -> None:
        """Make sure that no child is without work while there is some."""
        if not self.must_look_soon:
            return
        now = time.monotonic()
        for child in self.pool.available:
            if len(child.assigned) > 1 and child.busy_for(now) > AHEAD:
                self.take_back(child)
        self._share_out(now)
        free = any(not child.assigned for child in self.pool.available)
        laden = max(self.pool.available, key=lambda child: len(child.assigned), default=None)
        if free and laden is not None and len(laden.assigned) > 1:
            self.take_back(laden)
            self._share_out(now)

    def take_all_back(self) -> None:
        """Leave the children only the jobs that they have begun."""
        for child in self.pool.children.values():
            self.take_back(child)

    def take_back(self, child: Child) -> None:
        """Leave a child only the jobs that it has begun."""
        self.buffer.put_back(self.pool.take_back(child))

    def _share_out(self, now: float) -> None:
        children = sorted(self.pool.available, key=lambda child: self._ahead(child, now))
        for index, child in enumerate(children):
            share = math.ceil(len(self.buffer) / (len(children) - index))
            most = min(share, child.room(self.pool.max_tasks))
            if most > 0:
                self._give(child, most, AHEAD - self._ahead(child, now))

    def _give(self, child: Child, most: int, seconds: float) -> None:
        if not child.assigned:
            self.pool.assign(child, self.buffer.take(seconds, most, LARGEST_UNREAD))
        elif seconds > 0 and not child.channel.has_output and not self.pool.traffic.is_wasteful():
            self.pool.assign(child, self.buffer.take_ahead(seconds, most, LARGEST_UNREAD - child.unread))

    def _ahead(self, child: Child, now: float) -> float:
        """Return the seconds of work that a child has."""
        return max(self.times.total(child.tasks), child.busy_for(now))
