"""How much work to hold ahead: about a tenth of a second for each child, one job of a long task."""

import math
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence, Set

from ..brokers.values import ClaimedJob

__all__ = ["Buffer", "RunTimes"]

# Seconds of work for each child, which hide the time that the database takes for a round.
AHEAD = 0.1
LARGEST_CLAIM = 500
# Characters of payload to hold ahead.
LARGEST_PAYLOAD = 32 * 1_048_576
# Seconds after which a job that no child could take goes back to the database, for other workers.
LONGEST_STAY = 1.0


class RunTimes:
    """A moving average of the seconds for which each task runs; a task never seen counts as long."""

    WEIGHT = 0.2

    def __init__(self) -> None:
        self._by_task: dict[str, float] = {}
        self.overall = AHEAD

    def note(self, task_path: str, seconds: float) -> None:
        seconds = min(max(seconds, 0.0), AHEAD)
        known = self._by_task.get(task_path, seconds)
        self._by_task[task_path] = known + self.WEIGHT * (seconds - known)
        self.overall += self.WEIGHT * (seconds - self.overall)

    def estimate(self, task_path: str) -> float:
        return self._by_task.get(task_path, AHEAD)

    def total(self, tasks: Mapping[str, int]) -> float:
        """Return the seconds that so many runs of each task will take."""
        return sum(count * self.estimate(task_path) for task_path, count in tasks.items())


class Buffer:
    """Claimed jobs that no child has been handed yet, the next one first."""

    def __init__(self, times: RunTimes) -> None:
        self.times = times
        self._waiting: deque[tuple[float, ClaimedJob]] = deque()
        # How many of them there are of each task; those of which there are none are left out.
        self._tasks: Counter[str] = Counter()
        # A moving average of the payload of a job.
        self._size = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def jobs(self) -> Iterable[ClaimedJob]:
        return (job for _, job in self._waiting)

    def add(self, jobs: Sequence[ClaimedJob]) -> None:
        now = time.monotonic()
        self._waiting.extend((now, job) for job in jobs)
        self._tasks.update(job.task_path for job in jobs)
        if jobs:
            size = sum(len(job.args) + len(job.kwargs) for job in jobs) / len(jobs)
            # A large payload counts at once, a small one is believed slowly.
            self._size = max(size, 0.8 * self._size)

    def put_back(self, jobs: Sequence[ClaimedJob]) -> None:
        """Take jobs that a child has not begun; they are older than what waits here."""
        now = time.monotonic()
        self._waiting.extendleft((now, job) for job in reversed(jobs))
        self._tasks.update(job.task_path for job in jobs)

    def take(self, seconds: float, most: int) -> list[ClaimedJob]:
        """Return the next jobs, as many as last for so many seconds; at least one where there is one."""
        taken: list[ClaimedJob] = []
        while self._waiting and len(taken) < most and (seconds > 0 or not taken):
            _, job = self._waiting.popleft()
            seconds -= self.times.estimate(job.task_path)
            taken.append(job)
        self._tasks -= Counter(job.task_path for job in taken)
        return taken

    def take_all(self) -> list[ClaimedJob]:
        jobs = [job for _, job in self._waiting]
        self._waiting.clear()
        self._tasks.clear()
        return jobs

    def take_these(self, job_ids: Set[str]) -> list[ClaimedJob]:
        """Return those of these jobs that wait here."""
        taken = [job for _, job in self._waiting if job.id in job_ids]
        if taken:
            self._waiting = deque(item for item in self._waiting if item[1].id not in job_ids)
            self._tasks -= Counter(job.task_path for job in taken)
        return taken

    def keep_only(self, job_ids: Collection[str]) -> None:
        """Forget the jobs that are not among these."""
        forgotten = [job for _, job in self._waiting if job.id not in job_ids]
        self._waiting = deque(item for item in self._waiting if item[1].id in job_ids)
        self._tasks -= Counter(job.task_path for job in forgotten)

    def take_stale(self) -> list[ClaimedJob]:
        """Return what has waited here too long."""
        oldest = time.monotonic() - LONGEST_STAY
        stale = [job for since, job in self._waiting if since < oldest]
        if stale:
            self._waiting = deque(item for item in self._waiting if item[0] >= oldest)
            self._tasks -= Counter(job.task_path for job in stale)
        return stale

    def demand(self, lacking: float, free: int) -> int:
        """Return how many jobs to claim.

        lacking: the seconds of work that the children could take. free: how many of them have none.
        """
        lacking -= self.times.total(self._tasks)
        least = max(0, free - len(self))
        most = min(LARGEST_CLAIM, max(1, int(LARGEST_PAYLOAD / max(self._size, 1.0))))
        return min(most, max(least, math.ceil(lacking / max(self.times.overall, 1e-5)) if lacking > 0 else 0))
