"""Which children are over a limit, and when to check again."""

import time
from collections.abc import Collection, Iterator

from .children import Child
from .exits import Kill, too_large
from .memory import MemoryLimit

__all__ = ["find_excesses", "seconds_until_limit"]


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


def seconds_until_limit(children: Collection[Child], memory_limit: MemoryLimit) -> float:
    """Return the seconds until a limit may be exceeded; infinity if there is none."""
    now = time.monotonic()
    return min([*(child.kill_at - now for child in children), memory_limit.seconds_until_check()])
