"""One database round: outcomes are recorded and jobs are claimed, in one transaction."""

import logging
import math
import time
from collections.abc import Iterable
from contextlib import nullcontext

from django.db import DatabaseError, Error

from ..brokers.base import Broker
from ..brokers.failures import UNREADABLE, Failure
from ..brokers.values import ClaimedJob, Outcome, queues_of
from ..notifiers import Notifier, notify
from ..services.agenda import Agenda
from ..services.registry import Registry
from .claiming.dispatcher import Dispatcher
from .claiming.polling import Polling
from .claiming.queues import QueueSelector
from .pools.children import newly_begun, seconds_until_begun
from .recording.intake import Intake
from .recording.recorder import Recorder

__all__ = ["Rounds"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds until rows that another session has locked are tried again.
LOCKED_DELAY = 1.0
# Seconds until recording the start of jobs is tried again after a failure.
ASK_AGAIN = 0.2
# Seconds between two looks at what is due, for a worker that no enqueue wakes.
LONGEST_UNTOLD = 1.0


class Rounds:
    """Records outcomes and claims jobs. look_now: whether some queue may have got jobs since the last look."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        dispatcher: Dispatcher,
        recorder: Recorder,
        intake: Intake,
        selector: QueueSelector,
        polling: Polling,
        notifier: Notifier,
        agenda: Agenda,
    ) -> None:
        self.broker = broker
        self.registry = registry
        self.dispatcher = dispatcher
        self.recorder = recorder
        self.intake = intake
        self.selector = selector
        self.polling = polling
        self.notifier = notifier
        self.agenda = agenda
        self.look_now = True
        # When to try again to let jobs begin that could not: monotonic seconds.
        self._ask_at = 0.0
        # When to look for jobs that this worker owns but does not hold: monotonic seconds.
        self._settle_at = math.inf

    def run(self, *, draining: bool) -> None:
        """Record outcomes and claim jobs."""
        if time.monotonic() >= self._settle_at:
            self._give_back()
        try:
            self._run(draining=draining)
        except BaseException:
            # A claim may have been committed, but its jobs did not arrive.
            self._settle_at = time.monotonic()
            raise

    def _run(self, *, draining: bool) -> None:
        if self.recorder.is_full:
            # Jobs that a child has not begun would only add to it.
            self.dispatcher.take_all_back()
        demand = 0 if draining else self.demand()
        looking = demand > 0 and (self.look_now or self.selector.has_ready)
        queues = self.selector.look(now=self.look_now) if looking else []
        if looking:
            self.look_now = False
        jobs = self._record_and_claim(queues, demand) if queues or self.recorder.held else []
        self.dispatcher.buffer.add(self.recorder.drop_expired(jobs))
        if looking:
            self._note_found(len(jobs), demand)
        has_much = self.broker.dialect.has_meanwhile and self.intake.has_much
        if not draining and not has_much and not self.recorder.is_full:
            self.dispatcher.hand_out()

    def demand(self) -> int:
        """Return how many jobs to claim."""
        return 0 if self.recorder.is_full else self.dispatcher.demand()

    def salvage(self) -> None:
        """Record outcomes that could not be recorded with the others."""
        for outcome in self.recorder.run_salvage():
            self.expect(outcome.retry_in)

    def write_begun(self) -> None:
        """Record which jobs have begun, and let those begin that wait for that."""
        pool = self.dispatcher.pool
        begun = newly_begun(pool.children.values())
        asked = list(self.intake.asked) if time.monotonic() >= self._ask_at else []
        worker_id = self.registry.worker_id
        if begun:
            noted = self.broker.record_begun(worker_id, [assigned.job for assigned in begun])
            for assigned in begun:
                assigned.is_noted = assigned.job.id in noted
        if asked:
            # Those not recorded, because another session has locked their row, keep waiting.
            noted = self.broker.record_begun(worker_id, [event.job for event in asked], durable=True)
            for event in asked:
                if event.job.id in noted:
                    self.intake.asked.remove(event)
                    pool.let_begin(event.job, event.seq)
            self._ask_at = time.monotonic() + ASK_AGAIN if self.intake.asked else 0.0

    def seconds_until_begun(self) -> float:
        """Return the seconds until write_begun() has something to do; infinity if nothing."""
        asked = self._ask_at - time.monotonic() if self.intake.asked else math.inf
        return min(asked, seconds_until_begun(self.dispatcher.pool.children.values()))

    def _record_and_claim(self, queues: list[str], demand: int) -> list[ClaimedJob]:
        recording = bool(self.recorder.held)
        try:
            # If there is nothing to record, each claim is its own transaction.
            together = self.broker.transaction() if recording else nullcontext()
            with self.broker.dialect.meanwhile(self.intake.serve), together:
                recorded = self.recorder.record()
                jobs = self.selector.claim(self.registry.worker_id, queues, demand)
        except (Error, *UNREADABLE) as error:
            self.look_now = True
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

    def release(self, *, draining: bool) -> None:
        """Give back jobs that no child could take; at the end, all of them."""
        buffer = self.dispatcher.buffer
        jobs = buffer.take_all() if draining else buffer.take_stale()
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
        if self.polling.is_exhausted and self.notifier.reads_idle_flag and not self.registry.idle:
            # Look once more after that: it finds jobs of enqueues that have not seen the announcement.
            self.registry.mark_idle()
            self.look_now = True

    def seconds_until_look(self) -> float:
        """Return how long to wait before polling the queues if nothing wakes us."""
        due = self.selector.seconds_until_due()
        return min(self.polling.seconds_until_poll(), math.inf if due is None else due)

    def is_look_due(self) -> bool:
        """Return whether it is time to look at the queues, even if nothing has woken us."""
        # A worker that has not registered as asleep is not notified.
        untold = self.notifier.reads_idle_flag and not self.registry.idle and not self.selector.has_ready
        return untold or self.seconds_until_look() <= 0

    def look_at_schedule(self, *, woken: bool) -> None:
        """Make due jobs ready, and find out when the next one is due: we are not notified of that."""
        told = self.polling.is_exhausted and (self.registry.idle or not self.notifier.reads_idle_flag)
        longest = self.notifier.longest_sleep if told else LONGEST_UNTOLD
        if woken or self.agenda.is_due(longest):
            self.look_now |= self.agenda.look()

    def note_rescued(self, rescued: Iterable[tuple[ClaimedJob, Outcome]]) -> None:
        """Jobs of a dead worker are READY again, or have ended."""
        for job, outcome in rescued:
            self.look_now = True
            if outcome.charged or outcome.is_final:
                self.recorder.note_ended(job, outcome)

    def expect(self, seconds: float) -> None:
        """A job has gone back to the queue and is due after this many seconds."""
        if seconds > 0:
            self.agenda.expect(seconds)
        else:
            self.look_now = True
