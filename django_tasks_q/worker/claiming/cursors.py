"""How far claims have come in queues where a scan from the beginning costs more than it finds."""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ...brokers.values import ClaimedJob

__all__ = ["ClaimCursors"]

# Seconds that a claim may take, plus more for each job claimed, before its index is assumed to be full of dead
# entries.
SLOW, SLOW_FOR_EACH = 0.005, 0.000_03
# Seconds after which a claim starts from the beginning again: late jobs with an earlier id are found then.
MEMORY = 1.0
# A claim takes one more scan for each priority; more of them than this are not worth it.
MOST_PRIORITIES = 5


@dataclass(slots=True)
class _Position:
    look_back_at: float = 0.0
    # Whether a scan from the beginning is slow; if not, it is only useless as long as there is more behind.
    is_slow: bool = False
    # Whether the last claim saw the whole queue.
    looked_back: bool = True
    # The last job that was claimed, by priority.
    last: dict[int, str] = field(default_factory=dict)


class ClaimCursors:
    """Lets claims start behind what has already been claimed, for a second at most.

    Claimed jobs stay in the index as dead entries until the database cleans up, which it cannot as long as any session
    holds an old snapshot (a long report, a forgotten transaction): each claim from the beginning would read all of
    them. So claims continue where the last one ended as long as there is more, or a look back would be slow.
    """

    def __init__(self) -> None:
        self._by_queue: dict[str, _Position] = {}

    def after(self, queue_name: str) -> Sequence[tuple[int, str]]:
        """Return the last job of each priority, the highest first; nothing if the next claim scans everything."""
        position = self._by_queue.get(queue_name)
        if position is None or time.monotonic() >= position.look_back_at:
            return ()
        return sorted(position.last.items(), reverse=True)

    def note(
        self, queue_name: str, jobs: Sequence[ClaimedJob], seconds: float, *, looked_back: bool, is_full: bool
    ) -> None:
        """Learn from a claim.

        seconds: how long it took. looked_back: whether it started at the beginning. is_full: whether there may be
        more.
        """
        position = self._by_queue.setdefault(queue_name, _Position())
        position.looked_back = looked_back
        if looked_back:
            position.is_slow = seconds > SLOW + SLOW_FOR_EACH * len(jobs)
            position.look_back_at = time.monotonic() + MEMORY
        position.last.update((job.priority, job.id) for job in jobs)
        useful = (is_full or position.is_slow) and 0 < len(position.last) <= MOST_PRIORITIES
        if not useful:
            del self._by_queue[queue_name]

    def keep_only(self, queue_names: Collection[str]) -> None:
        """Forget the queues that no longer have ready jobs."""
        for name in self._by_queue.keys() - set(queue_names):
            del self._by_queue[name]

    def leave_out(self) -> bool:
        """Return whether jobs may be ready before the position where the last claims started."""
        return not all(position.looked_back for position in self._by_queue.values())

    @property
    def slow_queues(self) -> list[str]:
        return [name for name, position in self._by_queue.items() if position.is_slow]

    @property
    def look_back_at(self) -> float:
        """When a look back at slow queues is due, in monotonic seconds; infinity if none is slow."""
        slow = [position.look_back_at for position in self._by_queue.values() if position.is_slow]
        return min(slow, default=math.inf)

    @property
    def put_off_look(self) -> bool:
        """Whether some queue is slow, and a look back at it is not due yet."""
        return time.monotonic() < self.look_back_at < math.inf
