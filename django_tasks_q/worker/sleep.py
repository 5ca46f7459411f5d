"""How long the supervisor sleeps, and what wakes it."""

import math
import select
import time
from collections.abc import Iterable, Sequence

from ..services.base import Due, soonest
from .database import Database

__all__ = ["Sleep", "wait_for_any"]


class Sleep:
    """How long the supervisor may sleep.

    offline: what is due whether or not the database can be reached. online: what needs it; and unlocked: what is not
    tried as long as another session holds locks.
    """

    def __init__(
        self, database: Database, *, offline: Sequence[Due], online: Sequence[Due], unlocked: Sequence[Due]
    ) -> None:
        self.database = database
        self.offline = offline
        self.online = online
        self.unlocked = unlocked

    def seconds(self, most: float) -> float:
        """Return the seconds until something is due, but no more than this many."""
        now = time.monotonic()
        due_at = min(now + most, soonest(self.offline))
        if now < self.database.retry_at:
            due_at = min(due_at, self.database.retry_at)
        else:
            unlocked_at = max(soonest(self.unlocked), self.database.locked_until)
            due_at = min(due_at, soonest(self.online), unlocked_at)
        return max(0.0, due_at - now)


def wait_for_any(descriptors: Iterable[tuple[int, bool]], seconds: float) -> set[int]:
    """Return the file descriptors that are ready, after this many seconds at the latest.

    descriptors: each with whether to wait for writing too.
    """
    poll = select.poll()
    for descriptor, has_output in descriptors:
        poll.register(descriptor, select.POLLIN | (select.POLLOUT if has_output else 0))
    return {descriptor for descriptor, _ in poll.poll(math.ceil(seconds * 1_000))}
