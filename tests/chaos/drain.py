"""What happens after the last fault: everything has to end, and nothing may stall."""

import time

from .crew import Crew, Producers
from .ledger import live
from .liveness import Stall
from .mixture import Mixture

__all__ = ["Drain"]

# Jobs that may be left when there are enough probes. Seconds between two looks; from which on a stall is told.
FEW, LOOK, SHORTEST_STALL = 30, 0.3, 5.0
# Jobs a second at which a backlog has to end, besides the limit: a long run leaves hundreds of thousands.
SLOWEST = 1_000


class Drain:
    """Waits for it."""

    def __init__(self, crew: Crew, producers: Producers, mixture: Mixture | None) -> None:
        self.crew = crew
        self.producers = producers
        self.mixture = mixture
        self.stalls: list[Stall] = []
        self._fewest = 0
        self._moved_at = time.time()
        self._left = 0

    def run(self, limit: float) -> int:
        """Return how many jobs are left; 0 is the rule. limit: seconds, besides those that the backlog may take."""
        deadline = time.monotonic() + limit + live() / SLOWEST
        jobs = -1
        while time.monotonic() < deadline:
            began = time.monotonic()
            if not self.producers.running() and not (jobs := live()) and self._has_enough():
                break
            # Beside a large backlog it takes its time to count.
            pause = LOOK + 3 * (time.monotonic() - began)
            self.crew.replace_the_dead()
            if jobs != -1:
                self._watch(jobs)
            time.sleep(pause)
        self._left = max(0, jobs)
        return jobs

    def _has_enough(self) -> bool:
        """Stop the probes; return whether the last one was enqueued before we have counted."""
        return self.mixture is None or self.mixture.enough()

    def _watch(self, jobs: int) -> None:
        if jobs < FEW:
            self._has_enough()
        if not self._fewest or jobs < self._fewest:
            if (stood := time.time() - self._moved_at) > SHORTEST_STALL and self._fewest:
                self._note(stood)
            self._fewest, self._moved_at = jobs, time.time()

    def _note(self, stood: float) -> None:
        self.stalls.append(Stall(at=self._moved_at, until=self._moved_at + stood, jobs=self._fewest))

    def finish(self) -> list[Stall]:
        """Return the times in which no job has ended, with the one that lasts."""
        if self._left and (stood := time.time() - self._moved_at) > SHORTEST_STALL:
            self._note(stood)
        return self.stalls
