"""What every task of a run does: leave an effect, take its time, fail as it was told to."""

import os
import select
import uuid
from typing import Any

from django.db import Error

from django_tasks_q import Context, Exponential

from .kinds import WORKER
from .models import Effect

__all__ = ["AGAIN", "Doomed", "Planned", "leave", "take"]


class Planned(Exception):
    """A failure after which the task is run again."""


class Doomed(Exception):
    """A failure for good."""


AGAIN: dict[str, Any] = {
    "takes_context": True,
    "max_attempts": 0,
    "backoff": Exponential(first=0.1, cap=2),
    "retry_on": (Error, Planned),
}


def leave(context: Context, key: str) -> str:
    run = uuid.uuid4().hex
    worker = os.environ.get(WORKER, "")
    Effect.objects.create(key=key, job_id=context.id, attempt=context.attempt, run=run, worker=worker, pid=os.getpid())
    return run


def take(seconds: float) -> None:
    # Not time.sleep(), which fails where libfaketime moves the clock of the day alone.
    select.select([], [], [], seconds)
