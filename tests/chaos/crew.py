"""The workers and producers of a run, and who replaces the dead among them."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ..benchmarks.processes import TOP, ProcessGroup, trees
from ..waiting import wait_for
from . import meters
from .excuses import EVERYBODY, Ended, Excuses
from .kinds import NOBODY, WORKER
from .liveness import Stop

__all__ = ["Crew", "Place", "Producers", "base_environment", "descendants", "send"]

MARK = "CHAOS_RUN"
# A deploy lets running jobs finish for so long (s), some of which take longer.
SHUTDOWN_TIMEOUT = 1.5
LONGEST_END = 60.0
# Between two looks at who has ended.
LATE = 1.0
# From when on one is killed that was asked to end, so that the run goes on.
LONGEST_LEAVING = 45.0
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
    concurrency: int = 2
    # When it was asked to end.
    asked_at: float = 0.0

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
        """Return whether it has ever been ready."""
        said = self.worker.log.read_text(errors="replace").splitlines() if self.worker else []
        return any(f"Worker {self.name}-" in line and "is ready" in line for line in said)

    def ask_to_leave(self, **once: str) -> None:
        """once: the environment of the next one."""
        self.leaving, self.once = True, once
        # A second one would say: now.
        if self.is_alive and not self.asked_at:
            self.asked_at = time.time()
            send([psutil.Process(self.pid)], signal.SIGTERM)

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
        self.excuses = Excuses()
        # Whether workers count what they send.
        self.is_metered = False
        self.stops: list[Stop] = []
        self._looked_at = 0.0

    def replace_the_dead(self) -> None:
        now = time.time()
        if self._looked_at and now - self._looked_at > LATE:
            # We may have seen late that one has ended.
            why = "nobody looked who has ended"
            self.excuses.note(EVERYBODY, why, now - self._looked_at, what={"stop"}, since=self._looked_at)
        self._looked_at = now
        for place in self.places:
            if not place.is_alive:
                self._bury(place)
                self._start(place)
            elif place.asked_at and time.time() - place.asked_at > LONGEST_LEAVING:
                self._give_up(place)

    def _give_up(self, place: Place) -> None:
        """Kill one that does not end, so that the run goes on."""
        self.tell("does not end", f"{place.name}, {LONGEST_LEAVING:.0f} s after SIGTERM")
        self._note_stop(place, None)
        place.doomed = True
        self.excuses.gone(place.name, "given up")
        send(place.family(), signal.SIGKILL)

    def _note_stop(self, place: Place, ended: float | None) -> None:
        if place.asked_at:
            self.stops.append(
                Stop(worker=place.name, at=place.asked_at, ended=ended, until=time.time(), allowed=SHUTDOWN_TIMEOUT)
            )
        place.asked_at = 0.0

    def _bury(self, place: Place) -> None:
        if place.worker is None:
            return
        (code,) = place.worker.exit_codes()
        if not place.doomed:
            self._note_stop(place, time.time())
            # Where it could not reach the database, its jobs wait for their rescue.
            if code:
                self.excuses.gone(place.name, f"ended with {code}")
        allowed = self.allowed if place.has_come_up() else LEAVING
        if not place.doomed and not (place.leaving and code in allowed):
            self.tell("ended by itself", f"{place.name} with exit code {code}, see {place.worker.log.name}")

    def _start(self, place: Place) -> None:
        place.generation += 1
        place.doomed = place.leaving = False
        place.asked_at = 0.0
        given, place.once = place.once, {}
        place.is_ignorant = bool(given)
        command = [*place.prefix, sys.executable, "-m", "django", "taskworker", "--name", place.name]
        command += ["--concurrency", str(place.concurrency), "--shutdown-timeout", str(SHUTDOWN_TIMEOUT)]
        command += ["--exclude-queues", NOBODY]
        metered = meters.environment(self.logs, place.name) if self.is_metered else {}
        environment = {**self.environment, **place.environment, **metered, **given, WORKER: place.name}
        place.worker = ProcessGroup([command], environment, self.logs / f"worker-{place.number}.log")
        self.started += 1

    def heal(self) -> None:
        """Let no worker stay that was deployed before its time."""
        for place in self.places:
            place.once = {}
            if place.is_ignorant and place.is_alive:
                self.dismiss(place)

    def dismiss(self, place: Place, **once: str) -> None:
        """Ask one to end, and forgive it what it stops. once: the environment of the next one."""
        place.ask_to_leave(**once)
        self.excuses.ended.append(Ended(place.name, time.time()))

    def stop(self) -> None:
        """Ask all to end, and say so where one does not, or leaves something behind."""
        self.allowed = frozenset({0})
        for place in self.places:
            if place.is_alive:
                send([psutil.Process(place.pid)], signal.SIGCONT)
                place.ask_to_leave()
        for place in self._ending():
            self._bury(place)
        try:
            wait_for(lambda: not self.left(), "the last processes to end", timeout=LONGEST_END / 2)
        except AssertionError:
            self.tell("left behind", ", ".join(map(str, self.left())))
        self.destroy()

    def _ending(self) -> Iterator[Place]:
        """Yield each when it has ended, and say so of those that do not."""
        left = [*self.places]
        deadline = time.monotonic() + LONGEST_END
        while left and time.monotonic() < deadline:
            for place in [place for place in left if not place.is_alive]:
                left.remove(place)
                yield place
            time.sleep(0.02)
        for place in left:
            self._note_stop(place, None)
            self.tell("does not end", f"{place.name}, {LONGEST_END:.0f} s after SIGTERM")

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

    def __init__(self, environments: Sequence[dict[str, str]], logs: Path, seed: int, **options: float | str) -> None:
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


def descendants(process: psutil.Process) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in process.children(recursive=True)]
    return []


def send(processes: Iterable[psutil.Process], *numbers: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            for number in numbers:
                process.send_signal(number)
