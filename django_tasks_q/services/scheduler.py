import logging
import math
import time
from collections.abc import Iterable
from typing import Protocol

from django.db import DatabaseError, InterfaceError, OperationalError

from ..brokers.base import Broker
from ..schedules.declaring import Declaration
from ..schedules.firing import BATCH, Fired, Firer, next_due
from ..schedules.syncing import synchronise
from ..schedules.task_info import TaskInfo
from .registry import Registry

__all__ = ["Scheduler"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds between looks for changes made elsewhere; and seconds to leave due schedules to workers that have locked
# them.
INTERVAL, YIELD, AFTER_ERROR = 0.5, 0.05, 5.0


class Catalog(Protocol):
    """What is known of the project's tasks."""

    def declared(self) -> tuple[Iterable[Declaration], bool] | None:
        """Return the declared schedules, and whether these are all; None if they are not known yet."""

    def find(self, path: str) -> TaskInfo | str | None:
        """Return what is known about a task, or why there is none; None if that is not known yet."""


class Scheduler:
    """Enqueues the jobs of due schedules, and knows when the next one is due.

    The rows are synchronised with what the catalog declares, once it knows.
    """

    def __init__(self, broker: Broker, registry: Registry, catalog: Catalog) -> None:
        self.broker = broker
        self.firer = Firer(broker, registry.sender, catalog.find)
        self.catalog = catalog
        # Whether the last look has left due schedules waiting until their tasks have been looked up.
        self.is_waiting = False
        self._is_synchronised = False
        self.due_at = math.inf  # monotonic seconds
        self._looked_at = -math.inf

    def is_due(self, longest: float) -> bool:
        """Return whether it is time to look: a schedule is due, or the last look was `longest` seconds ago."""
        now = time.monotonic()
        return now >= self.due_at or now >= self._looked_at + longest or self._must_synchronise()

    def look(self) -> bool:
        """Fire one batch of due schedules, and find out when the next is due; return whether there are new jobs."""
        now = time.monotonic()
        if now < self.due_at and now < self._looked_at + INTERVAL and not self._must_synchronise():
            # Woken, probably for a job, but perhaps because a schedule has changed.
            self.due_at = min(self.due_at, self._looked_at + INTERVAL)
            return False
        self._looked_at = now
        try:
            self._synchronise()
            return self._fire().jobs > 0
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            logger.exception("The schedules cannot be read; retrying in %g s.", AFTER_ERROR)
            self.due_at = now + AFTER_ERROR
            return False

    def _must_synchronise(self) -> bool:
        return not self._is_synchronised and self.catalog.declared() is not None

    def _synchronise(self) -> None:
        declared = None if self._is_synchronised else self.catalog.declared()
        if declared is not None:
            schedules, complete = declared
            synchronise(self.broker, schedules, complete=complete)
            self._is_synchronised = True

    def _fire(self) -> Fired:
        due, fired = next_due(self.broker), Fired()
        if due is not None and due <= 0:
            fired = self.firer.fire()
            self.is_waiting = fired.waiting > 0
            due = next_due(self.broker)
            if due is not None and due <= 0 and (fired.due < BATCH or fired.waiting):
                # Locked by another worker, or waiting for its task to be looked up.
                due = YIELD
        self.due_at = math.inf if due is None else time.monotonic() + due
        return fired
