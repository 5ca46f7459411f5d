"""Starts the children, by way of a fork server that may die."""

import logging
import math
import signal
import time
from collections.abc import Collection, Iterator
from socket import AF_UNIX, SOCK_STREAM, socketpair
from typing import Any

from ..child.processes import kill_group
from ..wire.channels import FrameBuffer
from ..wire.tokens import TokenPipe
from .backlog import Traffic
from .catalog import TaskCatalog
from .children import Child
from .fork_server import ForkServer

__all__ = ["Launcher", "RespawnDelay"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds to wait after the first early death, and at most.
FIRST, LONGEST = 0.5, 30.0


class RespawnDelay:
    """Waits longer and longer before it restarts a process that dies before it is ready.

    It may die for ever, for example because a module cannot be imported.
    """

    def __init__(self) -> None:
        self._delay = 0.0
        self._until = -math.inf

    def note_ready(self) -> None:
        self._delay = 0.0

    def note_early_death(self) -> None:
        self._delay = min(max(FIRST, self._delay * 2), LONGEST)
        self._until = time.monotonic() + self._delay

    @property
    def is_over(self) -> bool:
        """Whether it may start now."""
        return self._until <= time.monotonic()

    @property
    def due_at(self) -> float:
        """When it may start, in monotonic seconds; infinity if it may start now."""
        return math.inf if self.is_over else self._until


class Launcher:
    """Starts and signals children, and knows what the fork server knows of the project's tasks."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.catalog = TaskCatalog()
        self.respawn = RespawnDelay()
        self.server: ForkServer | None = None
        self._numbers = 0

    def start(self) -> None:
        """Start the fork server; this process must have no open connection and one thread."""
        self.server = ForkServer.start(self.alias)

    @property
    def needs_start(self) -> bool:
        """Whether the fork server is gone, and may be restarted."""
        return self.server is None and self.respawn.is_over

    def close(self) -> None:
        """Stop the fork server, which kills the children."""
        if self.server is not None:
            self.server.close()
            self.server = None

    def lose_server(self, children: Collection[Child]) -> None:
        """Release a fork server that is gone, and kill its children, which would die without it."""
        logger.error("The fork server has died; it is restarted.")
        if self.server is not None:
            self.server.bury()
            self.server = None
        if not any(child.ready for child in children):
            self.respawn.note_early_death()
        for child in children:
            if child.pid is not None:
                kill_group(child.pid, signal.SIGKILL)

    def spawn(self, most: int, max_tasks: int | None, traffic: Traffic) -> Iterator[Child]:
        """Yield this many new children; none as long as there is no fork server, or children die early."""
        server = self.server
        if most <= 0 or server is None or not self.respawn.is_over:
            return
        for _ in range(most):
            self._numbers += 1
            ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
            channel, tokens, cancels = FrameBuffer(ours), TokenPipe.create(), TokenPipe.create()
            child = Child(self._numbers, channel, tokens, cancels, max_tasks, traffic)
            server.spawn(self._numbers, theirs, tokens.reader, cancels.reader, child.begun.descriptor)
            yield child

    def signal(self, child: Child, number: int) -> None:
        """Send a signal to a child and its programs, as soon as there is one."""
        if child.pid is not None and self.server is not None:
            self.server.kill(child.pid, number)

    def descriptors(self) -> Iterator[tuple[int, bool]]:
        """Yield the descriptor to wait for, and whether for writing too."""
        if self.server is not None:
            yield self.server.channel.fileno(), self.server.has_output

    def receive(self) -> list[dict[str, Any]]:
        """Return what has become of children, and ask about tasks. Raise EOFError if the fork server is gone."""
        server = self.server
        if server is None:
            return []
        server.flush()
        messages = []
        for message in server.receive():
            if "spawned" in message or "exited" in message:
                messages.append(message)
            else:
                self.catalog.hear(message)
        if paths := self.catalog.questions():
            server.describe(paths)
        return messages
