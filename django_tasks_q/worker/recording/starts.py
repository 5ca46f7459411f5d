import math
import time

from .intake import Intake

__all__ = ["Starts"]

# Seconds until recording the start of jobs is tried again after a failure.
ASK_AGAIN = 0.2


class Starts:
    """Records which jobs have begun, and lets those begin that have to wait for that."""

    def __init__(self, intake: Intake) -> None:
        self.broker = intake.broker
        self.registry = intake.registry
        self.intake = intake
        self.pool = intake.dispatcher.pool
        # When to try again to let jobs begin that could not: monotonic seconds.
        self._ask_at = 0.0

    @property
    def due_at(self) -> float:
        """When run() has something to do, in monotonic seconds; infinity if nothing runs."""
        asked_at = self._ask_at if self.intake.asked else math.inf
        return min(asked_at, self.pool.begun_due_at)

    def run(self) -> None:
        if begun := self.pool.newly_begun():
            self.pool.note_begun(self.broker.record_begun(self.registry.worker_id, begun))
        if self.intake.asked and time.monotonic() >= self._ask_at:
            self._answer()

    def _answer(self) -> None:
        """Let jobs begin that have asked; those whose row another session has locked keep waiting."""
        asked = [event.job for event in self.intake.asked]
        noted = self.broker.record_begun(self.registry.worker_id, asked, durable=True)
        self.pool.note_begun(noted)
        self.intake.asked = [event for event in self.intake.asked if event.job.id not in noted]
        self._ask_at = time.monotonic() + ASK_AGAIN if self.intake.asked else 0.0
