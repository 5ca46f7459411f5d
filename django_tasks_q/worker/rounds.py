"""One database round: outcomes are recorded and jobs are claimed, in one transaction."""

import logging
import math
import time
from collections.abc import Iterable
from contextlib import nullcontext

from django.db import DatabaseError, Error

from ..brokers.failures import UNREADABLE, Failure
from ..brokers.values import ClaimedJob, Outcome, queues_of
from ..notifiers import notify
from ..services.agenda import Agenda
from .claiming.polling import Polling
from .recording.intake import Intake
from .shutdown import Shutdown

__all__ = ["Rounds"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds until rows that another session has locked are tried again.
LOCKED_DELAY = 1.0
# Seconds between two looks at what is due, for a worker that no enqueue wakes.
LONGEST_UNTOLD = 1.0


class Rounds:
    """Records outcomes, claims jobs, and hands them out."""

    def __init__(self, shutdown: Shutdown, intake: Intake, polling: Polling, agenda: Agenda) -> None:
        self.broker = intake.broker
        self.registry = intake.registry
        self.dispatcher = intake.dispatcher
        self.recorder = intake.recorder
        self.shutdown = shutdown
        self.intake = intake
        self.polling = polling
        self.agenda = agenda
        # When to look for jobs that this worker owns but does not hold: monotonic seconds.
        self._settle_at = math.inf

    @property
    def due_at(self) -> float:
        """When a round has something to do in the database, in monotonic seconds; infinity if nothing."""
        if self.recorder.held:
            return 0.0
        return math.inf if self.shutdown.has_begun else min(self.polling.due_at, self.agenda.due_at)

    def count_demand(self) -> None:
        """Count how many jobs the worker could take."""
        takes_none = self.shutdown.has_begun or self.recorder.is_full
        self.polling.demand = 0 if takes_none else self.dispatcher.demand()

    def run(self) -> None:
        """Give back what no child could take, record outcomes, and claim jobs; then make jobs ready that are due."""
        if len(self.dispatcher.buffer):
            self._release()
        self.polling.request_if_due()
        woken = self.polling.is_requested
        if time.monotonic() >= self._settle_at:
            self._give_back()
        try:
            self._run()
        except BaseException:
            # A claim may have been committed, but its jobs did not arrive.
            self._settle_at = time.monotonic()
            raise
        # After that: a worker that was woken for a ready job should not have to wait for this.
        if not self.shutdown.has_begun:
            self._look_at_schedule(woken=woken and not self.polling.is_look_next)

    def _run(self) -> None:
        if self.recorder.is_full:
            # Jobs that a child has not begun would only add to it.
            self.dispatcher.take_all_back()
        wanted, looking, recording = self.polling.wanted, self.polling.is_due, bool(self.recorder.held)
        # What the worker was woken for begins before the look for more, which is done next.
        heard = self.polling.take_heard() if looking else []
        looking = looking and not heard
        queues = self.polling.look() if looking else heard
        jobs = self._record_and_claim(queues, wanted) if queues or recording else []
        if jobs:
            self.dispatcher.buffer.add(self.recorder.drop_expired(jobs))
        self._hand_out()
        if len(jobs) < wanted:
            self.polling.demand -= len(jobs)
        elif jobs or recording:
            self.count_demand()
        if looking:
            self._note_found(len(jobs), wanted)

    def _hand_out(self) -> None:
        if self.shutdown.has_begun or self.recorder.is_full:
            return
        if not (self.broker.dialect.has_meanwhile and self.intake.has_much):
            self.dispatcher.hand_out()

    def salvage(self) -> None:
        """Record outcomes that could not be recorded with the others."""
        for outcome in self.recorder.run_salvage():
            self.expect(outcome.retry_in)

    def _record_and_claim(self, queues: list[str], demand: int) -> list[ClaimedJob]:
        recording = bool(self.recorder.held)
        try:
            # If there is nothing to record, each claim is its own transaction.
            together = self.broker.transaction() if recording else nullcontext()
            with self.broker.dialect.meanwhile(self.intake.serve), together:
                recorded = self.recorder.record()
                jobs = self.polling.selector.claim(self.registry.worker_id, queues, demand)
        except (Error, *UNREADABLE) as error:
            self.polling.request()
            if recording:
                self.recorder.note_failure(error)
            if not self._is_refused(error):
                raise
            if recording:
                return []
            if not isinstance(error, UNREADABLE):
                raise
            return self._claim_carefully(queues, error)
        for outcome in self.recorder.settle(recorded):
            self.expect(outcome.retry_in)
        return jobs

    def _is_refused(self, error: Exception) -> bool:
        passing = (Failure.GONE, Failure.LOCKED)
        return not (isinstance(error, Error) and self.broker.dialect.failure(error) in passing)

    def _claim_carefully(self, queues: list[str], error: Exception) -> list[ClaimedJob]:
        """Claim one by one if a row cannot be read, and set that one aside."""
        logger.warning("A row cannot be read (%s); jobs are claimed one by one.", error)
        # The claim may have been committed before its rows turned out to be unreadable.
        self._give_back()
        jobs: list[ClaimedJob] = []
        for name in queues:
            if (found := self.broker.set_unreadable_aside(name)) is not None:
                logger.error("Job %s of the queue %s is set aside: %s", *found[:1], name, found[1])
            else:
                jobs += self.broker.claim(self.registry.worker_id, name, 1)
        return jobs

    def _give_back(self) -> None:
        """Make jobs READY that this worker owns but does not hold."""
        self.recorder.give_back(but=self.held())
        self._settle_at = time.monotonic() + LOCKED_DELAY if self.recorder.left_behind else math.inf

    def held(self) -> list[ClaimedJob]:
        """Return the jobs that this worker has not given back, and whose ends are not recorded."""
        return [*self.dispatcher.held(), *(job for job, _ in self.recorder.unrecorded())]

    def _release(self) -> None:
        """Give back jobs that no child could take; at the end, all of them."""
        buffer = self.dispatcher.buffer
        jobs = buffer.take_all() if self.shutdown.has_begun else buffer.take_stale()
        if not jobs:
            return
        try:
            self.recorder.release(jobs)
        except DatabaseError:
            buffer.put_back(jobs)
            raise
        notify(self.broker.alias, self.broker.using, queues_of(jobs))

    def _note_found(self, found: int, demand: int) -> None:
        """If we could take more jobs, announce it, so that an enqueue wakes us."""
        self.polling.note_found(found, demand)
        if self.polling.is_exhausted and not self.polling.is_told:
            # Look once more after that: it finds jobs of enqueues that have not seen the announcement.
            self.registry.mark_idle()
            self.polling.request()

    def _look_at_schedule(self, *, woken: bool) -> None:
        """Make due jobs ready, and find out when the next one is due: we are not notified of that."""
        told = self.polling.is_exhausted and self.polling.is_told
        longest = self.polling.notifier.longest_sleep if told else LONGEST_UNTOLD
        if (woken or self.agenda.is_due(longest)) and self.agenda.look():
            self.polling.request()

    def note_rescued(self, rescued: Iterable[tuple[ClaimedJob, Outcome]]) -> None:
        """Jobs of a dead worker are READY again, or have ended."""
        for job, outcome in rescued:
            self.polling.request()
            if outcome.charged or outcome.is_final:
                self.recorder.announcer.note_recorded(job, outcome)

    def expect(self, seconds: float) -> None:
        """A job has gone back to the queue and is due after this many seconds."""
        if seconds > 0:
            self.agenda.expect(seconds)
        else:
            self.polling.request()
