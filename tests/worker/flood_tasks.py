"""Tasks that cost their process more than they seem to, and what makes many of them."""

import time

import psutil

from django_tasks_q import task

__all__ = ["fail_at_once", "fail_deep", "keep", "kill_the_worker", "repeat"]


@task
def fail_at_once(number: int) -> None:
    raise KeyError(number)


@task
def fail_deep(depth: int) -> None:
    """Raise with a traceback of so many frames."""
    if depth:
        fail_deep.call(depth - 1)
    raise KeyError("deep")


@task
def keep(text: str) -> int:
    return len(text)


@task
def repeat(text: str, count: int) -> str:
    return text * count


@task
def kill_the_worker() -> None:
    """End the supervisor, as a task does that uses up the memory of its host."""
    server = psutil.Process().parent()
    assert server is not None
    supervisor = server.parent()
    assert supervisor is not None
    supervisor.kill()
    time.sleep(60)
