"""Why a child has ended, in words."""

import os
import signal

__all__ = ["STOPPED", "TIMED_OUT", "TOO_LARGE", "describe_exit"]

TIMED_OUT = "was killed for the job's time limit"
TOO_LARGE = "was killed because it used"
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
