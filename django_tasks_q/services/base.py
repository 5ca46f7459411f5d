import math
import random
import time
from collections.abc import Iterable
from typing import Protocol

__all__ = ["Due", "Periodic", "Service", "soonest"]


class Due(Protocol):
    """Something that has to be done at a certain time.

    due_at: when, in monotonic seconds; infinity if there is nothing to do.
    """

    @property
    def due_at(self) -> float: ...


def soonest(parts: Iterable[Due]) -> float:
    """Return when the first of these is due, in monotonic seconds; infinity if none is."""
    return min([part.due_at for part in parts], default=math.inf)


class Periodic:
    """Work of the supervisor that becomes due again and again."""

    interval = 1.0  # seconds

    def __init__(self) -> None:
        self.due_at = 0.0  # monotonic seconds

    def take_turn(self) -> bool:
        """Return whether the work is due; if it is, it becomes due again after the interval, even if it fails."""
        if time.monotonic() < self.due_at:
            return False
        self.due_at = time.monotonic() + self.interval * random.uniform(0.9, 1.0)
        return True


class Service(Periodic):
    """A chore of the supervisor: it says when it is due, and then does one bounded piece of work."""

    def run_if_due(self) -> None:
        if self.take_turn():
            self.run()

    def run(self) -> None:
        """Do the chore; set due_at to come back sooner."""
        raise NotImplementedError
