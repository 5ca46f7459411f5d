"""The process that forks the children: it has imported the project and its tasks, and has opened no connection."""

import gc
import json
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from socket import AF_UNIX, SHUT_WR, SOCK_STREAM, recv_fds, send_fds, socket, socketpair
from typing import Any, NoReturn

from django.db import connections

from ...discovery import import_tasks
from ...schedules.declaring import find_declarations
from ...schedules.shapes import describe_task
from .child import run_child
from .exits import end_process
from .tokens import TokenPipe

__all__ = ["ForkServer", "kill_group"]

logger = logging.getLogger("django_tasks_q.worker")
LONGEST_GOODBYE = 3.0


class ForkServer:
    """The supervisor's handle of the fork server. Its answers come over a channel, never waited for."""

    def __init__(self, pid: int, channel: socket) -> None:
        self.pid = pid
        self.channel = channel
        self._incoming = b""

    @classmethod
    def start(cls, alias: str) -> "ForkServer":
        """Fork the server off this process, which must have one thread and no open connection."""
        _close_connections()
        ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _serve(theirs, alias)
        theirs.close()
        ours.setblocking(False)
        return cls(pid, ours)

    def spawn(self, number: int, channel: socket, tokens: int, cancels: int) -> None:
        """Ask for a child with these ends of its channel and pipes; `spawned` or `exited` comes back."""
        self._send({"spawn": number}, [channel.fileno(), tokens, cancels])

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Send a signal to a child and what it has started; its process ID cannot have been given to another."""
        self._send({"kill": pid, "signal": number})

    def describe(self, paths: Iterable[str]) -> None:
        """Ask what there is to know of tasks; `described` comes back."""
        self._send({"describe": list(paths)})

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that have arrived. Raise EOFError where the server is gone."""
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
        """End the server, which kills the children that are left; kill it where it does not hear."""
        self.channel.shutdown(SHUT_WR)
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        deadline = time.monotonic() + LONGEST_GOODBYE
        while poll.poll(max(0.0, deadline - time.monotonic()) * 1_000):
            if not _receives(self.channel):
                break
        else:
            os.kill(self.pid, signal.SIGKILL)
        self.channel.close()
        os.waitpid(self.pid, 0)

    def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        line = json.dumps(message).encode() + b"\n"
        try:
            while not self._takes(line, descriptors):
                self._wait_for_room()
        except (BrokenPipeError, ConnectionResetError):
            logger.warning("The fork server is gone.")

    def _takes(self, line: bytes, descriptors: Sequence[int]) -> bool:
        try:
            if descriptors:
                send_fds(self.channel, [line], descriptors)
            else:
                self.channel.send(line)
        except BlockingIOError:
            return False
        return True

    def _wait_for_room(self) -> None:
        """Wait until the server reads, which it does not before it has imported the project; read what it says."""
        poll = select.poll()
        poll.register(self.channel, select.POLLIN | select.POLLOUT)
        ((_, events),) = poll.poll()
        if events & select.POLLIN:
            self._incoming += self.channel.recv(65_536)


def _close_connections() -> None:
    """Close every connection, and the pools too: their threads would not live on in a child."""
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        if hasattr(connection, "close_pool"):
            connection.close_pool()


def _receives(channel: socket) -> bool:
    """Read what there is; return False at the end of the stream."""
    try:
        return bool(channel.recv(65_536))
    except ConnectionResetError:
        return False


def _serve(channel: socket, alias: str) -> NoReturn:
    code = 1
    try:
        _Server(channel, alias).run()
        code = 0
    except BaseException:
        logger.critical("The fork server failed.", exc_info=True)
    finally:
        end_process(code)


class _Server:
    """What runs in the fork server: spawn, kill, and report the dead, until the supervisor is gone."""

    def __init__(self, channel: socket, alias: str) -> None:
        self.channel = channel
        self.alias = alias
        self.children: set[int] = set()
        self._incoming = b""
        self._descriptors: list[int] = []

    def run(self) -> None:
        os.setpgid(0, 0)
        wake = self._hear_of_deaths()
        self._declare(complete=import_tasks())
        # What is there now is shared with every child, as long as the collector does not write to it.
        gc.collect()
        gc.freeze()
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        poll.register(wake, select.POLLIN)
        try:
            while self._serve_once(poll, wake):
                self._report_deaths()
        except ConnectionError:
            logger.debug("The supervisor was killed.")
        finally:
            self._kill_all()

    def _declare(self, *, complete: bool) -> None:
        """Tell the supervisor, which does not import the project's tasks, which schedules they declare."""
        found, problems = find_declarations(self.alias)
        for problem in problems:
            logger.error("A schedule is left as it is: %s", problem)
        schedules = [(origin, definition.dump()) for origin, definition in found]
        self._send({"declared": schedules, "complete": complete and not problems})

    def _hear_of_deaths(self) -> int:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, _note)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        return reader

    def _serve_once(self, poll: Any, wake: int) -> bool:
        """Wait for something to do and do it; return False when the supervisor is gone."""
        ready = {descriptor for descriptor, _ in poll.poll()}
        if wake in ready:
            _drain(wake)
        if self.channel.fileno() not in ready:
            return True
        data, descriptors, _, _ = recv_fds(self.channel, 65_536, 16)
        if not data:
            return False
        for descriptor in descriptors:
            # Else every program that a task executes would have them too.
            os.set_inheritable(descriptor, False)
        self._descriptors += descriptors
        *lines, self._incoming = (self._incoming + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return True

    def _obey(self, message: dict[str, Any]) -> None:
        if "spawn" in message:
            channel, tokens, cancels = self._descriptors[:3]
            del self._descriptors[:3]
            self._spawn(message["spawn"], socket(fileno=channel), tokens, cancels)
        elif "describe" in message:
            self._send({"described": {path: describe_task(path) for path in message["describe"]}})
        elif message["kill"] in self.children:
            kill_group(message["kill"], message["signal"])

    def _spawn(self, number: int, channel: socket, tokens: int, cancels: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_child(channel, tokens, cancels, parent)
        channel.close()
        os.close(tokens)
        os.close(cancels)
        self.children.add(pid)
        self._send({"spawned": number, "pid": pid})

    def _become_child(self, channel: socket, tokens: int, cancels: int, parent: int) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.channel.close()
            run_child(channel, TokenPipe(tokens, None), TokenPipe(cancels, None), self.alias, parent)
            code = 0
        except (BrokenPipeError, ConnectionResetError):
            # The supervisor is gone, and with it everybody who could be told.
            code = 0
        except BaseException:
            logger.critical("A child failed outside of any job.", exc_info=True)
        finally:
            end_process(code)

    def _report_deaths(self) -> None:
        while self.children:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            self.children.discard(pid)
            self._send({"exited": pid, "status": status, "maxrss": usage.ru_maxrss})

    def _kill_all(self) -> None:
        for pid in self.children:
            kill_group(pid, signal.SIGKILL)

    def _send(self, message: dict[str, Any]) -> None:
        self.channel.sendall(json.dumps(message).encode() + b"\n")


def kill_group(pid: int, number: int) -> None:
    """Signal the child's whole group, or the child alone while it has not made one yet."""
    kill: Callable[[int, int], None]
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, number)
        except ProcessLookupError:
            continue
        return


def _note(number: int, frame: Any) -> None:
    """Do nothing: the wake-up pipe has been told."""


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            continue
    except BlockingIOError:
        return
