"""Sleep until something can be read or written."""

import math
import select
from collections.abc import Iterable

__all__ = ["wait_for_any"]


def wait_for_any(descriptors: Iterable[tuple[int, bool]], seconds: float) -> set[int]:
    """Return the file descriptors that are ready, after this many seconds at the latest.

    descriptors: each with whether to wait for writing too.
    """
    poll = select.poll()
    for descriptor, has_output in descriptors:
        poll.register(descriptor, select.POLLIN | (select.POLLOUT if has_output else 0))
    return {descriptor for descriptor, _ in poll.poll(math.ceil(seconds * 1_000))}
