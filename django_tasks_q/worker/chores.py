import logging
import time
from collections import deque
from collections.abc import Iterable

from ..brokers.failures import UNREADABLE
from ..services.base import Service, soonest

__all__ = ["Chores"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds to wait before a failed chore is tried again.
PUT_OFF = 30.0


class Chores:
    """Runs the services in turn, one at a time: heartbeat, outcomes and claims come in between."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._services = deque(services)

    def run_one(self) -> None:
        """Run the first service that is due; it goes to the end of the line."""
        now = time.monotonic()
        for service in self._services:
            if service.due_at <= now:
                self._services.remove(service)
                self._services.append(service)
                self._run(service)
                return

    def _run(self, service: Service) -> None:
        """Do a chore. If it fails, for example because of a damaged row, it is postponed, and the worker continues."""
        try:
            service.run_if_due()
        except UNREADABLE:
            service.due_at = time.monotonic() + PUT_OFF
            logger.exception("%s failed; retrying in %g s.", type(service).__name__, PUT_OFF)

    @property
    def due_at(self) -> float:
        """When the next one is due, in monotonic seconds."""
        return soonest(self._services)
