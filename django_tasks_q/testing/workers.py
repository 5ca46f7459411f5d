"""A real worker on the database of a test."""

import os
import pickle
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from ..brokers import get_broker
from ..worker.process import refuse_connections

__all__ = ["RunningWorker", "worker"]

# What of DATABASES may be another in a test: its own database, or a server that was started for it.
PLACE = ("NAME", "USER", "PASSWORD", "HOST", "PORT")
SETTINGS = "DJANGO_SETTINGS_MODULE"


class RunningWorker:
    """A worker that runs beside a test. pid: of its parent process."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has written so far: its log, and what tasks print."""
        return self._log.read_text(errors="replace")

    def _wait_until_ready(self, ready: int, seconds: float) -> None:
        """Return when it can take jobs. Raise RuntimeError with its output if it cannot."""
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        if not poll.poll(seconds * 1_000):
            raise RuntimeError(f"The worker was not ready within {seconds:g} s. It wrote:\n{self.output}")
        if not os.read(ready, 1):
            code = self._process.wait()
            raise RuntimeError(f"The worker has ended with exit code {code}. It wrote:\n{self.output}")

    def _stop(self, seconds: float) -> None:
        """Let it finish what runs, for so many seconds; then kill it."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def worker(
    *arguments: str,
    backend: str = "default",
    concurrency: int = 1,
    start_timeout: float = 60,
    stop_timeout: float = 10,
) -> Iterator[RunningWorker]:
    """Run a worker in processes of its own, on the databases of the test, until the block ends.

    arguments: more of them for `manage.py taskworker`. backend: its alias in TASKS. concurrency: jobs at a time.
    start_timeout: seconds until it must be ready. stop_timeout: seconds for which running jobs may go on at the end.
    It has the TASKS of this test, and otherwise the project's settings; mocks and a frozen clock do not reach it.

    Raise ImproperlyConfigured in a TestCase and for a database in memory, RuntimeError if the worker does not
    start. What it wrote is on stderr after the block.
    """
    refuse_connections(get_broker(backend).using)
    given = ["--backend", backend, "--concurrency", str(concurrency), "--shutdown-timeout", f"{stop_timeout:g}"]
    with tempfile.TemporaryDirectory(prefix="tasks-q-worker-") as folder:
        running, ready = _start([*given, *arguments], Path(folder))
        try:
            running._wait_until_ready(ready, start_timeout)
            yield running
        finally:
            os.close(ready)
            # Longer than the worker takes to kill what does not end.
            running._stop(stop_timeout + 10)
            sys.stderr.write(running.output)


def _start(arguments: Sequence[str], folder: Path) -> tuple[RunningWorker, int]:
    """Start a worker; return it, and what becomes readable when it is ready, or gone."""
    known, log = folder / "surroundings", folder / "worker.log"
    known.write_bytes(_surroundings())
    ready, tell = os.pipe()
    try:
        with known.open("rb") as stdin, log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "django_tasks_q.testing.worker_process", str(tell), *arguments],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[tell],
            )
    except BaseException:
        os.close(ready)
        raise
    finally:
        os.close(tell)
    return RunningWorker(process, log), ready


def _surroundings() -> bytes:
    """Return what the worker is to know of this test's settings."""
    if SETTINGS not in os.environ:
        raise ImproperlyConfigured(
            f"A worker in a process of its own reads the settings module that {SETTINGS} names, but that is not set."
        )
    databases = {alias: {name: connections[alias].settings_dict[name] for name in PLACE} for alias in connections}
    try:
        return pickle.dumps({"DATABASES": databases, "TASKS": settings.TASKS})
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ImproperlyConfigured(f"TASKS cannot be handed to the worker's process: {error}") from error
