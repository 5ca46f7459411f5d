"""The process that forks the children: it has imported the project and its tasks, and opened no connection."""

import gc
import json
import logging
import os
import select
import signal
from collections.abc import Sequence
from socket import recv_fds, socket
from typing import Any, NoReturn

from ...discovery import import_tasks
from ...schedules.declaring import find_declarations
from ...schedules.task_info import describe_task
from ..child.main import run_child
from ..child.processes import end_process, kill_group
from ..wire.begun import BegunMark
from ..wire.tokens import TokenPipe

__all__ = ["serve"]

logger = logging.getLogger("django_tasks_q.worker")
# Descriptors that a child gets: its channel, two pipes, and shared memory.
PASSED = 4


def serve(channel: socket, alias: str) -> NoReturn:
    """Be the fork server of a backend's worker, until the supervisor at the other end of the channel is gone."""
    code = 1
    try:
        _Server(channel, alias).run()
        code = 0
    except BaseException:
        logger.critical("The fork server failed.", exc_info=True)
    finally:
        end_process(code)


class _Server:
    """What the fork server does: spawn, kill, and report dead children, until the supervisor is gone."""

    def __init__(self, channel: socket, alias: str) -> None:
        self.channel = channel
        self.alias = alias
        self.children: set[int] = set()
        self._incoming = b""
        self._descriptors: list[int] = []

    def run(self) -> None:
        os.setpgid(0, 0)
        wake = self._hear_of_deaths()
        self._declare(complete=import_tasks().complete)
        # Existing objects are shared with every child, as long as the garbage collector does not write to them.
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
            logger.error("A schedule is left unchanged: %s", problem)
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
            # Or every program that a task executes would have them too.
            os.set_inheritable(descriptor, False)
        self._descriptors += descriptors
        *lines, self._incoming = (self._incoming + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return True

    def _obey(self, message: dict[str, Any]) -> None:
        if "spawn" in message:
            channel, *others = self._descriptors[:PASSED]
            del self._descriptors[:PASSED]
            self._spawn(message["spawn"], socket(fileno=channel), others)
        elif "describe" in message:
            self._send({"described": {path: describe_task(path) for path in message["describe"]}})
        elif message["kill"] in self.children:
            kill_group(message["kill"], message["signal"])

    def _spawn(self, number: int, channel: socket, descriptors: Sequence[int]) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_child(channel, descriptors, parent)
        channel.close()
        for descriptor in descriptors:
            os.close(descriptor)
        self.children.add(pid)
        self._send({"spawned": number, "pid": pid})

    def _become_child(self, channel: socket, descriptors: Sequence[int], parent: int) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.channel.close()
            tokens, cancels, begun = descriptors
            run_child(channel, TokenPipe(tokens, None), TokenPipe(cancels, None), BegunMark(begun), self.alias, parent)
            code = 0
        except (BrokenPipeError, ConnectionResetError):
            # The supervisor is gone, so there is no process to report to.
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


def _note(number: int, frame: Any) -> None:
    """Do nothing: the signal has been written to the wake-up pipe."""


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            continue
    except BlockingIOError:
        return
