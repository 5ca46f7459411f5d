"""What is counted of jobs: how much work they are, and how much was sent for nothing."""

from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["Backlog", "Traffic"]

# Bytes after which past traffic counts half, and the share of bytes that may be sent for nothing.
MEMORY, TOLERABLE = 64 * 1_048_576, 0.2
# Fewer bytes than this do not matter.
SMALL = 1_048_576


class Backlog:
    """How much work some jobs are, kept as they come and go.

    count: how many jobs. tasks: how many of each task, by its path; tasks without any are left out. size: bytes.
    """

    __slots__ = ("count", "size", "tasks")

    def __init__(self) -> None:
        self.count = 0
        self.tasks: dict[str, int] = {}
        self.size = 0

    def add(self, task_paths: Collection[str], size: int) -> None:
        """Count one job for each of these paths. size: bytes of them all."""
        tasks = self.tasks
        for path in task_paths:
            tasks[path] = tasks.get(path, 0) + 1
        self.count += len(task_paths)
        self.size += size

    def remove(self, task_paths: Collection[str], size: int) -> None:
        """No longer count these; see add()."""
        tasks = self.tasks
        for path in task_paths:
            left = tasks[path] - 1
            if left:
                tasks[path] = left
            else:
                del tasks[path]
        self.count -= len(task_paths)
        self.size -= size

    def clear(self) -> None:
        """Count none."""
        self.tasks.clear()
        self.count = self.size = 0


@dataclass(slots=True)
class Traffic:
    """The bytes of jobs sent to children, and of those that were taken back after that."""

    sent: int = 0
    wasted: int = 0

    def is_wasteful(self) -> bool:
        """Return whether so much was sent for nothing that nothing should be handed out ahead."""
        if self.sent > MEMORY:
            self.sent //= 2
            self.wasted //= 2
        return self.wasted > SMALL + TOLERABLE * self.sent
