from collections.abc import Set

from ..brokers.base import Broker
from ..brokers.outcomes import released_outcome
from ..notifiers import Notifier
from ..services.base import Service
from ..services.registry import Registry
from .claiming.dispatcher import Dispatcher
from .recording.recorder import Recorder

__all__ = ["Canceller"]

# Seconds between two looks, with and without notifications.
TOLD, UNTOLD = 2.0, 1.0


class Canceller(Service):
    """Finds the worker's jobs that are to be cancelled: at once if it is notified, otherwise at its next look.

    It takes back those that have not begun, and asks running ones to stop. The broker decides how a job ends: here it
    goes back like any other job that has not run.
    """

    def __init__(
        self, broker: Broker, registry: Registry, notifier: Notifier, dispatcher: Dispatcher, recorder: Recorder
    ) -> None:
        super().__init__()
        self.interval = TOLD if notifier.wakes else UNTOLD
        self.broker = broker
        self.registry = registry
        self.notifier = notifier
        self.dispatcher = dispatcher
        self.recorder = recorder

    def listen(self) -> None:
        """Look at once if the notifier has received a cancellation."""
        if self.notifier.hears_cancelled():
            self.due_at = 0.0

    def run(self) -> None:
        # Without jobs no query is made.
        if cancelled := self.broker.find_cancelled(self.registry.worker_id, self.dispatcher.held_ids()):
            self._cancel(cancelled)

    def _cancel(self, job_ids: Set[str]) -> None:
        """Cancel jobs that this worker holds; for one that is already being cancelled nothing changes."""
        self.dispatcher.buffer.put_back(self.dispatcher.pool.cancel(job_ids))
        for job in self.dispatcher.buffer.take_these(job_ids):
            self.recorder.hold(job, released_outcome(job))
