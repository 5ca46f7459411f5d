"""How much work to hold ahead: about a tenth of a second for each child, one job of a long task."""

import math
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from itertools import islice

from ...brokers.batches import size_of
from ...brokers.values import ClaimedJob
from ..pools.backlog import Backlog
from ..pools.base import AHEAD

__all__ = ["AHEAD", "Buffer", "RunTimes"]

LARGEST_CLAIM = 500
# Bytes of payload to hold ahead.
LARGEST_PAYLOAD = 8 * 1_048_576
# Seconds after which a job that no child could take goes back to the database, for other workers.
LONGEST_STAY = 1.0


class RunTimes:
    """A moving average of the seconds that a run of each task costs a child; an unknown task counts as long."""

    WEIGHT = 0.2

    def __init__(self) -> None:
        self.by_task: dict[str, float] = {}
        self.overall = AHEAD

    def note(self, task_path: str, seconds: float) -> None:
        seconds = min(max(seconds, 0.0), AHEAD)
        known = self.by_task.get(task_path, seconds)
        self.by_task[task_path] = known + self.WEIGHT * (seconds - known)
        self.overall += self.WEIGHT * (seconds - self.overall)

    def estimate(self, task_path: str) -> float:
        return self.by_task.get(task_path, AHEAD)

    def total(self, tasks: Mapping[str, int]) -> float:
        """Return the seconds that this many runs of each task will take."""
        return sum(count * self.estimate(task_path) for task_path, count in tasks.items())


# A waiting job, since when it waits in monotonic seconds, and the bytes of its payload.
_Waiting = tuple[ClaimedJob, float, int]


class Buffer:
    """Claimed jobs that no child has been handed yet, the next one first."""

    def __init__(self, times: RunTimes) -> None:
        self.times = times
        self._waiting: deque[_Waiting] = deque()
        # Its bytes are those of payload; and a moving average of those of one job.
        self.backlog = Backlog()
        self._typical = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def jobs(self) -> Iterable[ClaimedJob]:
        return (item[0] for item in self._waiting)

    def add(self, jobs: Sequence[ClaimedJob]) -> None:
        before = self.backlog.size
        self._waiting.extend(self._enter(jobs))
        if jobs:
            # A larger payload raises the average at once, a smaller one lowers it slowly.
            self._typical = max((self.backlog.size - before) / len(jobs), 0.8 * self._typical)

    def put_back(self, jobs: Sequence[ClaimedJob]) -> None:
        """Take back jobs that a child has not begun; they are older than those waiting here."""
        self._waiting.extendleft(reversed(self._enter(jobs)))

    def _enter(self, jobs: Sequence[ClaimedJob]) -> list[_Waiting]:
        now = time.monotonic()
        items = [(job, now, size_of(job)) for job in jobs]
        self.backlog.add([job.task_path for job in jobs], sum([size for _, _, size in items]))
        return items

    def take(self, seconds: float, most: int, size: int) -> list[ClaimedJob]:
        """Return the next jobs, as many as last for this many seconds; at least one if there is one.

        most: the maximum number of jobs. size: the maximum of bytes in those after the first. A displaced job comes
        alone.
        """
        if not self._waiting or most < 1:
            return []
        first = self._waiting.popleft()
        self._leave([first])
        job = first[0]
        if job.displaced:
            return [job]
        seconds -= self.times.estimate(job.task_path)
        return [job, *self.take_ahead(seconds, most - 1, size)]

    def take_ahead(self, seconds: float, most: int, size: int) -> list[ClaimedJob]:
        """Return the next jobs for a busy child; none if the first is too large, or is to run alone."""
        taken: list[_Waiting] = []
        seconds_of = self.times.by_task.get
        for item in islice(self._waiting, max(most, 0)):
            job, _, item_size = item
            size -= item_size
            if size < 0 or seconds <= 0 or job.displaced:
                break
            taken.append(item)
            seconds -= seconds_of(job.task_path, AHEAD)
        for _ in taken:
            self._waiting.popleft()
        self._leave(taken)
        return [item[0] for item in taken]

    def take_all(self) -> list[ClaimedJob]:
        return self._take_out(list(self._waiting))

    def take_these(self, job_ids: Set[str]) -> list[ClaimedJob]:
        """Return those of these jobs that are waiting here."""
        return self._take_out([item for item in self._waiting if item[0].id in job_ids])

    def keep_only(self, job_ids: Collection[str]) -> None:
        """Forget the jobs that are not among these."""
        self._take_out([item for item in self._waiting if item[0].id not in job_ids])

    def take_stale(self) -> list[ClaimedJob]:
        """Return the jobs that have waited here too long."""
        oldest = time.monotonic() - LONGEST_STAY
        return self._take_out([item for item in self._waiting if item[1] < oldest])

    def _take_out(self, items: list[_Waiting]) -> list[ClaimedJob]:
        if items:
            gone = {id(item) for item in items}
            self._waiting = deque(item for item in self._waiting if id(item) not in gone)
            self._leave(items)
        return [item[0] for item in items]

    def _leave(self, items: Sequence[_Waiting]) -> None:
        self.backlog.remove([job.task_path for job, _, _ in items], sum([size for _, _, size in items]))

    def demand(self, lacking: float, free: int) -> int:
        """Return how many jobs to claim.

        lacking: the seconds of work that the children could take. free: how many of them have no work.
        """
        if self.backlog.size >= LARGEST_PAYLOAD:
            return 0
        lacking -= self.times.total(self.backlog.tasks)
        least = max(0, free - len(self))
        wanted = math.ceil(lacking / max(self.times.overall, 1e-5)) if lacking > 0 else 0
        most = min(LARGEST_CLAIM, max(1, int(LARGEST_PAYLOAD / max(self._typical, 1.0))))
        return min(most, max(least, wanted))
