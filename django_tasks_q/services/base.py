import random
import time

__all__ = ["Periodic", "Service"]


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
