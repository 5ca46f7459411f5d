"""Tasks that say how far they are."""

import asyncio
import threading
import time
from pathlib import Path

from django_tasks_q import Context, task
from tests.waiting import wait_for


@task(takes_context=True)
def work(context: Context, path: str) -> None:
    context.progress(0, 1_000, "begun <b>é")
    wait_for(Path(path).exists, "the file")
    for number in range(1, 1_001):
        context.progress(number, 1_000)


@task(takes_context=True)
def fail(context: Context) -> None:
    for number in range(8):
        context.progress(number)
    raise ValueError("no")


@task(takes_context=True, atomic=True)
def be_atomic(context: Context) -> None:
    for number in range(8):
        context.progress(number)


@task(takes_context=True)
async def be_async(context: Context) -> None:
    for number in range(8):
        context.progress(number)
        await asyncio.sleep(0)


@task(takes_context=True)
def use_threads(context: Context) -> str:
    """Let one thread live on, and go on talking."""

    def talk() -> None:
        for _ in range(200):
            context.progress(6)
            time.sleep(0.005)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    time.sleep(0.05)
    context.progress(7)
    # As large as many pieces of a socket.
    return "x" * 900_000


@task(takes_context=True)
def say_much(context: Context, text: str, odd: int = 0) -> None:
    """Say a text, with what no database could keep behind it."""
    context.progress(1, 2, text + "\x00\ud800"[:odd])
