"""How a child ends, and why it has ended, in words."""

import os
import signal
import sys
from typing import NoReturn

__all__ = ["GARBLED", "STOPPED", "TIMED_OUT", "TOO_LARGE", "UNCANCELLED", "describe_exit", "end_process"]

TIMED_OUT = "was killed for the job's time limit"
UNCANCELLED = "was killed because the job was cancelled and did not end"
TOO_LARGE = "was killed because it used"
GARBLED = "was killed because the task wrote into its connection to the worker"
STOPPED = "was killed because the worker had to stop"


def describe_exit(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}{', probably because it ran out of memory' if -code == signal.SIGKILL else ''}"


def end_process(code: int) -> NoReturn:
    """End this process at once, whatever a task has done to it; what it has printed is not lost."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
