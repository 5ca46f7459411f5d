"""The process that runs tasks: it takes a token, runs that job, hands back the outcome, and so on."""

import ctypes
import logging
import os
import signal
import sys
from io import TextIOWrapper
from socket import socket
from typing import Any

from ..executor import Executor
from .wire import FrameReader, TokenPipe, encode_limit, encode_ready

__all__ = ["run_child"]

logger = logging.getLogger("django_tasks_q.worker")
PR_SET_PDEATHSIG = 1


def run_child(channel: socket, tokens: TokenPipe, alias: str, parent: int) -> None:
    """Serve one supervisor until it gives out no more tokens.

    channel: frames of jobs come in, runs go out. alias: the backend's. parent: the process that must live.
    """
    _die_with(parent)
    os.setpgid(0, 0)
    _reset_signals()
    if isinstance(sys.stdout, TextIOWrapper):
        # What a task prints is in the log at once, whatever becomes of this process.
        sys.stdout.reconfigure(line_buffering=True)
    executor = Executor(alias, announce=lambda limit: channel.sendall(encode_limit(limit)))
    frames = FrameReader(channel)
    channel.sendall(encode_ready())
    while (token := tokens.take()) is not None:
        body = _frame_of(frames, token)
        if body is None:
            return
        channel.sendall(executor.execute(token, body).encode())
        _reset_signals()


def _frame_of(frames: FrameReader, token: int) -> bytes | None:
    """Read up to the job with this number; those before it were taken back by the parent."""
    while (frame := frames.read()) is not None:
        seq, body = frame
        if seq == token:
            return body
    return None


def _reset_signals() -> None:
    """Undo what a task may have done to the timer and the handlers."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in HANDLERS.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


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
