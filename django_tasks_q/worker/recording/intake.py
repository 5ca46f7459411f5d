"""Passes on the pool's events."""

import time
from collections.abc import Callable, Iterable

from ...brokers.base import Broker
from ...brokers.values import ClaimedJob, Outcome
from ...lifecycle import Ending
from ...services.registry import Registry
from ..claiming.dispatcher import Dispatcher
from ..pools.base import Announced, Asked, Finished, Logged, PoolEvent, Reported, Returned
from ..wire.frames import Run
from .outcomes import outcome_of_lost, outcome_of_run
from .recorder import Recorder

__all__ = ["Intake"]

SUPERSEDED = Ending.SUPERSEDED
# Outcomes: recording them takes the database longer than it takes us to hand out as many jobs.
MUCH = 50


class Intake:
    """Turns the pool's events into outcomes to record, and into jobs to hand out again."""

    def __init__(self, broker: Broker, registry: Registry, dispatcher: Dispatcher, recorder: Recorder) -> None:
        self.broker = broker
        self.registry = registry
        self.dispatcher = dispatcher
        self.recorder = recorder
        self._ended = False
        # Jobs that must not begin until their start is recorded.
        self.asked: list[Asked] = []
        # What is already in the database, and which child is to announce it.
        self._unsaid: list[tuple[Callable[[ClaimedJob, Outcome], None], ClaimedJob, Outcome]] = []

    def serve(self) -> None:
        """While the database works: hand out claimed jobs, and read what the children send."""
        pool = self.dispatcher.pool
        if not pool.draining and not self.recorder.is_full:
            self.dispatcher.hand_out()
        self._take(pool.read())

    def collect(self) -> bool:
        """Process the pool's events; return whether a run has ended since the last time."""
        self._take(self.dispatcher.pool.collect())
        unsaid, self._unsaid = self._unsaid, []
        for say, job, outcome in unsaid:
            say(job, outcome)
        ended, self._ended = self._ended, False
        return ended

    @property
    def has_news(self) -> bool:
        """Whether collect() has something to do."""
        return self._ended or bool(self._unsaid) or self.dispatcher.pool.has_events

    @property
    def has_much(self) -> bool:
        """Whether recording outcomes comes before anything else; a serve() comes with it."""
        return len(self.recorder.held) + self.dispatcher.pool.read_ahead() >= MUCH

    def _take(self, events: Iterable[PoolEvent]) -> None:
        clock, now = self.registry.clock.ahead, time.time()
        for event in events:
            if isinstance(event, Finished):
                # Nearly all events are of this kind.
                job, run, seconds = event
                self._ended = True
                self.dispatcher.times.note(job.task_path, seconds)
                self._end(job, run, clock, now)
            elif isinstance(event, Reported):
                self.recorder.progress[event.job.id] = event.text
            elif isinstance(event, Logged):
                self.recorder.lines.take(event.job, event.note)
            elif isinstance(event, Returned):
                self.dispatcher.buffer.put_back(event.jobs)
                gone = {job.id for job in event.jobs}
                self.asked = [asked for asked in self.asked if asked.job.id not in gone]
            elif isinstance(event, Asked):
                self.asked.append(event)
            elif isinstance(event, Announced):
                self._ended = True
            else:
                self._ended = True
                worker_id, options = self.registry.worker_id, self.broker.options
                self.recorder.hold(event.job, outcome_of_lost(event, worker_id, clock, now, options))

    def _end(self, job: ClaimedJob, run: Run, clock: float, now: float) -> None:
        outcome = outcome_of_run(job, run, clock, now)
        if run.recorded:
            self._unsaid.append((self.recorder.note_recorded, job, outcome))
        elif run.ending is SUPERSEDED:
            self._unsaid.append((self.recorder.note_superseded, job, outcome))
        else:
            self.recorder.hold(job, outcome)
