"""The tasks of a run. Each leaves an effect, and returns the run that left it.

key: by which a job is known to its producer, before it has an id. seconds: how long it takes. times: how often it
fails first. A database that is away is a reason to try again, for ever.
"""

import os
import select
import uuid
from typing import Any

from django.db import Error

from django_tasks_q import Context, Exponential, enqueue, task

from .kinds import LACKING, WORKER, follower
from .models import Effect

__all__ = ["TASKS", "Doomed", "Planned"]


class Planned(Exception):
    """A failure after which the task is run again."""


class Doomed(Exception):
    """A failure for good."""


AGAIN: dict[str, Any] = {
    "takes_context": True,
    "max_attempts": 0,
    "backoff": Exponential(base=0.1, cap=2),
    "retry_on": (Error, Planned),
}


@task(**AGAIN)
def ordinary(context: Context, key: str, seconds: float = 0.0) -> str:
    run = _leave(context, key)
    _take(seconds)
    return run


@task(**AGAIN, atomic=True)
def atomic(context: Context, key: str, seconds: float = 0.0) -> str:
    run = _leave(context, key)
    _take(seconds)
    return run


@task(**AGAIN)
def flaky(context: Context, key: str, seconds: float = 0.0, times: int = 1) -> str:
    return _fail_first(context, key, seconds, times)


@task(**AGAIN, atomic=True)
def flaky_atomic(context: Context, key: str, seconds: float = 0.0, times: int = 1) -> str:
    return _fail_first(context, key, seconds, times)


@task(**AGAIN)
def doomed(context: Context, key: str, seconds: float = 0.0) -> None:
    _leave(context, key)
    raise Doomed(key)


@task(**AGAIN, atomic=True)
def doomed_atomic(context: Context, key: str, seconds: float = 0.0) -> None:
    _leave(context, key)
    raise Doomed(key)


@task(**AGAIN, atomic=True)
def chain(context: Context, key: str, seconds: float = 0.0) -> str:
    """Enqueue another job in the transaction that also records this one."""
    run = _leave(context, key)
    enqueue(ordinary, follower(key))
    _take(seconds)
    return run


TASKS = {found.func.__name__: found for found in (ordinary, atomic, flaky, flaky_atomic, doomed, doomed_atomic, chain)}

if LACKING not in os.environ:

    @task(**AGAIN)
    def late(context: Context, key: str, seconds: float = 0.0) -> str:
        run = _leave(context, key)
        _take(seconds)
        return run

    TASKS["late"] = late


def _fail_first(context: Context, key: str, seconds: float, times: int) -> str:
    run = _leave(context, key)
    _take(seconds)
    if context.attempt <= times:
        raise Planned(f"attempt {context.attempt}")
    return run


def _leave(context: Context, key: str) -> str:
    run = uuid.uuid4().hex
    worker = os.environ.get(WORKER, "")
    Effect.objects.create(key=key, job_id=context.id, attempt=context.attempt, run=run, worker=worker, pid=os.getpid())
    return run


def _take(seconds: float) -> None:
    # Not time.sleep(), which fails where libfaketime moves the clock of the day alone.
    select.select([], [], [], seconds)
