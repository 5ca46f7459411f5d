"""Waiting for an event, with a generous limit: nothing here sleeps for a fixed time and hopes."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django_tasks_q import TasksQResult

__all__ = ["LIMIT", "wait_for", "wait_for_results"]

T = TypeVar("T")
# Seconds. Much more than anything here takes, for a machine that is busy with something else.
LIMIT = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.2


def wait_for(condition: Callable[[], T], what: str, *, timeout: float = LIMIT) -> T:
    """Return the first true result of the condition. Raise AssertionError naming `what` did not happen.

    timeout: seconds.
    """
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while True:
        # Before the look: a machine that stands still after it is granted another one.
        is_last = time.monotonic() > deadline
        if answer := condition():
            return answer
        if is_last:
            raise AssertionError(f"Waited {timeout:g} s in vain for {what}; the last answer was {answer!r}.")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def wait_for_results(results: Sequence[TasksQResult[Any]], *, timeout: float = LIMIT) -> list[Any]:
    """Wait until every job has finished, within `timeout` seconds together; return what they returned."""
    deadline = time.monotonic() + timeout
    return [result.wait(max(0.0, deadline - time.monotonic())).return_value for result in results]
