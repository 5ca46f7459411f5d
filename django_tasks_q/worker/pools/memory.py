import math
import os
import time

__all__ = ["MemoryLimit", "resident_bytes"]

PAGE = os.sysconf("SC_PAGE_SIZE")
INTERVAL = 0.5


class MemoryLimit:
    """How many bytes a child may have resident; None for as many as it likes.

    A job is to blame for what it takes, not for what those before it have left: it may finish in a child that was too
    large when it began, as long as it does not take the whole limit itself.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        # The size of each child when it last finished a job.
        self._base: dict[int, int] = {}
        self._check_at = 0.0

    def is_reached(self, pid: int) -> bool:
        """Between jobs: say whether the child is to be replaced."""
        if self.limit is None:
            return False
        self._base[pid] = resident_bytes(pid)
        return self._base[pid] > self.limit

    def excess(self, pid: int | None) -> str:
        """During a job: say in words by how much it is over the limit, if it is."""
        if self.limit is None or pid is None:
            return ""
        size, base = resident_bytes(pid), self._base.get(pid, 0)
        if size <= (base + self.limit if base > self.limit else self.limit):
            return ""
        return f"{size / 2**20:,.0f} MiB; --max-memory-per-child is {self.limit / 2**20:,.0f} MiB"

    def is_check_due(self) -> bool:
        if self.limit is None or time.monotonic() < self._check_at:
            return False
        self._check_at = time.monotonic() + INTERVAL
        return True

    def seconds_until_check(self) -> float:
        return math.inf if self.limit is None else self._check_at - time.monotonic()

    def forget(self, pid: int | None) -> None:
        if pid is not None:
            self._base.pop(pid, None)


def resident_bytes(pid: int | None = None) -> int:
    """Return the memory in use of a process, this one by default; 0 where the system does not tell or it is gone."""
    try:
        with open(f"/proc/{pid or 'self'}/statm") as statm:
            return int(statm.read().split()[1]) * PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0
