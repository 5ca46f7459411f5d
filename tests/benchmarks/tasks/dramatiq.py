import time

import dramatiq

from .. import marks

__all__ = ["noop", "sleep", "take"]


@dramatiq.actor
def noop() -> None:
    marks.mark()


@dramatiq.actor
def sleep(seconds: float) -> None:
    time.sleep(seconds)


@dramatiq.actor
def take(text: str) -> None:
    marks.mark()
