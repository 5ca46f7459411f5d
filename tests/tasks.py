"""Tasks for the tests, and for the workers that the tests start."""

import asyncio
import ctypes
import os
import sys
import time
from typing import Any

from django_tasks_q import Context, SoftTimeout, task

from .models import Effect


@task
def noop(*args: Any, **kwargs: Any) -> None:
    """Take anything, do nothing."""


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def echo(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


@task
async def add_async(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


@task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@task
async def nap_async(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@task
def boom(message: str = "boom") -> None:
    raise ValueError(message)


@task(max_attempts=3, backoff=0.05)
def boom_thrice(message: str = "boom") -> None:
    raise ValueError(message)


@task(max_attempts=3, backoff=0.05, retry_on=OSError)
def boom_of_a_kind(kind: str) -> None:
    """Raise an OSError, which is retried, or a ValueError, which is not."""
    raise {"OSError": OSError, "ValueError": ValueError}[kind](kind)


@task(takes_context=True, max_attempts=5, backoff=0.05)
def succeed_at(context: Context, attempt: int) -> int:
    """Fail until the attempt with this number."""
    if context.attempt < attempt:
        raise ValueError(f"attempt {context.attempt}")
    return context.attempt


@task(takes_context=True)
def describe_context(context: Context, *args: Any) -> dict[str, Any]:
    return {"attempt": context.attempt, "id": context.id, "metadata": dict(context.metadata), "args": list(args)}


@task(timeout=1)
def overrun(seconds: float) -> None:
    time.sleep(seconds)


@task(timeout=1)
def overrun_in_c(seconds: int) -> None:
    """Stay in C code, with the interpreter's lock held, where no Python signal handler can run."""
    ctypes.PyDLL(None).sleep(seconds)


@task(soft_timeout=1, timeout=30)
def clean_up(seconds: float) -> str:
    try:
        time.sleep(seconds)
    except SoftTimeout:
        return "cleaned up"
    return "slept"


@task
def exit_process(code: int = 3) -> None:
    os._exit(code)


@task
def kill_process(signal: int = 9) -> None:
    os.kill(os.getpid(), signal)


@task
def use_memory(megabytes: int, seconds: float = 60) -> int:
    """Hold this much memory for this long."""
    held = bytearray(os.urandom(1 << 20) * megabytes)
    time.sleep(seconds)
    return len(held)


@task
def return_unserializable() -> object:
    return {1, 2, 3}


@task
def return_text(length: int) -> str:
    return "x" * length


@task(takes_context=True)
def leave_effect(context: Context, label: str, seconds: float = 0.0) -> int:
    """Write a row that stays, whatever happens to the job afterwards; then take some time."""
    _leave(label, context)
    time.sleep(seconds)
    return os.getpid()


@task(takes_context=True, atomic=True)
def leave_effect_atomically(context: Context, label: str, seconds: float = 0.0) -> int:
    """Write a row in the transaction that also records the completion."""
    _leave(label, context)
    time.sleep(seconds)
    return os.getpid()


@task(takes_context=True, atomic=True, max_attempts=3, backoff=0.05)
def leave_effect_and_boom(context: Context, label: str) -> None:
    _leave(label, context)
    raise ValueError(label)


@task(takes_context=True, max_attempts=3)
def leave_effect_and_exit(context: Context, label: str, until_attempt: int = 99) -> int:
    """Write a row, then end the process silently, until the attempt with this number."""
    _leave(label, context)
    if context.attempt < until_attempt:
        os._exit(3)
    return context.attempt


@task
def say(text: str, seconds: float = 0.0) -> None:
    """Write a line to stdout, then take some time."""
    sys.stdout.write(f"{text}\n")
    time.sleep(seconds)


@task
def start_time() -> float:
    """Return the moment of the first line, by the host's clock."""
    return time.time()


@task
def process_id() -> int:
    return os.getpid()


def _leave(label: str, context: Context) -> None:
    Effect.objects.create(label=label, job_id=context.id, attempt=context.attempt, pid=os.getpid())
