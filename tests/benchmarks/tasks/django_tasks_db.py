import time

from django.tasks import task

from .. import marks

__all__ = ["noop", "sleep", "take"]


@task
def noop() -> None:
    marks.mark()


@task
def sleep(seconds: float) -> None:
    time.sleep(seconds)


@task
def take(text: str) -> None:
    marks.mark()
