"""The workers and producers of a run, and who replaces the dead among them."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ..benchmarks.processes import TOP, ProcessGroup, trees
from ..waiting import wait_for
from .kinds import WORKER

__all__ = ["Crew", "Place", "Producers", "base_environment", "send"]

MARK = "CHAOS_RUN"
# A deploy lets running jobs finish for so long (s), some of which take longer.
SHUTDOWN_TIMEOUT = 1.5
LONGEST_END = 60.0
# How a worker may end that was asked to. Before it has come up the signal itself ends it; and where the database is
# away for long it leaves its jobs to the others.
LEAVING = frozenset({0, 1, -signal.SIGTERM})


@dataclass(slots=True)
class Place:
    """A worker's place: when one has died, the next one comes.

    environment: of all that come. prefix: of the command. once: the environment of the next one alone.
    """

    number: int
    environment: dict[str, str]
    prefix: Sequence[str] = ()
    once: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    worker: ProcessGroup | None = None
    # Whether its end was caused by us, and so may be of any kind.
    doomed: bool = False
    leaving: bool = False
    # Whether it lacks a task.
    is_ignorant: bool = False

    @property
    def name(self) -> str:
        return f"w{self.number}.{self.generation}"

    @property
    def pid(self) -> int:
        assert self.worker
        return self.worker.pids[0]

    @property
    def is_alive(self) -> bool:
        return self.worker is not None and self.worker.exit_codes() == [None]

    def has_come_up(self) -> bool:
        """Say whether it has ever been ready."""
        said = self.worker.log.read_text(errors="replace").splitlines() if self.worker else []
        return any(f"Worker {self.name}-" in line and "is ready" in line for line in said)

    def family(self) -> list[psutil.Process]:
        """Return its processes, the supervisor first."""
        return trees([self.pid]) if self.is_alive else []


class Crew:
    """tell: called with a kind and a text where a worker has ended without our doing."""

    def __init__(
        self, places: list[Place], logs: Path, environment: dict[str, str], tell: Callable[[str, str], None]
    ) -> None:
        self.places = places
        self.logs = logs
        self.environment = {**environment, MARK: logs.name}
        self.tell = tell
        self.started = 0
        self.allowed = LEAVING

    def replace_the_dead(self) -> None:
        for place in self.places:
            if not place.is_alive:
                self._bury(place)
                self._start(place)

    def _bury(self, place: Place) -> None:
        if place.worker is None:
            return
        (code,) = place.worker.exit_codes()
        allowed = self.allowed if place.has_come_up() else LEAVING
        if not place.doomed and not (place.leaving and code in allowed):
            self.tell("ended by itself", f"{place.name} with exit code {code}, see {place.worker.log.name}")

    def _start(self, place: Place) -> None:
        place.generation += 1
        place.doomed = place.leaving = False
        given, place.once = place.once, {}
        place.is_ignorant = bool(given)
        command = [*place.prefix, sys.executable, "-m", "django", "taskworker", "--name", place.name]
        command += ["--concurrency", "2", "--shutdown-timeout", str(SHUTDOWN_TIMEOUT)]
        environment = {**self.environment, **place.environment, **given, WORKER: place.name}
        place.worker = ProcessGroup([command], environment, self.logs / f"worker-{place.number}.log")
        self.started += 1

    def heal(self) -> None:
        """Let no worker stay that was deployed before its time."""
        for place in self.places:
            place.once = {}
            if place.is_ignorant and place.is_alive:
                place.leaving = True
                send([psutil.Process(place.pid)], signal.SIGTERM)

    def stop(self) -> None:
        """Ask all to end, and say so where one does not, or leaves something behind."""
        self.allowed = frozenset({0})
        for place in self.places:
            if place.is_alive:
                place.leaving = True
                send([psutil.Process(place.pid)], signal.SIGCONT, signal.SIGTERM)
        for place in self.places:
            try:
                wait_for(lambda place=place: not place.is_alive, f"{place.name} to end", timeout=LONGEST_END)  # type: ignore[misc]
                self._bury(place)
            except AssertionError as error:
                self.tell("does not end", str(error))
        try:
            wait_for(lambda: not self.left(), "the last processes to end", timeout=LONGEST_END / 2)
        except AssertionError:
            self.tell("left behind", ", ".join(map(str, self.left())))
        self.destroy()

    def destroy(self) -> None:
        for place in self.places:
            if place.worker:
                place.worker.stop()
        send(self.left(), signal.SIGKILL)

    def left(self) -> list[psutil.Process]:
        """Return the processes of the workers that are there, whoever their parents are by now."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            found = process.environ()
            return found.get(MARK) == self.logs.name and WORKER in found
        return False


class Producers:
    """Processes that enqueue; each writes a journal."""

    def __init__(self, environments: Sequence[dict[str, str]], logs: Path, seed: int, **options: float) -> None:
        self.journals = [logs / f"producer-{number}.jsonl" for number in range(len(environments))]
        self.groups = []
        for number, environment in enumerate(environments):
            self.journals[number].touch()
            command = [sys.executable, "-m", "django", "chaos_produce", f"p{number}", str(self.journals[number])]
            command += [f"--seed={seed + number}", *(f"--{name}={value}" for name, value in options.items())]
            given = {**environment, MARK: logs.name}
            self.groups.append(ProcessGroup([command], given, logs / f"producer-{number}.log"))

    def running(self) -> bool:
        return any(group.exit_codes() == [None] for group in self.groups)

    def failed(self) -> list[str]:
        return [f"{group.log.name}: exit code {code}" for group in self.groups for code in group.exit_codes() if code]

    def destroy(self) -> None:
        for group in self.groups:
            group.stop()


def base_environment(database: str, options: str, mutation: str = "") -> dict[str, str]:
    """Return what every process of a run is told."""
    return {
        "PYTHONPATH": str(TOP),
        "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
        "CHAOS_DATABASE": database,
        "CHAOS_OPTIONS": options,
        "CHAOS_MUTATION": mutation,
    }


def send(processes: Iterable[psutil.Process], *numbers: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            for number in numbers:
                process.send_signal(number)
