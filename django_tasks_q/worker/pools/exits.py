"""Why a child has exited."""

import os
import signal
from typing import NamedTuple

from ...lifecycle import Ending

__all__ = ["GARBLED", "STOPPED", "TIMED_OUT", "UNCANCELLED", "Kill", "describe_exit", "too_large"]


class Kill(NamedTuple):
    """Why a child is killed. ending: how the run ends that it takes with it. text: for people."""

    ending: Ending
    text: str


TIMED_OUT = Kill(Ending.TIMEOUT, "was killed at the job's time limit")
UNCANCELLED = Kill(Ending.CANCEL_KILLED, "was killed because the job was cancelled and did not end")
GARBLED = Kill(Ending.LOST, "was killed because the task wrote into its connection to the worker")
STOPPED = Kill(Ending.STOPPED, "was killed because the worker had to stop")


def too_large(excess: str) -> Kill:
    """Return the reason for killing a child that uses too much memory. excess: how much, as text."""
    return Kill(Ending.OUT_OF_MEMORY, f"was killed because it used {excess}")


def describe_exit(status: int) -> str:
    """Return as text how a process has exited that we did not kill. status: as os.waitpid() returns it."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}{', probably because it ran out of memory' if -code == signal.SIGKILL else ''}"
