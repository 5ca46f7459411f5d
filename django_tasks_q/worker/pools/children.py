"""The parent's view of its children."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...brokers.values import ClaimedJob
from .base import Logged, Lost, Reported, Stopped
from .channels import FrameBuffer
from .exits import STOPPED, TIMED_OUT, TOO_LARGE, UNCANCELLED
from .tokens import TokenPipe
from .wire import Limit, LogNote, ProgressNote

__all__ = ["Assigned", "CancelledRun", "Child"]


@dataclass(slots=True)
class Assigned:
    """A job in a child's hands.

    sent_at: monotonic seconds. news: its error, where it has ended and that is only to be announced.
    """

    seq: int
    job: ClaimedJob
    sent_at: float
    news: str | None = None

    @property
    def is_news(self) -> bool:
        return self.news is not None


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
    pid: int | None = None
    ready: bool = False
    # In the order in which the child takes them: the first one is running.
    assigned: dict[int, Assigned] = field(default_factory=dict)
    # How many of them there are of each task.
    tasks: Counter[str] = field(default_factory=Counter)
    limit: Limit | None = None
    runs: int = 0
    last_event_at: float = 0.0
    retiring: bool = False
    killed_for: str = ""
    exceeded: Limit | None = None
    cancelled: CancelledRun | None = None

    @property
    def running(self) -> Assigned | None:
        return next(iter(self.assigned.values()), None)

    @property
    def takes_jobs(self) -> bool:
        # Whose job is being cancelled may be killed at any moment: no other job is to be lost with it.
        return self.ready and not self.retiring and self.cancelled is None

    def add(self, assigned: Assigned) -> None:
        self.assigned[assigned.seq] = assigned
        self.tasks[assigned.job.task_path] += 1

    def remove(self, seq: int) -> Assigned:
        assigned = self.assigned.pop(seq)
        path = assigned.job.task_path
        self.tasks[path] -= 1
        if not self.tasks[path]:
            del self.tasks[path]
        return assigned

    def forget(self) -> None:
        """Know nothing any more of what the child has."""
        self.assigned.clear()
        self.tasks.clear()
        self.limit = self.cancelled = None

    def heard(self, note: ProgressNote | LogNote) -> Iterator[Reported | Logged]:
        """Yield what a job says of itself, where it is the one that runs here."""
        running = self.running
        if running is not None and running.seq == note.seq and not running.is_news:
            yield Reported(running.job, note.text) if isinstance(note, ProgressNote) else Logged(running.job, note)

    def end(self, seq: int) -> Assigned:
        """Take a job out that has run to its end."""
        self.runs += 1
        self.limit = None
        if self.cancelled is not None and self.cancelled.seq == seq:
            self.cancelled = None
        return self.remove(seq)

    def busy_for(self, now: float) -> float:
        """Return the seconds for which the running job has had the child, 0 where there is none."""
        running = self.running
        if running is None:
            return 0.0
        # A job that has a limit has said when it began.
        began_at = self.limit.started_at if self.limit else max(running.sent_at, self.last_event_at)
        return now - began_at

    @property
    def kill_at(self) -> float:
        """The monotonic moment at which the child is to be killed for what it runs; infinity where there is none."""
        if self.killed_for:
            return math.inf
        limit = math.inf if self.limit is None else self.limit.started_at + self.limit.timeout
        return limit if self.cancelled is None else min(limit, self.cancelled.kill_at)

    def overrun(self, now: float) -> str:
        """Note which limit of what it runs is over, and say it in words."""
        if self.limit is None or self.limit.started_at + self.limit.timeout > now:
            return UNCANCELLED
        self.exceeded = self.limit
        return TIMED_OUT

    def end_of(self, assigned: Assigned, cause: str, seconds: float) -> Lost | Stopped:
        """Say how a job has ended together with this child. cause: why the child has. seconds: how long it ran."""
        if self.killed_for == STOPPED:
            return Stopped(assigned.job)
        # The job that was over its limit may have ended in the meantime; the next one was not.
        limit = self.exceeded if self.exceeded and self.exceeded.seq == assigned.seq else None
        memory, cancelled = self.killed_for.startswith(TOO_LARGE), self.killed_for == UNCANCELLED
        return Lost(assigned.job, cause, seconds, limit=limit, memory=memory, cancelled=cancelled)

    def hang_up(self) -> None:
        self.tokens.close()
        self.cancels.close()
        self.channel.channel.close()
