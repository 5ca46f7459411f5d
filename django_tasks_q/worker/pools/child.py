"""The process that runs tasks: it takes a token, runs that job, hands back the outcome, and so on."""

import ctypes
import logging
import os
import signal
import sys
from io import TextIOWrapper
from socket import socket
from typing import Any

from ...brokers import get_broker
from ...conf import Options
from ..executor import Executor
from ..interruption import CANCEL_SIGNAL, Interruption, pass_through_handlers
from ..log_capture import LogCapture
from ..reporter import Reporter
from .channels import FrameReader
from .surroundings import Surroundings
from .tokens import TokenPipe
from .wire import encode_limit, encode_logs, encode_progress, encode_ready

__all__ = ["run_child"]

logger = logging.getLogger("django_tasks_q.worker")
PR_SET_PDEATHSIG = 1


def run_child(channel: socket, tokens: TokenPipe, cancels: TokenPipe, alias: str, parent: int) -> None:
    """Serve one supervisor until it gives out no more tokens.

    channel: frames of jobs come in, runs go out. cancels: the numbers of jobs that are to be cancelled. alias: the
    backend's. parent: the process that must live.
    """
    _die_with(parent)
    os.setpgid(0, 0)
    interruption = Interruption(cancels)
    pass_through_handlers()
    for number, handler in (HANDLERS | {CANCEL_SIGNAL: interruption.hear}).items():
        signal.signal(number, handler)
    if isinstance(sys.stdout, TextIOWrapper):
        # What a task prints is in the log at once, whatever becomes of this process.
        sys.stdout.reconfigure(line_buffering=True)
    capture = _capture(channel, get_broker(alias).options)
    executor = Executor(
        alias,
        lambda limit: channel.sendall(encode_limit(limit)),
        interruption,
        Reporter(lambda note: channel.sendall(encode_progress(note))),
        capture,
    )
    surroundings = Surroundings(channel.fileno(), (tokens.reader, cancels.reader), capture)
    frames = FrameReader(channel)
    channel.sendall(encode_ready())
    while (token := tokens.take()) is not None:
        body = _frame_of(frames, token)
        if body is None:
            return
        run = executor.execute(token, body)
        is_sound = surroundings.restore()
        if not surroundings.is_connected():
            raise ConnectionAbortedError("A task has closed the connection of its process to the worker.")
        channel.sendall(run.encode())
        if not is_sound:
            logger.warning("A task has closed a standard stream; its process is replaced.")
            return


def _capture(channel: socket, options: Options) -> LogCapture | None:
    """Listen to what tasks log, where that is wanted."""
    if options.capture_logs is None:
        return None
    capture = LogCapture(lambda note: channel.sendall(encode_logs(note)), options.capture_logs, options.max_logs)
    capture.install()
    return capture


def _frame_of(frames: FrameReader, token: int) -> bytes | None:
    """Read up to the job with this number; those before it were taken back by the parent."""
    while (frame := frames.read()) is not None:
        seq, body = frame
        if seq == token:
            return body
    return None


def _leave_to_supervisor(number: int, frame: Any) -> None:
    """Do nothing."""


# The supervisor decides when a child ends: a signal to the whole group or container must not cut a job short. The
# handler is Python's, not SIG_IGN, so that programs which a task starts do not inherit deafness.
HANDLERS: dict[signal.Signals, Any] = {
    signal.SIGTERM: _leave_to_supervisor,
    signal.SIGINT: _leave_to_supervisor,
    signal.SIGHUP: _leave_to_supervisor,
    signal.SIGALRM: signal.SIG_DFL,
    signal.SIGCHLD: signal.SIG_DFL,
}


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, where it can."""
    if sys.platform == "linux":
        libc: Any = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
