"""How far the claims have come in queues where a look from the beginning has become slow."""

import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..brokers.values import ClaimedJob

__all__ = ["Positions"]

# Seconds that a claim may take, and more for each job that it gives, before its index is taken to be full of the dead.
SLOW, SLOW_FOR_EACH = 0.005, 0.000_05
# Seconds after which a claim begins at the beginning again: what came late, with an earlier id, is found then.
MEMORY = 1.0
# A claim takes one more scan for each priority; more of them than this are not worth it.
MOST_PRIORITIES = 5


@dataclass(slots=True)
class _Position:
    look_back_at: float = 0.0
    # The last job that was claimed, by priority.
    last: dict[int, uuid.UUID] = field(default_factory=dict)


class Positions:
    """Lets claims begin behind what was claimed already, where the database cannot clean up after them.

    As long as any session holds an old snapshot (a long report, a forgotten transaction), what was claimed stays in
    the index as dead entries, and each claim from the beginning would read all of them.
    """

    def __init__(self) -> None:
        self._by_queue: dict[str, _Position] = {}

    def after(self, queue_name: str) -> Sequence[tuple[int, uuid.UUID]]:
        """Return the last job of each priority, the highest first; nothing where the next claim looks at all."""
        position = self._by_queue.get(queue_name)
        if position is None or time.monotonic() >= position.look_back_at:
            return ()
        return sorted(position.last.items(), reverse=True)

    def note(self, queue_name: str, jobs: Sequence[ClaimedJob], seconds: float, *, looked_back: bool) -> None:
        """Learn from a claim: what it gave, how long it took, and whether it began at the beginning."""
        if looked_back:
            if seconds < SLOW + SLOW_FOR_EACH * len(jobs):
                self._by_queue.pop(queue_name, None)
                return
            self._by_queue.setdefault(queue_name, _Position()).look_back_at = time.monotonic() + MEMORY
        last = self._by_queue[queue_name].last
        last.update((job.priority, job.id) for job in jobs)
        if not last or len(last) > MOST_PRIORITIES:
            del self._by_queue[queue_name]

    def keep_only(self, queue_names: Collection[str]) -> None:
        """Forget the queues that have nothing ready any more."""
        for name in self._by_queue.keys() - set(queue_names):
            del self._by_queue[name]

    @property
    def queue_names(self) -> list[str]:
        return list(self._by_queue)

    def seconds_until_look_back(self) -> float | None:
        """Return how long no claim begins at the beginning, 0 or less where one is due; None where each one does."""
        if not self._by_queue:
            return None
        return min(position.look_back_at for position in self._by_queue.values()) - time.monotonic()
