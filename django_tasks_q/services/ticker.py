import logging
import math
import time
from collections.abc import Callable, Iterable

from django.db import DatabaseError, InterfaceError, OperationalError

from ..brokers.base import Broker
from ..schedules.declaring import Declaration
from ..schedules.firing import BATCH, Fired, Firer, next_due
from ..schedules.planning import FindShape
from ..schedules.syncing import synchronise
from .registry import Registry

__all__ = ["Ticker"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds between looks at what others may have changed; and to leave what is due to those who have it locked.
INTERVAL, YIELD, AFTER_ERROR = 0.5, 0.05, 5.0
# Returns what the code declares, and whether that is all of it; None where it is not known yet.
Declared = Callable[[], tuple[Iterable[Declaration], bool] | None]


class Ticker:
    """Makes jobs of the schedules that are due, and knows when the next one is.

    declared: called until it returns something, with which the rows are brought in line.
    """

    def __init__(self, broker: Broker, registry: Registry, find_shape: FindShape, declared: Declared) -> None:
        self.broker = broker
        self.firer = Firer(broker, registry.sender, find_shape)
        self.declared = declared
        # Whether the last look has left schedules that are due, until more is known of their tasks.
        self.is_waiting = False
        self._is_synchronised = False
        self._due_at = math.inf  # monotonic seconds
        self._looked_at = -math.inf

    def is_due(self, longest: float) -> bool:
        """Say whether it is time to look: a schedule is due, or the last look was `longest` seconds ago."""
        now = time.monotonic()
        return now >= self._due_at or now >= self._looked_at + longest or self._must_synchronise()

    def seconds_until_due(self) -> float:
        return self._due_at - time.monotonic()

    def look(self) -> bool:
        """Fire what is due, one batch of it, and learn when the next one is; return whether there are new jobs."""
        now = time.monotonic()
        if now < self._due_at and now < self._looked_at + INTERVAL and not self._must_synchronise():
            # Woken, most likely for a job; but perhaps because a schedule has changed.
            self._due_at = min(self._due_at, self._looked_at + INTERVAL)
            return False
        self._looked_at = now
        try:
            self._synchronise()
            return self._fire().jobs > 0
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            logger.exception("The schedules cannot be looked at; again in %g s.", AFTER_ERROR)
            self._due_at = now + AFTER_ERROR
            return False

    def _must_synchronise(self) -> bool:
        return not self._is_synchronised and self.declared() is not None

    def _synchronise(self) -> None:
        declared = None if self._is_synchronised else self.declared()
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
        self._due_at = math.inf if due is None else time.monotonic() + due
        return fired
