"""The process that runs tasks: it takes a token, runs that job, returns the outcome, and repeats."""

import ctypes
import logging
import os
import signal
import sys
import time
from io import TextIOWrapper
from socket import socket
from typing import Any

from ...brokers import get_broker
from ...conf import Options
from ..wire.begun import BegunMark
from ..wire.channels import FrameReader
from ..wire.frames import encode_ready
from ..wire.jobs import JobRow
from ..wire.tokens import CANCEL_SIGNAL, TokenPipe
from .cancel_listener import CancelListener
from .executor import Executor
from .interruption import pass_through_handlers
from .log_capture import LogCapture
from .outbox import ChannelOutbox
from .process_state import ProcessState
from .run_scope import RunScope

__all__ = ["run_child"]

logger = logging.getLogger("django_tasks_q.worker")
PR_SET_PDEATHSIG = 1


def run_child(
    channel: socket, tokens: TokenPipe, cancels: TokenPipe, begun: BegunMark, alias: str, parent: int
) -> None:
    """Serve one supervisor until it hands out no more tokens.

    channel: frames of jobs come in, runs go out. cancels: the numbers of jobs that are to be cancelled. begun: where
    to write which job has begun. alias: the backend's. parent: the process that this one may not outlive.
    """
    _die_with(parent)
    os.setpgid(0, 0)
    listener = CancelListener(cancels)
    _install_handlers(listener)
    _write_lines_at_once()
    broker = get_broker(alias)
    capture = _capture(broker.options)
    executor = Executor(alias, capture)
    outbox = ChannelOutbox(channel, tokens, begun, broker.dialect)
    state = ProcessState(channel.fileno(), (tokens.reader, cancels.reader), capture)
    frames = FrameReader(channel)
    channel.sendall(encode_ready())
    while (token := tokens.take()) is not None:
        body = _frame_of(frames, token)
        if body is None:
            return
        scope = RunScope(token, JobRow(body, alias, time.time()), outbox)
        listener.begin(scope)
        run = executor.run(scope)
        is_sound = state.restore()
        if not state.is_connected():
            raise ConnectionAbortedError("A task has closed its process's connection to the worker.")
        channel.sendall(run.encode())
        if not is_sound:
            logger.warning("A task has closed a standard stream; its process is replaced.")
            return


def _write_lines_at_once() -> None:
    """What a task prints is in the log at once, whatever happens to this process."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def _install_handlers(listener: CancelListener) -> None:
    pass_through_handlers()
    for number, handler in (HANDLERS | {CANCEL_SIGNAL: listener.hear}).items():
        signal.signal(number, handler)


def _capture(options: Options) -> LogCapture | None:
    """Capture what tasks log, if that is configured."""
    if options.capture_logs is None:
        return None
    capture = LogCapture(options.capture_logs, options.max_logs)
    capture.install()
    return capture


def _frame_of(frames: FrameReader, token: int) -> bytes | None:
    """Read up to the job with this number; the parent has taken back those before it."""
    while (frame := frames.read()) is not None:
        seq, body = frame
        if seq == token:
            return body
    return None


def _leave_to_supervisor(number: int, frame: object) -> None:
    """Do nothing."""


# The supervisor decides when a child exits: a signal to the whole group or container must not cut a job short. The
# handler is Python's, not SIG_IGN, so that programs started by a task do not inherit ignored signals.
HANDLERS: dict[signal.Signals, Any] = {
    signal.SIGTERM: _leave_to_supervisor,
    signal.SIGINT: _leave_to_supervisor,
    signal.SIGHUP: _leave_to_supervisor,
    signal.SIGALRM: signal.SIG_DFL,
    signal.SIGCHLD: signal.SIG_DFL,
}


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, if it supports that."""
    if sys.platform == "linux":
        libc: Any = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
