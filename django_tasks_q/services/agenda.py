from collections.abc import Sequence

from .base import soonest
from .promoter import Promoter
from .scheduler import Scheduler

__all__ = ["Agenda"]


class Agenda:
    """What becomes due over time: scheduled jobs, and schedules if this worker runs them."""

    def __init__(self, promoter: Promoter, scheduler: Scheduler | None) -> None:
        self.promoter = promoter
        self.scheduler = scheduler
        # Schedules first: the job of one may be due at once.
        self.parts: Sequence[Promoter | Scheduler] = [scheduler, promoter] if scheduler is not None else [promoter]

    @property
    def due_at(self) -> float:
        """When something is due, in monotonic seconds; infinity if nothing is."""
        return soonest(self.parts)

    def is_due(self, longest: float) -> bool:
        """Return whether it is time to look: something is due, or the last look was `longest` seconds ago."""
        return any(part.is_due(longest) for part in self.parts)

    @property
    def is_waiting(self) -> bool:
        """Whether something is due but cannot be done yet."""
        return self.scheduler is not None and self.scheduler.is_waiting

    def expect(self, seconds: float) -> None:
        """Note a job that is due after this many seconds."""
        self.promoter.expect(seconds)

    def look(self) -> bool:
        """Do what is due, and find out when something is due next; return whether any jobs have become ready."""
        # Each of them, regardless of what the one before has found.
        found = [part.look() for part in self.parts]
        return any(found)
