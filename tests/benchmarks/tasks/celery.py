import time

from celery import Celery

from .. import marks

__all__ = ["app", "noop", "sleep", "take"]

app = Celery("benchmarks")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task
def noop() -> None:
    marks.mark()


@app.task
def sleep(seconds: float) -> None:
    time.sleep(seconds)


@app.task
def take(text: str) -> None:
    marks.mark()
