"""The parent's view of its children."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ...brokers.values import ClaimedJob
from ...lifecycle import Ending
from ..wire.begun import BegunMark
from ..wire.channels import FrameBuffer
from ..wire.frames import Limit, LogNote, ProgressNote
from ..wire.tokens import TokenPipe
from .base import Logged, Lost, Reported
from .exits import TIMED_OUT, UNCANCELLED, Kill

__all__ = ["AHEAD", "Assigned", "CancelledRun", "Child", "newly_begun", "seconds_until_begun"]

# Seconds of work for each child, enough to hide the time that the database takes for a round.
AHEAD = 0.1
# The most jobs that a child holds: their tokens fit into the smallest pipe.
MOST_HELD = 500
# Seconds: a job that has run for longer is known to have begun, and is lost with its worker.
SHORT = 0.01
# The most seconds between two looks at a job that is not known to have begun.
LONGEST_LOOK = 1.0
# The weight of the newest measurement of what a job costs.
WEIGHT = 0.5


@dataclass(slots=True)
class Assigned:
    """A job that a child holds.

    sent_at: monotonic seconds. news: its error, if it has already ended and is only to be announced. size: bytes of
    its frame. has_asked: it was displaced, and the child waits until it may begin. is_noted: its start is recorded in
    the database.
    """

    seq: int
    job: ClaimedJob
    sent_at: float
    news: str | None = None
    size: int = 0
    has_asked: bool = False
    is_noted: bool = False
    # Seconds of its run after which to check whether it has begun.
    look_after: float = SHORT

    @property
    def is_news(self) -> bool:
        return self.news is not None

    @property
    def waits_for_leave(self) -> bool:
        """Whether it certainly has not begun, because it may not yet."""
        return self.has_asked and not self.is_noted


@dataclass(frozen=True, slots=True)
class CancelledRun:
    """A job that was asked to stop. kill_at: monotonic seconds."""

    seq: int
    kill_at: float


@dataclass(slots=True)
class Child:
    """The parent's view of a child."""

    number: int
    channel: FrameBuffer
    tokens: TokenPipe
    # The numbers of the jobs that are to be cancelled.
    cancels: TokenPipe
    begun: BegunMark = field(default_factory=BegunMark.create)
    pid: int | None = None
    ready: bool = False
    # In the order in which the child takes them: the first one is running.
    assigned: dict[int, Assigned] = field(default_factory=dict)
    # How many there are of each task.
    tasks: Counter[str] = field(default_factory=Counter)
    # Bytes of their frames; and of frames that it still has to read although their jobs were taken back, the last with
    # this number.
    size: int = 0
    stale: int = 0
    stale_until: int = 0
    # Seconds that a job costs it beyond the run itself, as measured by the parent.
    overhead: float = AHEAD
    limit: Limit | None = None
    runs: int = 0
    last_event_at: float = 0.0
    retiring: bool = False
    killed_for: Kill | None = None
    exceeded: Limit | None = None
    cancelled: CancelledRun | None = None

    @property
    def running(self) -> Assigned | None:
        return next(iter(self.assigned.values()), None)

    @property
    def takes_jobs(self) -> bool:
        # A child with a job that is being cancelled may be killed at any time: no other job should be lost with it.
        return self.ready and not self.retiring and self.cancelled is None and not self.is_alone

    @property
    def is_alone(self) -> bool:
        """Whether it has a job that has to run alone."""
        running = self.running
        return running is not None and bool(running.job.displaced) and not running.is_news

    @property
    def unread(self) -> int:
        """The bytes that it still has to read, except those of the job that it runs."""
        running = self.running
        return self.size + self.stale - (running.size if running is not None else 0)

    def room(self, max_tasks: int | None) -> int:
        """Return how many more jobs it may get now. max_tasks: how many it runs before it is replaced."""
        room = MOST_HELD - len(self.assigned)
        return min(room, max_tasks - self.runs - len(self.assigned)) if max_tasks else room

    def flush(self) -> None:
        """Write as much as its socket and its pipes accept."""
        self.channel.flush()
        self.tokens.flush()
        self.cancels.flush()

    def add(self, assigned: Assigned) -> None:
        self.assigned[assigned.seq] = assigned
        self.size += assigned.size
        self.tasks[assigned.job.task_path] += 1

    def remove(self, seq: int) -> Assigned:
        assigned = self.assigned.pop(seq)
        self.size -= assigned.size
        path = assigned.job.task_path
        self.tasks[path] -= 1
        if not self.tasks[path]:
            del self.tasks[path]
        return assigned

    def forget(self) -> None:
        """Forget what the child has."""
        self.assigned.clear()
        self.tasks.clear()
        self.size = 0
        self.limit = self.cancelled = None

    def take_back(self) -> tuple[list[Assigned], int]:
        """Return the jobs that it has not begun, and will not, and how many of their bytes were sent for nothing."""
        running = self.running
        if running is not None and running.has_asked:
            # The pipe may contain the permission to begin.
            return [], 0
        numbers = self.tokens.take_back()
        unsent = self.channel.drop(set(numbers)) if numbers else set()
        taken = [self.remove(seq) for seq in numbers]
        wasted = sum(assigned.size for assigned in taken if assigned.seq not in unsent)
        if wasted:
            self.stale += wasted
            self.stale_until = max(numbers)
        return taken, wasted

    def measure(self, now: float) -> None:
        """Learn from the runs read what a job costs beyond its run: tracebacks, receivers, sending.

        A child that has run out of work is faster than it seems, by an unknown amount.
        """
        runs = self.channel.runs
        running = self.running if runs else None
        if running is None:
            return
        elapsed = now - max(running.sent_at, self.last_event_at)
        # A clock that was set back makes it look cheaper, for once.
        own = sum([run.finished_at - run.started_at for run in runs])
        each = max(0.0, elapsed - own) / len(runs)
        if len(runs) < len(self.assigned):
            self.overhead += WEIGHT * (each - self.overhead)
        else:
            self.overhead = min(each, self.overhead / 2)

    def heard(self, note: ProgressNote | LogNote) -> Iterator[Reported | Logged]:
        """Yield what a job reports about itself, if it is the one running here."""
        running = self.running
        if running is not None and running.seq == note.seq and not running.is_news:
            yield Reported(running.job, note.text) if isinstance(note, ProgressNote) else Logged(running.job, note)

    def end(self, seq: int) -> Assigned:
        """Remove a job that has run to its end."""
        self.runs += 1
        self.limit = None
        if self.cancelled is not None and self.cancelled.seq == seq:
            self.cancelled = None
        if seq > self.stale_until:
            self.stale = 0
        return self.remove(seq)

    def busy_for(self, now: float) -> float:
        """Return how many seconds the running job has had the child, 0 if there is none."""
        running = self.running
        if running is None:
            return 0.0
        # A job with a limit has reported when it began.
        began_at = self.limit.started_at if self.limit else max(running.sent_at, self.last_event_at)
        return now - began_at

    @property
    def kill_at(self) -> float:
        """The monotonic time at which the child is to be killed because of what it runs; infinity if there is none."""
        if self.killed_for is not None:
            return math.inf
        limit = math.inf if self.limit is None else self.limit.started_at + self.limit.timeout
        return limit if self.cancelled is None else min(limit, self.cancelled.kill_at)

    def overrun(self, now: float) -> Kill:
        """Note which limit of its job is exceeded, and return that."""
        if self.limit is None or self.limit.started_at + self.limit.timeout > now:
            return UNCANCELLED
        self.exceeded = self.limit
        return TIMED_OUT

    def end_of(self, assigned: Assigned, cause: str, seconds: float) -> Lost:
        """Return how a job has ended with this child. cause: why the child ended. seconds: how long the job ran."""
        ending = Ending.LOST if self.killed_for is None else self.killed_for.ending
        limit = None
        if ending is Ending.TIMEOUT:
            # The job that exceeded its limit may have ended in the meantime; the next one has not exceeded any.
            limit = self.exceeded if self.exceeded and self.exceeded.seq == assigned.seq else None
            ending = ending if limit else Ending.LOST
        return Lost(assigned.job, ending, cause, seconds, limit)

    def hang_up(self) -> None:
        self.tokens.close()
        self.cancels.close()
        self.begun.close()
        self.channel.channel.close()


def newly_begun(children: Iterable[Child]) -> list[Assigned]:
    """Return the jobs that have run for a while without a recorded start."""
    now = time.monotonic()
    found = []
    for child, running in _unnoted(children):
        seconds = child.busy_for(now)
        if seconds > running.look_after:
            # Less and less often: it may be about to begin for long, or its row may be locked.
            running.look_after = seconds + min(seconds, LONGEST_LOOK)
            found += [running] if child.begun.number == running.seq else []
    return found


def seconds_until_begun(children: Iterable[Child]) -> float:
    """Return the seconds until newly_begun() may find more; infinity if nothing runs."""
    now = time.monotonic()
    waits = (running.look_after - child.busy_for(now) for child, running in _unnoted(children))
    return min(waits, default=math.inf)


def _unnoted(children: Iterable[Child]) -> Iterator[tuple[Child, Assigned]]:
    for child in children:
        running = child.running
        if running is not None and not (running.is_noted or running.is_news or running.job.displaced):
            yield child, running
