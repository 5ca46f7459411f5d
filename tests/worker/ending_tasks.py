"""Tasks that leave something behind when they end, however they do."""

import io
import logging
import time
from pathlib import Path
from typing import Any

from django.db import transaction
from django.dispatch import receiver

from django_tasks_q import task
from django_tasks_q.compat import task_finished
from django_tasks_q.exceptions import SoftTimeout
from tests.tasks import leave_effect

logger = logging.getLogger("shop")


class Dawdling(io.TextIOBase):
    """A stream in which nearly all the time is spent."""

    def write(self, text: str) -> int:
        time.sleep(0.05)
        return len(text)


@task(soft_timeout=1, timeout=30)
def log_to_a_slow_handler() -> str:
    handler = logging.StreamHandler(Dawdling())
    logger.addHandler(handler)
    try:
        while True:
            logger.warning("still here")
    except SoftTimeout:
        return "in time"
    finally:
        logger.removeHandler(handler)


@task(takes_context=True, atomic=True, max_attempts=3, backoff=0)
def fail_after_commit(context: Any, label: str) -> int:
    leave_effect.func(context, label)
    transaction.on_commit(lambda: 1 / 0)
    return 42


@task(atomic=True)
def enqueue_before_bad_luck(label: str, path: str) -> None:
    leave_effect.enqueue(label)
    Path(path).touch()


@task(timeout=1)
def run_for_ever() -> None:
    time.sleep(600)


@receiver(task_finished)
def follow(task_result: Any, **kwargs: Any) -> None:
    if task_result.task.func is run_for_ever.func:
        leave_effect.enqueue("after the end")
