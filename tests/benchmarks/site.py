"""One peer on a database of its own: its driver, its workers, its marks."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import marks
from .errors import BenchmarkError
from .peers import Peer
from .processes import TOP, ProcessGroup, tail
from .servers import Server

__all__ = ["Driver", "Site"]

# Seconds.
STALLED, LONGEST_LOOK = 60, 0.05
LOOK, SECONDS_BETWEEN_CHECKS = 0.002, 0.5


class Driver:
    """The process that enqueues and counts: see driver.py."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.driver"],
            cwd=TOP,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("ab"),
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, verb: str, *arguments: Any) -> dict[str, Any]:
        """Return {"value", "began", "ended", "cpu"}: moments in nanoseconds, CPU seconds."""
        self.begin(verb, *arguments)
        return self.answer()

    def begin(self, verb: str, *arguments: Any) -> None:
        """Ask, and let answer() wait for what comes of it."""
        stdin = self._process.stdin
        assert stdin
        try:
            stdin.write(json.dumps({"verb": verb, "arguments": arguments}) + "\n")
            stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def answer(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout
        line = stdout.readline()
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise BenchmarkError(answer["error"])
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _ended(self) -> BenchmarkError:
        return BenchmarkError(f"The driver has ended with {self._process.wait()}:\n{tail(self._log)}")


class Site:
    """A Django project with one queue."""

    def __init__(self, peer: Peer, server: Server, name: str, folder: Path) -> None:
        self.peer = peer
        self.server = server
        self.name = name
        self.marks = folder / f"{name}.marks"
        self.log = folder / f"{name}.log"
        self.filled = False
        self.log.touch()
        self.url = server.create(name)
        self.driver = Driver({**ProcessGroup.inherited(), **self.environment}, self.log)
        try:
            self.driver.ask("migrate")
        except BenchmarkError:
            self.close()
            raise

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(TOP),
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings",
            "BENCH_PEER": self.peer.name,
            "BENCH_DATABASE_URL": self.url,
            marks.VARIABLE: str(self.marks),
            **self.peer.environment(),
        }

    def close(self) -> None:
        self.driver.close()
        self.server.drop(self.name)

    def configure(self, **settings: Any) -> None:
        """Give the database settings of its own, which hold for connections that are opened from now on."""
        self.server.configure(self.name, settings)

    def empty(self) -> None:
        """Leave no job, no result, no mark."""
        self.driver.ask("clear")
        self.marks.unlink(missing_ok=True)

    def enqueue(self, jobs: int) -> None:
        """Enqueue as fast as the peer can."""
        self.driver.ask("enqueue_bulk" if self.peer.has_bulk else "enqueue", jobs)

    def fill(self, what: str, rows: int) -> None:
        """Put rows beside which is measured, once."""
        if not self.filled:
            self.driver.ask("fill", what, rows)
            self.filled = True

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[ProcessGroup]:
        """Run the peer's workers."""
        commands = [[*command, *arguments] for command in self.peer.worker_commands()]
        worker = ProcessGroup(commands, self.environment, self.log)
        try:
            yield worker
        finally:
            worker.stop()

    def wait_for_marks(self, count: int, worker: ProcessGroup) -> None:
        """Return when `count` jobs have run. Raise BenchmarkError if a minute brings none."""
        seen, idle, checked = 0, 0.0, 0.0
        looked = time.monotonic()
        while (now := marks.count(self.marks)) < count:
            time.sleep(LOOK)
            # As much as a look takes, so that a freeze is not taken for a stall.
            elapsed = min(time.monotonic() - looked, LONGEST_LOOK)
            looked = time.monotonic()
            idle = idle + elapsed if now == seen else 0.0
            checked += elapsed
            seen = now
            if idle > STALLED:
                raise BenchmarkError(f"After {seen} of {count} jobs none ran for {STALLED} s:\n{tail(self.log)}")
            if checked > SECONDS_BETWEEN_CHECKS:
                worker.check()
                checked = 0.0

    def wait_until_stored(self, jobs: int) -> None:
        """Return when the results of so many jobs are stored, at once where the peer stores none."""
        deadline = time.monotonic() + STALLED
        while (stored := self.driver.ask("stored")["value"]) is not None and stored < jobs:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{jobs} jobs have run, but after {STALLED} s only {stored} results are stored.")
            time.sleep(LONGEST_LOOK)
