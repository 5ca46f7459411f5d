import time
from collections.abc import Callable

from .base import Service
from .registry import Load, Registry

__all__ = ["Heartbeat"]

CLOCK_INTERVAL = 60.0


class Heartbeat(Service):
    """Says that the worker lives.

    load: returns what it has to tell. rested: whether the worker has been out of work since the last beat; if not,
    no enqueue has to wake it. disowned: called where the others have taken it for dead. asked: called with what an
    operator wants of it, or None.
    """

    def __init__(
        self,
        registry: Registry,
        load: Callable[[], Load],
        rested: Callable[[], bool],
        disowned: Callable[[], None],
        asked: Callable[[str | None], None],
    ) -> None:
        super().__init__()
        self.interval = registry.broker.options.heartbeat_interval
        self.registry = registry
        self.load = load
        self.rested = rested
        self.disowned = disowned
        self.asked = asked
        self._clock_at = time.monotonic() + CLOCK_INTERVAL

    def run(self) -> None:
        if not self.registry.beat(self.load(), idle=self.registry.idle and self.rested()):
            self.disowned()
        self.asked(self.registry.request())
        if time.monotonic() >= self._clock_at:
            self.registry.set_clock()
            self._clock_at = time.monotonic() + CLOCK_INTERVAL
