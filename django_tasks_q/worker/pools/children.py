"""The parent's view of its children."""

from collections import Counter
from dataclasses import dataclass, field

from ...brokers.values import ClaimedJob
from .wire import FrameBuffer, Limit, TokenPipe

__all__ = ["Assigned", "Child"]


@dataclass(slots=True)
class Assigned:
    """A job in a child's hands. sent_at: monotonic seconds. is_news: it has ended, and is only to be announced."""

    seq: int
    job: ClaimedJob
    sent_at: float
    is_news: bool = False


@dataclass(slots=True)
class Child:
    """The parent's view of a child."""

    number: int
    channel: FrameBuffer
    tokens: TokenPipe
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

    @property
    def running(self) -> Assigned | None:
        return next(iter(self.assigned.values()), None)

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

    def busy_for(self, now: float) -> float:
        """Return the seconds for which the running job has had the child, 0 where there is none."""
        running = self.running
        return now - max(running.sent_at, self.last_event_at) if running else 0.0

    def hang_up(self) -> None:
        self.tokens.close()
        self.channel.channel.close()
