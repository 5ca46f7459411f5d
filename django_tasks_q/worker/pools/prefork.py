"""Children in separate processes, each running one job at a time."""

import signal
import time
from collections.abc import Collection, Iterable, Iterator, Set

from ...brokers.values import ClaimedJob
from ...services.registry import Registry
from ...signals import child_exited, child_started
from ..wire.frames import Begin, Frame, Limit, LogNote, ProgressNote, Ready, Run
from ..wire.tokens import CANCEL_SIGNAL
from .base import Announced, Asked, Finished, Pool, PoolEvent, Returned, Slot
from .children import Child
from .exits import GARBLED, STOPPED, Kill, describe_exit
from .handover import Handover
from .launcher import Launcher
from .limits import find_excesses, limits_due_at
from .memory import MemoryLimit, resident_bytes
from .starts import begun_due_at, newly_begun, note_begun

__all__ = ["PreforkPool"]


class PreforkPool(Pool):
    """Keeps as many children alive as the worker's concurrency says, and knows what each of them runs.

    max_tasks: replace a child after this many jobs. max_memory: replace it above this many bytes, between jobs if
    possible; during a job, by killing it, only if that job alone is the cause. cancel_grace: seconds that a job has to
    end after it was asked to stop.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        max_tasks: int | None = None,
        max_memory: int | None = None,
        cancel_grace: float = 10.0,
    ) -> None:
        self.registry = registry
        self.concurrency = registry.identity.concurrency
        self.max_tasks = max_tasks
        self.memory_limit = MemoryLimit(max_memory)
        self.cancel_grace = cancel_grace
        self.children: dict[int, Child] = {}
        self.draining = False
        self.launcher = Launcher(registry.broker.alias)
        self.catalog = self.launcher.catalog
        self.handover = Handover(registry)

    # life

    def start(self) -> None:
        self.launcher.start()
        self._replenish()

    @property
    def needs_start(self) -> bool:
        return self.launcher.needs_start

    def resize(self, size: int) -> list[ClaimedJob]:
        self.concurrency = size
        staying = [child for child in self.children.values() if not child.retiring]
        # Those that run nothing go first, and of these the ones that are not even ready.
        staying.sort(key=lambda child: (bool(child.assigned), child.ready))
        left = [job for child in staying[: max(0, len(staying) - size)] for job in self._retire(child)]
        self._replenish()
        return left

    def drain(self) -> None:
        self.draining = True

    def close(self) -> None:
        self.launcher.close()
        for child in self.children.values():
            child.hang_up()

    def _replenish(self) -> None:
        """Replace the children that are gone or retired; at the end, only as many as the announcements need."""
        wanted = min(1, len(self.handover.announcements)) if self.draining else self.concurrency
        # A retiring child keeps its place as long as it runs something, or more jobs would run at a time.
        places = sum([not child.retiring or bool(child.assigned) for child in self.children.values()])
        for child in self.launcher.spawn(wanted - places, self.max_tasks, self.handover.traffic):
            self.children[child.number] = child

    def _retire(self, child: Child) -> list[ClaimedJob]:
        """Have a child exit after the job that it has begun; return the others."""
        child.retiring = True
        left = self.take_back(child)
        child.retire_if_due()
        return left

    # jobs

    @property
    def slots(self) -> Collection[Slot]:
        return self.children.values()

    def jobs(self) -> Iterator[ClaimedJob]:
        for child in self.children.values():
            yield from (assigned.job for assigned in child.assigned.values() if not assigned.is_news)

    def assign(self, slot: Slot, jobs: Iterable[ClaimedJob]) -> None:
        self.handover.assign(self.children[slot.number], jobs)

    def take_back(self, slot: Slot) -> list[ClaimedJob]:
        return self.handover.take_back(self.children[slot.number])

    def cancel(self, job_ids: Set[str]) -> list[ClaimedJob]:
        left, kill_at = [], time.monotonic() + self.cancel_grace
        for child in self.children.values():
            if child.holds_any(job_ids):
                # First, so that the child cannot go on to another job, or begin this one.
                left += self.take_back(child)
                if child.cancel(job_ids, kill_at):
                    self.launcher.signal(child, CANCEL_SIGNAL)
        return left

    def newly_begun(self) -> list[ClaimedJob]:
        return newly_begun(self.children.values())

    @property
    def begun_due_at(self) -> float:
        return begun_due_at(self.children.values())

    def note_begun(self, job_ids: Set[str]) -> None:
        note_begun(self.children.values(), job_ids)

    # announcements

    def announce(self, job: ClaimedJob, error: str) -> None:
        self.handover.announcements.add(job, error)
        self.handover.announce(self.children.values())

    def can_announce(self) -> bool:
        return self.handover.announcements.has_room()

    @property
    def is_announcing(self) -> bool:
        return bool(len(self.handover.announcements)) and self.launcher.server is not None

    # events

    def descriptors(self) -> Iterator[tuple[int, bool]]:
        yield from self.launcher.descriptors()
        for child in self.children.values():
            yield from child.descriptors()

    def collect(self) -> list[PoolEvent]:
        events: list[PoolEvent] = []
        for child in list(self.children.values()):
            child.flush()
            events += self._read(child)
            child.retire_if_due()
        events += self._hear_launcher()
        self._replenish()
        self.handover.announce(self.children.values())
        return events

    def read(self) -> Iterator[PoolEvent]:
        for child in list(self.children.values()):
            if child.assigned:
                yield from self._read(child)

    def read_ahead(self) -> int:
        return sum(child.channel.read_ahead(child.assigned) for child in self.children.values() if child.assigned)

    @property
    def has_events(self) -> bool:
        return any(child.channel.has_frames for child in self.children.values())

    def _read(self, child: Child) -> Iterator[PoolEvent]:
        now = time.monotonic()
        if child.assigned:
            child.channel.read_ahead(child.assigned)
            child.measure(now)
        for frame in child.channel.receive(child.assigned):
            if isinstance(frame, Run):
                # Nearly all frames are of this kind.
                child.last_event_at = now
                assigned = child.end(frame.seq)
                seconds = frame.finished_at - frame.started_at + child.overhead
                yield Announced(assigned.job) if assigned.is_news else Finished(assigned.job, frame, seconds)
                if self.memory_limit.limit is not None:
                    yield from self._retire_if_large(child)
            else:
                yield from self._heed(child, frame, now)
        if child.channel.is_garbled and child.killed_for is None:
            self._kill(child, GARBLED)

    def _heed(self, child: Child, frame: Frame, now: float) -> Iterator[PoolEvent]:
        """Yield what a child reports while it runs a job, or before that."""
        if isinstance(frame, ProgressNote | LogNote):
            yield from child.heard(frame)
        elif isinstance(frame, Begin):
            child.assigned[frame.seq].has_asked = True
            yield Asked(child.assigned[frame.seq].job)
        elif isinstance(frame, Limit):
            child.last_event_at = now
            child.limit = frame
        elif isinstance(frame, Ready):
            child.last_event_at = now
            child.ready = True
            self.launcher.respawn.note_ready()

    def _hear_launcher(self) -> list[PoolEvent]:
        events: list[PoolEvent] = []
        try:
            messages = self.launcher.receive()
        except EOFError:
            return self._lose_all()
        for message in messages:
            if "spawned" in message:
                self._note_spawned(message["spawned"], message["pid"])
            else:
                events += self._bury(message["exited"], message["status"])
        return events

    def _note_spawned(self, number: int, pid: int) -> None:
        child = self.children[number]
        child.pid = pid
        if child.killed_for is not None:
            self.launcher.signal(child, signal.SIGKILL)
        elif child.cancelled is not None:
            self.launcher.signal(child, CANCEL_SIGNAL)
        child_started.send_robust(sender=self.registry.sender, worker_id=self.registry.worker_id, pid=pid)

    def _lose_all(self) -> list[PoolEvent]:
        """Without the fork server the children die too; outcomes that they have handed back count."""
        children = list(self.children.values())
        self.launcher.lose_server(children)
        events: list[PoolEvent] = []
        for child in children:
            events += self._remove(child, f"process {child.pid} died with the fork server, which was killed")
        return events

    def _bury(self, pid: int, status: int) -> list[PoolEvent]:
        child = next((child for child in self.children.values() if child.pid == pid), None)
        if child is None:
            return []
        planned = child.retiring and (status == 0 or child.killed_for is STOPPED)
        cause = describe_exit(status) if child.killed_for is None else child.killed_for.text
        if not planned and not child.ready:
            self.launcher.respawn.note_early_death()
        child_exited.send_robust(
            sender=self.registry.sender, worker_id=self.registry.worker_id, pid=pid, cause=None if planned else cause
        )
        return self._remove(child, f"process {pid} {cause}")

    def _remove(self, child: Child, cause: str) -> list[PoolEvent]:
        """Remove a dead child: what it finished, what it was running, what it never began."""
        events: list[PoolEvent] = list(self._read(child))
        unstarted, seconds = self.take_back(child), child.busy_for(time.monotonic())
        if left := [*child.take_waiting(), *unstarted]:
            events.append(Returned(tuple(left)))
        lost = [assigned for assigned in child.assigned.values() if not assigned.is_news]
        events += [child.end_of(assigned, cause, seconds) for assigned in lost]
        child.hang_up()
        self.memory_limit.forget(child.pid)
        del self.children[child.number]
        return events

    # limits

    @property
    def due_at(self) -> float:
        return min(limits_due_at(self.children.values(), self.memory_limit), self.launcher.respawn.due_at)

    def enforce_limits(self) -> None:
        for child, reason in find_excesses(self.children.values(), self.memory_limit):
            self._kill(child, reason)

    def _retire_if_large(self, child: Child) -> Iterator[Returned]:
        """Between jobs: retire a child that has grown too large, with only the job that it has begun."""
        is_due = child.pid is not None and self.memory_limit.is_reached(child.pid) and not child.retiring
        if is_due and (left := self._retire(child)):
            yield Returned(tuple(left))

    def kill_running(self) -> None:
        for child in self.children.values():
            if child.killed_for is None:
                self._kill(child, STOPPED)

    def abandon_running(self) -> None:
        self.kill_running()
        for child in self.children.values():
            child.forget()

    def _kill(self, child: Child, reason: Kill) -> None:
        child.killed_for = reason
        child.retiring = True
        self.launcher.signal(child, signal.SIGKILL)

    def memory(self) -> int:
        return sum(resident_bytes(child.pid) for child in self.children.values() if child.pid is not None)
