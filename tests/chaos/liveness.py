"""Proves from what a monitor saw that the workers lived all the time, or says when and where they did not.

A rule yields what breaks it. Seconds in which a worker was kept from it, or the monitor itself, do not count.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from .excuses import Excuses
from .meters import Sent

__all__ = ["Beat", "Lost", "Memory", "Probe", "Seen", "Stall", "Stop", "Trouble", "judge"]

# Seconds: the age of a heartbeat, an end after SIGTERM beside what running jobs may take, the start of a probe, and
# a time in which no job ends.
OLDEST_BEAT, LONGEST_STOP, LONGEST_PROBE, LONGEST_STALL = 5.0, 5.0, 5.0, 30.0
# And for which one worker has jobs and ends none, though none takes more than three.
LONGEST_JOB = 10.0
# Bytes: of a supervisor with so many children, and for each more; by how much a child may grow.
SUPERVISOR, FOR_CHILDREN, FOR_EACH, GROWTH = 200 << 20, 4, 20 << 20, 48 << 20
# How often a text may be sent on average; and bytes for each child, which it may have had unread when it was killed or
# lost its work.
MOST_SENT, UNREAD = 1.5, 1_300_000
# Seconds: a worker that is away for so much less than it is borne was not given up for its silence.
SHORT = 1.0
YOUNG = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """worker: its id. age: seconds since its last heartbeat, on the database's clock, at a moment on the monitor's.

    running, finished: jobs, as the worker told with it.
    """

    worker: str
    at: float
    age: float
    running: int = 0
    finished: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of a process: bytes. For a supervisor the most that there has been. children: that it may have; 0 in a child."""

    worker: str
    pid: int
    at: float
    size: int
    children: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """began: None if it never has."""

    key: str
    at: float
    began: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A worker was asked to end. allowed: seconds that its running jobs have. ended: None if it has not, until."""

    worker: str
    at: float
    ended: float | None
    until: float
    allowed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A worker was presumed dead. beat: its last heartbeat."""

    worker: str
    beat: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """From `at` until then no job has ended, though some were left and no new ones came."""

    at: float
    until: float
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A rule that was broken. worker: empty where it is nobody's in particular."""

    kind: str
    worker: str
    at: float
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.worker or 'all'}: {self.text} (at {self.at:.1f})"


@dataclass(slots=True, kw_only=True)
class Seen:
    """Everything that is judged. children: how many a worker has, by its place. rescue_after: the option, seconds."""

    beats: list[Beat] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)
    children: dict[str, int] = field(default_factory=dict)
    rescue_after: float = 15.0
    until: float = 0.0


def judge(seen: Seen, excuses: Excuses) -> list[Trouble]:
    """Return what is wrong, in the order of time."""
    found = [trouble for rule in RULES for trouble in rule(seen, excuses)]
    return sorted(found, key=lambda trouble: trouble.at)


def name_of(worker: str) -> str:
    """Return the name of the worker with this id."""
    return worker.rpartition("-")[0] or worker


def late_by(what: str, worker: str, since: float, until: float, excuses: Excuses) -> float:
    """Return the seconds between two moments for which there is no excuse."""
    return until - since - excuses.covered(what, worker, since, until)


def ages(seen: Seen, excuses: Excuses) -> Iterator[tuple[float, Beat]]:
    """Yield the heartbeats that are old enough to matter, each with the part of its age that is not excused."""
    for beat in seen.beats:
        if beat.age > 1.0:
            yield late_by("beat", name_of(beat.worker), beat.at - beat.age, beat.at, excuses), beat


def _heartbeats_are_young(seen: Seen, excuses: Excuses) -> Iterator[Trouble]:
    worst: dict[str, tuple[float, Beat]] = {}
    for age, beat in ages(seen, excuses):
        if age > OLDEST_BEAT and age > worst.get(beat.worker, (0.0, beat))[0]:
            worst[beat.worker] = age, beat
    for age, beat in worst.values():
        text = f"its heartbeat was {beat.age:.1f} s old, {age:.1f} s of it without an excuse"
        yield Trouble(kind="heartbeat", worker=beat.worker, at=beat.at, text=text)


def _workers_go_on(seen: Seen, excuses: Excuses) -> Iterator[Trouble]:
    """One job that cannot be recorded, say, does not keep a worker from all the others."""
    since: dict[str, Beat] = {}
    worst: dict[str, tuple[float, Beat]] = {}
    for beat in seen.beats:
        first = since.setdefault(beat.worker, beat)
        if not beat.running or beat.finished != first.finished:
            since[beat.worker] = beat
            continue
        seconds = late_by("hands", name_of(beat.worker), first.at, beat.at, excuses)
        if seconds > LONGEST_JOB and seconds > worst.get(beat.worker, (0.0, beat))[0]:
            worst[beat.worker] = seconds, beat
    for seconds, beat in worst.values():
        text = f"it had {beat.running} jobs, and ended none for {seconds:.1f} s without an excuse"
        yield Trouble(kind="idle hands", worker=beat.worker, at=beat.at, text=text)


