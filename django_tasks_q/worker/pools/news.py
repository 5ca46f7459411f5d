"""Announcements for jobs that ended without a process of their own."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ...brokers.batches import size_of
from ...brokers.values import ClaimedJob
from .children import Child

__all__ = ["News", "NewsItem"]

# A job, and its error if it has already ended and is only to be announced.
NewsItem = tuple[ClaimedJob, str | None]
# Jobs, and bytes of their payload.
MOST, LARGEST = 10_000, 8 * 1_048_576


class News:
    """Jobs that FAILED because their process died: a child sends task_finished for them.

    Receivers are the project's code, which must not run in the supervisor.
    """

    def __init__(self) -> None:
        self._waiting: deque[NewsItem] = deque()
        # Bytes of payload of the jobs.
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: ClaimedJob, error: str) -> None:
        self._waiting.append((job, error))
        self._size += size_of(job)

    def has_room(self) -> bool:
        """Return whether more can be taken; jobs that are given up anyway are taken regardless."""
        return self._size < LARGEST and len(self._waiting) < MOST

    def tell(self, free: Sequence[Child], send: Callable[[Child, Iterable[NewsItem]], None]) -> None:
        """Give one to each idle child: behind a job it might be lost with that job."""
        for child in free[: len(self._waiting)]:
            item = self._waiting.popleft()
            self._size -= size_of(item[0])
            send(child, [item])
