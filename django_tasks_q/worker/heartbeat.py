import logging
import time
from pathlib import Path
from typing import NamedTuple

from ..services.base import Periodic
from ..services.registry import Load, Registry

__all__ = ["Beat", "Heartbeat"]

logger = logging.getLogger("django_tasks_q.worker")
CLOCK_INTERVAL = 60.0
# Seconds until a failed heartbeat is tried again.
SOON = 0.3


class Beat(NamedTuple):
    """What a heartbeat has found. disowned: whether the others have presumed the worker dead.

    request: what an operator has asked of the worker, if anything.
    """

    disowned: bool
    request: str | None


class Heartbeat(Periodic):
    """Records that the worker is alive.

    file: touched after each heartbeat that the database has recorded, for probes.
    """

    def __init__(self, registry: Registry, file: str | None = None) -> None:
        super().__init__()
        self.interval = registry.broker.options.heartbeat_interval
        self.registry = registry
        self.file = None if file is None else Path(file)
        self._can_touch = True
        self._clock_at = time.monotonic() + CLOCK_INTERVAL

    def beat(self, load: Load, *, idle: bool) -> Beat:
        """Record the load; return what was found. idle: whether an enqueue still has to wake the worker."""
        alive = self.registry.beat(load, idle=idle)
        if self.registry.is_locked:
            # Or it would look dead after that.
            self.due_at = min(self.due_at, time.monotonic() + SOON)
        elif alive and self.file is not None:
            self._touch(self.file)
        # A request to a worker that starts over under a new id was not to that one.
        request = self.registry.request() if alive else None
        if time.monotonic() >= self._clock_at:
            self.registry.clock.compare()
            self._clock_at = time.monotonic() + CLOCK_INTERVAL
        return Beat(not alive, request)

    def _touch(self, file: Path) -> None:
        """Touch the file. A full or read-only disk stops no worker; it is logged once."""
        try:
            file.touch()
        except OSError as error:
            if self._can_touch:
                logger.error("The heartbeat file %s cannot be touched: %s. Probes that look at it fail.", file, error)
            self._can_touch = False
        else:
            self._can_touch = True