def _stops_are_obeyed(seen: Seen, excuses: Excuses) -> Iterator[Trouble]:
    for stop in seen.stops:
        seconds = late_by("stop", stop.worker, stop.at, stop.ended or stop.until, excuses)
        if seconds > LONGEST_STOP + stop.allowed:
            text = f"SIGTERM was obeyed after {seconds:.1f} s" if stop.ended else f"not for {seconds:.1f} s and never"
            yield Trouble(kind="SIGTERM", worker=stop.worker, at=stop.at, text=text)


def _memory_is_bounded(seen: Seen, excuses: Excuses) -> Iterator[Trouble]:
    by_process: defaultdict[tuple[str, int], list[Memory]] = defaultdict(list)
    for memory in seen.memories:
        by_process[memory.worker, memory.pid].append(memory)
    for (worker, pid), memories in by_process.items():
        largest = max(memories, key=lambda memory: memory.size)
        most = SUPERVISOR + FOR_EACH * max(0, largest.children - FOR_CHILDREN)
        if largest.children and largest.size > most:
            text = f"its supervisor had {largest.size >> 20} MB of memory, and may have {most >> 20}"
            yield Trouble(kind="memory", worker=worker, at=largest.at, text=text)
        if not largest.children and (growth := _growth(memories)) > GROWTH:
            text = f"its child {pid} has grown by {growth >> 20} MB to {largest.size >> 20} MB"
            yield Trouble(kind="memory of a child", worker=worker, at=largest.at, text=text)


def _growth(memories: Sequence[Memory]) -> int:
    """Return by how many bytes more it has in the last third of its life than in the second one.

    The first third is not looked at: a child has to see each kind of job, and the largest payload, once.
    """
    if memories[-1].at - memories[0].at < 3 * YOUNG:
        return 0
    third = len(memories) // 3
    sizes = [memory.size for memory in memories]
    return int(median(sizes[-third:]) - median(sizes[third : 2 * third]))


def _little_is_sent_twice(seen: Seen, excuses: Excuses) -> Iterator[Trouble]:
    lives = _lives(seen)
    for sent in seen.sent:
        ends = sum(ended.worker == sent.worker for ended in excuses.ended)
        # What ran while the database was away is tried again.
        ends += len(excuses.touches("beat", sent.worker, *lives.get(sent.worker, (0.0, 0.0))))
        unread = UNREAD * (1 + ends) * seen.children.get(sent.worker.partition(".")[0], 2)
        if sent.marked > MOST_SENT * sent.distinct + unread:
            text = f"{sent.marked:,} bytes of large texts were sent to children, and {sent.distinct:,} were needed"
            yield Trouble(kind="sent", worker=sent.worker, at=seen.until, text=text)


def _lives(seen: Seen) -> dict[str, tuple[float, float]]:
    """Return for the name of each worker when it was first seen, and when last."""
    lives: dict[str, tuple[float, float]] = {}
    for beat in seen.beats:
        first, _ = lives.get(name_of(beat.worker), (beat.at, beat.at))
        lives[name_of(beat.worker)] = first, beat.at
    return lives


def _nobody_is_taken_for_dead(seen: Seen, excuses: Excuses) -> Iterator[Trouble]:
    for lost in seen.lost:
        name = name_of(lost.worker)
        silent = late_by("lost", name, lost.beat, lost.at, excuses)
        reasons = excuses.touches("lost", name, lost.beat - SHORT, lost.at + SHORT)
        if silent > seen.rescue_after - SHORT or not reasons:
            text = f"taken for dead {lost.at - lost.beat:.1f} s after a heartbeat, {silent:.1f} s without an excuse"
            yield Trouble(kind="taken for dead", worker=lost.worker, at=lost.at, text=text)


def waits(seen: Seen, excuses: Excuses) -> Iterator[tuple[float, Probe]]:
    """Yield for each probe the seconds until it began that are not excused."""
    for probe in seen.probes:
        yield late_by("probe", "", probe.at, probe.began or seen.until, excuses), probe


def _probes_begin_soon(seen: Seen, excuses: Excuses) -> Iterator[Trouble]:
    late = [(seconds, probe) for seconds, probe in waits(seen, excuses) if seconds > LONGEST_PROBE]
    if late:
        seconds, probe = max(late, key=lambda each: each[0])
        text = f"{len(late)} probes were late; {probe.key} began after {seconds:.1f} s without an excuse"
        yield Trouble(kind="probe", worker="", at=probe.at, text=text)


def _nothing_stands_still(seen: Seen, excuses: Excuses) -> Iterator[Trouble]:
    for stall in seen.stalls:
        if (seconds := late_by("still", "", stall.at, stall.until, excuses)) > LONGEST_STALL:
            text = f"for {seconds:.1f} s none of {stall.jobs:,} jobs has ended"
            yield Trouble(kind="standstill", worker="", at=stall.at, text=text)


RULES: list[Callable[[Seen, Excuses], Iterator[Trouble]]] = [
    _heartbeats_are_young, _workers_go_on, _stops_are_obeyed, _memory_is_bounded, _little_is_sent_twice,
    _nobody_is_taken_for_dead, _probes_begin_soon, _nothing_stands_still,
]  # fmt: skip
