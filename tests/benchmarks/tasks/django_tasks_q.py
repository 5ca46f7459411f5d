import time

from django_tasks_q import enqueue_many, task

from .. import marks

__all__ = ["enqueue_many", "noop", "sleep", "take"]


@task()
def noop() -> None:
    marks.mark()


@task()
def sleep(seconds: float) -> None:
    time.sleep(seconds)


@task()
def take(text: str) -> None:
    marks.mark()
