"""The tasks of mixed loads: large payloads, errors with deep tracebacks, many log lines, and swarms of small jobs."""

import logging
import os
from typing import Any

from django_tasks_q import Context, task

from .effects import AGAIN, Doomed, leave, take
from .kinds import LACKING
from .texts import digest_of, varied_text

__all__ = ["HEAVY", "SWARMING"]

logger = logging.getLogger(__name__)
LINES, LEVELS = 100, 25


class Damaged(Exception):
    """What arrived is not what was enqueued."""


@task(**AGAIN)
def payload(context: Context, key: str, text: str, digest: str, echo: bool = False) -> Any:
    """Check a text of any size, and give it back where it is to echo."""
    run = leave(context, key)
    if digest_of(text) != digest:
        raise Damaged(key)
    return {"run": run, "text": text, "digest": digest} if echo else run


@task(**AGAIN)
def returning(context: Context, key: str, size: int, alphabet: str) -> Any:
    """Return a text of so many bytes of JSON."""
    run = leave(context, key)
    text = varied_text(size, alphabet)
    return {"run": run, "text": text, "digest": digest_of(text)}


@task(**AGAIN)
def raises(context: Context, key: str) -> None:
    raise Doomed(key)


@task(**AGAIN)
def deep(context: Context, key: str) -> None:
    _descend(key, LEVELS)


@task(**AGAIN)
def chatty(context: Context, key: str) -> str:
    run = leave(context, key)
    for number in range(LINES):
        logger.info("Line %s of %s: %s", number, key, "…" * (number % 40))
        if number % 10 == 0:
            context.progress(number, LINES, f"line {number}")
    return run


@task(**AGAIN)
def held(context: Context, key: str, seconds: float) -> str:
    """May be cancelled while it runs, by a transaction that stays open."""
    run = leave(context, key)
    take(seconds)
    return run


@task(**AGAIN)
def probe(context: Context, key: str) -> str:
    return leave(context, key)


# They leave no effect, and stand for thousands.

SWARM = {name: value for name, value in AGAIN.items() if name != "takes_context"}


@task(**SWARM)
def swarm(key: str) -> None:
    """Do nothing."""


@task(**SWARM)
def swarm_raises(key: str) -> None:
    raise Doomed(key)


@task(**SWARM)
def swarm_deep(key: str) -> None:
    _descend(key, LEVELS)


HEAVY = {found.func.__name__: found for found in (payload, returning, raises, deep, chatty, held, probe)}
SWARMING = {found.func.__name__: found for found in (swarm, swarm_raises, swarm_deep)}

if LACKING not in os.environ:

    @task(**SWARM)
    def swarm_late(key: str) -> None:
        """Do nothing, in a worker that knows it."""

    SWARMING["swarm_late"] = swarm_late


def _descend(key: str, levels: int) -> None:
    if levels:
        _descend(key, levels - 1)
    raise Doomed(key)
