"""A worker's own row. Times are the database's."""

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from ..brokers.base import Broker
from ..compat import task_backends
from ..lifecycle import ALIVE, WorkerStatus
from ..models.worker import Worker
from .clock import DatabaseClock
from .liveness import process_start, this_node
from .sleepers import Bed

__all__ = ["Identity", "Load", "Registry"]

# A worker's own row, unless the others have given it up.
MINE = "id = %s AND status IN ({})".format(", ".join(f"'{status}'" for status in ALIVE))


@dataclass(frozen=True, slots=True)
class Identity:
    """A worker's identity: its name, and the queues it listens to."""

    name: str
    queues: Sequence[str]
    excluded_queues: Sequence[str]
    concurrency: int


@dataclass(frozen=True, slots=True)
class Load:
    """What a heartbeat reports. memory: bytes. trouble: what cannot be recorded, and why, as text."""

    running: int
    finished: int
    memory: int
    trouble: str = ""


class Registry:
    """One worker's view of the table of workers."""

    def __init__(self, broker: Broker, identity: Identity) -> None:
        self.broker = broker
        self.identity = identity
        # The sender of all events about this worker: the class of its backend.
        self.sender = type(task_backends[broker.alias])
        self.worker_id = ""
        self.idle = False
        self.bed = Bed(broker, list(identity.queues), list(identity.excluded_queues), identity.concurrency)
        self.clock = DatabaseClock(broker)

    def register(self) -> str:
        """Insert a row under a new id, and return the id."""
        with self.broker.dialect.timely():
            self.clock.compare()
            now = self.clock.stored_now()
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
        # Not before the row exists: a worker with an id but no row would think that it was presumed dead.
        self.worker_id, self.idle = str(row.id), False
        return self.worker_id

    def beat(self, load: Load, *, idle: bool) -> bool:
        """Record that this worker is alive. Return False if the others have presumed it dead."""
        with self.broker.dialect.timely():
            updated = self._update(
                f"heartbeat_at = {self.broker.dialect.now_sql}, running = %s, finished = %s, memory = %s,"
                " trouble = %s, idle = %s",
                [load.running, load.finished, load.memory, load.trouble[:500], idle],
            )
        self.is_locked = updated is None
        if self.idle and not idle:
            self.mark_busy()
        return updated is not False

    def request(self) -> str | None:
        """Return what an operator has asked of this worker."""
        with self.broker.connection.cursor() as cursor:
            cursor.execute("SELECT request FROM django_tasks_q_worker WHERE id = %s", [self.worker_id])
            row = cursor.fetchone()
        return row[0] if row else None

    def mark_idle(self) -> None:
        """Record that this worker is about to sleep, so that an enqueue wakes it."""
        if not self.idle:
            with self.broker.transaction(durable=False):
                self._update("idle = %s", [True])
                self.bed.enter(self.worker_id)
            self.idle = True

    def mark_busy(self) -> None:
        """Record that no enqueue has to wake this worker; its row says so at the next heartbeat."""
        if self.idle:
            # First: if the answer is lost, this is recorded again when the worker sleeps.
            self.idle = False
            self.bed.leave()

    def mark_draining(self) -> None:
        self.mark_busy()
        self._update("status = %s, idle = %s", [WorkerStatus.DRAINING, False])

    def leave(self, load: Load) -> None:
        """Record that this worker has stopped."""
        self.mark_busy()
        self._update(
            f"status = %s, idle = %s, running = 0, finished = %s, stopped_at = {self.broker.dialect.now_sql}",
            [WorkerStatus.OFFLINE, False, load.finished],
        )

    def _update(self, changes: str, values: list[object]) -> bool | None:
        """Change this worker's row; return False if it has been given up, None if another session has it locked."""
        if self.broker.dialect.update_rows(
            Worker._meta.db_table, changes, values, MINE, [self.worker_id], skip_locked=True
        ):
            return True
        with self.broker.connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM django_tasks_q_worker WHERE {MINE}", [self.worker_id])
            return False if cursor.fetchone() is None else None
