import time

from procrastinate.contrib.django import app

from .. import marks

__all__ = ["noop", "sleep", "take"]


@app.task
def noop() -> None:
    marks.mark()


@app.task
def sleep(seconds: float) -> None:
    time.sleep(seconds)


@app.task
def take(text: str) -> None:
    marks.mark()
