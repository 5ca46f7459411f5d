"""Tasks that log."""

import asyncio
import contextvars
import logging
import logging.config
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async

from django_tasks_q import SoftCancel, SoftTimeout, task
from django_tasks_q.worker.child import run_log
from tests.waiting import wait_for

# The root's level is WARNING, as Django leaves it; this one's own level lets more through.
logger = logging.getLogger("shop.orders")
logger.setLevel(logging.DEBUG)
quiet = logging.getLogger("shop.quiet")


@task
def speak() -> None:
    logger.debug("not this")
    logger.info("order %s <b>é👍", 42)
    quiet.info("nor this")
    quiet.warning("two\nlines")


@task(max_attempts=2, backoff=0)
def fail() -> None:
    try:
        raise KeyError("inner")
    except KeyError:
        logger.exception("It went wrong.")
    raise ValueError("no")


@task(atomic=True, max_attempts=2, backoff=0)
def be_atomic(path: str) -> None:
    """Fail the first time."""
    logger.info("in a transaction")
    if not Path(path).exists():
        Path(path).touch()
        raise ValueError("no")


@task
def wait(path: str) -> None:
    logger.info("begun")
    wait_for(Path(path).exists, "the file")
    logger.info("done")


@task(atomic=True)
def wait_in_transaction(path: str) -> None:
    logger.info("begun")
    wait_for(Path(path).exists, "the file")


@task
def be_killed(how: str, path: str) -> None:
    """Log as much as is kept and more, then die when the parent has heard of it."""
    for number in range(100):
        logger.info("line %s %s", number, "x" * 100)
    time.sleep(0.6)
    logger.info("the last that was sent")
    # However long the machine stands still between the two.
    run_log.INTERVAL = 3_600.0
    logger.info("this one was not")
    Path(path).touch()
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), getattr(signal, how))


@task
def use_threads() -> None:
    def talk(number: int) -> None:
        for count in range(200):
            logger.info("thread %s: %s", number, count)

    threads = [threading.Thread(target=talk, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@task
async def be_async() -> None:
    async def talk(number: int) -> None:
        for count in range(3):
            await asyncio.sleep(0)
            logger.info("coroutine %s: %s", number, count)

    await asyncio.gather(talk(1), talk(2))
    await sync_to_async(logger.info)("from a thread")


@task
def leave_a_thread(path: str) -> None:
    """Leave behind a thread that knows whose it is, and goes on."""

    def talk() -> None:
        wait_for(Path(path).exists, "the next job")
        for _ in range(100):
            logger.info("from the job before")
            time.sleep(0.002)

    threading.Thread(target=contextvars.copy_context().run, args=[talk], daemon=True).start()
    logger.info("left one")


@task
def be_next(path: str) -> None:
    Path(path).touch()
    time.sleep(0.5)
    logger.info("the next")


class Hostile:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error("no text")


class Talkative:
    def __str__(self) -> str:
        logger.info("logged by %s", self)
        return "talkative"


class Last:
    def __del__(self) -> None:
        logger.info("logged in __del__")


@task
def be_hostile() -> None:
    logger.info("<script>alert(1)</script>\x1b[2J")
    logger.info("nought \x00, surrogate \ud800")
    logger.info("a" * 10_000_000 + "z")
    logger.info("👍" * 5_000)
    logger.info("%s", Hostile(ValueError))
    logger.info("%s", Hostile(RecursionError))
    logger.info("%d of %d", 1)
    logger.info("%s", Talkative())
    last = Last()
    del last
    logging.getLogger("a" * 1_000 + "\x00").warning("a long name")
    logging.addLevelName(35, "LEVEL \x00 " + "x" * 1_000)
    logger.log(35, "a long level")
    logger.handle(logging.makeLogRecord({"name": "odd", "levelno": 30, "msg": "odd times", "created": float("nan")}))
    logger.handle(logging.makeLogRecord({"name": None, "levelno": 30, "msg": None}))
    logger.info("and goes on")


@task
def log_much(count: int) -> None:
    for number in range(count):
        logger.info("line %s", number)


@task
def set_up_logging() -> None:
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO"}})
    logging.shutdown()
    logger.info("nobody listens")


@task(soft_timeout=1)
def log_until_time_is_up() -> str:
    try:
        while True:
            logger.info("x" * 3_000)
    except SoftTimeout:
        logger.warning("time is up")
        return "in time"


@task
def log_until_cancelled(path: str) -> None:
    Path(path).touch()
    try:
        while True:
            logger.info("y" * 3_000)
    except SoftCancel:
        logger.warning("cancelled")
        raise


@task
def log_in_a_signal_handler() -> int:
    """Interrupt the sending of lines by a signal whose handler logs too."""
    counts = [0]

    def hear(number: int, frame: Any) -> None:
        counts[0] += 1
        logger.info("in the handler")

    signal.signal(signal.SIGALRM, hear)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    until = time.monotonic() + 1.5
    while time.monotonic() < until or counts[0] <= 100:
        logger.info("z" * 1_000)
    return counts[0]


@task
def fork() -> None:
    pid = os.fork()
    if pid == 0:
        logger.warning("in the fork")
        sys.stderr.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    logger.info("in the task")
