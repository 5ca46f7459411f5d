"""Tasks that do everything to their process that can be done to one."""

import asyncio
import builtins
import ctypes
import io
import locale
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from django.db import connection, connections
from django.utils import timezone, translation

from django_tasks_q import task
from tests.models import Effect
from tests.waiting import LIMIT

__all__ = ["usual_handlers"]

LONG = 60.0
GARBAGE = b"neither a frame nor a statement\n" * 64


@task
def describe() -> dict[str, Any]:
    """Return what a job must find as any other does; print, start a program and write a row to see that one can."""
    sys.stdout.write("stdout\n")
    sys.stderr.write("stderr\n")
    Effect.objects.create(label="described", pid=os.getpid())
    return {
        "pid": os.getpid(),
        "language": translation.get_language(),
        "timezone": timezone.get_current_timezone_name(),
        "in_atomic_block": connection.in_atomic_block,
        "autocommit": connection.get_autocommit(),
        "handlers": usual_handlers(),
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "timer": signal.getitimer(signal.ITIMER_REAL)[0],
        "recursion limit": sys.getrecursionlimit(),
        "streams": [type(stream).__name__ for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "program": subprocess.run(["sh", "-c", "exit 7"], check=False).returncode,
        "own": _own(),
    }


def usual_handlers() -> list[str]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGALRM, signal.SIGPIPE, signal.SIGUSR1)
    return [getattr(found, "__name__", str(found)) for found in map(signal.getsignal, numbers)]


def _own() -> dict[str, Any]:
    """Return what a task has to put back itself."""
    mask = os.umask(0o077)
    os.umask(mask)
    return {
        "environment": os.environ.get("TEST_LEFT_BEHIND"),
        "directory": os.getcwd(),
        "umask": mask,
        "locale": locale.setlocale(locale.LC_NUMERIC),
        "logging": logging.root.manager.disable,
        "sockets": socket.getdefaulttimeout(),
        "threads": _lasting_threads(),
        "modules": hasattr(builtins, "left_behind"),
    }


def _lasting_threads() -> int:
    """Return how many threads there are, but for those that are about to end: async code leaves one that is."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(LIMIT)
    return threading.active_count()


# the end of the process


@task
def call_sys_exit(code: Any) -> None:
    sys.exit(code)


@task
def raise_generator_exit() -> None:
    raise GeneratorExit


@task
def touch_null_pointer() -> None:
    ctypes.string_at(0)


@task
def execute(*command: str) -> None:
    """Become another program."""
    os.execvp(command[0], command)


@task
def stop_itself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


@task
def signal_group(number: int) -> None:
    os.kill(0, number)


@task
def signal_parent(number: int) -> None:
    os.kill(os.getppid(), number)
    # A process that has lost its parent is killed.
    time.sleep(LONG if number == signal.SIGKILL else 0.5)


# forks


@task
def fork_and_return(error: bool) -> int:
    """Return, or raise, in both processes; the first one returns how the other ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if error:
        raise ValueError("from the fork")
    return -1


@task
async def fork_and_return_async() -> int:
    await asyncio.sleep(0)
    child = os.fork()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else -1


@task(atomic=True)
def fork_and_return_atomically(label: str) -> int:
    child = os.fork()
    if child:
        Effect.objects.create(label=label)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return -1


@task
def fork_and_exit(code: int) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(code)


@task
def leave_fork(seconds: float) -> None:
    """Fork a process that outlives the job, then comes back from it."""
    if not os.fork():
        time.sleep(seconds)


@task
def daemonise() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()


# connections and descriptors


@task
def close_all_connections() -> None:
    Effect.objects.create(label="committed")
    connections.close_all()


@task
def kill_own_backend() -> None:
    """Have the server end the connection, or end it oneself where there is no server; then use it."""
    own = {"postgresql": "SELECT pg_terminate_backend(pg_backend_pid())", "mysql": "KILL CONNECTION_ID()"}
    with connection.cursor() as cursor:
        if connection.vendor in own:
            cursor.execute(own[connection.vendor])
        else:
            connection.connection.close()
        cursor.execute("SELECT 1")


@task
def close_descriptors(first: int) -> None:
    os.closerange(first, 1_024)


@task
def write_into_sockets() -> None:
    """Write into each socket of the process: to the worker, to the database."""
    for descriptor in range(3, 256):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.write(descriptor, GARBAGE)


@task
def close_stream(name: str) -> None:
    getattr(sys, name).close()


@task
def close_output(descriptor: int) -> None:
    os.close(descriptor)


@task
def replace_streams() -> None:
    sys.stdout = sys.stderr = io.StringIO()
    sys.stdin = None  # type: ignore[assignment]


@task
def read_stdin() -> str:
    return sys.stdin.read()


# what a process has only once


@task
def change_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGALRM, signal.SIGPIPE, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGTERM, signal.SIGUSR2})


@task
def lower_recursion_limit() -> None:
    sys.setrecursionlimit(200)


@task
def change_process() -> None:
    """Change what is the task's own to put back."""
    os.environ["TEST_LEFT_BEHIND"] = "1"
    os.chdir("/")
    os.umask(0o077)
    locale.setlocale(locale.LC_NUMERIC, "C.UTF-8")
    logging.disable(logging.ERROR)
    socket.setdefaulttimeout(30)
    threading.Thread(target=time.sleep, args=[LONG], daemon=True).start()
    builtins.left_behind = True  # type: ignore[attr-defined]


@task
def forget_modules() -> None:
    for name in ("json", "decimal", "tests.tasks"):
        sys.modules.pop(name, None)


@task
async def leave_async_task() -> None:
    asyncio.get_running_loop().create_task(asyncio.sleep(LONG))
    await asyncio.sleep(0)


@task
def ignore_soft_timeout_for_ever(label: str) -> None:
    Effect.objects.create(label=label)
    while True:
        with suppress(BaseException):
            time.sleep(LONG)


@task(soft_timeout=1, timeout=2)
def swallow_everything() -> None:
    while True:
        with suppress(BaseException):
            time.sleep(LONG)


@task
def exhaust_memory() -> None:
    """Take memory until there is none."""
    held = []
    while True:
        held.append(bytearray(16 << 20))


@task
def exhaust_recursion() -> None:
    exhaust_recursion.func()


# errors and return values


class SilentError(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class EndlessError(Exception):
    """One that is its own cause."""


class Masked:
    """An object that does not even say of which class it is."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")


@task
def raise_hostile(kind: str) -> None:
    if kind == "silent":
        raise SilentError
    if kind == "huge":
        raise ValueError("x" * 10_000_000)
    if kind == "group":
        raise BaseExceptionGroup("several", [ValueError("first"), KeyboardInterrupt()])
    if kind == "chain":
        _raise_chain(300)
    error = EndlessError("endless")
    error.__cause__ = error
    raise error


def _raise_chain(length: int) -> None:
    try:
        if length:
            _raise_chain(length - 1)
    finally:
        raise ValueError(f"link {length}")


def _nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


@task
def return_hostile(kind: str) -> Any:
    return {
        "set": {1},
        "masked": Masked(),
        "deep": _nested(10_000),
        "large": "x" * 2_000_000,
        "nan": float("nan"),
        "surrogate": "\ud800",
    }[kind]
