"""The mixed loads of a run, the monitor of its workers, and what they come to."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from ..benchmarks.processes import ProcessGroup
from ..benchmarks.quantiles import percentile
from .crew import Crew
from .excuses import Excuses
from .history import History
from .kinds import PIPES, RECEIVERS, SLOW_RECEIVER, STREAMS
from .liveness import Probe, Seen, Trouble, ages, judge, waits
from .loads import BURSTS, Ground
from .meters import read_meters
from .monitor import ENOUGH
from .sights import read_locks, read_monitor

__all__ = ["Mixture"]

# Children of the workers, in turn, in one run or another: few, so that each is handed much, and many at once.
CONCURRENCIES = ((1, 1, 1, 2), (1, 1, 2, 4), (2, 2, 2, 2), (1, 1, 1, 8))
# Bytes: a page, the least that there is.
SMALL_PIPE = "4096"
# Of a run's time: when bursts begin at the earliest, and at the latest.
EARLIEST, LATEST = 0.05, 0.75
# Seconds in which a burst comes to its end when all is over.
LONGEST_BURST = 90.0
# Seconds after which no probe comes any more.
LAST_PROBE = 3.0


class Mixture:
    """loads: names of LOADS. Bursts begin at moments that the seed tells."""

    def __init__(self, loads: Sequence[str], ground: Ground, seed: int, logs: Path) -> None:
        self.loads = loads
        self.ground = ground
        self.logs = logs
        self.begun: Counter[str] = Counter()
        self._rng = Random(f"{seed} loads")
        self._due = sorted(self._moments(self._rng))
        self._began = time.monotonic()
        self._threads: list[threading.Thread] = []
        self._monitor: ProcessGroup | None = None

    def _moments(self, rng: Random) -> Iterator[tuple[float, str]]:
        seconds = self.ground.seconds
        for name in self.loads:
            if burst := BURSTS.get(name):
                times = max(1, round(seconds / burst.often)) if burst.often else 1
                for _ in range(times):
                    yield (seconds * rng.uniform(EARLIEST, LATEST) if burst.often else 0.0), name

    @property
    def streams(self) -> list[str]:
        """What the producers mix in."""
        return [name for name in self.loads if name in STREAMS]

    @property
    def journals(self) -> list[Path]:
        return [self.logs / "probes.jsonl"]

    def furnish(self, crew: Crew) -> None:
        """Let the workers count what they send; give them children, and some slow receivers and small pipes."""
        crew.is_metered = True
        children = self._rng.choice(CONCURRENCIES)
        self.ground.tell("children", ", ".join(map(str, children)))
        for place in crew.places:
            place.concurrency = children[place.number % len(children)]
            if RECEIVERS in self.loads and not place.number % 2:
                place.environment = {**place.environment, SLOW_RECEIVER: "1"}
            if PIPES in self.loads and place.number % 4 > 1:
                place.environment = {**place.environment, "CHAOS_PIPES": SMALL_PIPE}

    def start(self, environment: dict[str, str]) -> None:
        for path in (*self.journals, self.logs / "monitor.jsonl"):
            path.touch()
        command = [sys.executable, "-m", "django", "chaos_monitor", str(self.logs)]
        self._monitor = ProcessGroup([command], environment, self.logs / "monitor.log")
        self._began = time.monotonic()

    def turn(self) -> None:
        """Begin what is due."""
        while self._due and self._due[0][0] <= time.monotonic() - self._began:
            _, name = self._due.pop(0)
            self.begun[name] += 1
            BURSTS[name].begin(self.ground)
            thread = threading.Thread(target=BURSTS[name].run, args=[self.ground, name], daemon=True)
            self._threads.append(thread)
            thread.start()

    def finish(self) -> None:
        """End the transactions that are held, and wait for what is being enqueued."""
        self.ground.is_over.set()
        deadline = time.monotonic() + LONGEST_BURST
        while any(thread.is_alive() for thread in self._threads):
            if time.monotonic() > deadline:
                self.ground.tell("missed", "a burst does not end")
                return
            self.ground.crew.replace_the_dead()
            time.sleep(0.05)

    def enough(self) -> bool:
        """Enqueue no more probes; return whether the last one is there for some seconds."""
        path = self.logs / ENOUGH
        if not path.exists():
            path.touch()
        return time.time() - path.stat().st_mtime > LAST_PROBE

    def close(self) -> None:
        if self._monitor:
            self._monitor.stop()

    # What has come of it.

    def complete(self, history: History) -> None:
        """Tell the history what the bursts have meant."""
        history.calls |= self.ground.calls
        history.swarms = self.ground.swarms
        history.cancelled = self.ground.cancelled

    def judge(self, history: History, seen: Seen) -> tuple[list[Trouble], dict[str, Any]]:
        """Return what is wrong, and the figures."""
        seen.until = time.time()
        looks = read_monitor(self.logs / "monitor.jsonl", seen, self.ground.excuses)
        read_locks(self.logs / "probes.jsonl", self.ground.excuses)
        seen.sent = list(read_meters(self.logs))
        seen.children = {f"w{place.number}": place.concurrency for place in self.ground.crew.places}
        seen.probes = list(self._probes(history))
        return judge(seen, self.ground.excuses), looks | figures(seen, self.ground.excuses)

    @staticmethod
    def _probes(history: History) -> Iterator[Probe]:
        began: dict[str, float] = {}
        for run in history.runs:
            began[run.key] = min(run.at, began.get(run.key, run.at))
        for key, call in history.calls.items():
            if call.task == "probe" and call.fate == "committed":
                yield Probe(key=key, at=call.at, began=began.get(key))


def figures(seen: Seen, excuses: Excuses) -> dict[str, Any]:
    """Return what the monitor saw at its worst. "without excuses": what is left without the times that are excused."""
    stops = [stop.ended - stop.at for stop in seen.stops if stop.ended]
    begun = [probe.began - probe.at for probe in seen.probes if probe.began]
    marked, distinct = sum(sent.marked for sent in seen.sent), sum(sent.distinct for sent in seen.sent)
    found: dict[str, Any] = {
        "oldest heartbeat, s": _most(beat.age for beat in seen.beats),
        "- without excuses": _most(age for age, _ in ages(seen, excuses)),
        "largest supervisor, MB": _megabytes(memory.size for memory in seen.memories if memory.children),
        "largest child, MB": _megabytes(memory.size for memory in seen.memories if not memory.children),
        "sent over sockets, MB": _megabytes([sum(sent.total for sent in seen.sent)]),
        "large texts sent / needed": round(marked / distinct, 2) if distinct else "none",
        "probes": len(seen.probes),
    }
    for percent in (50, 99, 100):
        found[f"- p{percent}, s"] = round(percentile(begun, percent), 3) if begun else "none"
    found["- longest without excuses, s"] = _most(seconds for seconds, _ in waits(seen, excuses))
    found["SIGTERM to the end, longest, s"] = _most(stops)
    found["taken for dead"] = len(seen.lost)
    return found


def _most(seconds: Any) -> float:
    return round(max(seconds, default=0.0), 2)


def _megabytes(sizes: Any) -> float:
    return round(max(sizes, default=0) / (1 << 20), 1)
