"""What the supervisor needs of a pool and its slots, and the events that a pool reports."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Set
from typing import NamedTuple

from ...brokers.values import ClaimedJob
from ...lifecycle import Ending
from ..wire.frames import Limit, LogNote, Run
from .backlog import Backlog
from .catalog import TaskCatalog

__all__ = [
    "AHEAD",
    "Announced",
    "Asked",
    "Finished",
    "Logged",
    "Lost",
    "Pool",
    "PoolEvent",
    "Reported",
    "Returned",
    "Slot",
]

# Seconds of work for each slot, enough to hide the time that the database takes for a round.
AHEAD = 0.1


class Finished(NamedTuple):
    """A child has run a job. seconds: how long it kept the child busy, as measured by the parent."""

    job: ClaimedJob
    run: Run
    seconds: float = 0.0


class Lost(NamedTuple):
    """The child that ran a job has died, with the cause as text.

    seconds: how long the job had run. limit: its hard time limit, if the child was killed at that.
    """

    job: ClaimedJob
    ending: Ending
    cause: str
    seconds: float
    limit: Limit | None = None


class Announced(NamedTuple):
    """A child has announced the end of a job that ended without a process of its own."""

    job: ClaimedJob


class Returned(NamedTuple):
    """A child that has not begun these jobs will not: it has died, or takes no more."""

    jobs: tuple[ClaimedJob, ...]


class Reported(NamedTuple):
    """A running job has reported its progress, as JSON."""

    job: ClaimedJob
    text: str


class Asked(NamedTuple):
    """A child wants to begin a displaced job, and waits until its start is recorded in the database."""

    job: ClaimedJob


class Logged(NamedTuple):
    """A running job has logged something."""

    job: ClaimedJob
    note: LogNote


PoolEvent = Asked | Logged | Reported | Announced | Finished | Lost | Returned


class Slot(ABC):
    """Runs jobs one at a time: the first that it holds may have begun, the others are held ahead for it.

    number: no other slot of the pool has or had it. backlog: the jobs that it holds; its bytes are those of their
    frames.
    """

    __slots__ = ()
    number: int
    backlog: Backlog

    @property
    @abstractmethod
    def takes_jobs(self) -> bool:
        """Whether it may be handed jobs."""

    @property
    @abstractmethod
    def is_congested(self) -> bool:
        """Whether to hand it nothing ahead: it has yet to read what it was sent, or too much was sent for nothing."""

    @property
    @abstractmethod
    def unread(self) -> int:
        """The bytes that it still has to read, except those of the job that it runs."""

    @abstractmethod
    def room(self) -> int:
        """Return how many more jobs it may be handed now."""

    @abstractmethod
    def busy_for(self, now: float) -> float:
        """Return for how many seconds the first job has had it; 0 if there is none. now: monotonic seconds."""


class Pool(ABC):
    """Runs jobs in its slots, and reports what has become of them.

    One thread calls it, and no call waits: what a child does not accept at once is kept for the next collect().
    catalog: what is known of the project's tasks. draining: whether drain() was called.
    """

    catalog: TaskCatalog
    draining: bool

    # life

    @abstractmethod
    def start(self) -> None:
        """Start the processes, or start them again if needs_start.

        This process must have no open connection and one thread.
        """

    @property
    @abstractmethod
    def needs_start(self) -> bool:
        """Whether what starts the children is gone, and may be started again."""

    @abstractmethod
    def resize(self, size: int) -> list[ClaimedJob]:
        """Have this many slots; return the jobs that the slots which are no longer wanted have not begun.

        No running job is killed: its slot goes when the job has ended. Until then no other slot takes its place, so
        that never more jobs run at a time than before or after.
        """

    @abstractmethod
    def drain(self) -> None:
        """Start no more children, except one for what is to be announced. What runs goes on."""

    @abstractmethod
    def close(self) -> None:
        """Kill what is left."""

    # jobs

    @property
    @abstractmethod
    def slots(self) -> Collection[Slot]:
        """All slots: also those that take no jobs, because they are not ready yet or are to end."""

    @abstractmethod
    def jobs(self) -> Iterator[ClaimedJob]:
        """Yield all jobs that the slots hold."""

    @abstractmethod
    def assign(self, slot: Slot, jobs: Iterable[ClaimedJob]) -> None:
        """Hand jobs to a slot, to run in this order."""

    @abstractmethod
    def take_back(self, slot: Slot) -> list[ClaimedJob]:
        """Return the jobs that a slot has not begun; it will not begin them."""

    @abstractmethod
    def cancel(self, job_ids: Set[str]) -> list[ClaimedJob]:
        """Have SoftCancel raised in those of these jobs that run; one that does not end in time is killed.

        Return what was taken back for that: all jobs that the slots concerned have not begun.
        """

    @abstractmethod
    def newly_begun(self) -> list[ClaimedJob]:
        """Return the jobs that have run for a while without a recorded start."""

    @property
    @abstractmethod
    def begun_due_at(self) -> float:
        """When newly_begun() may find more, in monotonic seconds; infinity if nothing runs."""

    @abstractmethod
    def note_begun(self, job_ids: Set[str]) -> None:
        """Take note that the start of these jobs is recorded; those that have Asked begin now."""

    # announcements

    @abstractmethod
    def announce(self, job: ClaimedJob, error: str) -> None:
        """Have a child send task_finished for a job that FAILED without one. error: as in Job.errors, as JSON."""

    @abstractmethod
    def can_announce(self) -> bool:
        """Return whether more can be taken; jobs that are given up anyway are taken regardless."""

    @property
    @abstractmethod
    def is_announcing(self) -> bool:
        """Whether something is still to be announced, and can be."""

    # events

    @abstractmethod
    def descriptors(self) -> Iterator[tuple[int, bool]]:
        """Yield the descriptors to wait for, and whether for writing too."""

    @abstractmethod
    def collect(self) -> list[PoolEvent]:
        """Return what has happened since the last call, and keep the pool going: call it once a turn."""

    @abstractmethod
    def read(self) -> Iterator[PoolEvent]:
        """Yield what slots with jobs have sent; only collect() returns the other events."""

    @abstractmethod
    def read_ahead(self) -> int:
        """Read what the slots have sent; return how much that is. It takes effect with the next collect()."""

    @property
    @abstractmethod
    def has_events(self) -> bool:
        """Whether something has been read ahead that collect() has not returned."""

    # limits

    @property
    @abstractmethod
    def due_at(self) -> float:
        """When enforce_limits() or collect() has something to do, in monotonic seconds; infinity if never."""

    @abstractmethod
    def enforce_limits(self) -> None:
        """Kill what is over a limit, after a collect(): jobs that have ended in time are not killed."""

    @abstractmethod
    def kill_running(self) -> None:
        """Kill every job now; those that run come back as STOPPED."""

    @abstractmethod
    def abandon_running(self) -> None:
        """Kill every job; those that run do not come back, as they may have been claimed again."""

    @abstractmethod
    def memory(self) -> int:
        """Return the resident bytes of all children."""
