"""The soft time limit, inside the process that runs the task. The parent enforces the hard one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ...exceptions import SoftTimeout
from .interruption import SOON, would_be_lost

__all__ = ["soft_limit", "timed_out"]


@contextmanager
def soft_limit(seconds: float) -> Iterator[None]:
    """Raise SoftTimeout in the main thread when the block has lasted this many seconds."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if would_be_lost(frame):
            signal.setitimer(signal.ITIMER_REAL, SOON)
        else:
            raise timed_out(seconds)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def timed_out(seconds: float) -> SoftTimeout:
    return SoftTimeout(f"The task has run for {seconds:g} s, its soft_timeout.")
