import time

from huey.contrib.djhuey import HUEY, task

from .. import marks

__all__ = ["HUEY", "noop", "sleep"]


@task()
def noop() -> None:
    marks.mark()


@task()
def sleep(seconds: float) -> None:
    time.sleep(seconds)
