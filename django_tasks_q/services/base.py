import random
import time

__all__ = ["Service"]


class Service:
    """A chore of the supervisor: it says when it is due, and does one bounded piece of work then."""

    interval = 1.0  # seconds

    def __init__(self) -> None:
        self.due_at = 0.0  # monotonic seconds

    def run_if_due(self) -> None:
        if time.monotonic() >= self.due_at:
            # Before the work, so that an error does not bring it back at once.
            self.due_at = time.monotonic() + self.interval * random.uniform(0.9, 1.0)
            self.run()

    def run(self) -> None:
        """Do the chore; set due_at to come back sooner."""
        raise NotImplementedError
