"""The parent's view of its children."""

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field

from ...brokers.values import ClaimedJob
from ...lifecycle import Ending
from ..wire.begun import BegunMark
from ..wire.channels import FrameBuffer
from ..wire.frames import Limit, LogNote, ProgressNote
from ..wire.tokens import TokenPipe
from .backlog import Backlog, Traffic
from .base import AHEAD, Logged, Lost, Reported, Slot
from .exits import TIMED_OUT, UNCANCELLED, Kill

__all__ = ["Assigned", "CancelledRun", "Child"]

# The most jobs that a child holds: their tokens fit into the smallest pipe.
MOST_HELD = 500
# Seconds: a job that has run for longer is known to have begun, and is lost with its worker.
SHORT = 0.01
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


@dataclass(frozen=True, slots=True)
class CancelledRun:
    """A job that was asked to stop. kill_at: monotonic seconds."""

    seq: int
    kill_at: float


@dataclass(slots=True)
class Child(Slot):
    """The parent's view of a child.

    max_tasks: how many jobs it runs before it is replaced; None means no limit. traffic: of all children together.
    """

    number: int
    channel: FrameBuffer
    tokens: TokenPipe
    # The numbers of the jobs that are to be cancelled.
    cancels: TokenPipe
    max_tasks: int | None = None
    traffic: Traffic = field(default_factory=Traffic)
    begun: BegunMark = field(default_factory=BegunMark.create)
    pid: int | None = None
    ready: bool = False
    # In the order in which the child takes them: the first one is running.
    assigned: dict[int, Assigned] = field(default_factory=dict)
    backlog: Backlog = field(default_factory=Backlog)
    # Bytes of frames that it still has to read although their jobs were taken back, the last with this number.
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
    def is_congested(self) -> bool:
        return self.channel.has_output or self.traffic.is_wasteful()

    @property
    def unread(self) -> int:
        running = self.running
        return self.backlog.size + self.stale - (running.size if running is not None else 0)

    def room(self) -> int:
        room, held = MOST_HELD, self.backlog.count
        if self.max_tasks:
            room = min(room, self.max_tasks - self.runs)
        return room - held

    def retire_if_due(self) -> None:
        """Take no more jobs after max_tasks; exit if that is so, and none is left."""
        if self.max_tasks and self.runs + self.backlog.count >= self.max_tasks:
            self.retiring = True
        if self.retiring and not self.assigned:
            self.tokens.stop()

    def flush(self) -> None:
        """Write as much as its socket and its pipes accept."""
        self.channel.flush()
        self.tokens.flush()
        self.cancels.flush()

    def descriptors(self) -> Iterator[tuple[int, bool]]:
        """Yield the descriptors to wait for, and whether for writing too."""
        if not self.channel.is_at_end:
            yield self.channel.channel.fileno(), self.channel.has_output
        for pipe in (self.tokens, self.cancels):
            if pipe.has_output and pipe.writer is not None:
                yield pipe.writer, True

    def add(self, handed: Sequence[Assigned]) -> None:
        """Hold these jobs too."""
        size = 0
        for assigned in handed:
            self.assigned[assigned.seq] = assigned
            size += assigned.size
        self.backlog.add([assigned.job.task_path for assigned in handed], size)

    def remove(self, seq: int) -> Assigned:
        """Hold this job no longer, and return it."""
        assigned = self.assigned.pop(seq)
        self.backlog.remove((assigned.job.task_path,), assigned.size)
        return assigned

    def holds_any(self, job_ids: Set[str]) -> bool:
        """Return whether it holds one of these jobs."""
        return any(assigned.job.id in job_ids for assigned in self.assigned.values())

    def cancel(self, job_ids: Set[str], kill_at: float) -> bool:
        """Tell it to interrupt what it has begun, if that is one of these jobs; return whether it was told.

        kill_at: when to kill it if the job has not ended, in monotonic seconds.
        """
        # Those before the last one have ended: their outcomes are on their way.
        last = next(reversed(self.assigned.values()), None)
        if last is None or last.job.id not in job_ids or last.is_news or self.cancelled is not None:
            return False
        self.cancelled = CancelledRun(last.seq, kill_at)
        # The child reads from the pipe which job is meant, however late the signal comes.
        self.cancels.put([last.seq])
        return True

    def forget(self) -> None:
        """Forget what the child has."""
        self.assigned.clear()
        self.backlog.clear()
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

    def take_waiting(self) -> list[ClaimedJob]:
        """Return the jobs that it certainly has not begun, because it may not yet."""
        waiting = [assigned.seq for assigned in self.assigned.values() if assigned.has_asked and not assigned.is_noted]
        return [self.remove(seq).job for seq in waiting]

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

    @property
    def began_at(self) -> float:
        """When the running job got the child, in monotonic seconds; infinity if there is none."""
        running = self.running
        if running is None:
            return math.inf
        # A job with a limit has reported when it began.
        return self.limit.started_at if self.limit else max(running.sent_at, self.last_event_at)

    def busy_for(self, now: float) -> float:
        return now - self.began_at if self.assigned else 0.0

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
