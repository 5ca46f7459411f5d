"""Real workers, in separate processes."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from django.db import connections

from django_tasks_q.brokers import get_database
from django_tasks_q.lifecycle import WorkerStatus
from django_tasks_q.models import Worker

from .waiting import LIMIT, wait_for

__all__ = ["WorkerProcess"]

ROOT = Path(__file__).parent.parent
MARK = "TEST_WORKER_MARK"


class WorkerProcess:
    """`manage.py taskworker` on the database of the tests.

    arguments: those of the command. options: OPTIONS of its backend. environment: added to the tests' own. prefix: of
    the command, such as one that runs it on another host.
    Whatever it starts inherits a mark in its environment, by which stop() finds even orphans.
    """

    def __init__(
        self,
        *arguments: str,
        log: Path,
        options: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.arguments = arguments
        self.log = log
        self.mark = uuid.uuid4().hex
        command = [*prefix, sys.executable, "-m", "django", "taskworker", "--settings", "tests.settings", *arguments]
        given = {"TEST_TASKS_OPTIONS": json.dumps(options)} if options else {}
        # As a worker is started in production: Python buffers what goes to a file.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**inherited, "PYTHONPATH": str(ROOT), MARK: self.mark, **given, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __repr__(self) -> str:
        return f"<taskworker {' '.join(self.arguments)} pid={self.pid}>"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """What it has written so far, stdout and stderr."""
        return self.log.read_text(errors="replace")

    @property
    def row(self) -> Worker | None:
        """Its row, as it is now."""
        return Worker.objects.using(get_database("default")).filter(pid=self.pid).first()

    def wait_until_ready(self, timeout: float = LIMIT) -> "WorkerProcess":
        """Return when the worker is ONLINE. Raise AssertionError with its output where it ends before."""
        wait_for(self._is_ready, f"{self} to be ONLINE", timeout=timeout)
        return self

    def _is_ready(self) -> bool:
        if (code := self.process.poll()) is not None:
            raise AssertionError(f"{self} ended with exit code {code} before it was ready:\n{self.output}")
        return self.row is not None and self.row.status == WorkerStatus.ONLINE

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to the supervisor alone."""
        self.process.send_signal(number)

    def freeze(self) -> None:
        """Stop the supervisor, as a suspended host; where there is but one lock, not with that in its hands."""
        self.signal(signal.SIGSTOP)
        while _is_locked():
            self.signal(signal.SIGCONT)
            # Stopped at once it would not get as far as to let go of the lock.
            time.sleep(0.01)
            self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def kill_all(self) -> None:
        """Kill the supervisor and all its processes at once, as a host that loses its power."""
        for process in [psutil.Process(self.pid), *self.others()]:
            _send(process, signal.SIGSTOP)
        for process in [psutil.Process(self.pid), *self.others()]:
            _send(process, signal.SIGKILL)
        self.process.wait(LIMIT)

    def wait(self, timeout: float = LIMIT) -> int:
        """Return the exit code when it has ended."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} has not ended within {timeout:g} s:\n{self.output}") from None

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.signal()
        return self.wait()

    def others(self) -> list[psutil.Process]:
        """Return every living process that it has started, directly or not, orphans too."""
        return [process for process in psutil.process_iter() if process.pid != self.pid and self._is_marked(process)]

    def children(self) -> list[psutil.Process]:
        """Return the processes below it, those that run tasks among them."""
        return psutil.Process(self.pid).children(recursive=True)

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self.mark
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def destroy(self) -> None:
        """Kill everything that is left of it, and wait until nothing is."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(LIMIT)
        wait_for(partial(_all_killed, self.others), f"the processes of {self} to be gone")


def _is_locked() -> bool:
    """Return whether somebody holds the one lock of the database, where it has no more."""
    connection = connections["default"]
    if connection.vendor != "sqlite":
        return False
    with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0.1)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def _all_killed(find: Any) -> bool:
    left: Iterator[psutil.Process] = find()
    for process in left:
        _send(process, signal.SIGKILL)
    return not left


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
