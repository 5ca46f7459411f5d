"""Moves jobs to children, and back."""

import time
from collections import deque
from collections.abc import Iterable

from ...brokers.batches import size_of
from ...brokers.values import ClaimedJob
from ...services.registry import Registry
from ..wire.jobs import encode_job
from .backlog import Traffic
from .children import Assigned, Child

__all__ = ["Announcements", "Handover"]

# A job, and its error if it has already ended and is only to be announced.
Item = tuple[ClaimedJob, str | None]
# Jobs to be announced, and bytes of their payload.
MOST, LARGEST = 10_000, 8 * 1_048_576


class Announcements:
    """Jobs that FAILED because their process died: a child sends task_finished for them.

    Receivers are the project's code, which must not run in the supervisor.
    """

    def __init__(self) -> None:
        self._waiting: deque[Item] = deque()
        # Bytes of payload of the jobs.
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: ClaimedJob, error: str) -> None:
        self._waiting.append((job, error))
        self._size += size_of(job)

    def has_room(self) -> bool:
        """Return whether more can be taken."""
        return self._size < LARGEST and len(self._waiting) < MOST

    def take(self) -> Item:
        """Return the next one."""
        item = self._waiting.popleft()
        self._size -= size_of(item[0])
        return item


class Handover:
    """Gives each job that it hands over a number, under which its child reports about it."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.announcements = Announcements()
        self.traffic = Traffic()
        self._sequence = 0

    def assign(self, child: Child, jobs: Iterable[ClaimedJob]) -> None:
        """Hand jobs to a child, to run in this order."""
        self._send(child, [(job, None) for job in jobs])

    def announce(self, children: Iterable[Child]) -> None:
        """Hand an announcement to each idle child: behind a job it might be lost with that job."""
        if not len(self.announcements):
            return
        for child in [child for child in children if child.takes_jobs and not child.assigned]:
            if len(self.announcements):
                self._send(child, [self.announcements.take()])

    def take_back(self, child: Child) -> list[ClaimedJob]:
        """Return the jobs that a child has not begun; it will not begin them."""
        taken, wasted = child.take_back()
        self.traffic.wasted += wasted
        for assigned in taken:
            if assigned.news is not None:
                self.announcements.add(assigned.job, assigned.news)
        return [assigned.job for assigned in taken if not assigned.is_news]

    def _send(self, child: Child, items: Iterable[Item]) -> None:
        now, before = time.monotonic(), self._sequence
        worker_id, clock = self.registry.worker_id, self.registry.clock.ahead
        handed = []
        for seq, (job, news) in enumerate(items, before + 1):
            frame = encode_job(seq, job, worker_id, clock, news)
            child.channel.add(frame, seq)
            handed.append(Assigned(seq, job, now, news, len(frame)))
        self._sequence += len(handed)
        child.add(handed)
        self.traffic.sent += sum([assigned.size for assigned in handed])
        child.channel.flush()
        child.tokens.put([assigned.seq for assigned in handed])
