import time

from .database import Database
from .rounds import Rounds

__all__ = ["Completion"]

# Seconds that a stopping worker keeps trying to reach its database, and that it waits for locked rows.
LONGEST_FAREWELL, LONGEST_PATIENCE = 10.0, 3.0


class Completion:
    """Whether a worker is done: because it is told to stop, or because nothing is due.

    burst: whether it is to end if nothing is due.
    """

    def __init__(self, database: Database, rounds: Rounds, *, burst: bool) -> None:
        self.database = database
        self.shutdown = rounds.shutdown
        self.intake = rounds.intake
        self.dispatcher = rounds.dispatcher
        self.recorder = rounds.recorder
        self.polling = rounds.polling
        self.agenda = rounds.agenda
        self.burst = burst
        # When a stopping worker last did more than wait for locks, in monotonic seconds; and how many outcomes wait.
        self._last_work_at, self._waiting = 0.0, -1

    def is_reached(self) -> bool:
        """Return whether the worker may exit."""
        draining = self.shutdown.has_begun
        if not draining and not self.burst:
            return False
        if not self.recorder.is_empty or self.intake.has_news or not self.dispatcher.is_empty:
            return draining and self._gives_up()
        told = not self.dispatcher.pool.is_announcing or time.monotonic() >= self.shutdown.deadline
        return told and (draining or self._has_done_all())

    def _has_done_all(self) -> bool:
        # If a statement has failed, it is unknown what it would have found.
        looked = self.polling.is_exhausted and not self.polling.is_requested and self.database.is_answering
        nothing_due = not self.agenda.is_waiting and self.agenda.due_at > time.monotonic()
        return looked and nothing_due and not self.polling.selector.leaves_out

    def _gives_up(self) -> bool:
        """Return whether an unreachable database, or locked rows, have kept a stopping worker for too long."""
        now = time.monotonic()
        if self.database.is_unreachable:
            return now > self.shutdown.deadline + LONGEST_FAREWELL
        waiting = len(self.recorder.unrecorded())
        if not self.dispatcher.is_empty or waiting != self._waiting:
            self._last_work_at = now
        self._waiting = waiting
        return now > self._last_work_at + LONGEST_PATIENCE
