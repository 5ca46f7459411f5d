"""The workers' rows: the only code that writes them. Times are the database's."""

import json
import math
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from ..brokers.base import Broker
from ..compat import task_backends
from ..lifecycle import WorkerStatus
from ..models.worker import Worker

__all__ = ["Identity", "Load", "Registry", "process_start", "this_node"]

HIDDEN = "hidden"
# How often the database is asked what time it is, where its answer takes longer than so many seconds.
CLOCK_LOOKS, CLOCK_DELAY = 3, 0.02
ALIVE = (WorkerStatus.ONLINE, WorkerStatus.DRAINING)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a worker is: its name, and what it listens to."""

    name: str
    queues: Sequence[str]
    excluded_queues: Sequence[str]
    concurrency: int


@dataclass(frozen=True, slots=True)
class Load:
    """What a heartbeat tells."""

    running: int
    finished: int
    memory: int


class Registry:
    """One worker's view of the table of workers."""

    def __init__(self, broker: Broker, identity: Identity) -> None:
        self.broker = broker
        self.identity = identity
        # Of every event that tells of this worker: the class of its backend.
        self.sender = type(task_backends[broker.alias])
        self.worker_id = ""
        self.idle = False
        # By how many seconds the database's clock is ahead of one that nobody sets.
        self._ahead = time.time() - _steady_time()

    def set_clock(self) -> None:
        """Compare the database's clock with this host's; of several answers the quickest tells most."""
        quickest = math.inf
        for _ in range(CLOCK_LOOKS):
            asked, seconds, moment = _steady_time(), time.time(), timezone.now()
            ahead_of_host = (self.broker.now() - moment).total_seconds()
            delay = _steady_time() - asked
            if delay < quickest:
                quickest = delay
                self._ahead = ahead_of_host - delay / 2 + seconds - asked
            if quickest <= CLOCK_DELAY:
                return

    @property
    def clock(self) -> float:
        """By how many seconds the database's clock is ahead of this host's, even if that has just been set."""
        return self._ahead + _steady_time() - time.time()

    def database_now(self) -> datetime:
        """Return the database's time, reckoned from this host's."""
        return timezone.now() + timedelta(seconds=self.clock)

    def register(self) -> str:
        """Insert a row under a new id, and return the id."""
        with self.broker.timely():
            self.set_clock()
            now = self.database_now()
            row = Worker.objects.using(self.broker.using).create(
                id=f"{self.identity.name[:80]}-{secrets.token_hex(4)}",
                backend=self.broker.alias,
                host=socket.gethostname()[:255],
                node=this_node(),
                pid=os.getpid(),
                process_start=process_start(os.getpid()),
                queues=list(self.identity.queues),
                excluded_queues=list(self.identity.excluded_queues),
                concurrency=self.identity.concurrency,
                started_at=now,
                heartbeat_at=now,
            )
        # Not before the row is there: who has an id but no row would take itself for one that was given up.
        self.worker_id, self.idle = str(row.id), False
        return self.worker_id

    def beat(self, load: Load, *, idle: bool) -> bool:
        """Say that this worker lives. Return False where the others have taken it for dead."""
        with self.broker.timely():
            updated = self._update(
                f"heartbeat_at = {self.broker.now_sql}, running = %s, finished = %s, memory = %s, idle = %s",
                [load.running, load.finished, load.memory, idle],
            )
        self.idle = idle
        return updated

    def request(self) -> str | None:
        """Return what an operator wants of this worker."""
        with self.broker.connection.cursor() as cursor:
            cursor.execute("SELECT request FROM django_tasks_q_worker WHERE id = %s", [self.worker_id])
            row = cursor.fetchone()
        return row[0] if row else None

    def mark_idle(self) -> None:
        """Say that this worker is about to sleep, so that an enqueue wakes it."""
        if not self.idle:
            with self.broker.transaction(durable=False):
                self._update("idle = %s", [True])
            self.idle = True

    def mark_draining(self) -> None:
        self._update("status = %s, idle = %s", [WorkerStatus.DRAINING, False])

    def leave(self, load: Load) -> None:
        """Say that this worker has stopped."""
        self._update(
            f"status = %s, idle = %s, running = 0, finished = %s, stopped_at = {self.broker.now_sql}",
            [WorkerStatus.OFFLINE, False, load.finished],
        )

    def _update(self, changes: str, values: list[object]) -> bool:
        with self.broker.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE django_tasks_q_worker SET {changes} WHERE id = %s AND status IN ('ONLINE', 'DRAINING')",
                [*values, self.worker_id],
            )
            return bool(cursor.rowcount)

    def find_dead(self) -> list[Worker]:
        """Return the other workers whose heart has stopped, or whose process on this node is gone."""
        return [worker for worker in self._alive().exclude(id=self.worker_id) if self._is_dead(worker)]

    def lock_dead(self, suspects: Sequence[Worker]) -> list[Worker]:
        """Lock those that are still dead, except the ones another worker has locked; ends with mark_lost()."""
        # This host's clock may have been set since we last compared it: then everybody would look dead.
        self.set_clock()
        skip = self.broker.connection.features.has_select_for_update_skip_locked
        locked = self._alive().select_for_update(skip_locked=skip).filter(id__in=[worker.id for worker in suspects])
        return [worker for worker in locked if self._is_dead(worker)]

    def _alive(self) -> QuerySet[Worker]:
        return Worker.objects.using(self.broker.using).filter(backend=self.broker.alias, status__in=ALIVE)

    def _is_dead(self, worker: Worker) -> bool:
        silence = timedelta(seconds=self.broker.options.rescue_after)
        return worker.heartbeat_at < self.database_now() - silence or self._is_dead_neighbour(worker)

    def without_worker(self, worker_ids: Iterable[str]) -> set[str]:
        """Return those under which no worker is registered, or only one that has gone."""
        return set(worker_ids) - set(self._alive().values_list("id", flat=True))

    def mark_lost(self, worker: Worker) -> None:
        Worker.objects.using(self.broker.using).filter(id=worker.id).update(
            status=WorkerStatus.LOST, idle=False, running=0, stopped_at=self.database_now()
        )

    def forget_old(self, keep: timedelta) -> None:
        """Delete the rows of workers that have been gone for long."""
        gone = Worker.objects.using(self.broker.using).filter(backend=self.broker.alias).exclude(status__in=ALIVE)
        gone.filter(heartbeat_at__lt=self.database_now() - keep).delete()

    def _is_dead_neighbour(self, worker: Worker) -> bool:
        """Say whether a worker of this node has no process any more: no need to wait for its heartbeat to time out."""
        if worker.id == self.worker_id or worker.node != this_node() or not worker.process_start:
            return False
        return process_start(worker.pid) not in {worker.process_start, HIDDEN}


def _steady_time() -> float:
    """Return seconds of a clock that nobody can set, and that goes on while the host is suspended, if it has one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def this_node() -> str:
    """Name the set of processes that this one can see: machine, boot and PID namespace."""
    parts = [socket.gethostname()]
    if sys.platform == "linux":
        with open("/proc/sys/kernel/random/boot_id") as boot_id:
            parts.append(boot_id.read().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return json.dumps(parts)[:255]


def process_start(pid: int) -> str:
    """Return when the kernel started a process, in its own unit; empty where it does not run, or on other systems.

    HIDDEN where it runs, but /proc shows us only processes of our own user.
    """
    try:
        with open(f"/proc/{pid}/stat") as stat:
            # After the name, which may contain anything, parentheses included.
            fields = stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return HIDDEN if _belongs_to_another(pid) else ""
    return "" if fields[0] in "ZX" else fields[19]


def _belongs_to_another(pid: int) -> bool:
    """Say whether a process runs that we may not send a signal."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        # Signal 0 is none: it only asks.
        pass
    return False
