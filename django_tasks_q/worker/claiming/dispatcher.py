"""Hands claimed jobs to the slots of a pool."""

import math
import time
from collections.abc import Iterator

from ...brokers.values import ClaimedJob
from ..pools.base import AHEAD, Pool, Slot
from .buffer import Buffer, RunTimes

__all__ = ["Dispatcher"]

# Bytes that a slot may still have to read, besides the job that it runs.
LARGEST_UNREAD = 262_144


class Dispatcher:
    """Gives each slot about a tenth of a second of work; takes back jobs not yet begun if another slot is free."""

    def __init__(self, pool: Pool) -> None:
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
        """How many slots have work."""
        return sum([slot.backlog.count > 0 for slot in self.pool.slots])

    @property
    def must_look_soon(self) -> bool:
        """Whether a job may have to be taken from a slot that is busy for longer than expected."""
        return bool(len(self.buffer)) or any(slot.backlog.count > 1 for slot in self.pool.slots)

    def demand(self) -> int:
        """Return how many jobs to claim."""
        now, slots = time.monotonic(), self._open_slots()
        free = sum([not slot.backlog.count for slot in slots])
        # A slot that is busy for longer than expected needs nothing: jobs claimed for it would only be kept from
        # other workers.
        lacking = sum([max(0.0, AHEAD - self._ahead(slot, now)) for slot in slots])
        return self.buffer.demand(lacking, free)

    def hand_out(self) -> None:
        """Make sure that no slot is without work while there is some."""
        if not self.must_look_soon:
            return
        now, slots = time.monotonic(), self._open_slots()
        # Also those that take no more jobs, because they have got as many as they may run.
        for slot in self.pool.slots:
            if slot.backlog.count > 1 and slot.busy_for(now) > AHEAD:
                self.take_back(slot)
        self._share_out(slots, now)
        laden = max(self.pool.slots, key=lambda slot: slot.backlog.count, default=None)
        if laden is not None and laden.backlog.count > 1 and not all(slot.backlog.count for slot in slots):
            self.take_back(laden)
            # One that has just been handed a displaced job takes no others.
            self._share_out(self._open_slots(), now)

    def take_all_back(self) -> None:
        """Leave the slots only the jobs that they have begun."""
        for slot in self.pool.slots:
            self.take_back(slot)

    def take_back(self, slot: Slot) -> None:
        """Leave a slot only the jobs that it has begun."""
        self.buffer.put_back(self.pool.take_back(slot))

    def _open_slots(self) -> list[Slot]:
        return [slot for slot in self.pool.slots if slot.takes_jobs]

    def _share_out(self, slots: list[Slot], now: float) -> None:
        if not len(self.buffer):
            return
        slots = sorted(slots, key=lambda slot: self._ahead(slot, now))
        for index, slot in enumerate(slots):
            share = math.ceil(len(self.buffer) / (len(slots) - index))
            most = min(share, slot.room())
            if most > 0:
                self._give(slot, most, AHEAD - self._ahead(slot, now))

    def _give(self, slot: Slot, most: int, seconds: float) -> None:
        if not slot.backlog.count:
            self.pool.assign(slot, self.buffer.take(seconds, most, LARGEST_UNREAD))
        elif seconds > 0 and not slot.is_congested:
            self.pool.assign(slot, self.buffer.take_ahead(seconds, most, LARGEST_UNREAD - slot.unread))

    def _ahead(self, slot: Slot, now: float) -> float:
        """Return the seconds of work that a slot has."""
        tasks = slot.backlog.tasks
        return max(self.times.total(tasks), slot.busy_for(now)) if tasks else 0.0
