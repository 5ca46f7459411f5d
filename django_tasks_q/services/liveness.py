"""Which workers are dead: by their last heartbeat, or because their process on this node is gone."""

import json
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db.models import QuerySet

from ..brokers.base import Broker
from ..lifecycle import ALIVE, WorkerStatus
from ..models.worker import Sleeper, Worker
from ..moments import seconds_since
from .clock import DatabaseClock

__all__ = ["HIDDEN", "Liveness", "process_start", "this_node"]

HIDDEN = "hidden"


class Liveness:
    """Which workers of a backend are dead, and what is done with the rows of those that are."""

    def __init__(self, broker: Broker, clock: DatabaseClock) -> None:
        self.broker = broker
        self.clock = clock

    def find_dead(self, *, but: str) -> list[Worker]:
        """Return the workers but this one that lack a heartbeat, or a process on this node."""
        return [worker for worker in self._alive().exclude(id=but) if self._is_dead(worker)]

    def lock_dead(self, suspects: Sequence[Worker]) -> list[Worker]:
        """Lock those that are still dead, except the ones that another worker has locked; ends with mark_lost()."""
        # This host's clock may have been set since we last compared it: then all workers would look dead.
        self.clock.compare()
        skip = self.broker.connection.features.has_select_for_update_skip_locked
        asked = self._alive().filter(id__in=[worker.id for worker in suspects]).order_by("id")
        return [worker for worker in asked.select_for_update(skip_locked=skip) if self._is_dead(worker)]

    def _alive(self) -> QuerySet[Worker]:
        alive = Worker.objects.using(self.broker.using).filter(backend=self.broker.alias, status__in=ALIVE)
        return alive.order_by()

    def _is_dead(self, worker: Worker) -> bool:
        silence = seconds_since(worker.heartbeat_at, self.clock.utc_now())
        return silence > self.broker.options.rescue_after or self.is_dead_neighbour(worker)

    def without_worker(self, worker_ids: Iterable[str]) -> set[str]:
        """Return the ids for which no worker is registered, or only one that has stopped."""
        asked = set(worker_ids)
        return asked - set(self._alive().filter(id__in=asked).values_list("id", flat=True))

    def mark_lost(self, worker: Worker) -> None:
        Sleeper.objects.using(self.broker.using).filter(worker_id=worker.id).delete()
        Worker.objects.using(self.broker.using).filter(id=worker.id).update(
            status=WorkerStatus.LOST, idle=False, running=0, stopped_at=self.clock.stored_now()
        )

    def forget_old(self, keep: timedelta, *, limit: int = 1_000) -> int:
        """Delete up to `limit` rows of workers that have been gone for long; return how many."""
        gone = Worker.objects.using(self.broker.using).filter(backend=self.broker.alias).exclude(status__in=ALIVE)
        old = gone.filter(heartbeat_at__lt=self.clock.stored_now(ago=keep)).order_by().values_list("id", flat=True)
        deleted, _kinds = Worker.objects.using(self.broker.using).filter(id__in=list(old[:limit])).delete()
        sleepers = Sleeper.objects.using(self.broker.using).filter(backend=self.broker.alias)
        sleepers.exclude(worker_id__in=self._alive().values("id")).delete()
        return deleted

    def is_dead_neighbour(self, worker: Worker) -> bool:
        """Return whether a worker of this node has no process left, so that its heartbeat need not time out."""
        if worker.node != this_node() or not worker.process_start:
            return False
        return process_start(worker.pid) not in {worker.process_start, HIDDEN}


def this_node() -> str:
    """Return a name for the set of processes that this one can see: machine, boot and PID namespace."""
    parts = [socket.gethostname()]
    if sys.platform == "linux":
        with open("/proc/sys/kernel/random/boot_id") as boot_id:
            parts.append(boot_id.read().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return json.dumps(parts)[:255]


def process_start(pid: int) -> str:
    """Return when the kernel started a process, in its own unit; empty if it is not running, or on other systems.

    HIDDEN if it is running, but /proc shows only our own user's processes.
    """
    try:
        with open(f"/proc/{pid}/stat") as stat:
            # After the name, which may contain anything, including parentheses.
            fields = stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return HIDDEN if _belongs_to_another(pid) else ""
    return "" if fields[0] in "ZX" else fields[19]


def _belongs_to_another(pid: int) -> bool:
    """Return whether a process is running that we may not send signals to."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    # Signal 0 is not sent: it only checks.
    return False
