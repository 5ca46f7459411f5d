"""Stops the jobs of a worker that are to be cancelled."""

from collections.abc import Set

from ..brokers.losses import untouched_outcome
from .dispatcher import Dispatcher
from .pools.children import Child
from .recorder import Recorder

__all__ = ["Cancelling"]


class Cancelling:
    """Takes back what has not begun, and asks what runs to stop.

    How a job ends is the broker's decision: here it goes back like any other that was not run.
    """

    def __init__(self, dispatcher: Dispatcher, recorder: Recorder) -> None:
        self.dispatcher = dispatcher
        self.recorder = recorder

    def cancel(self, job_ids: Set[str]) -> None:
        """Cancel jobs in this worker's hands; for one that is being cancelled already nothing changes."""
        for child in list(self.dispatcher.pool.children.values()):
            if any(assigned.job.id in job_ids for assigned in child.assigned.values()):
                self._stop(child, job_ids)
        for job in self.dispatcher.buffer.take_these(job_ids):
            self.recorder.hold(job, untouched_outcome(job))

    def _stop(self, child: Child, job_ids: Set[str]) -> None:
        # First of all, so that the child cannot go on to another job, or begin this one.
        self.dispatcher.take_back(child)
        # Those before the last one have ended: their outcomes are on their way.
        last = next(reversed(child.assigned.values()), None)
        if last is not None and last.job.id in job_ids and not last.is_news:
            self.dispatcher.pool.cancel(child, last.seq)
