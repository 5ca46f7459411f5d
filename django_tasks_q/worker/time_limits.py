"""The soft time limit, inside the process that runs the task. The hard one is the parent's."""

import asyncio
import signal
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

from ..exceptions import SoftTimeout

__all__ = ["await_within", "soft_limit"]


@contextmanager
def soft_limit(seconds: float) -> Iterator[None]:
    """Raise SoftTimeout in the main thread when the block has lasted so many seconds."""

    def interrupt(number: int, frame: Any) -> None:
        raise SoftTimeout(_message(seconds))

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def await_within(awaitable: Awaitable[Any], seconds: float | None) -> Any:
    """Await, and cancel what is awaited after so many seconds; then raise SoftTimeout."""
    try:
        async with asyncio.timeout(seconds) as limit:
            return await awaitable
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise SoftTimeout(_message(seconds)) from error


def _message(seconds: float | None) -> str:
    return f"The task has run for {seconds:g} s, its soft_timeout."
