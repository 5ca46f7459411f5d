"""The tasks of a run. Each leaves an effect, and returns the run that left it.

key: by which a job is known to its producer, before it has an id. seconds: how long it takes. times: how often it
fails first. A database that is away is a reason to try again, for ever.
"""

import os

from django_tasks_q import Context, enqueue, task

from .effects import AGAIN, Doomed, Planned, leave, take
from .heavy import HEAVY
from .kinds import LACKING, follower

__all__ = ["TASKS"]


@task(**AGAIN)
def ordinary(context: Context, key: str, seconds: float = 0.0) -> str:
    run = leave(context, key)
    take(seconds)
    return run


@task(**AGAIN, atomic=True)
def atomic(context: Context, key: str, seconds: float = 0.0) -> str:
    run = leave(context, key)
    take(seconds)
    return run


@task(**AGAIN)
def flaky(context: Context, key: str, seconds: float = 0.0, times: int = 1) -> str:
    return _fail_first(context, key, seconds, times)


@task(**AGAIN, atomic=True)
def flaky_atomic(context: Context, key: str, seconds: float = 0.0, times: int = 1) -> str:
    return _fail_first(context, key, seconds, times)


@task(**AGAIN)
def doomed(context: Context, key: str, seconds: float = 0.0) -> None:
    leave(context, key)
    raise Doomed(key)


@task(**AGAIN, atomic=True)
def doomed_atomic(context: Context, key: str, seconds: float = 0.0) -> None:
    leave(context, key)
    raise Doomed(key)


@task(**AGAIN, atomic=True)
def chain(context: Context, key: str, seconds: float = 0.0) -> str:
    """Enqueue another job in the transaction that also records this one."""
    run = leave(context, key)
    enqueue(ordinary, follower(key))
    take(seconds)
    return run


TASKS = {found.func.__name__: found for found in (ordinary, atomic, flaky, flaky_atomic, doomed, doomed_atomic, chain)}
TASKS |= HEAVY

if LACKING not in os.environ:

    @task(**AGAIN)
    def late(context: Context, key: str, seconds: float = 0.0) -> str:
        run = leave(context, key)
        take(seconds)
        return run

    TASKS["late"] = late


def _fail_first(context: Context, key: str, seconds: float, times: int) -> str:
    run = leave(context, key)
    take(seconds)
    if context.attempt <= times:
        raise Planned(f"attempt {context.attempt}")
    return run
