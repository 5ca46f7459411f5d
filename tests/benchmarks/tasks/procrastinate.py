import time

from procrastinate.contrib.django import app

from .. import marks

__all__ = ["noop", "sleep"]


@app.task
def noop() -> None:
    marks.mark()


@app.task
def sleep(seconds: float) -> None:
    time.sleep(seconds)
