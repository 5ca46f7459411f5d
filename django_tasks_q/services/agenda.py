from collections.abc import Sequence

from .scheduler import Scheduler
from .ticker import Ticker

__all__ = ["Agenda"]


class Agenda:
    """What becomes due with time: jobs that wait for theirs, and schedules, where this worker looks after them."""

    def __init__(self, scheduler: Scheduler, ticker: Ticker | None) -> None:
        self.scheduler = scheduler
        self.ticker = ticker
        # Schedules first: a job of one may be due at once.
        self.parts: Sequence[Scheduler | Ticker] = [ticker, scheduler] if ticker is not None else [scheduler]

    def is_due(self, longest: float) -> bool:
        """Say whether it is time to look: something is due, or the last look was `longest` seconds ago."""
        return any(part.is_due(longest) for part in self.parts)

    def seconds_until_due(self) -> float:
        return min(part.seconds_until_due() for part in self.parts)

    @property
    def is_waiting(self) -> bool:
        """Whether something is due that cannot be done yet."""
        return self.ticker is not None and self.ticker.is_waiting

    def expect(self, seconds: float) -> None:
        """Be told of a job that is due after so many seconds."""
        self.scheduler.expect(seconds)

    def look(self) -> bool:
        """Do what is due, and learn when the next thing is; return whether any jobs have become ready."""
        # Each of them, whatever the one before has found.
        found = [part.look() for part in self.parts]
        return any(found)
