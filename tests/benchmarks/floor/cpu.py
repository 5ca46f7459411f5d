"""CPU seconds of processes that are not our children, from /proc."""

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["living", "parent", "tree"]

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def living(pids: Iterable[int]) -> float:
    """Return the CPU seconds of single-threaded processes, to the nanosecond."""
    return sum(int((PROC / f"{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def parent(pid: int) -> int:
    return int(_stat(pid)[1])


def tree(pid: int) -> float:
    """Return the CPU seconds of a process, of its children that it has reaped, and of those that live.

    Counted in ticks of 10 ms, as the kernel keeps those of the dead.
    """
    total = sum(map(int, _stat(pid)[11:15]))
    for task in PROC.glob("[0-9]*"):
        try:
            fields = _stat(int(task.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has ended since the listing, and its parent counts it.
        if int(fields[1]) == pid:
            total += sum(map(int, fields[11:13]))
    return total / TICK


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, which may hold spaces: the first is the state."""
    return (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
