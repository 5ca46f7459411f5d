"""Records how jobs ended, and says so once it stands."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError

from ..brokers.base import Broker
from ..brokers.values import ClaimedJob, Outcome
from ..services.registry import Registry
from .events import refused, send_recorded, send_superseded

__all__ = ["Ended", "Recorder"]

logger = logging.getLogger("django_tasks_q.worker")
Ended = tuple[ClaimedJob, Outcome]


class Recorder:
    """Holds outcomes until the database has them: none is dropped because a connection was.

    tell: called with the job and the error of each that FAILED without a child that could say so.
    """

    def __init__(self, broker: Broker, registry: Registry, tell: Callable[[ClaimedJob, str], None]) -> None:
        self.broker = broker
        self.registry = registry
        self.tell = tell
        self.held: list[Ended] = []
        self.finished = 0
        # A commit may have succeeded although its connection broke: then a refusal may mean that it is recorded.
        self.uncertain = False

    def give_back(self, *, but: Iterable[ClaimedJob] = ()) -> None:
        """Make READY what is RUNNING under this worker, except these jobs."""
        known = [job.id for job in but]
        while unknown := self.broker.held_by(self.registry.worker_id, but=known):
            self.broker.release(self.registry.worker_id, unknown)

    def start_over(self) -> None:
        """Let go of everything, and register the worker anew."""
        self.held.clear()
        # It may have claimed more after the others had taken it for dead, and looked.
        self.give_back()
        self.registry.register()

    def hold(self, job: ClaimedJob, outcome: Outcome) -> None:
        self.held.append((job, outcome))

    def note_recorded(self, job: ClaimedJob, outcome: Outcome) -> None:
        """A child has recorded this one itself."""
        self.finished += 1
        send_recorded(self.registry.sender, job, outcome)

    def note_ended(self, job: ClaimedJob, outcome: Outcome) -> None:
        """An outcome stands in the database: say so, for a child too that cannot."""
        send_recorded(self.registry.sender, job, outcome)
        if outcome.is_final and outcome.child_is_gone and outcome.error is not None:
            self.tell(job, outcome.error)

    def note_superseded(self, job: ClaimedJob, outcome: Outcome) -> None:
        """A child has found that this job belongs to another worker."""
        send_superseded(self.registry.sender, job, outcome)

    def record(self) -> frozenset[Any]:
        """Write what is held, in the caller's transaction; return the ids that were this worker's.

        Where that transaction commits, settle() what was held before.
        """
        if not self.held:
            return frozenset()
        recorded = self.broker.finish(self.registry.worker_id, [outcome for _, outcome in self.held])
        return recorded.finished | recorded.retried

    def settle(self, recorded: frozenset[Any]) -> list[Outcome]:
        """Let go of what stands in the database now; return those that will run again."""
        ended, self.held = self.held, []
        self._announce(ended, recorded)
        return [outcome for _, outcome in ended if not outcome.is_final and outcome.id in recorded]

    def record_singly(self) -> None:
        """Record what can be recorded; what the database refuses ends as FAILED with its reason."""
        logger.exception("A batch of outcomes was refused; they are recorded one by one.")
        while self.held:
            job, outcome = self.held[0]
            try:
                recorded = self.broker.finish(self.registry.worker_id, [outcome])
            except (OperationalError, InterfaceError):
                raise
            except DatabaseError as error:
                outcome = refused(outcome, error)
                recorded = self.broker.finish(self.registry.worker_id, [outcome])
            del self.held[0]
            self._announce([(job, outcome)], recorded.finished | recorded.retried)

    def _announce(self, ended: Iterable[Ended], recorded: frozenset[Any]) -> None:
        for job, outcome in ended:
            if outcome.id in recorded or (self.uncertain and self._stands(outcome)):
                self.finished += outcome.is_final
                self.note_ended(job, outcome)
            else:
                send_superseded(self.registry.sender, job, outcome)
        self.uncertain = False

    def _stands(self, outcome: Outcome) -> bool:
        return self.broker.is_recorded(self.registry.worker_id, outcome)
