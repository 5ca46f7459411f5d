"""Which children are over a limit, and when to check again."""

import time
from collections.abc import Collection, Iterator

from .children import Child
from .exits import Kill, too_large
from .memory import MemoryLimit

__all__ = ["find_excesses", "limits_due_at"]


def find_excesses(children: Collection[Child], memory_limit: MemoryLimit) -> Iterator[tuple[Child, Kill]]:
    """Yield the children that are to be killed because of their jobs, each with the reason."""
    now = time.monotonic()
    for child in children:
        if child.kill_at <= now:
            yield child, child.overrun(now)
    if memory_limit.is_check_due():
        for child in children:
            runs = child.running is not None and child.killed_for is None
            if runs and (excess := memory_limit.excess(child.pid)):
                yield child, too_large(excess)


def limits_due_at(children: Collection[Child], memory_limit: MemoryLimit) -> float:
    """Return when a limit may be exceeded, in monotonic seconds; infinity if there is none."""
    return min([memory_limit.due_at, *[child.kill_at for child in children]])
