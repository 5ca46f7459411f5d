"""The kit for a TestCase, and as one object."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any
from unittest import TestCase

from ..compat import task_backends
from . import assertions, contexts, firing, running
from .clock import Clock, travel
from .scope import recording_aliases

__all__ = ["EnqueuedMixin", "TasksQ", "forget_recorded"]


class Functions:
    """What fixtures and test cases have under the same names."""

    run_jobs = staticmethod(running.run_jobs)
    arun_jobs = staticmethod(running.arun_jobs)
    fire_schedules = staticmethod(firing.fire_schedules)
    enqueued_jobs = staticmethod(assertions.enqueued_jobs)
    aenqueued_jobs = staticmethod(assertions.aenqueued_jobs)
    make_context = staticmethod(contexts.make_context)


class TasksQ(Functions):
    """The functions of this package, as the fixture tasks_q has them."""

    assert_enqueued = staticmethod(assertions.assert_enqueued)
    aassert_enqueued = staticmethod(assertions.aassert_enqueued)
    assert_not_enqueued = staticmethod(assertions.assert_not_enqueued)
    aassert_not_enqueued = staticmethod(assertions.aassert_not_enqueued)

    def __init__(self, enter: Callable[[AbstractContextManager[Clock]], Clock]) -> None:
        self._enter = enter

    def travel(self, to: timedelta | datetime) -> Clock:
        """Set the clock until the test or a `with` block ends, and return it; see django_tasks_q.testing.travel()."""
        return self._enter(travel(to))


class EnqueuedMixin(Functions, TestCase):
    """For a TestCase or TransactionTestCase of Django's: the functions of this package as methods."""

    def setUp(self) -> None:
        super().setUp()
        forget_recorded()

    def assertEnqueued(self, *args: Any, **kwargs: Any) -> Any:
        """See assert_enqueued()."""
        return assertions.assert_enqueued(*args, **kwargs)

    def assertNotEnqueued(self, *args: Any, **kwargs: Any) -> None:
        """See assert_not_enqueued()."""
        assertions.assert_not_enqueued(*args, **kwargs)

    def travel(self, to: timedelta | datetime) -> Clock:
        """Set the clock until the test or a `with` block ends, and return it; see django_tasks_q.testing.travel()."""
        return self.enterContext(travel(to))


def forget_recorded() -> None:
    """Forget what earlier tests have left in a RecordingBackend."""
    for alias in recording_aliases():
        task_backends[alias].clear()
