from collections.abc import Callable, Iterable

from ..brokers.base import Broker
from ..notifiers import Notifier
from .base import Service
from .registry import Registry

__all__ = ["Canceller"]

# Seconds between two looks, where one is told and where one is not.
TOLD, UNTOLD = 2.0, 1.0


class Canceller(Service):
    """Learns which of the worker's jobs are to be cancelled: at once where it is told, else at its next look.

    held: returns the ids of the jobs in the worker's hands; without any there is nothing to ask.
    found: called with those that are to be cancelled, at each look.
    """

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        notifier: Notifier,
        held: Callable[[], Iterable[str]],
        found: Callable[[set[str]], None],
    ) -> None:
        super().__init__()
        self.interval = TOLD if notifier.wakes else UNTOLD
        self.broker = broker
        self.registry = registry
        self.notifier = notifier
        self.held = held
        self.found = found

    def listen(self) -> None:
        """Look at once if the notifier has heard of a cancelled job."""
        if self.notifier.hears_cancelled():
            self.due_at = 0.0

    def run(self) -> None:
        if cancelled := self.broker.find_cancelled(self.registry.worker_id, self.held()):
            self.found(cancelled)
