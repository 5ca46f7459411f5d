"""Tasks that are cancelled while they run, and what they make of it."""

import asyncio
import hashlib
import os
import time
from typing import Any

from django.dispatch import receiver

from django_tasks_q import Context, SoftCancel, task
from django_tasks_q.compat import task_finished
from tests.models import Effect

from .tasks import LONG


def leave(label: str, context: Context) -> None:
    Effect.objects.create(label=label, job_id=context.id, attempt=context.attempt, pid=os.getpid())


@receiver(task_finished)
def note_finished(task_result: Any, **kwargs: Any) -> None:
    """Leave an effect with what the framework was told of the end of a task of this module."""
    if task_result.task.module_path.startswith(__name__):
        Effect.objects.create(label=f"finished {task_result.status}", job_id=task_result.id, pid=os.getpid())


def begin(context: Context) -> None:
    """Say that the task may be cancelled now: without a statement, which must not be interrupted."""
    context.progress(context.attempt)


@task(takes_context=True)
def sleep(context: Context) -> None:
    leave("begun", context)
    begin(context)
    time.sleep(LONG)


@task(takes_context=True, max_attempts=5)
def end(context: Context, how: str) -> str:
    """Sleep until SoftCancel comes; clean up, then end in one of the ways there are."""
    leave("begun", context)
    try:
        begin(context)
        time.sleep(LONG)
    except SoftCancel:
        leave(f"cleaned up, {context.is_cancelled}", context)
        if how == "raise":
            raise
        if how == "raise another":
            raise ValueError("because of it") from None
    return how


@task(takes_context=True)
def swallow(context: Context) -> None:
    leave("begun", context)
    while True:
        try:
            begin(context)
            time.sleep(LONG)
        except SoftCancel:
            continue


@task(takes_context=True)
def stay_in_c(context: Context) -> None:
    """Stay in C code that looks for no signal."""
    leave("begun", context)
    while True:
        try:
            begin(context)
            hashlib.pbkdf2_hmac("sha512", b"password", b"salt", 2**31 - 1)
        except SoftCancel:
            # It came before.
            continue


@task(takes_context=True)
def look(context: Context) -> int:
    """Work with every exception caught; ask after each piece whether to stop."""
    leave("begun", context)
    deadline, caught = time.monotonic() + LONG, 0
    try:
        begin(context)
        while not context.is_cancelled and time.monotonic() < deadline:
            try:
                time.sleep(0.01)
            except Exception:
                caught += 1
    except SoftCancel:
        # Between two pieces.
        caught += 1
    return caught


@task(takes_context=True)
async def sleep_async(context: Context, how: str) -> str:
    await asyncio.to_thread(leave, "begun", context)
    try:
        begin(context)
        await asyncio.sleep(LONG)
    except asyncio.CancelledError:
        await asyncio.to_thread(leave, f"cleaned up, {context.is_cancelled}", context)
        if how == "raise":
            raise
    return how


@task(takes_context=True, atomic=True)
def write_and_wait(context: Context, path: str) -> None:
    """Write a row in the transaction of the completion, then a file, which tells of it."""
    leave("never committed", context)
    with open(path, "w"):
        time.sleep(LONG)


@task(takes_context=True, max_attempts=0, backoff=0)
def fail_for_ever(context: Context) -> None:
    if context.attempt == 1:
        leave("begun", context)
    raise ValueError(f"attempt {context.attempt}")


@task
def be_brief(seconds: float) -> float:
    time.sleep(seconds)
    return seconds
