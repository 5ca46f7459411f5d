import math
from collections.abc import Collection

from ...notifiers import Notifier
from ...services.registry import Registry
from .polling import Polling

__all__ = ["PassOn"]


class PassOn:
    """Wakes other workers if this one has no room for all the jobs that it was woken for."""

    def __init__(self, registry: Registry, notifier: Notifier, polling: Polling) -> None:
        self.broker = registry.broker
        self.registry = registry
        self.notifier = notifier
        self.polling = polling
        # The queues that it was woken for, as long as it is not known whether it has taken all their jobs.
        self._pending: set[str] = set()

    @property
    def due_at(self) -> float:
        """When run() has something to do, in monotonic seconds: at once, or never."""
        return 0.0 if self._pending else math.inf

    def note_heard(self, queues: Collection[str]) -> None:
        """The worker has been woken for jobs of these queues, and looks next."""
        self._pending.update(queues)

    def run(self) -> None:
        """After the worker may have looked: wake others if it is full; forget what it was woken for if it is not."""
        if not self.polling.demand:
            self._pass_on()
        elif self.polling.is_exhausted and not self.polling.is_requested:
            self._pending.clear()

    def _pass_on(self) -> None:
        left = {queue: self.broker.ready_left(queue) for queue in self._pending}
        left = {queue: jobs for queue, jobs in left.items() if jobs}
        if left:
            # First, or it might be notified again.
            self.registry.mark_busy()
            self.notifier.send(left)
        self._pending.clear()
