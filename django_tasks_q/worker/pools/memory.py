import math
import os
import time

__all__ = ["MemoryLimit", "resident_bytes"]

PAGE = os.sysconf("SC_PAGE_SIZE")
INTERVAL = 0.5


class MemoryLimit:
    """How many bytes of resident memory a child may use; None means no limit.

    A job is charged for what it uses, not for what earlier jobs have left: it may finish in a child that was too large
    when it began, as long as it does not use up the whole limit itself.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        # The size of each child when it last finished a job.
        self._base: dict[int, int] = {}
        self._check_at = 0.0

    def is_reached(self, pid: int) -> bool:
        """Between jobs: return whether the child is to be replaced."""
        if self.limit is None:
            return False
        self._base[pid] = resident_bytes(pid)
        return self._base[pid] > self.limit

    def excess(self, pid: int | None) -> str:
        """During a job: return by how much it is over the limit, as text, if it is."""
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

    @property
    def due_at(self) -> float:
        """When the next check during jobs is due, in monotonic seconds; infinity if never."""
        return math.inf if self.limit is None else self._check_at

    def forget(self, pid: int | None) -> None:
        if pid is not None:
            self._base.pop(pid, None)


def resident_bytes(pid: int | None = None) -> int:
    """Return the memory in use by a process, this one by default; 0 if that is unknown or the process is gone."""
    try:
        with open(f"/proc/{pid or 'self'}/statm") as statm:
            return int(statm.read().split()[1]) * PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0
