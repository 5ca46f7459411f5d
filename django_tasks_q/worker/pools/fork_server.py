"""The supervisor's handle for the fork server."""

import json
import logging
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from socket import AF_UNIX, SHUT_WR, SOCK_STREAM, send_fds, socket, socketpair
from typing import Any

from django.db import connections

from ..fork_server.main import serve

__all__ = ["ForkServer"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds.
LONGEST_GOODBYE = 3.0


class ForkServer:
    """Its answers come over a channel and are never waited for."""

    def __init__(self, pid: int, channel: socket) -> None:
        self.pid = pid
        self.channel = channel
        self._incoming = b""
        # Unsent messages, each with the descriptors that go with its first byte.
        self._outgoing: deque[tuple[bytes, Sequence[int], socket | None]] = deque()

    @property
    def has_output(self) -> bool:
        """Whether something is still to be sent: the server does not read before it has imported the project."""
        return bool(self._outgoing)

    @classmethod
    def start(cls, alias: str) -> "ForkServer":
        """Fork the server from this process, which must have one thread and no open connection."""
        _close_connections()
        ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            serve(theirs, alias)
        theirs.close()
        ours.setblocking(False)
        return cls(pid, ours)

    def spawn(self, number: int, channel: socket, *descriptors: int) -> None:
        """Ask for a child with these ends of its channel and pipes; `spawned` or `exited` comes back.

        The channel is closed here once it is sent.
        """
        self._send({"spawn": number}, [channel.fileno(), *descriptors], channel)

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Send a signal to a child and its programs; the process ID cannot have been reused."""
        self._send({"kill": pid, "signal": number})

    def describe(self, paths: Iterable[str]) -> None:
        """Ask about tasks; `described` comes back."""
        self._send({"describe": list(paths)})

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that have arrived. Raise EOFError if the server is gone."""
        try:
            while data := self.channel.recv(65_536):
                self._incoming += data
        except BlockingIOError:
            *lines, self._incoming = self._incoming.split(b"\n")
            return [json.loads(line) for line in lines]
        except ConnectionResetError as error:
            raise EOFError from error
        raise EOFError

    def close(self) -> None:
        """Stop the server, which kills the remaining children; kill it if it does not react."""
        self._forget_outgoing()
        self.channel.shutdown(SHUT_WR)
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        deadline = time.monotonic() + LONGEST_GOODBYE
        while poll.poll(max(0.0, deadline - time.monotonic()) * 1_000):
            if not _receives(self.channel):
                break
        self.bury()

    def bury(self) -> None:
        """Release a server that is gone, or should be."""
        self._forget_outgoing()
        # It may have closed its end and still be running.
        os.kill(self.pid, signal.SIGKILL)
        self.channel.close()
        os.waitpid(self.pid, 0)

    def flush(self) -> None:
        """Send as much as the socket accepts."""
        try:
            while self._outgoing and self._send_first():
                continue
        except (BrokenPipeError, ConnectionResetError):
            logger.warning("The fork server is gone.")
            self._forget_outgoing()

    def _send(self, message: dict[str, Any], descriptors: Sequence[int] = (), closing: socket | None = None) -> None:
        self._outgoing.append((json.dumps(message).encode() + b"\n", descriptors, closing))
        self.flush()

    def _send_first(self) -> bool:
        line, descriptors, closing = self._outgoing[0]
        try:
            sent = send_fds(self.channel, [line], descriptors) if descriptors else self.channel.send(line)
        except BlockingIOError:
            return False
        if closing is not None:
            closing.close()
        self._outgoing.popleft()
        if sent < len(line):
            # The descriptors were sent with the first byte.
            self._outgoing.appendleft((line[sent:], (), None))
        return True

    def _forget_outgoing(self) -> None:
        for _, _, closing in self._outgoing:
            if closing is not None:
                closing.close()
        self._outgoing.clear()


def _close_connections() -> None:
    """Close every connection, and the pools too: their threads would not exist in a child."""
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        if hasattr(connection, "close_pool"):
            connection.close_pool()


def _receives(channel: socket) -> bool:
    """Read what has arrived; return False at the end of the stream."""
    try:
        return bool(channel.recv(65_536))
    except ConnectionResetError:
        return False
