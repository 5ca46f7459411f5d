"""What waiting for a result needs beside looking at it: how often to look, and whether it can ever end."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import OperationalError, connections

from .brokers import get_broker, get_database
from .compat import TaskResultDoesNotExist, task_backends
from .exceptions import EndlessWait

__all__ = ["EndlessnessWatch", "explain_with", "pauses", "timeout_message"]

# Seconds between two looks at a result; and between two at whether it can be waited for.
FIRST_POLL, LONGEST_POLL = 0.005, 0.5
LOOK_AGAIN = 5.0
# What says why a job does not run, given its id and the alias of its backend. It is above this floor.
_explanations: list[Callable[[str, str], str]] = []


def explain_with(explanation: Callable[[str, str], str]) -> None:
    """Have a TimeoutError say what this says of the job; nothing where it is an empty text."""
    _explanations[:] = [explanation]


def pauses(timeout: float | None) -> Iterator[float]:
    """Yield how many seconds to sleep before each look, until the time is up. timeout: seconds; None: for ever."""
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    pause = 0.0
    is_last = False
    while not is_last:
        # Reckoned before the look: a process that stood still in between looks once more.
        is_last = time.monotonic() + pause >= deadline
        yield pause
        pause = max(0.0, min(max(FIRST_POLL, pause * 1.5), LONGEST_POLL, deadline - time.monotonic()))


def timeout_message(result: Any, timeout: float | None) -> str:
    """Return what a TimeoutError says of a job that has not finished in time."""
    sentences = [f"Job {result.id} ({result.task.module_path}) is still {result.status} after {timeout:g} s."]
    if any(connection.in_atomic_block for connection in connections.all(initialized_only=True)):
        sentences.append("A job that was enqueued in a transaction does not run before that transaction is committed.")
    sentences += [explanation(result.id, result.backend) for explanation in _explanations]
    return " ".join(filter(None, sentences))


class EndlessnessWatch:
    """Looks now and then whether a wait without a timeout can end.

    It cannot where the current transaction hides from the workers that the job is there, or from us that it has ended.
    """

    def __init__(self, result: Any) -> None:
        self.result = result
        self._due_at = 0.0

    def look(self) -> None:
        """Raise EndlessWait where it is certain. The result has just been read, and was not finished."""
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + LOOK_AGAIN
        using = get_database(self.result.backend)
        connection = connections[using]
        if (connection.in_atomic_block or not connection.get_autocommit()) and self._is_hopeless():
            raise EndlessWait(
                f"wait() would never end: job {self.result.id} ({self.result.task.module_path}) cannot run, or not be "
                f'seen to end, before the current transaction of the database "{using}" has ended. Wait after it: '
                "atomic() begins one, as do ATOMIC_REQUESTS for each view and TestCase for each test, "
                "where django_tasks_q.testing.run_jobs() runs the job. "
                "With a timeout, wait() ends with a TimeoutError."
            )

    def _is_hopeless(self) -> bool:
        broker = get_broker(self.result.backend)
        if not broker.dialect.sees_commits or broker.dialect.repeats_reads:
            return True
        # A thread has a connection of its own.
        with ThreadPoolExecutor(1) as others:
            is_running = others.submit(self._is_unfinished_to_others).result()
        if is_running:
            return False
        # They may have seen what we see since.
        self.result.refresh()
        return not self.result.is_finished

    def _is_unfinished_to_others(self) -> bool:
        try:
            return not task_backends[self.result.backend].get_result(self.result.id).is_finished
        except TaskResultDoesNotExist:
            return False
        except OperationalError:
            # No connection is left for this question, which is one of courtesy.
            return True
        finally:
            connections.close_all()
