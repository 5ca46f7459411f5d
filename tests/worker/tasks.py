"""Tasks that misbehave, each in its own way."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.utils import timezone, translation

from django_tasks_q import Context, Ignore, Reject, Retry, SoftTimeout, task
from django_tasks_q.retries import FailedJob
from tests import tasks as usual
from tests.models import Effect

__all__ = ["CATASTROPHE"]

# So many steps that no machine sees the end of it, all of them in C.
CATASTROPHE = (r"(a+)+$", "a" * 60 + "b")
LONG = 60.0


@task(takes_context=True)
def sleep_at_first(context: Context, label: str) -> int:
    """Leave an effect; take very long in the first attempt, no time in the later ones."""
    Effect.objects.create(label=label, job_id=context.id, attempt=context.attempt, pid=os.getpid())
    if context.attempt == 1:
        time.sleep(LONG)
    return context.attempt


@task(takes_context=True)
def run_program_at_first(context: Context, label: str) -> int:
    """Start a program that takes very long, in the first attempt."""
    if context.attempt == 1:
        with subprocess.Popen(["sleep", str(LONG)]) as program:
            Effect.objects.create(label=label, job_id=context.id, attempt=context.attempt, pid=program.pid)
    return context.attempt


def await_file(path: str, label: str) -> None:
    """Leave one file at the beginning; wait until the file at `path` is there, then leave another."""
    Path(f"{path}-{label}-begun").touch()
    while not Path(path).exists():
        time.sleep(0.01)
    Path(f"{path}-{label}").touch()


@task
def wait(path: str, label: str) -> None:
    """Wait for a file; see await_file()."""
    await_file(path, label)


@task(takes_context=True)
def wait_at_first(context: Context, label: str, path: str) -> int:
    """Leave an effect; wait for a file in the first attempt."""
    Effect.objects.create(label=label, job_id=context.id, attempt=context.attempt, pid=os.getpid())
    if context.attempt == 1:
        await_file(path, label)
    return context.attempt


@task(takes_context=True, atomic=True)
def wait_atomically_at_first(context: Context, label: str, path: str) -> int:
    """Do the same in the transaction of the completion."""
    Effect.objects.create(label=label, job_id=context.id, attempt=context.attempt, pid=os.getpid())
    if context.attempt == 1:
        await_file(path, label)
    return context.attempt


@task(takes_context=True, max_attempts=3, backoff=0.01)
def die_twice_and_fail_twice(context: Context) -> int:
    """Lose the process in two attempts, fail in two, succeed in the fifth."""
    if context.attempt <= 2:
        os._exit(9)
    if context.attempt <= 4:
        raise ValueError(f"attempt {context.attempt}")
    return context.attempt


@task(atomic=True, max_attempts=3)
def return_unstorable_atomically(label: str) -> set[int]:
    Effect.objects.create(label=label)
    return {1}


@task(max_attempts=0, backoff=0.1)
def touch_database(label: str) -> None:
    """Leave an effect, however often the database goes away."""
    Effect.objects.create(label=label)


# time limits


@task(timeout=1)
def match_for_ever() -> None:
    """Stay inside the regular expression engine, which does not let go of the interpreter's lock."""
    re.match(*CATASTROPHE)


class Throttled(Exception):
    """after: seconds that the other side asks us to wait."""

    def __init__(self, after: float) -> None:
        super().__init__(f"after {after:g}")
        self.after = after


class AsTold:
    """Waits as the error says, and longer for a job of the queue "slow"."""

    def delay(self, attempt: int, error: BaseException, job: FailedJob) -> float:
        assert isinstance(error, Throttled)
        return error.after * (10 if job.queue_name == "slow" else 1)


@task(max_attempts=2, backoff=AsTold())
def be_throttled(after: float) -> None:
    raise Throttled(after)


@task(takes_context=True, retry_on=ConnectionError, backoff=3_600)
def ask_again(context: Context, after: float | None) -> int:
    if context.attempt == 1:
        raise Retry(after=after, reason="The other side asks us to wait.")
    return context.attempt


@task(max_attempts=3, backoff=0)
def ask_again_with(number: int, *, step: int = 1, following: list[Any] | None = None) -> list[int]:
    """Ask for another attempt with the first of some arguments, and hand on the others."""
    if following:
        new, *others = following
        raise Retry(args=new, kwargs={"step": step + 1, "following": others})
    return [number, step]


