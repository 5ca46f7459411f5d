import math
from collections.abc import Callable
from typing import Protocol

from ...brokers.base import Broker
from ...notifiers import Notifier
from ...services.base import Service
from ...services.registry import Registry

__all__ = ["PassOn"]


class Appetite(Protocol):
    """How many jobs a worker would take. is_exhausted: whether its last look found fewer."""

    is_exhausted: bool
    demand: Callable[[], int]


class PassOn(Service):
    """Wakes other workers if this one has no room for all the jobs that it was woken for."""

    def __init__(self, registry: Registry, notifier: Notifier, appetite: Appetite) -> None:
        super().__init__()
        self.due_at = math.inf
        self.broker: Broker = registry.broker
        self.registry = registry
        self.notifier = notifier
        self.appetite = appetite
        self._pending: set[str] = set()

    def run_if_due(self) -> None:
        """Note the wake-ups. If there is room, the worker looks right after this: the next turn tells."""
        heard = self.notifier.take_heard()
        if not heard and not self._pending:
            return
        if self.appetite.demand() and not self.registry.draining:
            self._pending = heard if self.appetite.is_exhausted else self._pending | heard
        else:
            self._pending |= heard
            self.run()
        self.due_at = 0.0 if self._pending else math.inf

    def run(self) -> None:
        left = {queue: self.broker.ready_left(queue) for queue in self._pending}
        left = {queue: jobs for queue, jobs in left.items() if jobs}
        if left:
            # First, or it might be notified again.
            self.registry.mark_busy()
            self.notifier.send(left)
        self._pending = set()
