"""Tasks made with the framework's own decorator, as in a project that knows nothing of this backend."""

import os
import sys
from importlib import import_module
from typing import Any

from django.dispatch import receiver

from django_tasks_q.compat import FRAMEWORK, task_finished, task_started

from ..models import Effect

task = import_module(FRAMEWORK).task


@task
def add(a: int, b: int) -> int:
    return a + b


@task()
async def add_async(a: int, b: int) -> int:
    return a + b


@task(priority=7, queue_name="default")
def nothing(*args: Any, **kwargs: Any) -> None:
    """Take anything."""


@task(takes_context=True)
def describe(context: Any, *args: Any) -> list[Any]:
    return [context.task_result.id, context.attempt, context.task_result.status, *args]


@task(takes_context=True)
async def describe_async(context: Any, *args: Any) -> list[Any]:
    return [context.task_result.id, context.attempt, context.task_result.status, *args]


@task
def fail(message: str) -> None:
    raise LookupError(message)


@task
async def fail_async(message: str) -> None:
    raise LookupError(message)


@task
def leave(message: str) -> None:
    sys.exit(message)


@task
def interrupt() -> None:
    raise KeyboardInterrupt


@task
def fail_with_an_error_in_an_error() -> None:
    raise ValueError(ValueError("inner"))


@task
def fail_because_of_another() -> None:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise RuntimeError("second") from error


@task
def return_a_function() -> Any:
    return return_a_function.func


@task
def return_bytes() -> bytes:
    return b"\xff"


@task
def where() -> int:
    return os.getpid()


@receiver([task_started, task_finished])
def note_the_process(sender: Any, task_result: Any, **kwargs: Any) -> None:
    """Leave what the receivers in a worker see of the task `where`."""
    if task_result.task == where:
        label = f"{sender.__name__} {task_result.status}"
        Effect.objects.create(label=label, job_id=task_result.id, attempt=task_result.attempts, pid=os.getpid())