class Again(Retry):
    """It does not call its parent's __init__()."""

    def __init__(self, number: int) -> None:
        self.args_of_next = [number]


@task(max_attempts=2, backoff=0)
def spoil_and_ask_again(number: int, *, spoilt: list[Any]) -> list[Any]:
    if number == 1:
        # Not even a value that could be stored.
        spoilt.append({1})
        raise Again(2)
    return [number, spoilt]


@task(max_attempts=5, backoff=0)
def ask_again_badly(how: str) -> None:
    new: dict[str, Any] = {
        "unknown": {"kwargs": {"unknown": 1}},
        "too many": {"args": [how, how]},
        "unserializable": {"args": [{how}]},
        "too large": {"args": ["x" * 3_000_000]},
    }
    raise Retry(after=3_600, **new[how])


@task(takes_context=True, atomic=True, max_attempts=5)
def ignore(context: Context, reason: str) -> None:
    Effect.objects.create(label="ignored", job_id=context.id)
    raise Ignore(reason)


@task(max_attempts=5, backoff=0)
def reject() -> None:
    raise Reject("It is not for us.")


@task(takes_context=True)
def reject_once(context: Context, flag: str) -> int:
    if Path(flag).exists():
        Path(flag).unlink()
        raise Reject("Later, perhaps.", requeue=True)
    return context.attempt


@task(timeout=0.5, max_attempts=2, backoff=0.05)
def overrun_twice() -> None:
    time.sleep(LONG)


@task(soft_timeout=0.3)
def overrun_softly() -> None:
    time.sleep(LONG)


@task(soft_timeout=1, timeout=30)
async def clean_up_async() -> str:
    try:
        await asyncio.sleep(LONG)
    except asyncio.CancelledError:
        await Effect.objects.acreate(label="cleaned up")
        raise
    return "slept"


@task(soft_timeout=1, timeout=2)
def swallow_soft_timeout() -> None:
    while True:
        try:
            time.sleep(LONG)
        except SoftTimeout:
            continue


HOARD: list[bytearray] = []


@task
def hoard_later(megabytes: int, seconds: float) -> int:
    """Keep much memory from some time after the end of the job on."""
    threading.Timer(seconds, lambda: HOARD.append(bytearray(b"x") * (megabytes << 20))).start()
    return os.getpid()


# manners


@task
def connection_options() -> list[str]:
    return sorted(connection.settings_dict["OPTIONS"])


@task
def leave_transaction_open() -> None:
    transaction.atomic().__enter__()
    Effect.objects.create(label="never committed")


@task
def leave_autocommit_off() -> None:
    transaction.set_autocommit(False)
    Effect.objects.create(label="never committed")


@task
def begin_by_hand() -> None:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
    Effect.objects.create(label="never committed")


@task
def break_transaction() -> None:
    """Leave a transaction in which a statement has failed."""
    transaction.atomic().__enter__()
    with connection.cursor() as cursor:
        cursor.execute("SELECT nonsense FROM nowhere")


@task
def close_connection() -> None:
    Effect.objects.create(label="committed")
    connection.close()


@task
def close_socket() -> None:
    """Break the driver's connection behind Django's back."""
    Effect.objects.create(label="committed")
    connection.connection.close()


@task
def change_surroundings() -> None:
    translation.activate("de")
    timezone.activate("Asia/Tokyo")


@task
def set_alarm() -> None:
    """Ask for a signal that would come when another job runs."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, LONG)


class OddError(BaseException):
    def __str__(self) -> str:
        raise RuntimeError("I cannot be shown")


@task
def raise_error(name: str) -> None:
    raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt, "OddError": OddError}[name]


@task
def print_much(megabytes: int) -> None:
    line = "x" * 1023 + "\n"
    for _ in range(megabytes * 512):
        sys.stdout.write(line)
        sys.stderr.write(line)


@task(takes_context=True, queue_name="default")
def order(context: Context, label: str, seconds: float = 0.0) -> None:
    """Leave an effect at the beginning; the rows' numbers tell the order."""
    Effect.objects.create(label=label, attempt=context.attempt)
    time.sleep(seconds)


@task
def enqueue_another() -> str:
    """Enqueue a job, and return its id."""
    return str(usual.noop.enqueue().id)
