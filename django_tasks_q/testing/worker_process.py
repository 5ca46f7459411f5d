"""python -m django_tasks_q.testing.worker_process: a worker with the databases of the test that has started it."""

import ctypes
import os
import pickle
import signal
import sys
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

from ..signals import worker_started

__all__ = ["main"]

PR_SET_PDEATHSIG = 1


def main(tell: int, arguments: list[str]) -> None:
    """Run a worker to its end. tell: the descriptor to write to when it is ready. What is to be known is on stdin."""
    _end_with_parent()
    given: dict[str, Any] = pickle.load(sys.stdin.buffer)  # noqa: S301 - the test has written it
    for alias, place in given["DATABASES"].items():
        settings.DATABASES[alias].update(place)
    settings.TASKS = given["TASKS"]
    django.setup()

    def tell_ready(**kwargs: Any) -> None:
        os.write(tell, b".")

    worker_started.connect(tell_ready)
    call_command("taskworker", *arguments)


def _end_with_parent() -> None:
    """Have the kernel end this process when the test's is killed, if it can."""
    if sys.platform == "linux":
        libc: Any = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
