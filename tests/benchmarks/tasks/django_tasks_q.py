import time

from django_tasks_q import enqueue_many, task

from .. import marks

__all__ = ["enqueue_many", "noop", "sleep"]


@task()
def noop() -> None:
    marks.mark()


@task()
def sleep(seconds: float) -> None:
    time.sleep(seconds)
