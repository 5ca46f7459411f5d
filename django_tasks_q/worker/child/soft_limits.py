"""The soft time limit, inside the process that runs the task. The parent enforces the hard one."""

import asyncio
import signal
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from ...exceptions import SoftCancel, SoftTimeout
from .interruption import CANCELLED, SOON, Interruption, would_be_lost

__all__ = ["await_within", "soft_limit"]


@contextmanager
def soft_limit(seconds: float) -> Iterator[None]:
    """Raise SoftTimeout in the main thread when the block has lasted this many seconds."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if would_be_lost(frame):
            signal.setitimer(signal.ITIMER_REAL, SOON)
        else:
            raise SoftTimeout(_message(seconds))

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def await_within(awaitable: Awaitable[Any], seconds: float | None, interruption: Interruption) -> Any:
    """Await, and cancel what is awaited after this many seconds, or if the job is to be cancelled.

    Then raise SoftTimeout, or SoftCancel.
    """
    # In its own task: an interruption that comes too late must not hit the code around it.
    loop, awaited = asyncio.get_running_loop(), asyncio.ensure_future(awaitable)

    def interrupt() -> None:
        # Called in the main thread; the loop runs in another one, and may have ended.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(awaited.cancel)

    interruption.arm(interrupt)
    try:
        async with asyncio.timeout(seconds) as limit:
            return await awaited
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise SoftTimeout(_message(seconds)) from error
    except asyncio.CancelledError as error:
        if not interruption.is_cancelled:
            raise
        raise SoftCancel(CANCELLED) from error
    finally:
        interruption.disarm()


def _message(seconds: float | None) -> str:
    return f"The task has run for {seconds:g} s, its soft_timeout."
