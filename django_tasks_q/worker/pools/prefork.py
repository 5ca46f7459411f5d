"""Children in processes of their own, each running one job at a time."""

import logging
import math
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from socket import AF_UNIX, SOCK_STREAM, socketpair

from ...brokers.values import ClaimedJob
from ...services.registry import Registry
from ...signals import child_exited, child_started
from ..interruption import CANCEL_SIGNAL
from .base import Announced, Finished, PoolEvent, Returned
from .catalogue import Catalogue
from .channels import FrameBuffer
from .children import Assigned, CancelledRun, Child
from .exits import GARBLED, STOPPED, TOO_LARGE, describe_exit
from .fork_server import ForkServer, kill_group
from .memory import MemoryLimit, resident_bytes
from .respawn import RespawnDelay
from .tokens import TokenPipe
from .wire import Limit, LogNote, ProgressNote, Ready, Run, encode_job

__all__ = ["PreforkPool"]

logger = logging.getLogger("django_tasks_q.worker")


class PreforkPool:
    """Keeps as many children alive as the worker's concurrency says, and knows what each of them runs.

    max_tasks: replace a child after so many jobs. max_memory: replace it above so many bytes, between jobs where
    possible; during a job only where that job alone can be meant, by killing it. cancel_grace: seconds in which a job
    that was asked to stop may end.
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
        self._news: deque[tuple[ClaimedJob, str]] = deque()
        self.catalogue = Catalogue()
        self._server: ForkServer | None = None
        self._numbers = 0
        self._sequence = 0
        self.respawn = RespawnDelay()

    # life

    def start(self) -> None:
        """Start the fork server and the children; the process must have no open connection and one thread."""
        self._server = ForkServer.start(self.registry.broker.alias)
        self.replenish()

    def replenish(self) -> None:
        """Replace the children that are gone or have nothing more to run; at the end, only who is to tell the news."""
        wanted = min(1, len(self._news)) if self.stopping else self.concurrency
        if self._server is None or self.respawn.seconds:
            return
        # One that retires keeps its place as long as it runs something, or there would be more jobs at a time.
        places = sum(not child.retiring or bool(child.assigned) for child in self.children.values())
        for _ in range(wanted - places):
            self._spawn(self._server)

    @property
    def needs_start(self) -> bool:
        """Whether the fork server is gone, and may be started again."""
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
        tokens, cancels = TokenPipe.create(), TokenPipe.create()
        self.children[self._numbers] = Child(self._numbers, FrameBuffer(ours), tokens, cancels)
        server.spawn(self._numbers, theirs, tokens.reader, cancels.reader)
        theirs.close()

    # work

    @property
    def available(self) -> list[Child]:
        """The children that take jobs."""
        return [child for child in self.children.values() if child.takes_jobs]

    def jobs(self) -> Iterator[ClaimedJob]:
        """Yield all jobs in the children's hands."""
        for child in self.children.values():
            yield from (assigned.job for assigned in child.assigned.values() if not assigned.is_news)

    def assign(self, child: Child, jobs: Iterable[ClaimedJob]) -> None:
        """Hand jobs to a child, to run in this order."""
        now, frames, numbers = time.monotonic(), bytearray(), []
        worker_id, clock = self.registry.worker_id, self.registry.clock
        for job in jobs:
            self._sequence += 1
            child.add(Assigned(self._sequence, job, now))
            frames += encode_job(self._sequence, job, worker_id, clock)
            numbers.append(self._sequence)
        child.channel.send(bytes(frames))
        child.tokens.put(numbers)

    def announce(self, job: ClaimedJob, error: str) -> None:
        """Have a child send task_finished for a job that FAILED because its process is gone.

        Receivers are the project's code, which has no place in the supervisor.
        """
        self._news.append((job, error))
        self._tell_news()

    @property
    def has_news(self) -> bool:
        """Whether something is still to be announced, and can be."""
        return bool(self._news) and self._server is not None

    def _tell_news(self) -> None:
        """Announce by children that have nothing else to do: behind a job it might be lost with it."""
        free = [child for child in self.available if not child.assigned]
        for child in free[: len(self._news)]:
            job, error = self._news.popleft()
            self._sequence += 1
            child.add(Assigned(self._sequence, job, time.monotonic(), news=error))
            child.channel.send(
                encode_job(self._sequence, job, self.registry.worker_id, self.registry.clock, ended=error)
            )
            child.tokens.put([self._sequence])

    def take_back(self, child: Child) -> list[ClaimedJob]:
        """Return the jobs that a child has not started; it will not start them."""
        taken = [child.remove(seq) for seq in child.tokens.take_back()]
        self._news += [(assigned.job, assigned.news) for assigned in taken if assigned.news is not None]
        return [assigned.job for assigned in taken if not assigned.is_news]

    def cancel(self, child: Child, seq: int) -> None:
        """Have SoftCancel raised in a job that a child has begun; where it does not end in time, kill the child."""
        if child.cancelled is None:
            child.cancelled = CancelledRun(seq, time.monotonic() + self.cancel_grace)
            # What the child has read tells it which job is meant, however late the signal comes.
            child.cancels.put([seq])
            self._signal(child, CANCEL_SIGNAL)

    # events

    def descriptors(self) -> Iterator[tuple[int, bool]]:
        """Yield what to wait for, and whether for writing too."""
        if self._server is not None:
            yield self._server.channel.fileno(), False
        for child in self.children.values():
            if not child.channel.is_at_end:
                yield child.channel.channel.fileno(), child.channel.has_output

    def collect(self) -> list[PoolEvent]:
        """Return what has happened since the last call."""
        events: list[PoolEvent] = []
        for child in list(self.children.values()):
            child.channel.flush()
            events += self._read(child)
            self._retire_if_due(child)
        events += self._hear_server()
        self._ask_server()
        self.replenish()
        self._tell_news()
        return events

    def read(self) -> Iterator[PoolEvent]:
        """Yield what the children say that have jobs; the rest of what has happened only collect() returns."""
        for child in list(self.children.values()):
            if child.assigned:
                yield from self._read(child)

    def read_ahead(self) -> int:
        """Read what the children have said; return how much that is. It happens only with the next collect()."""
        return sum(child.channel.read_ahead(child.assigned) for child in self.children.values() if child.assigned)

    def _read(self, child: Child) -> Iterator[PoolEvent]:
        now = time.monotonic()
        for frame in child.channel.receive(child.assigned):
            if isinstance(frame, Run):
                child.last_event_at = now
                assigned = child.end(frame.seq)
                yield Announced(assigned.job) if assigned.is_news else Finished(assigned.job, frame)
                if self.memory_limit.limit is not None:
                    yield from self._retire_if_large(child)
            elif isinstance(frame, ProgressNote | LogNote):
                yield from child.heard(frame)
            elif isinstance(frame, Limit):
                child.last_event_at = now
                child.limit = frame
            elif isinstance(frame, Ready):
                child.last_event_at = now
                child.ready = True
                self.respawn.note_ready()
        if child.channel.is_garbled and not child.killed_for:
            self._kill(child, GARBLED)

    def _hear_server(self) -> list[PoolEvent]:
        if self._server is None:
            return []
        events: list[PoolEvent] = []
        try:
            messages = self._server.receive()
        except EOFError:
            return self._lose_server(self._server)
        for message in messages:
            if "spawned" in message:
                self._note_spawned(message["spawned"], message["pid"])
            elif "exited" not in message:
                self.catalogue.hear(message)
            else:
                events += self._bury(message["exited"], message["status"])
        return events

    def _ask_server(self) -> None:
        if self._server is not None and (paths := self.catalogue.questions()):
            self._server.describe(paths)

    def _note_spawned(self, number: int, pid: int) -> None:
        child = self.children[number]
        child.pid = pid
        if child.killed_for:
            self._signal(child, signal.SIGKILL)
        elif child.cancelled is not None:
            self._signal(child, CANCEL_SIGNAL)
        child_started.send_robust(sender=self.registry.sender, worker_id=self.registry.worker_id, pid=pid)

    def _lose_server(self, server: ForkServer) -> list[PoolEvent]:
        """Without the fork server the children die too; what they have handed back counts."""
        logger.error("The fork server has died; it is started again.")
        self._server = None
        os.waitpid(server.pid, 0)
        server.channel.close()
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
        planned = child.retiring and (status == 0 or child.killed_for == STOPPED)
        cause = child.killed_for or describe_exit(status)
        if not planned and not child.ready:
            self.respawn.note_early_death()
        child_exited.send_robust(
            sender=self.registry.sender, worker_id=self.registry.worker_id, pid=pid, cause=None if planned else cause
        )
        return self._remove(child, f"process {pid} {cause}")

    def _remove(self, child: Child, cause: str) -> list[PoolEvent]:
        """Take a dead child out: what it finished, what it was running, what it never began."""
        events: list[PoolEvent] = list(self._read(child))
        unstarted = self.take_back(child)
        if unstarted:
            events.append(Returned(tuple(unstarted)))
        seconds = child.busy_for(time.monotonic())
        lost = [assigned for assigned in child.assigned.values() if not assigned.is_news]
        events += [child.end_of(assigned, cause, seconds) for assigned in lost]
        child.hang_up()
        self.memory_limit.forget(child.pid)
        del self.children[child.number]
        return events

    # limits

    def seconds_until_limit(self) -> float:
        """Return the seconds until the next look at the limits is due."""
        now = time.monotonic()
        waits = [child.kill_at - now for child in self.children.values()]
        return min([*waits, self.memory_limit.seconds_until_check(), self.respawn.seconds or math.inf])

    def enforce_limits(self) -> None:
        """Kill the children that are over a limit, after a collect(): what has ended in time is not to be killed."""
        now = time.monotonic()
        for child in self.children.values():
            if child.kill_at <= now:
                self._kill(child, child.overrun(now))
        if self.memory_limit.is_check_due():
            for child in self.children.values():
                runs = child.running is not None and not child.killed_for
                if runs and (excess := self.memory_limit.excess(child.pid)):
                    self._kill(child, f"{TOO_LARGE} {excess}")

    def _retire_if_large(self, child: Child) -> Iterator[Returned]:
        """Between jobs: let a child go that has grown too large, with what it has begun and no more."""
        if child.pid is not None and self.memory_limit.is_reached(child.pid) and not child.retiring:
            child.retiring = True
            if jobs := self.take_back(child):
                yield Returned(tuple(jobs))

    def _retire_if_due(self, child: Child) -> None:
        if self.max_tasks and child.runs + len(child.assigned) >= self.max_tasks and not child.retiring:
            child.retiring = True
        if child.retiring and not child.assigned:
            child.tokens.stop()

    def room(self, child: Child) -> int:
        """Return how many more jobs a child may be handed before it is replaced."""
        return self.max_tasks - child.runs - len(child.assigned) if self.max_tasks else 1_000

    def kill_running(self) -> None:
        """Stop every child now; the jobs that they run come back as Stopped."""
        for child in self.children.values():
            if not child.killed_for:
                self._kill(child, STOPPED)

    def abandon_running(self) -> None:
        """Kill every child; nothing comes back of what they run, which may have been claimed again meanwhile."""
        self.kill_running()
        for child in self.children.values():
            child.forget()

    def _kill(self, child: Child, reason: str) -> None:
        child.killed_for = reason
        child.retiring = True
        self._signal(child, signal.SIGKILL)

    def _signal(self, child: Child, number: int) -> None:
        if child.pid is not None and self._server is not None:
            self._server.kill(child.pid, number)

    def memory(self) -> int:
        """Return the resident bytes of all children."""
        return sum(resident_bytes(child.pid) for child in self.children.values() if child.pid is not None)
