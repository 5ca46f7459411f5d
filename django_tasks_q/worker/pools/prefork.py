"""Children in separate processes, each running one job at a time."""

import logging
import math
import signal
import time
from collections.abc import Iterable, Iterator
from socket import AF_UNIX, SOCK_STREAM, socketpair

from ...brokers.values import ClaimedJob
from ...services.registry import Registry
from ...signals import child_exited, child_started
from ..child.processes import kill_group
from ..wire.channels import FrameBuffer
from ..wire.frames import Begin, Limit, LogNote, ProgressNote, Ready, Run
from ..wire.jobs import encode_job
from ..wire.tokens import CANCEL_SIGNAL, TokenPipe
from .base import Announced, Asked, Finished, PoolEvent, Returned
from .catalog import TaskCatalog
from .children import Assigned, CancelledRun, Child
from .exits import GARBLED, STOPPED, Kill, describe_exit
from .fork_server import ForkServer
from .limits import find_excesses, seconds_until_limit
from .memory import MemoryLimit, resident_bytes
from .news import News, NewsItem
from .respawn import RespawnDelay
from .traffic import Traffic

__all__ = ["PreforkPool"]

logger = logging.getLogger("django_tasks_q.worker")


class PreforkPool:
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
        self.stopping = False
        self.news = News()
        self.catalog = TaskCatalog()
        self._server: ForkServer | None = None
        self._numbers = self._sequence = 0
        self.traffic = Traffic()
        self.respawn = RespawnDelay()

    # life

    def start(self) -> None:
        """Start the fork server and the children; the process must have no open connection and one thread."""
        self._server = ForkServer.start(self.registry.broker.alias)
        self.replenish()

    def replenish(self) -> None:
        """Replace the children that are gone or retired; at the end, only as many as the announcements need."""
        wanted = min(1, len(self.news)) if self.stopping else self.concurrency
        if self._server is None or self.respawn.seconds:
            return
        # A retiring child keeps its place as long as it runs something, or more jobs would run at a time.
        places = sum(not child.retiring or bool(child.assigned) for child in self.children.values())
        for _ in range(wanted - places):
            self._spawn(self._server)

    @property
    def needs_start(self) -> bool:
        """Whether the fork server is gone, and may be restarted."""
        return self._server is None and not self.respawn.seconds

    def close(self) -> None:
        """Kill what is left."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for child in self.children.values():
            child.hang_up()

    def _spawn(self, server: ForkServer) -> None:
        self._numbers += 1
        ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        child = Child(self._numbers, FrameBuffer(ours), TokenPipe.create(), TokenPipe.create())
        self.children[self._numbers] = child
        server.spawn(self._numbers, theirs, child.tokens.reader, child.cancels.reader, child.begun.descriptor)

    # work

    @property
    def available(self) -> list[Child]:
        """The children that take jobs."""
        return [child for child in self.children.values() if child.takes_jobs]

    def jobs(self) -> Iterator[ClaimedJob]:
        """Yield all jobs that the children hold."""
        for child in self.children.values():
            yield from (assigned.job for assigned in child.assigned.values() if not assigned.is_news)

    def assign(self, child: Child, jobs: Iterable[ClaimedJob]) -> None:
        """Hand jobs to a child, to run in this order."""
        self._send(child, [(job, None) for job in jobs])

    def _send(self, child: Child, items: Iterable[NewsItem]) -> None:
        now, before = time.monotonic(), self._sequence
        worker_id, clock = self.registry.worker_id, self.registry.clock.ahead
        for seq, (job, news) in enumerate(items, before + 1):
            frame = encode_job(seq, job, worker_id, clock, news)
            size = len(frame)
            child.add(Assigned(seq, job, now, news, size))
            child.channel.add(frame, seq)
            self.traffic.sent += size
            self._sequence = seq
        child.channel.flush()
        child.tokens.put(range(before + 1, self._sequence + 1))

    def announce(self, job: ClaimedJob, error: str) -> None:
        """Have a child send task_finished for a job that FAILED because its process died."""
        self.news.add(job, error)
        self._tell_news()

    @property
    def has_news(self) -> bool:
        """Whether something is still to be announced, and can be."""
        return bool(len(self.news)) and self._server is not None

    def _tell_news(self) -> None:
        if len(self.news):
            self.news.tell([child for child in self.available if not child.assigned], self._send)

    def take_back(self, child: Child) -> list[ClaimedJob]:
        """Return the jobs that a child has not begun; it will not begin them."""
        taken, wasted = child.take_back()
        self.traffic.wasted += wasted
        for assigned in taken:
            if assigned.news is not None:
                self.news.add(assigned.job, assigned.news)
        return [assigned.job for assigned in taken if not assigned.is_news]

    def let_begin(self, job: ClaimedJob, seq: int) -> None:
        """Let a job begin that its child is waiting to begin, unless that is gone."""
        for child in self.children.values():
            if (assigned := child.assigned.get(seq)) is not None and assigned.job.id == job.id:
                assigned.is_noted = True
                child.tokens.put([seq])

    def cancel(self, child: Child, seq: int) -> None:
        """Have SoftCancel raised in a job that a child has begun; if it does not end in time, kill the child."""
        if child.cancelled is None:
            child.cancelled = CancelledRun(seq, time.monotonic() + self.cancel_grace)
            # The child reads from the pipe which job is meant, however late the signal comes.
            child.cancels.put([seq])
            self._signal(child, CANCEL_SIGNAL)

    # events

    def descriptors(self) -> Iterator[tuple[int, bool]]:
        """Yield the descriptors to wait for, and whether for writing too."""
        if self._server is not None:
            yield self._server.channel.fileno(), self._server.has_output
        for child in self.children.values():
            if not child.channel.is_at_end:
                yield child.channel.channel.fileno(), child.channel.has_output
            for pipe in (child.tokens, child.cancels):
                if pipe.has_output and pipe.writer is not None:
                    yield pipe.writer, True

    def collect(self) -> list[PoolEvent]:
        """Return what has happened since the last call."""
        events: list[PoolEvent] = []
        for child in list(self.children.values()):
            child.flush()
            events += self._read(child)
            self._retire_if_due(child)
        events += self._hear_server()
        if self._server is not None and (paths := self.catalog.questions()):
            self._server.describe(paths)
        self.replenish()
        self._tell_news()
        return events

    def read(self) -> Iterator[PoolEvent]:
        """Yield what children with jobs have sent; only collect() returns the other events."""
        for child in list(self.children.values()):
            if child.assigned:
                yield from self._read(child)

    def read_ahead(self) -> int:
        """Read what the children have sent; return how much that is. It takes effect with the next collect()."""
        return sum(child.channel.read_ahead(child.assigned) for child in self.children.values() if child.assigned)

    def _read(self, child: Child) -> Iterator[PoolEvent]:
        now = time.monotonic()
        if child.assigned:
            child.channel.read_ahead(child.assigned)
            child.measure(now)
        for frame in child.channel.receive(child.assigned):
            if isinstance(frame, Run):
                child.last_event_at = now
                assigned = child.end(frame.seq)
                seconds = frame.finished_at - frame.started_at + child.overhead
                yield Announced(assigned.job) if assigned.is_news else Finished(assigned.job, frame, seconds)
                if self.memory_limit.limit is not None:
                    yield from self._retire_if_large(child)
            elif isinstance(frame, ProgressNote | LogNote):
                yield from child.heard(frame)
            elif isinstance(frame, Begin):
                child.assigned[frame.seq].has_asked = True
                yield Asked(child.assigned[frame.seq].job, frame.seq)
            elif isinstance(frame, Limit):
                child.last_event_at = now
                child.limit = frame
            elif isinstance(frame, Ready):
                child.last_event_at = now
                child.ready = True
                self.respawn.note_ready()
        if child.channel.is_garbled and child.killed_for is None:
            self._kill(child, GARBLED)

    def _hear_server(self) -> list[PoolEvent]:
        if self._server is None:
            return []
        events: list[PoolEvent] = []
        try:
            self._server.flush()
            messages = self._server.receive()
        except EOFError:
            return self._lose_server(self._server)
        for message in messages:
            if "spawned" in message:
                self._note_spawned(message["spawned"], message["pid"])
            elif "exited" not in message:
                self.catalog.hear(message)
            else:
                events += self._bury(message["exited"], message["status"])
        return events

    def _note_spawned(self, number: int, pid: int) -> None:
        child = self.children[number]
        child.pid = pid
        if child.killed_for is not None:
            self._signal(child, signal.SIGKILL)
        elif child.cancelled is not None:
            self._signal(child, CANCEL_SIGNAL)
        child_started.send_robust(sender=self.registry.sender, worker_id=self.registry.worker_id, pid=pid)

    def _lose_server(self, server: ForkServer) -> list[PoolEvent]:
        """Without the fork server the children die too; outcomes that they have handed back count."""
        logger.error("The fork server has died; it is restarted.")
        self._server = None
        server.bury()
        if not any(child.ready for child in self.children.values()):
            self.respawn.note_early_death()
        events: list[PoolEvent] = []
        for child in list(self.children.values()):
            if child.pid is not None:
                kill_group(child.pid, signal.SIGKILL)
            events += self._remove(child, f"process {child.pid} died with the fork server, which was killed")
        return events

    def _bury(self, pid: int, status: int) -> list[PoolEvent]:
        child = next((child for child in self.children.values() if child.pid == pid), None)
        if child is None:
            return []
        planned = child.retiring and (status == 0 or child.killed_for is STOPPED)
        cause = describe_exit(status) if child.killed_for is None else child.killed_for.text
        if not planned and not child.ready:
            self.respawn.note_early_death()
        child_exited.send_robust(
            sender=self.registry.sender, worker_id=self.registry.worker_id, pid=pid, cause=None if planned else cause
        )
        return self._remove(child, f"process {pid} {cause}")

    def _remove(self, child: Child, cause: str) -> list[PoolEvent]:
        """Remove a dead child: what it finished, what it was running, what it never began."""
        events: list[PoolEvent] = list(self._read(child))
        unstarted = self.take_back(child)
        if unstarted:
            events.append(Returned(tuple(unstarted)))
        seconds = child.busy_for(time.monotonic())
        if waiting := [assigned for assigned in child.assigned.values() if assigned.waits_for_leave]:
            events.append(Returned(tuple(child.remove(assigned.seq).job for assigned in waiting)))
        lost = [assigned for assigned in child.assigned.values() if not assigned.is_news]
        events += [child.end_of(assigned, cause, seconds) for assigned in lost]
        child.hang_up()
        self.memory_limit.forget(child.pid)
        del self.children[child.number]
        return events

    # limits

    def seconds_until_limit(self) -> float:
        """Return the seconds until the next check of the limits is due."""
        return min(seconds_until_limit(self.children.values(), self.memory_limit), self.respawn.seconds or math.inf)

    def enforce_limits(self) -> None:
        """Kill the children that are over a limit, after a collect(): jobs that have ended in time are not killed."""
        for child, reason in find_excesses(self.children.values(), self.memory_limit):
            self._kill(child, reason)

    def _retire_if_large(self, child: Child) -> Iterator[Returned]:
        """Between jobs: retire a child that has grown too large, with only the job that it has begun."""
        if child.pid is not None and self.memory_limit.is_reached(child.pid) and not child.retiring:
            child.retiring = True
            if jobs := self.take_back(child):
                yield Returned(tuple(jobs))

    def _retire_if_due(self, child: Child) -> None:
        if self.max_tasks and child.runs + len(child.assigned) >= self.max_tasks and not child.retiring:
            child.retiring = True
        if child.retiring and not child.assigned:
            child.tokens.stop()

    def kill_running(self) -> None:
        """Stop every child now; their running jobs come back as STOPPED."""
        for child in self.children.values():
            if child.killed_for is None:
                self._kill(child, STOPPED)

    def abandon_running(self) -> None:
        """Kill every child; their running jobs do not come back, as they may have been claimed again."""
        self.kill_running()
        for child in self.children.values():
            child.forget()

    def _kill(self, child: Child, reason: Kill) -> None:
        child.killed_for = reason
        child.retiring = True
        self._signal(child, signal.SIGKILL)

    def _signal(self, child: Child, number: int) -> None:
        if child.pid is not None and self._server is not None:
            self._server.kill(child.pid, number)

    def memory(self) -> int:
        """Return the resident bytes of all children."""
        return sum(resident_bytes(child.pid) for child in self.children.values() if child.pid is not None)
